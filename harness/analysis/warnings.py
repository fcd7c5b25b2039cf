"""Warnings: what makes some of a run's figures doubtful, one sentence each."""

from __future__ import annotations

import math

from harness.analysis.latency.figures import ArrivalFigures, LoadgenFigures, censored
from harness.analysis.latency.generator_bottleneck import GeneratorWatch
from harness.analysis.memory.session_cost import MemoryFigures, staircase
from harness.analysis.memory.what_if_gain import failed_what_ifs
from harness.profiles import QUEUE_SESSIONS
from harness.recorded_run import RecordedRun

# Above this share of one core the load generator is close to being the bottleneck (`generator_bottleneck.BUSY`).
BUSY_GENERATOR = 0.8
# What Gradio answers once its queue's worker has ended.
QUEUE_STOPPED = "Queue is stopped"
# The app was not under the requested load if arrivals differ from rate × duration by this share, which matters to a reader
# of the figures, and by so many standard deviations (√mean for a Poisson count), which chance rarely reaches.
ARRIVALS_APART = 0.1
DEVIATIONS = 3.0


def warnings_of(
    data: RecordedRun,
    loadgen: LoadgenFigures,
    generator: GeneratorWatch,
    arrivals: ArrivalFigures | None,
    gaps: int,
    memory: MemoryFigures,
) -> list[str]:
    """Return every warning about a run, in the order in which they are printed.

    Args:
        data: the run.
        loadgen: CPU and memory of the load generator.
        generator: whether the load generator kept up.
        arrivals: what became of the arrivals; None under the closed model.
        gaps: how often the sampler came late.
        memory: figures of memory, with the reason why the framework's share is missing.
    """
    load = data.phase("load")
    return [
        *([generator.reason] if generator.reason and data.timed_window() else []),
        *_about_arrivals(data, arrivals),
        *(str(event.detail.get("text")) + "." for event in data.events if event.kind == "warning"),
        *_about_operations(data),
        *_about_loadgen(data, loadgen, generator),
        *_about_sampling(data, gaps),
        *_about_workers(data),
        *_not_explained(data, memory),
        *failed_what_ifs(data),
        *(
            ["Not all users had started when the timed phase ended. Raise --spawn-rate or --duration."]
            if load is not None and load.steady_ns is None
            else []
        ),
    ]


def _about_arrivals(data: RecordedRun, arrivals: ArrivalFigures | None) -> list[str]:
    if arrivals is None:
        return []
    found = []
    if arrivals.dropped:
        found.append(
            f"{arrivals.dropped} of {arrivals.total} arrivals were dropped because all {arrivals.max_in_flight} sessions of --max-in-flight "
            f"were in use{' (each worker has a share of them)' if data.history.workers.facts else ''}. Response times do not include "
            "them. If the app was slow, use a lower --arrival-rate; otherwise a higher --max-in-flight."
        )
    if data.seal is not None and data.seal.ended == "completed":
        expected = arrivals.rate * data.manifest.profile.duration_s
        apart = abs(arrivals.total - expected)
        if apart > ARRIVALS_APART * expected and apart > DEVIATIONS * math.sqrt(expected):
            found.append(
                f"{arrivals.total} arrivals are on record instead of the {expected:.0f} that {arrivals.rate:g} per second make. The app was not "
                "under the requested load, or a lost worker's arrivals are missing from the record."
            )
    return found


def _about_operations(data: RecordedRun) -> list[str]:
    found = []
    operations = data.history.operations
    failed = [o for o in operations if o.outcome != "ok"]
    if failed:
        kinds = sorted({o.error.kind if o.error else "never completed" for o in failed})
        found.append(
            f"{len(failed)} of {len(operations)} operations did not succeed ({', '.join(kinds)}): "
            "latency and throughput count only those that did."
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
            f"{unanswered.count} of {unanswered.total} operations of the timed window were never seen to end, after waits of up to "
            f"{unanswered.longest_wait_ms / 1000:.1f} s. Percentiles do not include them, so the true percentiles are higher."
        )
    return found


def _about_loadgen(data: RecordedRun, loadgen: LoadgenFigures, generator: GeneratorWatch) -> list[str]:
    workers = data.history.workers.facts
    processes = max(1, len(workers))
    if (
        generator.bottleneck
        or loadgen.cpu_utilisation is None
        or loadgen.cpu_utilisation <= BUSY_GENERATOR * processes
    ):
        return []
    each = f"The load generator's {processes} workers" if workers else "The load generator"
    return [
        f"{each} used {loadgen.cpu_utilisation:.0%} of a core: latency and throughput may be its own, "
        "not the app's. Use fewer users or a longer think time."
    ]


def _about_sampling(data: RecordedRun, gaps: int) -> list[str]:
    found = []
    stairs = staircase(data.plateaus)
    restless = sum(1 for p in stairs if not p.quiet)
    if restless:
        found.append(
            f"Memory had not settled at {restless} of {len(stairs)} plateaus, so the cost per session is less certain. "
            "Set a longer settle_timeout_s in the profile."
        )
    if gaps:
        found.append(
            f"The sampler was late {gaps} time{'' if gaps == 1 else 's'}: the machine was overloaded, and peaks may be missing."
        )
    return found


def _about_workers(data: RecordedRun) -> list[str]:
    found = []
    workers = data.history.workers.facts
    load = data.phase("load")
    for event in data.events:
        if event.kind != "worker_lost":
            continue
        what = f"Worker {event.detail['worker']} was lost"
        if load is not None and load.begin_ns <= event.time_ns < load.end_ns:
            who = "fewer users acted" if data.manifest.profile.model == "closed" else "fewer people arrived"
            found.append(
                f"{what} under load: from then on, {who} than the profile says. Latency and throughput belong to that lower load."
            )
        elif load is None or event.time_ns < load.begin_ns:
            found.append(
                f"{what} before the timed phase: the app still held the state of its sessions while memory was measured."
            )
    apart = [facts for facts in workers.values() if facts.offset_ns or facts.uncertainty_ns]
    if apart:
        widest = max(facts.uncertainty_ns for facts in apart) / 1e6
        found.append(
            f"{len(apart)} of {len(workers)} workers run on another machine's clock: the timed window holds their operations to "
            f"±{widest:.1f} ms. Latencies and verdicts do not depend on it."
        )
    if workers and not data.loadgen:
        found.append(
            "Workers on other machines were not sampled, so the resources that the load generator used are unknown."
        )
    return found


def _not_explained(data: RecordedRun, memory: MemoryFigures) -> list[str]:
    """Follow-up runs that were requested, have no result, and leave the figures of memory half explained."""
    found = []
    finished = data.seal is not None and data.seal.ended == "completed"
    wanted = data.manifest.profile.control and data.manifest.external is None and finished
    if wanted and memory.no_floor is not None:
        found.append(f"Gradio’s own share of memory is unknown. {memory.no_floor}")
    if data.attribution is not None and data.attribution.not_measured is not None:
        found.append(f"Allocation sites are unknown. {data.attribution.not_measured}")
    return found
