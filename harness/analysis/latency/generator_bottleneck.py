"""Whether the figures of time are the app's at all, or those of the load generator that took them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.analysis.data import RunData
from harness.analysis.latency.figures import Latency, distribution
from harness.records import TAB_ACTIONS, Check, GeneratorSample, Operation

NAME = "load-generator"
# A process on one thread that uses this much of a core has no time left in which to be prompt: at 90 % utilisation what
# comes at random already waits nine times as long as its own work takes (M/M/1: ρ / (1 − ρ)).
BUSY = 0.9
# Below this a delay is neither felt by a person, nor told from what an operating system with other work to do causes.
LATE_MS = 50.0
# And it must matter for what is reported: by half of it, a median would be told wrong.
LATE_SHARE = 0.5


class GeneratorFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How well one generator process kept up in the timed window; None where nothing tells.

    Attributes:
        cpu_utilisation: share of one core.
        lag_ms: lateness of the event loop at moments 50 ms apart.
        late_start_ms: from when operations could have begun to when they did.
    """

    cpu_utilisation: float | None
    lag_ms: Latency | None
    late_start_ms: Latency | None


class GeneratorWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What the load generator says of itself.

    Attributes:
        workers: worker → its figures.
        response_p50_ms: median from actual start to completion of the workload's actions, which delays are compared with.
        bottleneck: whether times are the generator's rather than the app's; None if nobody knows.
        reason: why, in one sentence, and what to do about it; empty if it was quick enough.
    """

    workers: dict[str, GeneratorFigures]
    response_p50_ms: float | None
    bottleneck: bool | None
    reason: str


def generator_watch(
    data: RunData, timed: Sequence[Operation], ready: Mapping[tuple[str, int], int]
) -> GeneratorWatch:
    """Judge the load generator by its own samples, and by how late operations began.

    Args:
        data: the run.
        timed: operations of the timed window.
        ready: what `harness.analysis.latency.figures.ready_times` found.
    """
    window = data.timed_window()
    if window is None:
        return GeneratorWatch(
            workers={},
            response_p50_ms=None,
            bottleneck=None,
            reason="The load generator was not judged, since the run never came to its timed window.",
        )
    acting = [o for o in timed if o.outcome == "ok" and o.action not in TAB_ACTIONS]
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
            reason="The load generator left no account of itself, so nobody knows whether times are its own or the app's.",
        )
    found = [
        text for worker, figures in workers.items() for text in _complaints(worker, figures, response_p50_ms)
    ]
    # What one of them did wrong is proven; that all did well is not, as long as one of them is silent.
    silent = [name for name in data.history.workers.facts if _is_silent(workers.get(name))]
    if silent and not found:
        one = len(silent) == 1
        return GeneratorWatch(
            workers=workers,
            response_p50_ms=response_p50_ms,
            bottleneck=None,
            reason=f"Worker{'' if one else 's'} {', '.join(silent)} left no account of {'itself' if one else 'themselves'} in "
            f"the timed window, so nobody knows whether times that {'it' if one else 'they'} measured are the app's.",
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
    """The verdict: `pass`, `inconclusive` if the generator was the bottleneck, `unknown` if nobody watched it, or one of its workers."""
    workers = watch.workers.values()
    lags = [w.lag_ms for w in workers if w.lag_ms is not None]
    starts = [w.late_start_ms for w in workers if w.late_start_ms is not None]
    # Of several workers, the worst: each operation was measured by one of them.
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
        reason="The load generator kept up: what is reported as the app's time is the app's.",
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
        # Of few measurements a lower percentile is all there is; where that is beyond the limit, so is the p95.
        name, told = next(
            (name, value)
            for name, value in (("p95", late.p95), ("p90", late.p90), ("p50", late.p50))
            if value is not None
        )
        if told > limit_ms:
            found.append(f"{what} {told:.0f} ms late at {name} (limit {limit_ms:.0f} ms{median})")
    return found


def _sentence(found: Sequence[str], model: str) -> str:
    shown = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    less = (
        "a lower --arrival-rate" if model == "open" else "fewer users (--users) or a longer pause (--think)"
    )
    return (
        f"The load generator was the bottleneck: {shown}. Times are its own rather than the app's: "
        f"use {less}, more generator processes (--workers), or another machine."
    )


def _lags(samples: Sequence[GeneratorSample], window: tuple[int, int]) -> list[int]:
    """Lateness of the moments that were due in the window, whenever it was noticed: a loop that stands still notices late."""
    return [
        lag
        for s in samples
        for number, lag in enumerate(s.lag_ns)
        if window[0] <= s.due_ns + number * s.tick_ns < window[1]
    ]


def _cpu_utilisation(samples: Sequence[GeneratorSample], window: tuple[int, int]) -> float | None:
    """CPU time within the window over its length, interpolated between samples; None if they cover less than half of it."""
    if not samples:
        return None
    begin_ns, end_ns = max(window[0], samples[0].time_ns), min(window[1], samples[-1].time_ns)
    if end_ns - begin_ns < (window[1] - window[0]) / 2:
        return None
    begin, end = np.interp((begin_ns, end_ns), [s.time_ns for s in samples], [s.cpu_s for s in samples])
    return float(end - begin) / ((end_ns - begin_ns) / 1e9)
