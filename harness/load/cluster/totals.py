"""The answers and the progress of several workers, added up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.load.arrival_schedule import ArrivalCounts
from harness.load.commands import Done
from harness.records import LoadStatus


def add_answers(answers: Sequence[Done], *, complete: bool) -> Done:
    """The answer of all workers together.

    Args:
        answers: one of each worker that answered.
        complete: whether every worker of the run answered. Otherwise the totals of the run are unknown.
    """
    arrivals = [answer.arrivals for answer in answers if answer.arrivals is not None]
    return Done(
        held=sum(answer.held for answer in answers),
        failed=sum(answer.failed for answer in answers),
        arrivals=ArrivalCounts(
            total=sum(counts.total for counts in arrivals),
            started=sum(counts.started for counts in arrivals),
            dropped=sum(counts.dropped for counts in arrivals),
        )
        if arrivals
        else None,
        requests=_add_known(answer.requests for answer in answers) if complete else None,
        sessions=_add_known(answer.sessions for answer in answers) if complete else None,
    )


def _add_known(parts: Iterable[int | None]) -> int | None:
    """The sum; None if one part is unknown."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)


def add_statuses(parts: Sequence[tuple[LoadStatus, bool]]) -> LoadStatus:
    """The progress of all workers together. The percentile is the largest one: it is for display only.

    Args:
        parts: the last status of each worker, and whether the worker is still there. A lost worker's operations still count.
    """
    alive = [part for part, present in parts if present]
    slowest = [part.p95_ms for part in alive if part.p95_ms is not None]
    return LoadStatus(
        users=sum(part.users for part in alive),
        open_sessions=sum(part.open_sessions for part in alive),
        operations=sum(part.operations for part, _ in parts),
        failures=sum(part.failures for part, _ in parts),
        p95_ms=max(slowest, default=None),
        notices=list(dict.fromkeys(text for part, _ in parts for text in part.notices)),
    )
