"""Response times and their stages, throughput, and CPU use. Computed from raw operations, never from rounded statistics.

Sources: Schroeder, Wierman, Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006 (the two models of load);
Tene, "How not to measure latency", 2013 (coordinated omission).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from harness.history import History
from harness.recorded_run import RecordedRun
from harness.records import PAGE_ACTIONS, Operation, ProcessSample

Model = Literal["open", "closed"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Distribution of a time, milliseconds. See `distribution`.

    Attributes:
        p50: the median.
        p90, p95, p99, p999: percentiles (p999: 99.9 %); None with too few operations to estimate them.
        max: the largest value.
        count: number of values.
    """

    p50: float
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None
    count: int

    @property
    def slow(self) -> float:
        """The p95; with too few values for it, the maximum."""
        return next(value for value in (self.p95, self.max, self.p50) if value is not None)


class MeanSplit(msgspec.Struct, frozen=True, kw_only=True):
    """The mean response time of an action as the sum of its stages, milliseconds. Means add up, percentiles do not.

    Attributes:
        count: operations with all stages known; they went through Gradio's queue.
        accept, queue_wait, service: mean of the stage of this name.
        page_wait, generator_delay: mean of the stage of this name; 0 under the closed model, where the response time begins with the
            actual start.
    """

    count: int
    page_wait: float
    generator_delay: float
    accept: float
    queue_wait: float
    service: float


class StageLatencies(msgspec.Struct, frozen=True, kw_only=True):
    """Time of one action by stage, milliseconds; None if no operation has the stage.

    Attributes:
        page_wait: from the intended start until the session could act, because its page was still opening or an earlier operation was
            running. Open model only.
        generator_delay: from then to the actual start; caused by the load generator, not by the app.
        accept: from the actual start to the event id; network, and the app's server accepting the request.
        queue_wait: from the event id to `process_starts`.
        service: from `process_starts` to completion.
        first_output: response time until the first partial output, or until completion without one.
        mean: the mean response time by stage.
    """

    page_wait: Latency | None = None
    generator_delay: Latency | None = None
    accept: Latency | None = None
    queue_wait: Latency | None = None
    service: Latency | None = None
    first_output: Latency | None = None
    mean: MeanSplit | None = None


class ArrivalFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Arrivals of the open model: `total` = `started` + `dropped`.

    Attributes:
        rate: requested arrivals per second.
        max_in_flight: limit of sessions in use at once.
        total: number of arrivals.
        started: arrivals for which a session acted.
        dropped: arrivals that found `max_in_flight` sessions in use.
    """

    rate: float
    max_in_flight: int
    total: int
    started: int
    dropped: int


class LoadgenFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Resources that the load generator used; None if unknown.

    Attributes:
        cpu_ms_per_operation: CPU time in the timed window per operation completed in it.
        rss_bytes_per_session: slope of its resident memory over the staircase.
        cpu_utilisation: share of one core in the timed window.
    """

    cpu_ms_per_operation: float | None
    rss_bytes_per_session: float | None
    cpu_utilisation: float | None


class ServerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Resources that the app used.

    Attributes:
        cpu_utilisation: in cores, during the timed window.
        rss_high_water_bytes: largest resident memory in any sample outside the phase `explain`.
    """

    cpu_utilisation: float | None
    rss_high_water_bytes: int | None


# Percentile → share of values at or below it.
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def supported(share: float, count: int) -> bool:
    """Whether there are enough values for a percentile: at least one is expected beyond it.

    With fewer than 100 values, the p99 would be the maximum.

    Args:
        share: share of values at or below the percentile.
        count: number of values.
    """
    return count * (1 - share) >= 1 - 1e-9


def distribution(values_ms: Sequence[float]) -> Latency | None:
    """Return percentiles of raw values, interpolated linearly between order statistics; None without values.

    The median needs one value. Other percentiles are None unless `supported`.
    """
    if not values_ms:
        return None
    found = np.percentile(values_ms, [100 * share for share in PERCENTILES.values()])
    percentiles = {
        name: float(value) if name == "p50" or supported(share, len(values_ms)) else None
        for (name, share), value in zip(PERCENTILES.items(), found, strict=True)
    }
    return Latency(max=float(max(values_ms)), count=len(values_ms), **percentiles)  # type: ignore[arg-type]


def begin_ns(operation: Operation, model: Model) -> int:
    """Return when the response time of an operation begins, monotonic nanoseconds.

    Open model: the intended start. Otherwise a slow app or generator, which delays the actual start, would shorten the measured time
    (coordinated omission). Closed model: the actual start, which the user decides.
    """
    if model == "open" and operation.intended_ns is not None:
        return operation.intended_ns
    return operation.invoke_ns


def in_window(
    operations: Sequence[Operation], window: tuple[int, int], model: Model = "closed"
) -> list[Operation]:
    """Return the operations behind the time figures: invoked in the window (closed model) or due in it (open model), and completed.

    They may be completed after the window. The slowest ones end last and must not be cut off.
    """
    begin, end = window
    return [o for o in operations if begin <= begin_ns(o, model) < end and o.complete_ns is not None]


class Censored(msgspec.Struct, frozen=True, kw_only=True):
    """Operations of the timed window that were never seen to end. Only a lower bound of their response time is known.

    Attributes:
        count: operations that ended as `info` or are still pending.
        total: all operations that began in the window.
        longest_wait_ms: the largest of these lower bounds, milliseconds.
    """

    count: int
    total: int
    longest_wait_ms: float


def censored(operations: Sequence[Operation], window: tuple[int, int], model: Model) -> Censored | None:
    """Return the operations that percentiles leave out because their response time is right-censored; None if there are none.

    A pending operation lasted at least until the last record of its worker.
    """
    begun = [o for o in operations if o.action != "close" and window[0] <= begin_ns(o, model) < window[1]]
    open_ended = [o for o in begun if o.outcome in ("info", "pending")]
    if not open_ended:
        return None
    last: dict[str, int] = {}
    for o in operations:
        last[o.worker] = max(last.get(o.worker, 0), o.complete_ns or o.invoke_ns)
    longest_ns = max((o.complete_ns or last[o.worker]) - begin_ns(o, model) for o in open_ended)
    return Censored(count=len(open_ended), total=len(begun), longest_wait_ms=max(0, longest_ns) / 1e6)


def _by_action(operations: Sequence[Operation]) -> dict[str, list[Operation]]:
    """Successful operations by action, without closing the page."""
    found: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.outcome == "ok" and operation.action != "close" and operation.complete_ns is not None:
            found.setdefault(operation.action, []).append(operation)
    return dict(sorted(found.items()))


def latencies(operations: Sequence[Operation], model: Model = "closed") -> dict[str, Latency]:
    """Return response times by action, of `ok` operations."""
    figures = {}
    for action, done in _by_action(operations).items():
        figure = distribution([((o.complete_ns or 0) - begin_ns(o, model)) / 1e6 for o in done])
        assert figure is not None
        figures[action] = figure
    return figures


def ready_times(history: History) -> dict[tuple[str, int], int]:
    """Return when each operation with an intended start could have begun: then, or when its session's previous operation ended.

    Returns:
        (worker, id) → monotonic nanoseconds.
    """
    ready: dict[tuple[str, int], int] = {}
    for operations in history.by_session().values():
        ended: list[int] = []
        for o in operations:
            if o.intended_ns is not None:
                before = max((end for end in ended if end <= o.invoke_ns), default=o.intended_ns)
                ready[o.worker, o.id] = max(o.intended_ns, before)
            if o.complete_ns is not None:
                ended = [*ended[-8:], o.complete_ns]
    return ready


def stages(
    operations: Sequence[Operation], ready: Mapping[tuple[str, int], int], model: Model
) -> dict[str, StageLatencies]:
    """Return the time of each action by stage, without actions that have no stage.

    Args:
        operations: operations of the timed window.
        ready: result of `ready_times`.
        model: decides when response times begin.
    """
    found = {}
    for action, done in _by_action(operations).items():
        parts: dict[str, list[float]] = {
            name: []
            for name in ("page_wait", "generator_delay", "accept", "queue_wait", "service", "first_output")
        }
        splits = []
        for o in done:
            split = _split(o, ready.get((o.worker, o.id)), model)
            for name, value in split.items():
                parts[name].append(value / 1e6)
            if "service" in split:
                splits.append(split)
        figures = {name: distribution(values) for name, values in parts.items()}
        if any(figures.values()):
            found[action] = StageLatencies(mean=_mean(splits, model), **figures)
    return found


def _split(o: Operation, ready_ns: int | None, model: Model) -> dict[str, int]:
    """Stages of one operation, nanoseconds, without those that are unknown."""
    split: dict[str, int] = {}
    if o.intended_ns is not None and ready_ns is not None:
        if model == "open":
            split["page_wait"] = ready_ns - o.intended_ns
        split["generator_delay"] = o.invoke_ns - ready_ns
    complete_ns = o.complete_ns or 0
    if o.accepted_ns is not None and o.started_ns is not None:
        # `process_starts` can arrive before the response to the request that queued the event.
        accepted_ns = min(o.accepted_ns, o.started_ns)
        if o.invoke_ns <= accepted_ns <= o.started_ns <= complete_ns:
            first_ns = o.first_output_ns if o.first_output_ns is not None else complete_ns
            split |= {
                "accept": accepted_ns - o.invoke_ns,
                "queue_wait": o.started_ns - accepted_ns,
                "service": complete_ns - o.started_ns,
                "first_output": first_ns - begin_ns(o, model),
            }
    return split


def _mean(splits: Sequence[Mapping[str, int]], model: Model) -> MeanSplit | None:
    if not splits:
        return None
    before = ("page_wait", "generator_delay") if model == "open" else ()
    total = {
        name: sum(split.get(name, 0) for split in splits)
        for name in (*before, "accept", "queue_wait", "service")
    }
    means = {
        name: total.get(name, 0) / len(splits) / 1e6
        for name in ("page_wait", "generator_delay", "accept", "queue_wait", "service")
    }
    return MeanSplit(count=len(splits), **means)


def arrival_figures(data: RecordedRun) -> ArrivalFigures | None:
    """Return started and dropped arrivals, from the generators' samples; None under the closed model."""
    profile = data.manifest.profile
    if profile.arrival_rate is None:
        return None
    last = [samples[-1] for samples in data.generator.values() if samples]
    total, dropped = sum(s.arrivals for s in last), sum(s.dropped for s in last)
    return ArrivalFigures(
        rate=profile.arrival_rate,
        max_in_flight=profile.max_in_flight,
        total=total,
        started=total - dropped,
        dropped=dropped,
    )


def throughput_per_s(operations: Sequence[Operation], window: tuple[int, int]) -> float:
    """Return completed actions of the workload per second, without opening and closing pages."""
    begin, end = window
    done = sum(
        1
        for o in operations
        if o.outcome == "ok" and o.action not in PAGE_ACTIONS and begin <= (o.complete_ns or 0) <= end
    )
    return done / ((end - begin) / 1e9)


def cpu_seconds(samples: Sequence[ProcessSample], window: tuple[int, int]) -> float | None:
    """Return CPU time used in a window, interpolated between samples, seconds; None with fewer than two samples in it."""
    inside = [s for s in samples if window[0] <= s.time_ns <= window[1]]
    if len(inside) < 2:
        return None
    times = [s.time_ns for s in samples]
    used = [s.cpu_s for s in samples]
    begin, end = np.interp(window, times, used)
    return float(end - begin)


def loadgen_figures(data: RecordedRun, rss_bytes_per_session: float | None) -> LoadgenFigures:
    """Return the resources that the load generator used in the timed window."""
    window = data.timed_window()
    used = cpu_seconds(data.loadgen, window) if window else None
    if window is None or used is None:
        return LoadgenFigures(
            cpu_ms_per_operation=None, rss_bytes_per_session=rss_bytes_per_session, cpu_utilisation=None
        )
    done = sum(
        1
        for o in data.history.operations
        if o.action != "close" and window[0] <= (o.complete_ns or 0) <= window[1]
    )
    return LoadgenFigures(
        cpu_ms_per_operation=used * 1000.0 / done if done else None,
        rss_bytes_per_session=rss_bytes_per_session,
        cpu_utilisation=used / ((window[1] - window[0]) / 1e9),
    )


def server_figures(data: RecordedRun) -> ServerFigures:
    """Return the resources that the app used."""
    window = data.timed_window()
    used = cpu_seconds(data.target, window) if window else None
    return ServerFigures(
        cpu_utilisation=used / ((window[1] - window[0]) / 1e9) if window and used is not None else None,
        rss_high_water_bytes=max((s.rss_bytes for s in data.target_at_work()), default=None),
    )
