"""The memory figures of a run: costs, breakdown and verdict, together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.analysis.memory.breakdown import UnitCosts, breakdown
from harness.analysis.memory.growth_records import PER_REQUEST, PER_SESSION, Growth, GrowthBasis
from harness.analysis.memory.rules import judge_memory
from harness.analysis.memory.session_cost import MemoryFigures, live_bytes, memory_figures, per_request
from harness.analysis.memory.verdict_evidence import VerdictEvidence
from harness.analysis.theil_sen import Slope
from harness.history import limits_of
from harness.recorded_run import RecordedRun


def memory_summary(data: RecordedRun, growth: Sequence[Growth], basis: GrowthBasis) -> MemoryFigures:
    """Return the memory figures of a run, with its breakdown and verdict.

    Args:
        data: the run, with its baseline run if there was one.
        growth: what grew in it, worst first.
        basis: the evidence behind the growth verdicts.
    """
    leaked_by_app, leaked_by_gradio = (_leaked_per_request(growth, owner) for owner in ("app", "gradio"))
    counted = kept = _kept_by_gradio(growth)
    floor = per_request(data.baseline.plateaus, live_bytes) if data.baseline is not None else None
    if floor is not None and floor.low > 0:
        # What the baseline app keeps per request is Gradio's alone: its leaks, and its bounded containers.
        if leaked_by_gradio:
            leaked_by_gradio = max(leaked_by_gradio, floor.estimate - counted)
        else:
            kept = max(counted, floor.estimate)
    figures = memory_figures(
        data.plateaus,
        data.manifest.external,
        census=data.census,
        baseline=data.baseline.plateaus if data.baseline is not None else [],
        no_control=_no_control(data),
        leaked_per_request=leaked_by_app + leaked_by_gradio,
        leaked_by_gradio=leaked_by_gradio,
        kept_per_request=kept,
    )
    figures = msgspec.structs.replace(
        figures, ledger=breakdown(data.plateaus, _unit_costs(data, figures, growth, kept))
    )
    found = judge_memory(
        VerdictEvidence(
            memory=figures,
            growth=[g for g in growth if g.within is None],
            basis=basis,
            plateaus=data.plateaus,
            limits=limits_of(data.events),
            scenario=data.manifest.scenario,
        )
    )
    return msgspec.structs.replace(
        figures, verdict=found.verdict, reason=found.reason, next_step=found.next_step
    )


def _unit_costs(
    data: RecordedRun, figures: MemoryFigures, growth: Sequence[Growth], kept: float
) -> UnitCosts:
    return UnitCosts(
        session=_estimate(figures.bytes_per_open_session.live),
        closed=_estimate(figures.bytes_per_closed_session.live),
        request=_estimate(figures.bytes_per_request.live),
        leaked=figures.leaked_bytes_per_request,
        left=sum(
            max(0.0, g.bytes_per_session or 0.0)
            for g in growth
            if g.verdict == PER_SESSION and g.within is None
        ),
        kept=kept,
        floor_session=_estimate(figures.floor_per_open_session.live),
        floor_closed=_estimate(figures.floor_per_closed_session.live),
        floor_request=_estimate(figures.floor_per_request.live),
        state=figures.state_bytes_per_session,
        keeps_state=bool(data.plateaus and data.plateaus[-1].probe.states),
    )


def _leaked_per_request(growth: Sequence[Growth], owner: str) -> float:
    """Bytes that each request leaves behind for good in the containers of an owner, `app` or `gradio`."""
    return sum(
        max(0.0, g.bytes_per_request or 0.0)
        for g in growth
        if g.verdict == PER_REQUEST and g.within is None and g.owner == owner
    )


def _kept_by_gradio(growth: Sequence[Growth]) -> float:
    """Bytes per request that Gradio keeps in containers it bounds itself; of nested containers, the outermost counts."""
    found = [
        g
        for g in growth
        if g.owner == "gradio"
        and g.verdict in ("bounded", "framework-floor")
        and g.exact
        and (g.per_request or 0) > 0
    ]
    return sum(
        max(0.0, g.bytes_per_request or 0.0)
        for g in found
        if not any(g is not outer and g.path.startswith(outer.path) for outer in found)
    )


def _estimate(line: Slope | None) -> float | None:
    return line.estimate if line is not None else None


def _no_control(data: RecordedRun) -> str:
    if data.manifest.external is not None:
        return "There is no baseline run, because gradsoak did not start the app."
    if not data.manifest.profile.control:
        return "There was no baseline run. The profiles staircase and soak have one, unless --no-control is given."
    if data.baseline is None:
        return "The baseline run is missing."
    seal = data.baseline.seal
    if seal is None or seal.ended != "completed":
        return f"The baseline run was not completed. {seal.reason if seal else ''}".strip()
    return "The baseline run has too few plateaus."
