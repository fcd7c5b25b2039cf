"""All figures of a run, as they stand in `derived/analysis.json`."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.analysis.latency.figures import (
    ArrivalFigures,
    Latency,
    LoadgenFigures,
    ServerFigures,
    StageLatencies,
    arrival_figures,
    in_window,
    latencies,
    loadgen_figures,
    ready_times,
    server_figures,
    stages,
    throughput_per_s,
)
from harness.analysis.latency.generator_bottleneck import GeneratorWatch, generator_watch
from harness.analysis.memory.advice import Advice, advise
from harness.analysis.memory.allocation_sites import lines_for, unheld_lines
from harness.analysis.memory.growth_figures import growth_figures
from harness.analysis.memory.growth_records import LIVE_HEAP, PER_REQUEST, PER_SESSION, Growth, GrowthBasis
from harness.analysis.memory.session_cost import MemoryFigures, loadgen_rss_bytes, per_session
from harness.analysis.memory.summary import memory_summary
from harness.analysis.warnings import warnings_of
from harness.recorded_run import RecordedRun
from harness.records import SCHEMA_VERSION, Attribution


class OperationCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Operations of the whole run, by outcome.

    Attributes:
        total: number of operations.
        ok: operations that succeeded.
        fail: operations that the server answered with an error.
        info: operations whose outcome is unknown.
        pending: operations without a recorded completion.
        errors: kind of error → number of operations that ended with it.
    """

    total: int
    ok: int
    fail: int
    info: int
    pending: int
    errors: dict[str, int]


class SampleFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Completeness of the samples.

    Attributes:
        count: samples of the app.
        gaps: samples taken more than three intervals late.
    """

    count: int
    gaps: int


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of `derived/analysis.json`. Its names are stable; see docs/file-formats.md.

    Attributes:
        schema_version: version of this format.
        model: `open` (arrivals at a rate) or `closed` (users who wait and think). Response times count from the intended start under
            the open model, from the actual start under the closed one.
        latency_ms: action → response times in the timed window.
        stages_ms: action → response times by stage.
        arrivals: started and dropped arrivals; None under the closed model.
        throughput_per_s: completed actions per second in the timed window; None without one.
        timed_window_s: length of the timed window; None without one.
        memory: costs, breakdown and verdict.
        growth: what grew, worst first.
        growth_basis: the evidence behind the growth verdicts.
        loadgen: resources that the load generator used.
        generator: whether the load generator was the bottleneck.
        server: resources that the app used.
        operations: operations of the whole run, by outcome.
        samples: completeness of the samples.
        attribution: result of a memray pass; None without one.
        advice: advice on memory, largest measured gain first.
        sessions: sessions opened in the whole run.
        warnings: what makes some of these figures doubtful, one sentence or more each.
    """

    schema_version: int
    model: Literal["open", "closed"]
    latency_ms: dict[str, Latency]
    stages_ms: dict[str, StageLatencies]
    arrivals: ArrivalFigures | None
    throughput_per_s: float | None
    timed_window_s: float | None
    memory: MemoryFigures
    growth: list[Growth]
    growth_basis: GrowthBasis
    loadgen: LoadgenFigures
    generator: GeneratorWatch
    server: ServerFigures
    operations: OperationCounts
    sessions: int
    samples: SampleFigures
    warnings: list[str]
    attribution: Attribution | None = None
    advice: list[Advice] = []


def analyse(data: RecordedRun) -> Analysis:
    """Return all figures of a run."""
    operations = data.history.operations
    window = data.timed_window()
    model = data.manifest.profile.model
    timed = in_window(operations, window, model) if window else []
    ready = ready_times(data.history)
    generator = generator_watch(data, timed, ready)
    arrivals = arrival_figures(data)
    rss_line = per_session(data.plateaus, loadgen_rss_bytes)
    loadgen = loadgen_figures(data, rss_line.estimate if rss_line else None)
    growth, growth_basis = growth_figures(data)
    memory = memory_summary(data, growth, growth_basis)
    gaps = sum(1 for event in data.events if event.kind == "sampler_gap")
    outcomes = {
        kind: sum(1 for o in operations if o.outcome == kind) for kind in ("ok", "fail", "info", "pending")
    }
    errors: dict[str, int] = {}
    for operation in operations:
        if operation.error is not None:
            errors[operation.error.kind] = errors.get(operation.error.kind, 0) + 1
    return Analysis(
        schema_version=SCHEMA_VERSION,
        model=model,
        latency_ms=latencies(timed, model),
        stages_ms=stages(timed, ready, model),
        arrivals=arrivals,
        throughput_per_s=throughput_per_s(operations, window) if window else None,
        timed_window_s=(window[1] - window[0]) / 1e9 if window else None,
        memory=memory,
        growth=_allocated(growth, data.attribution),
        growth_basis=growth_basis,
        loadgen=loadgen,
        generator=generator,
        server=server_figures(data),
        operations=OperationCounts(total=len(operations), errors=errors, **outcomes),
        sessions=len({o.session for o in operations}),
        samples=SampleFigures(count=len(data.target), gaps=gaps),
        warnings=warnings_of(data, loadgen, generator, arrivals, gaps, memory),
        attribution=_worst_first(data.attribution, growth),
        advice=advise(data, memory, growth),
    )


def _worst_first(attribution: Attribution | None, growth: list[Growth]) -> Attribution | None:
    """The same, with the sites of leaks first."""
    if attribution is None:
        return None
    leaks = [g.path for g in growth if g.verdict in (PER_REQUEST, PER_SESSION)]
    sites = sorted(attribution.sites, key=lambda site: not any(path in leaks for path in site.held_by))
    return msgspec.structs.replace(attribution, sites=sites)


def _allocated(growth: list[Growth], attribution: Attribution | None) -> list[Growth]:
    """The same, with the lines that allocated the entries, where a memray pass found them."""
    return [
        msgspec.structs.replace(
            g,
            allocated_at=unheld_lines(attribution, g.bytes_per_request)
            if g.path == LIVE_HEAP
            else lines_for(attribution, g.path),
        )
        for g in growth
    ]
