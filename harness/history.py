"""History: shards merged, invokes paired with completions. Pure.

What does not fit together is reported, never repaired in silence: a checker that saw only half of the operations
must not say that all is well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.records import Fail, GeneratorSample, HistoryRecord, Info, Invoke, Ok, Operation, RunEvent


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


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """The processes that made the load, if there were several.

    Attributes:
        run_tag: the part of every token that names the run.
        workers: name → what is known of it. Empty for a single process.
    """

    run_tag: str = ""
    workers: dict[str, WorkerFacts] = {}

    def clock(self, worker: str) -> str:
        """Identity of a worker's clock. Only times of one clock may be compared."""
        facts = self.workers.get(worker)
        return facts.clock if facts is not None else ""

    def lost(self, worker: str) -> bool:
        """Whether a worker was lost."""
        facts = self.workers.get(worker)
        return facts is not None and facts.lost is not None

    @property
    def unknown(self) -> list[WorkerFacts]:
        """Those whose sessions are not known in full."""
        return [facts for facts in self.workers.values() if facts.unknown is not None]


def fleet(
    events: Sequence[RunEvent], run_tag: str, shards: Mapping[str, str], torn: Mapping[str, str]
) -> Fleet:
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
    return Fleet(run_tag=run_tag, workers=dict(sorted(workers.items(), key=lambda item: _order(item[0]))))


def _order(worker: str) -> tuple[int, str]:
    return (int(worker) if worker.isdigit() else 0, worker)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All operations of a run.

    Attributes:
        operations: ordered by invoke time. Where the workers have clocks of their own, the order between operations of
            different clocks is an estimate.
        problems: why the history cannot be trusted as a whole, one sentence each; empty if it can.
        fleet: the processes that made the load.
    """

    operations: list[Operation]
    problems: list[str]
    fleet: Fleet = Fleet()

    def by_session(self) -> dict[str, list[Operation]]:
        """Session → its operations, ordered by invoke time."""
        sessions: dict[str, list[Operation]] = {}
        for operation in self.operations:
            sessions.setdefault(operation.session, []).append(operation)
        return sessions

    @property
    def started_ns(self) -> int:
        """Monotonic nanoseconds of the first invoke, 0 if there is none."""
        return self.operations[0].invoke_ns if self.operations else 0


def pair(
    shards: Mapping[str, Sequence[HistoryRecord]],
    problems: Sequence[str] = (),
    workers: Fleet = Fleet(),  # noqa: B008 (immutable)
) -> History:
    """Join each invoke with its completion.

    Args:
        shards: worker → its records, in the order of writing.
        problems: what is already known to be wrong with the files.
        workers: the processes that made the load. Times of clocks other than the master's are shifted by their
            estimated offset, so that figures and plots may put them side by side. That is no ground for a verdict.
    """
    found = list(problems)
    operations: list[Operation] = []
    for worker, records in sorted(shards.items(), key=lambda item: _order(item[0])):
        open_invokes: dict[int, Invoke] = {}
        seen: set[int] = set()
        for record in records:
            if isinstance(record, Invoke):
                if record.id in seen:
                    found.append(f"Operation {worker}:{record.id} was invoked twice.")
                    continue
                seen.add(record.id)
                open_invokes[record.id] = record
                continue
            invoke = open_invokes.pop(record.id, None)
            if invoke is None:
                found.append(
                    f"Operation {worker}:{record.id} was completed without, or more than once after, its invoke."
                )
                continue
            if record.time_ns < invoke.time_ns:
                found.append(f"Operation {worker}:{record.id} was completed before it was invoked.")
            operations.append(_join(worker, invoke, record))
        operations += [_join(worker, invoke, None) for invoke in open_invokes.values()]
    shifts = {name: facts.offset_ns for name, facts in workers.workers.items() if facts.offset_ns}
    if shifts:
        operations = [_shift(o, shifts[o.worker]) if o.worker in shifts else o for o in operations]
    operations.sort(key=lambda operation: (operation.invoke_ns, operation.worker, operation.id))
    return History(operations=operations, problems=found, fleet=workers)


def _shift(operation: Operation, offset_ns: int) -> Operation:
    times = {
        name: value - offset_ns
        for name in operation.__struct_fields__
        if name.endswith("_ns") and (value := getattr(operation, name)) is not None
    }
    return msgspec.structs.replace(operation, **times)


def _join(worker: str, invoke: Invoke, completion: Ok | Fail | Info | None) -> Operation:
    common: dict[str, object] = {
        "worker": worker,
        "id": invoke.id,
        "session": invoke.session,
        "action": invoke.action,
        "phase": invoke.phase,
        "invoke_ns": invoke.time_ns,
        "intended_ns": invoke.intended_ns,
        "effects": invoke.effects,
        "user": invoke.user,
    }
    if completion is None:
        return Operation(outcome="pending", complete_ns=None, **common)  # type: ignore[arg-type]
    common |= {
        "accepted_ns": completion.accepted_ns,
        "started_ns": completion.started_ns,
        "first_output_ns": completion.first_output_ns,
        "event_ids": completion.event_ids,
        "looked": completion.looked,
        "marked": completion.marked,
        "unmarked": completion.unmarked,
        "sightings": completion.sightings,
    }
    if isinstance(completion, Ok):
        return Operation(
            outcome="ok",
            complete_ns=completion.time_ns,
            reads=completion.reads,
            **common,  # type: ignore[arg-type]
        )
    outcome = "fail" if isinstance(completion, Fail) else "info"
    return Operation(
        outcome=outcome,  # type: ignore[arg-type]
        complete_ns=completion.time_ns,
        error=completion.error,
        **common,  # type: ignore[arg-type]
    )


def aligned(
    samples: Mapping[str, Sequence[GeneratorSample]], workers: Fleet
) -> dict[str, list[GeneratorSample]]:
    """What workers wrote about themselves, by the master's clock, as `pair` does it with operations."""
    return {
        worker: [
            msgspec.structs.replace(s, time_ns=s.time_ns - facts.offset_ns, due_ns=s.due_ns - facts.offset_ns)
            if (facts := workers.workers.get(worker)) is not None
            else s
            for s in found
        ]
        for worker, found in samples.items()
    }


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
