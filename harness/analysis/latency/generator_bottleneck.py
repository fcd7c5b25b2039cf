"""Determine whether the load generator was the bottleneck. If so, the measured times may be its own and not those of the app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.analysis.latency.figures import Latency, distribution
from harness.recorded_run import RecordedRun
from harness.records import PAGE_ACTIONS, Check, GeneratorSample, Operation

NAME = "load-generator"
# A single-threaded process at this share of a core cannot be prompt: at 90 % utilisation, random arrivals wait nine times as long
# as their own work takes (M/M/1: ρ / (1 − ρ)).
BUSY = 0.9
# A shorter delay is neither noticed by a person nor distinguishable from delays of a busy operating system.
LATE_MS = 50.0
# A delay must also matter for the figures: this share of the median response time would distort it.
LATE_SHARE = 0.5


class GeneratorFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How well one generator process kept up in the timed window; None if unknown.

    Attributes:
        cpu_utilisation: share of one core.
        lag_ms: lateness of the event loop, sampled every 50 ms.
        late_start_ms: from when operations could have begun to when they began.
    """

    cpu_utilisation: float | None
    lag_ms: Latency | None
    late_start_ms: Latency | None


class GeneratorWatch(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the load generator kept up, from its own samples.

    Attributes:
        workers: worker → its figures.
        response_p50_ms: median time of the workload's actions from actual start to completion; delays are compared with it.
        bottleneck: true if the measured times may be those of the generator and not of the app; None if unknown.
        reason: why, and what to do about it; empty if the generator kept up.
    """

    workers: dict[str, GeneratorFigures]
    response_p50_ms: float | None
    bottleneck: bool | None
    reason: str


def generator_watch(
    data: RecordedRun, timed: Sequence[Operation], ready: Mapping[tuple[str, int], int]
) -> GeneratorWatch:
    """Judge the load generator by its own samples and by late starts of operations.

    Args:
        data: the run.
        timed: operations of the timed window.
        ready: result of `harness.analysis.latency.figures.ready_times`.
    """
    window = data.timed_window()
    if window is None:
        return GeneratorWatch(
            workers={},
            response_p50_ms=None,
            bottleneck=None,
            reason="The load generator was not judged: the run has no timed window.",
        )
    acting = [o for o in timed if o.outcome == "ok" and o.action not in PAGE_ACTIONS]
    response = distribution([(o.latency_ns or 0) / 1e6 for o in acting])
    workers = {
        worker: GeneratorFigures(
            cpu_utilisation=_cpu_utilisation(samples, window),
            lag_ms=distribution([lag / 1e6 for lag in _lags(samples, window)]),
            late_start_ms=distribution(
                [
                    (o.invoke_ns - ready[o.worker, o.id]) / 1e6
                    for o in data.history.operations
                    if o.worker == worker and window[0] <= ready.get((o.worker, o.id), -1) < window[1]
                ]
            ),
        )
        for worker, samples in sorted(data.generator.items())
    }
    response_p50_ms = response.p50 if response else None
    if not workers or all(_is_silent(w) for w in workers.values()):
        return GeneratorWatch(
            workers=workers,
            response_p50_ms=response_p50_ms,
            bottleneck=None,
            reason="There are no samples of the load generator in the timed window, so it is unknown whether times are its own or the app's.",
        )
    found = [
        text for worker, figures in workers.items() for text in _complaints(worker, figures, response_p50_ms)
    ]
    # One late worker proves a bottleneck. That all kept up is not known while one has no samples.
    silent = [name for name in data.history.workers.facts if _is_silent(workers.get(name))]
    if silent and not found:
        one = len(silent) == 1
        return GeneratorWatch(
            workers=workers,
            response_p50_ms=response_p50_ms,
            bottleneck=None,
            reason=f"There are no samples of worker{'' if one else 's'} {', '.join(silent)} in the timed window, so it is unknown whether times "
            f"that {'it' if one else 'they'} measured are the app's.",
        )
    return GeneratorWatch(
        workers=workers,
        response_p50_ms=response_p50_ms,
        bottleneck=bool(found),
        reason=_sentence(found, data.manifest.profile.model) if found else "",
    )


def _is_silent(figures: GeneratorFigures | None) -> bool:
    return figures is None or (figures.lag_ms is None and figures.cpu_utilisation is None)


def check_generator(watch: GeneratorWatch) -> Check:
    """Return the check `load-generator`: `inconclusive` if it was the bottleneck, `unknown` if a worker has no samples, else `pass`."""
    workers = watch.workers.values()
    lags = [w.lag_ms for w in workers if w.lag_ms is not None]
    starts = [w.late_start_ms for w in workers if w.late_start_ms is not None]
    # The worst of all workers, since each operation was measured by one of them.
    worst: dict[str, Sequence[float | None]] = {
        "cpu_percent": [100 * w.cpu_utilisation for w in workers if w.cpu_utilisation is not None],
        "lag_p50_ms": [lag.p50 for lag in lags],
        "lag_p95_ms": [lag.p95 for lag in lags],
        "lag_max_ms": [lag.max for lag in lags],
        "late_start_p95_ms": [start.p95 for start in starts],
        "response_p50_ms": [watch.response_p50_ms],
    }
    evidence: dict[str, int] = {}
    for name, values in worst.items():
        known = [value for value in values if value is not None]
        if known:
            evidence[name] = round(max(known))
    evidence["lag_measurements"] = sum(lag.count for lag in lags)
    if watch.bottleneck is None:
        return Check(name=NAME, verdict="unknown", reason=watch.reason, evidence=evidence)
    if watch.bottleneck:
        return Check(name=NAME, verdict="inconclusive", reason=watch.reason, evidence=evidence)
    return Check(
        name=NAME,
        verdict="pass",
        reason="The load generator kept up: reported times are the app's.",
        evidence=evidence,
    )


def _complaints(worker: str, figures: GeneratorFigures, response_p50_ms: float | None) -> list[str]:
    found = []
    if figures.cpu_utilisation is not None and figures.cpu_utilisation >= BUSY:
        found.append(f"worker {worker} used {figures.cpu_utilisation:.0%} of a core (limit {BUSY:.0%})")
    limit_ms = max(LATE_MS, LATE_SHARE * (response_p50_ms or 0.0))
    median = "" if response_p50_ms is None else f", with a median response of {response_p50_ms:.0f} ms"
    for what, late in (
        (f"the event loop of worker {worker} was", figures.lag_ms),
        (f"operations of worker {worker} began", figures.late_start_ms),
    ):
        if late is None:
            continue
        # With few values only a lower percentile exists. If that is beyond the limit, so is the p95.
        name, value = next(
            (name, value)
            for name, value in (("p95", late.p95), ("p90", late.p90), ("p50", late.p50))
            if value is not None
        )
        if value > limit_ms:
            found.append(f"{what} {value:.0f} ms late at {name} (limit {limit_ms:.0f} ms{median})")
    return found


def _sentence(found: Sequence[str], model: str) -> str:
    shown = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    less = (
        "a lower --arrival-rate" if model == "open" else "fewer users (--users) or a longer pause (--think)"
    )
    return (
        f"The load generator was the bottleneck: {shown}. The response times may be its own and not those of the app. "
        f"Use {less}, more generator processes (--workers), or another machine."
    )


def _lags(samples: Sequence[GeneratorSample], window: tuple[int, int]) -> list[int]:
    """Lateness of the wake-ups that were due in the window. A blocked event loop records them after it."""
    return [
        lag
        for s in samples
        for number, lag in enumerate(s.lag_ns)
        if window[0] <= s.due_ns + number * s.tick_ns < window[1]
    ]


def _cpu_utilisation(samples: Sequence[GeneratorSample], window: tuple[int, int]) -> float | None:
    """Share of a core used in the window, interpolated between samples; None if they cover less than half of it."""
    if not samples:
        return None
    begin_ns, end_ns = max(window[0], samples[0].time_ns), min(window[1], samples[-1].time_ns)
    if end_ns - begin_ns < (window[1] - window[0]) / 2:
        return None
    begin, end = np.interp((begin_ns, end_ns), [s.time_ns for s in samples], [s.cpu_s for s in samples])
    return float(end - begin) / ((end_ns - begin_ns) / 1e9)
