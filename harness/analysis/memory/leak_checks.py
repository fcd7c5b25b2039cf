"""The two leak checks: leaks per request, and leaks per session."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.memory.growth_records import (
    BYTES,
    LIVE_HEAP,
    PER_REQUEST,
    PER_SESSION,
    TYPE,
    Growth,
    GrowthBasis,
)
from harness.records import Anomaly, Check, Verdict


def check_growth(growth: Sequence[Growth], basis: GrowthBasis) -> list[Check]:
    """Return both leak checks."""
    return [_check(name, growth, basis) for name in (PER_REQUEST, PER_SESSION)]


def _check(name: str, growth: Sequence[Growth], basis: GrowthBasis) -> Check:
    evidence = (
        {"batches": basis.batches, "requests": basis.requests}
        if name == PER_REQUEST
        else {"rounds": basis.rounds, "sessions": basis.sessions}
    ) | {"paths": basis.paths, "grown": len(growth)}
    if name in basis.not_judged:
        applies = name not in basis.not_applicable
        return Check(
            name=name,
            verdict="unknown" if applies else "pass",
            applies=applies,
            reason=basis.not_judged[name],
            evidence={},
        )
    leaks = [g for g in growth if g.verdict == name and g.within is None]
    per = "per_request" if name == PER_REQUEST else "per_session"
    doubtful = [
        g for g in growth if g.verdict == "inconclusive" and g.within is None and (getattr(g, per) or 0) > 0
    ]
    verdict: Verdict = "fail" if leaks else "inconclusive" if doubtful else "pass"
    return Check(
        name=name,
        verdict=verdict,
        reason=_reason(name, leaks, doubtful, basis),
        evidence=evidence,
        anomalies=[_anomaly(name, g, basis) for g in leaks],
        anomalies_total=len(leaks),
    )


def _reason(name: str, leaks: Sequence[Growth], doubtful: Sequence[Growth], basis: GrowthBasis) -> str:
    unit, number = ("request", basis.requests) if name == PER_REQUEST else ("session", basis.sessions)
    if leaks:
        named = ", ".join(g.path for g in leaks[:3]) + (" …" if len(leaks) > 3 else "")
        return f"{named} {'grows' if len(leaks) == 1 else 'grow'} with every {unit}, and no memory is freed."
    if doubtful:
        first = doubtful[0]
        return f"{first.path} may leak with every {unit}. {first.reason}"
    return f"Counted containers at {basis.paths:,} access paths over {number:,} {unit}s; none leaks."


def _anomaly(name: str, g: Growth, basis: GrowthBasis) -> Anomaly:
    if g.path == LIVE_HEAP:
        return Anomaly(
            kind=name,
            sessions=[],
            variable=g.path,
            occurrences=basis.requests,
            witness=[],
            explanation=g.reason,
        )
    what = "bytes" if g.kind in BYTES else "objects" if g.kind == TYPE else "entries"
    number = g.per_request if name == PER_REQUEST else g.per_session
    pins = g.bytes_per_request if name == PER_REQUEST else g.bytes_per_session
    unit = f"`{g.per_action}`" if name == PER_REQUEST and g.per_action else name.removeprefix("leak-per-")
    over = (
        f"{basis.batches} batches of {basis.requests // max(1, basis.batches)} requests"
        if name == PER_REQUEST
        else f"{basis.rounds} rounds of {basis.sessions // max(1, basis.rounds)} sessions that opened and closed"
    )
    end = (
        "It also grew under load, and it did not shrink after all sessions had closed."
        if name == PER_REQUEST
        else "Entries of earlier sessions were still there after they had closed."
    )
    bytes_text = (
        ""
        if pins is None
        else f". This keeps about {max(0, pins):,.0f} B per {name.removeprefix('leak-per-')} in memory"
    )
    what_it_is = "a type" if g.kind == TYPE else f"a {g.kind}"
    now = (
        f"There are {g.length:,} at the end."
        if g.kind == TYPE
        else f"It holds {g.length:,} {what} at the end."
    )
    held = f" Retainer path: {' → '.join(g.retainer_path)}." if g.retainer_path else ""
    return Anomaly(
        kind=name,
        sessions=[],
        variable=g.path,
        occurrences=round((number or 0) * (basis.requests if name == PER_REQUEST else basis.sessions)),
        witness=[],
        explanation=(
            f"{g.path} ({what_it_is}{'' if g.owner == 'app' else ' of Gradio’s own'}) grew by {'exactly' if g.exact else 'about'} "
            f"{number:,.2f} {what} per {unit} over {over}{bytes_text}. {end} {now}{held}"
        ),
    )
