"""What the events and censuses of a run record: its phases, the app's limits, objects by type. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.records import Census, GradioLimits, RunEvent


class PhaseSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of a run, in monotonic nanoseconds.

    Attributes:
        name: of the phase.
        begin_ns: its start.
        end_ns: start of the next phase, or the last event of the run.
        steady_ns: when all its users had started; None if that never happened.
    """

    name: str
    begin_ns: int
    end_ns: int
    steady_ns: int | None = None


def phases(events: Sequence[RunEvent]) -> list[PhaseSpan]:
    """Return the phases of a run, in order. The last one ends with the last event."""
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
    """Return the limits that the running app reported. Those that it did not report have their defaults."""
    detail = next((event.detail for event in events if event.kind == "limits"), {})
    known = {name: detail[name] for name in GradioLimits.__struct_fields__ if detail.get(name) is not None}
    return msgspec.convert(known, GradioLimits)


def type_counts(first: Census, census: Census) -> dict[str, int]:
    """Return the objects by type at one census.

    Args:
        first: the first census of the same process. It names every type.
        census: the same one, or a later one, which names only the types whose number has changed.

    Returns:
        Type → number of objects. Empty if objects were not counted.
    """
    if census.objects is None:
        return {}
    return {name: number for name, number in {**first.types, **census.types}.items() if number}
