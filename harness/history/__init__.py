"""History: shards merged, invokes paired with completions. Pure.

What does not fit together is reported, never repaired in silence: a checker that saw only half of the operations
must not say that all is well.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from harness.history.list_delta import Restorer
from harness.records import (
    Census,
    Error,
    Fail,
    GeneratorSample,
    GradioLimits,
    HistoryRecord,
    Info,
    Invoke,
    Ok,
    Operation,
    RunEvent,
)

T = TypeVar("T")
Completion = Ok | Fail | Info

# No worker leaves out so many numbers at once; a record that says so is damaged.
_LONGEST_GAP = 1_000_000

# What names of sessions and of people say of who recorded them; see `harness.tokens`.
_SESSION = re.compile(r"s(\d+)-\d+")
_USER = re.compile(r"u-([0-9a-f]{4,})-\d+-\d+")


class WorkerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One of several load generator processes.

    Attributes:
        name: its number, which is also the name of its shard.
        clock: identity of the monotonic clock that its times were read from.
        offset_ns: how far that clock is ahead of the master's, an estimate; 0 if they are the same.
        uncertainty_ns: how far the estimate may be wrong; 0 if they are the same.
        sessions: that it had begun according to its last report, where one was kept.
        lost: what became of it before its time, as the end of a sentence (`was killed by SIGKILL`); None if it ended well.
        missing: why its shard is not there or not whole, as a sentence; None if it is.
    """

    name: str
    clock: str = ""
    offset_ns: int = 0
    uncertainty_ns: int = 0
    sessions: int | None = None
    lost: str | None = None
    missing: str | None = None

    @property
    def unknown(self) -> str | None:
        """Why nothing is known for certain about its sessions, as a sentence; None if all is known."""
        if self.lost is not None:
            return f"Worker {self.name} was lost: it {self.lost}." + (
                f" {self.missing}" if self.missing is not None else ""
            )
        return self.missing


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """The processes that made the load, if there were several.

    Attributes:
        run_tag: the part of every token that names the run.
        facts: name → what is known of it. Empty for a single process.
    """

    run_tag: str = ""
    facts: dict[str, WorkerFacts] = {}

    def clock(self, worker: str) -> str:
        """Identity of a worker's clock. Only times of one clock may be compared."""
        found = self.facts.get(worker)
        return found.clock if found is not None else ""

    @property
    def several_clocks(self) -> bool:
        """Whether some of the workers have clocks that cannot be compared."""
        return len({facts.clock for facts in self.facts.values()}) > 1

    def lost(self, worker: str) -> bool:
        """Whether a worker was lost."""
        found = self.facts.get(worker)
        return found is not None and found.lost is not None

    @property
    def unknown(self) -> list[WorkerFacts]:
        """Those whose sessions are not known in full."""
        return [facts for facts in self.facts.values() if facts.unknown is not None]


def workers_of(
    events: Sequence[RunEvent], run_tag: str, shards: Mapping[str, str], torn: Mapping[str, str]
) -> Workers:
    """Gather what a run's events say of its workers.

    Args:
        events: of the run.
        run_tag: from the manifest.
        shards: worker → SHA-256 of its shard, for all that are there.
        torn: worker → what is wrong with its shard, as a sentence.
    """
    workers: dict[str, WorkerFacts] = {}
    offsets: dict[str, tuple[int, int]] = {}
    expected: dict[str, str] = {}
    reasons: dict[str, str] = {}
    ours: str | None = None
    for event in events:
        detail = event.detail
        if event.kind == "fleet":
            ours = str(detail["clock"])
        elif event.kind == "worker_joined":
            name = str(detail["worker"])
            workers[name] = WorkerFacts(name=name, clock=str(detail["clock"]))
        elif event.kind == "worker_clock":
            offsets[str(detail["worker"])] = (int(detail["offset_ns"]), int(detail["uncertainty_ns"]))
        elif event.kind == "worker_shard":
            reasons[str(detail["worker"])] = str(detail.get("reason") or "")
            if detail.get("sha256"):
                expected[str(detail["worker"])] = str(detail["sha256"])
        elif event.kind == "worker_lost":
            name = str(detail["worker"])
            facts = workers.get(name, WorkerFacts(name=name))
            workers[name] = msgspec.structs.replace(
                facts, lost=str(detail["reason"]), sessions=int(detail["sessions"])
            )
    for name, facts in workers.items():
        offset, uncertainty = (0, 0) if facts.clock == ours else offsets.get(name, (0, 0))
        missing, lost = torn.get(name), facts.lost
        if name not in shards:
            missing = f"The shard of worker {name} is missing. {reasons.get(name, '')}".rstrip()
        elif name in expected and shards[name] != expected[name]:
            missing = f"The shard of worker {name} is not what the worker recorded."
        elif name in expected and missing is None:
            lost = None  # it had finished before it was lost, and what it recorded is here, as it was then
        workers[name] = msgspec.structs.replace(
            facts, offset_ns=offset, uncertainty_ns=uncertainty, missing=missing, lost=lost
        )
    return Workers(run_tag=run_tag, facts=dict(sorted(workers.items(), key=lambda item: _order(item[0]))))


def _order(worker: str) -> tuple[int, str]:
    return (int(worker) if worker.isdigit() else 0, worker)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All operations of a run.

    Attributes:
        operations: ordered by invoke time. Where the workers have clocks of their own, the order between operations of
            different clocks is an estimate.
        problems: why the history cannot be trusted as a whole, one sentence each; empty if it can.
        workers: the processes that made the load.
        began_ns: the first invoke of the run, where these are not all of its operations.
        damaged: workers whose records do not fit together or could not all be read, so that what is not there may have been.
    """

    operations: list[Operation]
    problems: list[str]
    workers: Workers = Workers()
    began_ns: int | None = None
    damaged: frozenset[str] = frozenset()

    def by_session(self) -> dict[str, list[Operation]]:
        """Session → its operations, ordered by invoke time."""
        sessions: dict[str, list[Operation]] = {}
        for operation in self.operations:
            sessions.setdefault(operation.session, []).append(operation)
        return sessions

    @property
    def started_ns(self) -> int:
        """Monotonic nanoseconds of the first invoke, 0 if there is none."""
        if self.began_ns is not None:
            return self.began_ns
        return self.operations[0].invoke_ns if self.operations else 0


def pair(
    shards: Mapping[str, Iterable[HistoryRecord]],
    problems: Sequence[str] = (),
    workers: Workers = Workers(),  # noqa: B008 (immutable)
    damaged: Collection[str] = (),
    only: Collection[str] | None = None,
) -> History:
    """Join each invoke with its completion.

    Sessions that a shard cannot have recorded, those of another run or of another worker, are left out: their operations
    prove nothing about this run's.

    Args:
        shards: worker → its records, in the order of writing; see `pairs`.
        problems: what is already known to be wrong with the files.
        workers: the processes that made the load. Times of clocks other than the master's are shifted by their
            estimated offset, so that figures and plots may put them side by side. That is no ground for a verdict.
        damaged: workers whose shards are known not to be whole.
        only: see `join`.
    """
    found = list(problems)
    operations: list[Operation] = []
    suspect = set(damaged)
    for worker, records in in_order(shards):
        before = len(found)
        operations += join(worker, pairs(worker, records, found, workers.run_tag), found, only)
        if len(found) > before:
            suspect.add(worker)
    return _history(operations, found, workers, frozenset(suspect))


def _history(
    operations: list[Operation],
    problems: list[str],
    workers: Workers,
    damaged: frozenset[str],
    began_ns: int | None = None,
) -> History:
    shifts = {name: facts.offset_ns for name, facts in workers.facts.items() if facts.offset_ns}
    if shifts:
        operations = [_shift(o, shifts[o.worker]) if o.worker in shifts else o for o in operations]
    operations.sort(key=lambda operation: (operation.invoke_ns, operation.worker, operation.id))
    return History(
        operations=operations, problems=problems, workers=workers, damaged=damaged, began_ns=began_ns
    )


def in_order(shards: Mapping[str, T]) -> list[tuple[str, T]]:
    """Shards by the number of their worker."""
    return sorted(shards.items(), key=lambda item: _order(item[0]))


class Recorded(Protocol):
    """A history that can be gone through again and again, and need not be held in memory as a whole."""

    @property
    def workers(self) -> Workers:
        """The processes that made the load."""

    @property
    def damaged(self) -> Collection[str]:
        """Workers whose records are known not to be whole, before anybody has gone through them."""

    def pairs(self, problems: list[str]) -> Iterator[tuple[str, Iterable[tuple[Invoke, Completion | None]]]]:
        """For each worker, its invokes with their completions: see the function `pairs`. Each must be gone through at once."""

    def history(
        self,
        sessions: Container[str] | None,
        *,
        began_ns: int,
        damaged: frozenset[str],
        problems: list[str],
    ) -> History:
        """The operations of some sessions; None for all.

        Args:
            sessions: their ids.
            began_ns: the first invoke of all.
            damaged: workers whose records have turned out not to be whole.
            problems: readings that cannot be restored are added to it, one sentence each.
        """


class Shards:
    """A history as it was recorded.

    Args:
        shards: worker → a function that reads its records from the beginning, and adds what cannot be read to a list of
            problems.
        workers: the processes that made the load.
        damaged: workers whose shards are known not to be whole.
    """

    def __init__(
        self,
        shards: Mapping[str, Callable[[list[str]], Iterable[HistoryRecord]]],
        workers: Workers,
        damaged: Collection[str] = (),
    ) -> None:
        self._shards = in_order(shards)
        self.workers = workers
        self.damaged = damaged

    def pairs(self, problems: list[str]) -> Iterator[tuple[str, Iterable[tuple[Invoke, Completion | None]]]]:
        """See `Recorded`."""
        for worker, read in self._shards:
            yield worker, pairs(worker, read(problems), problems, self.workers.run_tag)

    def history(
        self,
        sessions: Container[str] | None,
        *,
        began_ns: int,
        damaged: frozenset[str],
        problems: list[str],
    ) -> History:
        """See `Recorded`. What else does not fit together is not told again."""
        operations: list[Operation] = []
        if sessions is None or sessions:
            for worker, found in self.pairs([]):
                wanted = (
                    found if sessions is None else (pair for pair in found if pair[0].session in sessions)
                )
                operations += join(worker, wanted, problems)
        return _history(operations, [], self.workers, damaged, None if sessions is None else began_ns)


class Remembered:
    """A history that is in memory already.

    Args:
        history: all operations.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self.workers = history.workers
        self.damaged = history.damaged

    def pairs(self, problems: list[str]) -> Iterator[tuple[str, Iterable[tuple[Invoke, Completion | None]]]]:
        """See `Recorded`."""
        problems += self._history.problems
        workers: dict[str, list[Operation]] = {}
        for operation in self._history.operations:
            workers.setdefault(operation.worker, []).append(operation)
        for worker, operations in in_order(workers):
            operations.sort(key=lambda o: math.inf if o.complete_ns is None else o.complete_ns)
            yield worker, map(_part, operations)

    def history(
        self,
        sessions: Container[str] | None,
        *,
        began_ns: int,
        damaged: frozenset[str],
        problems: list[str],
    ) -> History:
        """See `Recorded`."""
        if sessions is None:
            return self._history
        operations = [o for o in self._history.operations if o.session in sessions]
        return msgspec.structs.replace(self._history, operations=operations, began_ns=began_ns)


def may_have_happened(completion: Completion | None) -> bool:
    """See `Operation.may_have_happened`."""
    return not (isinstance(completion, Fail) and completion.error.kind == "rejected")


def outcome_of(completion: Completion | None) -> Literal["ok", "fail", "info", "pending"]:
    """See `Operation.outcome`."""
    if completion is None:
        return "pending"
    return "ok" if isinstance(completion, Ok) else "fail" if isinstance(completion, Fail) else "info"


def pairs(
    worker: str, records: Iterable[HistoryRecord], problems: list[str], run_tag: str = ""
) -> Iterator[tuple[Invoke, Completion | None]]:
    """Each invoke of one shard with its completion, in the order of the completions; those without one come last.

    Sessions that a shard cannot have recorded, those of another run or of another worker, are left out: their operations
    prove nothing about this run's.

    Args:
        worker: the shard's name.
        records: in the order of writing.
        problems: what does not fit together is added to it, one sentence each.
        run_tag: the part of every person's name that names the run; empty if nobody knows.
    """
    known: set[str] = set()
    strangers: set[str] = set()
    strange: set[int] = set()
    open_invokes: dict[int, Invoke] = {}
    # Numbers are given one after another, so that those below the highest have been seen, but for a few.
    highest = 0
    skipped: set[int] = set()
    for record in records:
        number = record.id
        if isinstance(record, Invoke):
            if number == highest + 1:
                highest = number
            elif number > highest and number - highest < _LONGEST_GAP:
                skipped.update(range(highest + 1, number))
                highest = number
            elif number in skipped:
                skipped.discard(number)
            else:
                problems.append(
                    f"Operation {worker}:{number} was invoked twice."
                    if 0 < number <= highest
                    else f"Operation {worker}:{number} has no number that could be its own."
                )
                continue
            if record.session not in known:
                known.add(record.session)
                stranger = _stranger(record, worker, run_tag)
                if stranger is not None:
                    strangers.add(record.session)
                    text = f"history/{worker}.jsonl holds sessions of {stranger}."
                    if text not in problems:
                        problems.append(text)
            if strangers and record.session in strangers:
                strange.add(number)
            else:
                open_invokes[number] = record
            continue
        if strange and number in strange:
            strange.discard(number)
            continue
        invoke = open_invokes.pop(number, None)
        if invoke is None:
            problems.append(
                f"Operation {worker}:{number} was completed without, or more than once after, its invoke."
            )
            continue
        if record.time_ns < invoke.time_ns:
            problems.append(f"Operation {worker}:{number} was completed before it was invoked.")
        yield invoke, record
    for invoke in open_invokes.values():
        yield invoke, None


def _stranger(first: Invoke, worker: str, run_tag: str) -> str | None:
    """Who has recorded a session, if not this worker; None if it may have been.

    Args:
        first: of the session.
        worker: the shard's name.
        run_tag: see `pairs`.
    """
    session, person = _SESSION.fullmatch(first.session), _USER.fullmatch(first.user)
    if session is not None and worker.isdigit() and session[1] != worker:
        return f"worker {session[1]}"
    return "another run" if person is not None and run_tag and person[1] != run_tag else None


def join(
    worker: str,
    found: Iterable[tuple[Invoke, Completion | None]],
    problems: list[str],
    only: Collection[str] | None = None,
) -> Iterator[Operation]:
    """Operations, from invokes and completions of one shard in the order of `pairs`.

    Args:
        worker: the shard's name.
        found: all that there are of each session.
        problems: readings that cannot be restored are added to it, one sentence each.
        only: the variables whose effects are kept, and nothing of what was read: all that figures need, and a fraction of what
            an operation takes in memory. None keeps everything.
    """
    restorers: dict[str, Restorer] = {}
    # One copy of each name, instead of one for each operation.
    names: dict[str, str] = {}
    for invoke, completion in found:
        reads: dict[str, Any] = {}
        if only is None and isinstance(completion, Ok) and (completion.reads or completion.deltas):
            reads = completion.reads
            restorer = restorers.get(invoke.session)
            if restorer is None:
                restorer = restorers[invoke.session] = Restorer()
            reads, lost = restorer.restore(invoke.id, reads, completion.deltas)
            problems += [
                f"What operation {worker}:{invoke.id} read of {name} cannot be restored: the reading before it is not on record."
                for name in lost
            ]
        operation = _join(worker, invoke, completion, reads, names)
        if only is not None:
            operation = msgspec.structs.replace(
                operation,
                event_ids=[],
                effects={name: effect for name, effect in operation.effects.items() if name in only},
            )
        yield operation


def _shift(operation: Operation, offset_ns: int) -> Operation:
    times = {
        name: value - offset_ns
        for name in operation.__struct_fields__
        if name.endswith("_ns") and (value := getattr(operation, name)) is not None
    }
    return msgspec.structs.replace(operation, **times)


# What an operation has of its completion, whatever its outcome.
_STAGES = (
    "accepted_ns",
    "started_ns",
    "first_output_ns",
    "event_ids",
    "looked",
    "sightings",
    "marked",
    "unmarked",
    "echoed",
)


def _join(
    worker: str,
    invoke: Invoke,
    completion: Completion | None,
    reads: dict[str, Any],
    names: dict[str, str],
) -> Operation:
    common: dict[str, Any] = {
        "worker": worker,
        "id": invoke.id,
        "session": names.setdefault(invoke.session, invoke.session),
        "action": names.setdefault(invoke.action, invoke.action),
        "phase": names.setdefault(invoke.phase, invoke.phase),
        "invoke_ns": invoke.time_ns,
        "intended_ns": invoke.intended_ns,
        "effects": invoke.effects,
        "user": invoke.user,
        "account": invoke.account,
        "outcome": outcome_of(completion),
    }
    if completion is None:
        return Operation(complete_ns=None, **common)
    common |= {name: getattr(completion, name) for name in _STAGES}
    error = None if isinstance(completion, Ok) else completion.error
    return Operation(complete_ns=completion.time_ns, reads=reads, error=error, **common)


def _part(operation: Operation) -> tuple[Invoke, Completion | None]:
    """The opposite of joining."""
    invoke = Invoke(
        id=operation.id,
        session=operation.session,
        action=operation.action,
        phase=operation.phase,
        time_ns=operation.invoke_ns,
        intended_ns=operation.intended_ns,
        user=operation.user,
        account=operation.account,
        effects=operation.effects,
    )
    if operation.outcome == "pending" or operation.complete_ns is None:
        return invoke, None
    common: dict[str, Any] = {name: getattr(operation, name) for name in _STAGES}
    common |= {"id": operation.id, "time_ns": operation.complete_ns}
    if operation.outcome == "ok":
        return invoke, Ok(reads=operation.reads, **common)
    error = operation.error or Error(kind="protocol", message="")
    return invoke, Fail(error=error, **common) if operation.outcome == "fail" else Info(error=error, **common)


def aligned(
    samples: Mapping[str, Sequence[GeneratorSample]], workers: Workers
) -> dict[str, list[GeneratorSample]]:
    """What workers wrote about themselves, by the master's clock, as `pair` does it with operations."""
    return {
        worker: [
            msgspec.structs.replace(s, time_ns=s.time_ns - facts.offset_ns, due_ns=s.due_ns - facts.offset_ns)
            if (facts := workers.facts.get(worker)) is not None
            else s
            for s in found
        ]
        for worker, found in samples.items()
    }


def type_counts(first: Census, census: Census) -> dict[str, int]:
    """Objects by type at one census.

    Args:
        first: the first census of the same process, which names every type.
        census: that one, or a later one, which names those types of which there were more or fewer.

    Returns:
        Type → how many there were. Empty where they were not counted.
    """
    if census.objects is None:
        return {}
    return {name: number for name, number in {**first.types, **census.types}.items() if number}


class PhaseSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of the run, in monotonic nanoseconds.

    Attributes:
        steady_ns: when all its users had started, None if that never happened.
    """

    name: str
    begin_ns: int
    end_ns: int
    steady_ns: int | None = None


def phases(events: Sequence[RunEvent]) -> list[PhaseSpan]:
    """The phases of a run, in order; the last one ends with the last event."""
    starts = [event for event in events if event.kind == "phase"]
    last_ns = max((event.time_ns for event in events), default=0)
    spans = []
    for index, event in enumerate(starts):
        end_ns = starts[index + 1].time_ns if index + 1 < len(starts) else last_ns
        steady = next(
            (e.time_ns for e in events if e.kind == "steady" and event.time_ns <= e.time_ns < end_ns), None
        )
        spans.append(
            PhaseSpan(name=str(event.detail["name"]), begin_ns=event.time_ns, end_ns=end_ns, steady_ns=steady)
        )
    return spans


def limits_of(events: Sequence[RunEvent]) -> GradioLimits:
    """What the running app said of itself, as far as it was heard."""
    detail = next((event.detail for event in events if event.kind == "limits"), {})
    known = {name: detail[name] for name in GradioLimits.__struct_fields__ if detail.get(name) is not None}
    return msgspec.convert(known, GradioLimits)
