"""Analysis: records in, numbers out. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.analysis.data import RunData
from harness.analysis.latency.figures import (
    ArrivalFigures,
    Latency,
    LoadgenFigures,
    ServerFigures,
    Stages,
    arrival_figures,
    censored,
    in_window,
    latencies,
    loadgen_figures,
    ready_times,
    server_figures,
    stages,
    throughput_per_s,
)
from harness.analysis.latency.generator_bottleneck import GeneratorWatch, check_generator, generator_watch
from harness.analysis.memory.advice import Advice, advise, failed_what_ifs
from harness.analysis.memory.allocation_sites import Attribution, lines_for, unheld_lines
from harness.analysis.memory.breakdown import Prices, ledger
from harness.analysis.memory.container_growth import LIVE_HEAP, PER_REQUEST, PER_SESSION, Growth, GrowthBasis
from harness.analysis.memory.leak_checks import check_growth
from harness.analysis.memory.session_cost import (
    MemoryFigures,
    live_bytes,
    loadgen_rss_bytes,
    memory_figures,
    per_request,
    per_session,
    staircase,
)
from harness.analysis.memory.type_growth import everything_grown
from harness.analysis.memory.verdict import memory_verdict
from harness.analysis.theil_sen import Line
from harness.history import limits_of
from harness.profiles import QUEUE_SESSIONS
from harness.records import SCHEMA_VERSION

__all__ = ["Analysis", "RunData", "analyse", "check_generator", "check_growth"]

# Above this share of one core the generator comes near to where it would be the bottleneck (see `validity.BUSY`).
BUSY_GENERATOR = 0.8
# What Gradio answers once its queue's worker has ended.
QUEUE_STOPPED = "Queue is stopped"
# Arrivals that are this far from rate × duration are another load than was asked for: by this share of it, which matters to
# whoever reads the figures, and by so many standard deviations (a Poisson count has √mean), which chance hardly does.
ARRIVALS_APART = 0.1
DEVIATIONS = 3.0


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
    """How well the run was watched.

    Attributes:
        count: samples of the target.
        gaps: times that the sampler came more than three intervals late.
    """

    count: int
    gaps: int


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """`derived/analysis.json`; its names are promised in docs/file-formats.md.

    Attributes:
        schema_version: version of this format.
        model: `open` (arrivals at a rate) or `closed` (users who wait and think). Under the open one, response times count
            from when an operation should have begun, under the closed one from when it did.
        latency_ms: action → response times, over the timed window.
        stages_ms: action → where that time went.
        arrivals: what became of the arrivals, None under the closed model.
        throughput_per_s: completed actions per second in it, None if the run never came to it.
        timed_window_s: its length.
        memory: what sessions and requests cost the app, and what becomes of it.
        loadgen: what the load generator used.
        generator: whether the load generator kept up.
        server: what the app used.
        operations: operations of the whole run, by outcome.
        samples: how well the run was sampled.
        growth: what grew, the worst first.
        growth_basis: what that rests on.
        attribution: what a memray pass found, None if there was none.
        advice: what to do about memory, the most that was measured to gain first.
        sessions: sessions opened in the whole run.
        warnings: what makes some of these figures doubtful, one sentence each.
    """

    schema_version: int
    model: Literal["open", "closed"]
    latency_ms: dict[str, Latency]
    stages_ms: dict[str, Stages]
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


def analyse(data: RunData) -> Analysis:
    """Compute every figure of a run."""
    operations = data.history.operations
    window = data.timed_window()
    model = data.manifest.profile.model
    timed = in_window(operations, window, model) if window else []
    ready = ready_times(data.history)
    generator = generator_watch(data, timed, ready)
    arrivals = arrival_figures(data)
    rss_line = per_session(data.plateaus, loadgen_rss_bytes)
    loadgen = loadgen_figures(data, rss_line.estimate if rss_line else None)
    growth, growth_basis = everything_grown(data)
    memory = _memory(data, growth, growth_basis)
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
        warnings=_warnings(data, loadgen, generator, arrivals, gaps, memory),
        attribution=_worst_first(data.attribution, growth),
        advice=advise(data, memory, growth),
    )


def _worst_first(attribution: Attribution | None, growth: list[Growth]) -> Attribution | None:
    """The same, with the lines that allocated what leaks before all others."""
    if attribution is None:
        return None
    leaks = [g.path for g in growth if g.verdict in (PER_REQUEST, PER_SESSION)]
    sites = sorted(attribution.sites, key=lambda site: not any(path in leaks for path in site.held_by))
    return msgspec.structs.replace(attribution, sites=sites)


def _allocated(growth: list[Growth], attribution: Attribution | None) -> list[Growth]:
    """The same, with the lines of code that allocated what it holds, as far as a memray pass knows them."""
    return [
        msgspec.structs.replace(
            g,
            allocated_at=unheld_lines(attribution, g.bytes_per_request)
            if g.path == LIVE_HEAP
            else lines_for(attribution, g.path),
        )
        for g in growth
    ]


def _memory(data: RunData, growth: list[Growth], basis: GrowthBasis) -> MemoryFigures:
    floor_of_request = per_request(data.control.plateaus, live_bytes) if data.control is not None else None
    counted = _kept_by_gradio(growth)
    by_app, by_gradio = (
        sum(
            max(0.0, g.bytes_per_request or 0.0)
            for g in growth
            if g.verdict == PER_REQUEST and g.within is None and g.owner == owner
        )
        for owner in ("app", "gradio")
    )
    kept = counted
    if floor_of_request is not None and floor_of_request.low > 0:
        # A state-free app keeps of a request what Gradio does, and nothing else: what it leaks as well as what it bounds.
        if by_gradio:
            by_gradio = max(by_gradio, floor_of_request.estimate - counted)
        else:
            kept = max(counted, floor_of_request.estimate)
    control = data.control
    figures = memory_figures(
        data.plateaus,
        data.manifest.external,
        census=data.census,
        control=control.plateaus if control is not None else [],
        no_control=_no_control(data),
        leaked_per_request=by_app + by_gradio,
        leaked_by_gradio=by_gradio,
        kept_per_request=kept,
    )
    figures = msgspec.structs.replace(
        figures,
        ledger=ledger(
            data.plateaus,
            Prices(
                session=_estimate(figures.bytes_per_open_session.live),
                closed=_estimate(figures.bytes_per_closed_session.live),
                request=_estimate(figures.bytes_per_request.live),
                leaked=by_app + by_gradio,
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
            ),
        ),
    )
    outcome = memory_verdict(
        figures, growth, basis, data.plateaus, limits_of(data.events), data.manifest.scenario
    )
    return msgspec.structs.replace(
        figures, verdict=outcome.verdict, reason=outcome.reason, next_step=outcome.next_step
    )


def _kept_by_gradio(growth: Sequence[Growth]) -> float:
    """Bytes that Gradio was seen to keep of every request in containers that it bounds: the outermost of what is nested."""
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


def _estimate(line: Line | None) -> float | None:
    return line.estimate if line is not None else None


def _no_control(data: RunData) -> str:
    if data.manifest.external is not None:
        return "No state-free app was measured beside this one: gradsoak did not start it."
    if not data.manifest.profile.control:
        return "No state-free app was measured beside this one, since none was asked for; `gradsoak run` with the profile staircase or soak does it."
    if data.control is None:
        return "The state-free app that should have been measured beside this one was not."
    seal = data.control.seal
    if seal is None or seal.ended != "completed":
        return f"The state-free app beside this one was not measured to the end. {seal.reason if seal else ''}".strip()
    return "The state-free app beside this one was measured at too few plateaus."


def _warnings(
    data: RunData,
    loadgen: LoadgenFigures,
    generator: GeneratorWatch,
    arrivals: ArrivalFigures | None,
    gaps: int,
    memory: MemoryFigures,
) -> list[str]:
    found = [generator.reason] if generator.reason and data.timed_window() else []
    if arrivals is not None and arrivals.dropped:
        found.append(
            f"{arrivals.dropped} of {arrivals.total} arrivals were dropped, since all {arrivals.max_in_flight} sessions that "
            f"may be in use{' (each worker has its share of them)' if data.history.workers.facts else ''} were: response times "
            "tell nothing of those who were turned away. If the app was slow, use a lower --arrival-rate; if it was not, more "
            "--max-in-flight."
        )
    if arrivals is not None and data.seal is not None and data.seal.ended == "completed":
        expected = arrivals.rate * data.manifest.profile.duration_s
        apart = abs(arrivals.total - expected)
        if apart > ARRIVALS_APART * expected and apart > DEVIATIONS * math.sqrt(expected):
            found.append(
                f"{arrivals.total} arrivals are on record, where {arrivals.rate:g} per second make {expected:.0f}: the app was not "
                "under the load that was asked for, or a worker that was lost took the record of its arrivals with it."
            )
    found += [str(event.detail.get("text")) + "." for event in data.events if event.kind == "warning"]
    operations = data.history.operations
    failed = [o for o in operations if o.outcome != "ok"]
    if failed:
        kinds = sorted({o.error.kind if o.error else "never completed" for o in failed})
        found.append(
            f"{len(failed)} of {len(operations)} operations did not succeed ({', '.join(kinds)}): "
            "latency and throughput tell only of those that did."
        )
    stopped = sum(1 for o in failed if o.error is not None and QUEUE_STOPPED in o.error.message)
    if stopped:
        found.append(
            f"{stopped} operation{' was' if stopped == 1 else 's were'} answered with '{QUEUE_STOPPED}'. A likely cause is a limit of "
            f"Gradio's: its queue breaks for good when more than {QUEUE_SESSIONS:,} sessions have messages pending at once. Use "
            "fewer --users or a lower --max-in-flight, and restart the app."
        )
    window = data.timed_window()
    unanswered = censored(operations, window, data.manifest.profile.model) if window else None
    if unanswered is not None:
        found.append(
            f"{unanswered.count} of {unanswered.total} operations that began in the timed window were never seen to end, after "
            f"waits of up to {unanswered.longest_wait_ms / 1000:.1f} s: they are in no percentile, and the true ones are longer."
        )
    workers = data.history.workers.facts
    processes = max(1, len(workers))
    each = f"The load generator's {processes} workers" if workers else "The load generator"
    if (
        not generator.bottleneck
        and loadgen.cpu_utilisation is not None
        and loadgen.cpu_utilisation > BUSY_GENERATOR * processes
    ):
        found.append(
            f"{each} used {loadgen.cpu_utilisation:.0%} of a core: latency and throughput may be its own, "
            "not the app's. Use fewer users or a longer think time."
        )
    restless = sum(1 for p in staircase(data.plateaus) if not p.quiet)
    if restless:
        found.append(
            f"Memory had not come to rest at {restless} of {len(staircase(data.plateaus))} plateaus: "
            "the cost per session is less certain. Give the profile a longer settle_timeout_s."
        )
    if gaps:
        found.append(
            f"The sampler came late {gaps} time{'' if gaps == 1 else 's'}: the machine was overloaded, and peaks may have been missed."
        )
    found += _about_workers(data)
    found += _not_explained(data, memory)
    found += failed_what_ifs(data)
    load = data.phase("load")
    if load is not None and load.steady_ns is None:
        found.append("Not all users had started when the time was over: raise --spawn-rate or --duration.")
    return found


def _not_explained(data: RunData, memory: MemoryFigures) -> list[str]:
    """What was to be made beside this run, came to nothing, and leaves its memory half explained."""
    found = []
    finished = data.seal is not None and data.seal.ended == "completed"
    wanted = data.manifest.profile.control and data.manifest.external is None and finished
    if wanted and memory.no_floor is not None:
        found.append(f"What of the memory is Gradio’s own is not known. {memory.no_floor}")
    if data.attribution is not None and data.attribution.not_measured is not None:
        found.append(f"Where memory was allocated is not known. {data.attribution.not_measured}")
    return found


def _about_workers(data: RunData) -> list[str]:
    found = []
    workers = data.history.workers.facts
    load = data.phase("load")
    for event in data.events:
        if event.kind != "worker_lost":
            continue
        what = f"Worker {event.detail['worker']} was lost"
        if load is not None and load.begin_ns <= event.time_ns < load.end_ns:
            who = (
                "there were fewer users"
                if data.manifest.profile.model == "closed"
                else "fewer people arrived"
            )
            found.append(
                f"{what} under load: from then on {who} than the profile says, and latency and throughput are theirs."
            )
        elif load is None or event.time_ns < load.begin_ns:
            found.append(
                f"{what} before the timed phase: the app still held state of its sessions when the memory of others was measured."
            )
    apart = [facts for facts in workers.values() if facts.offset_ns or facts.uncertainty_ns]
    if apart:
        widest = max(facts.uncertainty_ns for facts in apart) / 1e6
        found.append(
            f"{len(apart)} of {len(workers)} workers have clocks of their own: which of their operations belong to the timed "
            f"window is known to ±{widest:.1f} ms. Latencies and verdicts do not depend on it."
        )
    if workers and not data.loadgen:
        found.append("Workers on other machines were not sampled: what the load itself cost is not known.")
    return found
