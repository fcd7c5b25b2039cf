"""History: shards merged, invokes paired with completions. Pure.

What does not fit together is reported, never repaired in silence: a checker that saw only half of the operations
must not say that all is well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.records import Fail, HistoryRecord, Info, Invoke, Ok, Operation, RunEvent


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All operations of a run.

    Attributes:
        operations: ordered by invoke time.
        problems: why the history cannot be trusted as a whole, one sentence each; empty if it can.
    """

    operations: list[Operation]
    problems: list[str]

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


def pair(shards: Mapping[str, Sequence[HistoryRecord]], problems: Sequence[str] = ()) -> History:
    """Join each invoke with its completion.

    Args:
        shards: worker → its records, in the order of writing.
        problems: what is already known to be wrong with the files.
    """
    found = list(problems)
    operations: list[Operation] = []
    for worker, records in sorted(shards.items()):
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
    operations.sort(key=lambda operation: (operation.invoke_ns, operation.worker, operation.id))
    return History(operations=operations, problems=found)


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
    }
    if completion is None:
        return Operation(outcome="pending", complete_ns=None, **common)  # type: ignore[arg-type]
    common |= {
        "accepted_ns": completion.accepted_ns,
        "started_ns": completion.started_ns,
        "first_output_ns": completion.first_output_ns,
        "event_ids": completion.event_ids,
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
