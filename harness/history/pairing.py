"""One history shard: each invoke paired with its completion, and both joined to an operation. Pure.

Records that do not fit together are reported, never repaired without a report. A checker that saw only half of the operations
must not return `pass`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Literal

import msgspec

from harness.history.list_delta import Restorer
from harness.records import Error, Fail, HistoryRecord, Info, Invoke, Ok, Operation

Completion = Ok | Fail | Info

# No worker skips so many numbers at once; a record with a larger gap is damaged.
_LONGEST_GAP = 1_000_000

# Names of sessions and users contain the worker and the run that recorded them; see `harness.tokens`.
_SESSION = re.compile(r"s(\d+)-\d+")
_USER = re.compile(r"u-([0-9a-f]{4,})-\d+-\d+")

# Fields that an operation takes from its completion, for every outcome.
_FROM_COMPLETION = (
    "accepted_ns",
    "started_ns",
    "first_output_ns",
    "event_ids",
    "searched",
    "sightings",
    "tokens_sent",
    "untagged_sent",
    "own_tokens_seen",
)


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
    """Yield each invoke of one shard with its completion, in the order of the completions. Pending invokes come last.

    Sessions that this shard cannot have recorded (of another run or another worker) are left out: their operations prove
    nothing about this run.

    Args:
        worker: the shard's name.
        records: in the order of writing.
        problems: receives one sentence for each record that does not fit.
        run_tag: the part of every user's name that names the run; empty if unknown.
    """
    known: set[str] = set()
    foreign_sessions: set[str] = set()
    foreign_operations: set[int] = set()
    open_invokes: dict[int, Invoke] = {}
    # Numbers are given in sequence, so all below the highest have been seen, except those in `skipped`.
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
                foreign = _foreign_shard(record, worker, run_tag)
                if foreign is not None:
                    foreign_sessions.add(record.session)
                    text = f"history/{worker}.jsonl holds sessions of {foreign}."
                    if text not in problems:
                        problems.append(text)
            if foreign_sessions and record.session in foreign_sessions:
                foreign_operations.add(number)
            else:
                open_invokes[number] = record
            continue
        if foreign_operations and number in foreign_operations:
            foreign_operations.discard(number)
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


def _foreign_shard(first: Invoke, worker: str, run_tag: str) -> str | None:
    """Return which other worker or run recorded a session; None if this worker may have.

    Args:
        first: the session's first invoke.
        worker: the shard's name.
        run_tag: see `pairs`.
    """
    session, user = _SESSION.fullmatch(first.session), _USER.fullmatch(first.user)
    if session is not None and worker.isdigit() and session[1] != worker:
        return f"worker {session[1]}"
    return "another run" if user is not None and run_tag and user[1] != run_tag else None


def join(
    worker: str,
    found: Iterable[tuple[Invoke, Completion | None]],
    problems: list[str],
    only: Collection[str] | None = None,
) -> Iterator[Operation]:
    """Yield operations, from invokes and completions of one shard in the order of `pairs`.

    Args:
        worker: the shard's name.
        found: the pairs; of each session, all of them.
        problems: receives one sentence for each read that cannot be restored.
        only: the variables whose effects are kept; reads are dropped. Figures need no more, and the operations take a fraction of
            the memory. None keeps everything.
    """
    restorers: dict[str, Restorer] = {}
    # One copy of each name, instead of one per operation.
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
        operation = _operation(worker, invoke, completion, reads, names)
        if only is not None:
            operation = msgspec.structs.replace(
                operation,
                event_ids=[],
                effects={name: effect for name, effect in operation.effects.items() if name in only},
            )
        yield operation


def shift(operation: Operation, offset_ns: int) -> Operation:
    """Return the operation with all its times earlier by an offset, nanoseconds."""
    times = {
        name: value - offset_ns
        for name in operation.__struct_fields__
        if name.endswith("_ns") and (value := getattr(operation, name)) is not None
    }
    return msgspec.structs.replace(operation, **times)


def _operation(
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
    common |= {name: getattr(completion, name) for name in _FROM_COMPLETION}
    error = None if isinstance(completion, Ok) else completion.error
    return Operation(complete_ns=completion.time_ns, reads=reads, error=error, **common)


def pair_of(operation: Operation) -> tuple[Invoke, Completion | None]:
    """Return the invoke and the completion that an operation was joined from."""
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
    common: dict[str, Any] = {name: getattr(operation, name) for name in _FROM_COMPLETION}
    common |= {"id": operation.id, "time_ns": operation.complete_ns}
    if operation.outcome == "ok":
        return invoke, Ok(reads=operation.reads, **common)
    error = operation.error or Error(kind="protocol", message="")
    return invoke, Fail(error=error, **common) if operation.outcome == "fail" else Info(error=error, **common)
