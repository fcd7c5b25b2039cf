"""Containers that grew: the evidence on each, and those that stand inside others.

The experiment varies one thing at a time. Batches of requests in sessions that are held show what a request leaves behind;
sessions that come and go, after all others have closed, show what a session does. Between the two lies the timed phase, with
many more requests than the batches: what is a leak has gone on growing there, what is a cache that was filling has stopped.
Counts are exact, so `+1 per request` is a statement and no estimate. See docs/methods/memory.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from harness.analysis.memory.experiment import Experiment, Measurement
from harness.analysis.memory.growth import LEAKS, PER_SESSION, Growth, inside
from harness.analysis.memory.growth_evidence import (
    CAME,
    GrowthEvidence,
    OverRequests,
    OverSessions,
    Unit,
    over_requests,
    over_sessions,
    statement,
)
from harness.analysis.memory.rules import judge_growth


def container_growth(experiment: Experiment) -> list[Growth]:
    """Judge every container that grew, in the order of their access paths."""
    paths = sorted({path for measurement in experiment.everything for path in measurement.lengths})
    grown = [
        _judged(evidence, experiment) for path in paths if (evidence := container_evidence(path, experiment))
    ]
    return _nested(_bounded_as_outer_fills(grown, experiment))


def container_evidence(path: str, experiment: Experiment) -> GrowthEvidence | None:
    """Return what is known of everything at an access path; None if it never held more than at plateau 0."""
    start, longest = experiment.start.length(path), max(m.length(path) for m in experiment.everything)
    if longest <= start:
        return None
    seen = [m.lengths[path] for m in experiment.everything if path in m.lengths]
    requests = over_requests(lambda m: m.length(path), experiment)
    sessions = over_sessions(lambda m: m.length(path), experiment, requests)
    grows_with, said = _steady_growth(seen[0].kind, requests, sessions)
    return GrowthEvidence(
        path=path,
        kind=seen[0].kind,
        owner=seen[0].owner,
        cap=max(container.cap or 0 for container in seen) or None,
        grows_with=grows_with,
        statement=said,
        requests=requests,
        sessions=sessions,
        start=start,
        longest=longest,
        after_close=experiment.after.length(path) if experiment.after is not None else None,
        lost_among=_lost_among(path, experiment),
    )


def _steady_growth(
    kind: str, requests: OverRequests | None, sessions: OverSessions | None
) -> tuple[Unit | None, str]:
    if requests is not None and requests.steady:
        unit = f"`{requests.action}`" if requests.action else "request"
        return "request", statement(kind, requests.rate, unit, exact=requests.exact)
    if sessions is not None and sessions.steady and sessions.kept:
        return "session", statement(kind, sessions.rate, "session that came and went", exact=sessions.exact)
    return None, ""


def _lost_among(path: str, experiment: Experiment) -> int | None:
    """Objects that a census at the end visited without coming to the container; None if it would have come to it."""
    end = [m for m in (experiment.after, experiment.last) if m is not None]
    lost = next((m for m in end if path not in m.lengths and m.census.complete_depth is not None), None)
    return lost.census.visited if lost is not None else None


def _judged(evidence: GrowthEvidence, experiment: Experiment) -> Growth:
    found = judge_growth(evidence)
    path, requests, sessions = evidence.path, evidence.requests, evidence.sessions
    by_session = found.verdict == PER_SESSION and sessions is not None
    return Growth(
        path=path,
        kind=evidence.kind,
        owner=evidence.owner,
        verdict=found.verdict,
        per_request=float(requests.rate) if requests else None,
        per_action=requests.action if requests else None,
        per_session=float(sessions.rate) if sessions else None,
        exact=sessions.exact if by_session and sessions else bool(requests and requests.exact),
        length=experiment.last.length(path),
        cap=evidence.cap,
        pinned_bytes=experiment.last.pinned(path),
        bytes_per_request=_bytes_per(path, experiment.batches, lambda m: m.requests),
        bytes_per_session=_bytes_per(path, experiment.rounds, lambda m: m.sessions),
        reason=found.reason,
    )


def _bytes_per(
    path: str, measurements: Sequence[Measurement], of: Callable[[Measurement], int]
) -> float | None:
    if len(measurements) < 2 or of(measurements[-1]) == of(measurements[0]):
        return None
    more = measurements[-1].pinned(path) - measurements[0].pinned(path)
    return more / (of(measurements[-1]) - of(measurements[0]))


def _bounded_as_outer_fills(growth: Sequence[Growth], experiment: Experiment) -> list[Growth]:
    """What grows only as a container with a known bound fills up has a bound itself: the rows of a deque with a `maxlen`, for example."""
    capped = [g for g in growth if g.verdict == "bounded" and g.cap is not None]
    found = []
    for g in growth:
        outer = next((o for o in capped if inside(g.path, o.path) and _as_it_fills(g, o, experiment)), None)
        if outer is not None:
            reason = f"It stands inside {outer.path}, and grew no faster than that was filled."
            g = msgspec.structs.replace(g, verdict="bounded", within=outer.path, reason=reason)
        found.append(g)
    return found


def _as_it_fills(growth: Growth, outer: Growth, experiment: Experiment) -> bool:
    """Whether a leak, as it seems, grew afterwards as much as its bounded container did, in proportion."""
    if growth.verdict not in (*LEAKS, "inconclusive"):
        return False
    measured, after = (
        (experiment.rounds, [experiment.start, experiment.after])
        if growth.verdict == PER_SESSION
        else (experiment.batches, [experiment.batches[-1], experiment.after])
    )
    ends = [m for m in after if m is not None]
    if len(ends) < 2 or len(measured) < 2:
        return False
    (inner, filled), (inner_then, filled_then) = (
        tuple(last.length(path) - first.length(path) for path in (growth.path, outer.path))
        for first, last in ((measured[0], measured[-1]), (ends[0], ends[1]))
    )
    return filled > 0 and filled_then > 0 and CAME * inner_then * filled <= inner * filled_then


def _nested(growth: Sequence[Growth]) -> list[Growth]:
    """What stands inside a container that is judged already shares its verdict: one leak is told once."""
    deciding = {g.path: g for g in growth if g.verdict in (*LEAKS, "declared", "inconclusive")}
    found = []
    for g in growth:
        outer = next(
            (d for p, d in sorted(deciding.items()) if inside(g.path, p) and not _proven_beside(g, d)), None
        )
        if outer is not None:
            reason = f"It stands inside {outer.path}."
            g = msgspec.structs.replace(g, verdict=outer.verdict, within=outer.path, reason=reason)
        found.append(g)
    return found


def _proven_beside(growth: Growth, outer: Growth) -> bool:
    """Whether the very same number each time shows a leak in a container that itself grows otherwise, and may be a cache."""
    return growth.verdict in LEAKS and growth.exact and outer.verdict == "inconclusive" and not outer.exact
