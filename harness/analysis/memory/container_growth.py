"""Growth of containers: the evidence on each, and the verdicts that containers inside others share.

The experiment varies one thing at a time. Batches of requests in open sessions show what a request leaves behind. Sessions that
open and close after all others have closed show what a session leaves behind. The timed phase between the two makes many more
requests than the batches: a leak keeps growing there, a cache that was filling stops. Counts are exact, so `+1 per request` is
a fact, not an estimate. See docs/methods/memory.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from harness.analysis.memory.experiment import Experiment, Measurement
from harness.analysis.memory.growth_evidence import (
    CAME,
    GrowthEvidence,
    RequestGrowth,
    SessionGrowth,
    Unit,
    growth_with_requests,
    growth_with_sessions,
    statement,
)
from harness.analysis.memory.growth_records import LEAKS, PER_SESSION, Growth, inside
from harness.analysis.memory.rules import judge_growth


def container_growth(experiment: Experiment) -> list[Growth]:
    """Return the judgement on every container that grew, ordered by access path."""
    paths = sorted({path for measurement in experiment.everything for path in measurement.lengths})
    grown = [
        _judged(evidence, experiment) for path in paths if (evidence := container_evidence(path, experiment))
    ]
    return _nested(_bounded_as_outer_fills(grown, experiment))


def container_evidence(path: str, experiment: Experiment) -> GrowthEvidence | None:
    """Return the evidence on the containers at an access path; None if they never held more than at plateau 0."""
    start, longest = experiment.start.length(path), max(m.length(path) for m in experiment.everything)
    if longest <= start:
        return None
    seen = [m.lengths[path] for m in experiment.everything if path in m.lengths]
    requests = growth_with_requests(lambda m: m.length(path), experiment)
    sessions = growth_with_sessions(lambda m: m.length(path), experiment, requests)
    grows_with, grew = _steady_growth(seen[0].kind, requests, sessions)
    return GrowthEvidence(
        path=path,
        kind=seen[0].kind,
        owner=seen[0].owner,
        cap=max(container.cap or 0 for container in seen) or None,
        grows_with=grows_with,
        statement=grew,
        requests=requests,
        sessions=sessions,
        start=start,
        longest=longest,
        after_close=experiment.after.length(path) if experiment.after is not None else None,
        lost_among=_lost_among(path, experiment),
    )


def _steady_growth(
    kind: str, requests: RequestGrowth | None, sessions: SessionGrowth | None
) -> tuple[Unit | None, str]:
    if requests is not None and requests.steady:
        unit = f"`{requests.action}`" if requests.action else "request"
        return "request", statement(kind, requests.rate, unit, exact=requests.exact)
    if sessions is not None and sessions.steady and sessions.kept:
        return "session", statement(
            kind, sessions.rate, "session that opened and closed", exact=sessions.exact
        )
    return None, ""


def _lost_among(path: str, experiment: Experiment) -> int | None:
    """Objects that a census at the end visited without reaching the container; None if it visited all it could find."""
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
    """The same, with growth that only follows a bounded container around it (rows of a deque with a `maxlen`) as bounded."""
    capped = [g for g in growth if g.verdict == "bounded" and g.cap is not None]
    found = []
    for g in growth:
        outer = next((o for o in capped if inside(g.path, o.path) and _as_it_fills(g, o, experiment)), None)
        if outer is not None:
            reason = f"It is inside {outer.path}, which has a limit, and grew no faster than that filled up."
            g = msgspec.structs.replace(g, verdict="bounded", within=outer.path, reason=reason)
        found.append(g)
    return found


def _as_it_fills(growth: Growth, outer: Growth, experiment: Experiment) -> bool:
    """Whether something that looks like a leak later grew in proportion to the bounded container around it."""
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
    """The same, with the verdict of the container around it: one leak is reported once."""
    deciding = {g.path: g for g in growth if g.verdict in (*LEAKS, "declared", "inconclusive")}
    found = []
    for g in growth:
        outer = next(
            (d for p, d in sorted(deciding.items()) if inside(g.path, p) and not _is_proven_apart(g, d)), None
        )
        if outer is not None:
            reason = f"It is inside {outer.path}."
            g = msgspec.structs.replace(g, verdict=outer.verdict, within=outer.path, reason=reason)
        found.append(g)
    return found


def _is_proven_apart(growth: Growth, outer: Growth) -> bool:
    """Whether exact growth proves a leak inside a container that grows inexactly and may be a cache."""
    return growth.verdict in LEAKS and growth.exact and outer.verdict == "inconclusive" and not outer.exact
