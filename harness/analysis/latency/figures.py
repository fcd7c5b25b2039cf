"""Response times and their parts, throughput, and what the load generator used. From raw operations, never from rounded
statistics.

Sources: Schroeder, Wierman, Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006 (the two models of load);
Tene, "How not to measure latency", 2013 (coordinated omission).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from harness.analysis.data import RunData
from harness.history import History
from harness.records import TAB_ACTIONS, Operation, ProcessSample

Model = Literal["open", "closed"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How times of one kind are distributed, milliseconds. See `distribution`.

    Attributes:
        p50: the median.
        p90, p95, p99, p999: percentiles (p999: 99.9 %); None with too few operations to estimate them.
        max: the longest.
        count: operations that all of this rests on.
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
        """The p95, or what is known instead where there are too few operations for one."""
        return next(value for value in (self.p95, self.max, self.p50) if value is not None)


class MeanSplit(msgspec.Struct, frozen=True, kw_only=True):
    """The mean response time of an action, milliseconds, as the sum of its parts (percentiles do not add up, means do).

    Attributes:
        count: operations that went through Gradio's queue, and told all of their stages.
        accept, queue_wait, service: mean of the stage of this name.
        page_wait, generator_delay: mean of the stage of this name; 0 under the closed model, where response time begins with the actual start.
    """

    count: int
    page_wait: float
    generator_delay: float
    accept: float
    queue_wait: float
    service: float


class StageLatencies(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of one action went, milliseconds; None where no operation told.

    Attributes:
        page_wait: from the intended start until the session could act: its page was still opening, or an earlier
            operation under way. Open model only.
        generator_delay: from then until the actual start: the load generator's own fault, not the app's.
        accept: from the actual start to the event id: the request is on its way, and is being taken in.
        queue_wait: from there to `process_starts`.
        service: from there to completion.
        first_output: response time up to the first partial output, or to the completion where there was none.
        mean: the mean response time, split.
    """

    page_wait: Latency | None = None
    generator_delay: Latency | None = None
    accept: Latency | None = None
    queue_wait: Latency | None = None
    service: Latency | None = None
    first_output: Latency | None = None
    mean: MeanSplit | None = None


class ArrivalFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the arrivals of the open model: `total` = `started` + `dropped`.

    Attributes:
        rate: arrivals per second that were asked for.
        max_in_flight: sessions that they might have in use at once.
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
    """What the load generator used; None where there is nothing to tell it from.

    Attributes:
        cpu_ms_per_operation: CPU time in the timed window over operations completed in it.
        rss_bytes_per_session: slope of its resident memory over the staircase.
        cpu_utilisation: share of one core in the timed window.
    """

    cpu_ms_per_operation: float | None
    rss_bytes_per_session: float | None
    cpu_utilisation: float | None


class ServerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the app used.

    Attributes:
        cpu_utilisation: in cores, during the timed window.
        rss_high_water_bytes: largest resident memory in any sample, but for those of the phase `explain`.
    """

    cpu_utilisation: float | None
    rss_high_water_bytes: int | None


# Name → share of the operations that lie at or below it.
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


def supported(share: float, count: int) -> bool:
    """Whether so many values can tell a percentile: at least one of them must be expected to lie beyond it.

    A p99 of fewer than 100 values would be the maximum under another name.
    """
    return count * (1 - share) >= 1 - 1e-9


def distribution(values_ms: Sequence[float]) -> Latency | None:
    """Percentiles of raw values, linear interpolation between order statistics; None without any.

    The median is given for one value too. Beyond it, a percentile is None unless the values support it.
    """
    if not values_ms:
        return None
    found = np.percentile(values_ms, [100 * share for share in PERCENTILES.values()])
    told = {
        name: float(value) if name == "p50" or supported(share, len(values_ms)) else None
        for (name, share), value in zip(PERCENTILES.items(), found, strict=True)
    }
    return Latency(max=float(max(values_ms)), count=len(values_ms), **told)  # type: ignore[arg-type]


def begin_ns(operation: Operation, model: Model) -> int:
    """When the response time of an operation begins.

    Open model: at its intended start, so that a server (or generator) that makes people wait before they can even ask does
    not shorten what is measured (coordinated omission). Closed model: at the actual start, which the user decides.
    """
    if model == "open" and operation.intended_ns is not None:
        return operation.intended_ns
    return operation.invoke_ns


def in_window(
    operations: Sequence[Operation], window: tuple[int, int], model: Model = "closed"
) -> list[Operation]:
    """Operations that figures of time rest on: those that were invoked in the window (closed model), or due in it (open
    model), whenever they were completed. The slowest come last, and must not be cut off.
    """
    begin, end = window
    return [o for o in operations if begin <= begin_ns(o, model) < end and o.complete_ns is not None]


class Censored(msgspec.Struct, frozen=True, kw_only=True):
    """Operations of the timed window whose answer was never seen: their response time is known only to be longer than a wait.

    Attributes:
        count: of those that ended as `info`, or not at all.
        total: operations that began in the window, however they ended.
        longest_wait_ms: the longest of those waits, milliseconds.
    """

    count: int
    total: int
    longest_wait_ms: float


def censored(operations: Sequence[Operation], window: tuple[int, int], model: Model) -> Censored | None:
    """What percentiles leave out, since nobody knows how long it took (right-censored); None if there is nothing.

    An operation that never ended had been waited for at least until its worker last wrote anything down.
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
    """Successful operations by action, closing the page left out."""
    found: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.outcome == "ok" and operation.action != "close" and operation.complete_ns is not None:
            found.setdefault(operation.action, []).append(operation)
    return dict(sorted(found.items()))


def latencies(operations: Sequence[Operation], model: Model = "closed") -> dict[str, Latency]:
    """Response times per action, of `ok` operations."""
    figures = {}
    for action, done in _by_action(operations).items():
        figure = distribution([((o.complete_ns or 0) - begin_ns(o, model)) / 1e6 for o in done])
        assert figure is not None
        figures[action] = figure
    return figures


def ready_times(history: History) -> dict[tuple[str, int], int]:
    """When each operation with an intended start could have begun: then, or when its session's previous one was over.

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
    """Where the time went, per action; actions that tell nothing of it are left out.

    Args:
        operations: those of the timed window.
        ready: what `ready_times` found.
        model: decides what response time begins with.
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
    """Parts of one operation's time, nanoseconds; those that it did not tell are left out."""
    split: dict[str, int] = {}
    if o.intended_ns is not None and ready_ns is not None:
        if model == "open":
            split["page_wait"] = ready_ns - o.intended_ns
        split["generator_delay"] = o.invoke_ns - ready_ns
    complete_ns = o.complete_ns or 0
    if o.accepted_ns is not None and o.started_ns is not None:
        # The message that it has begun can overtake the answer to the request that queued it.
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


def arrival_figures(data: RunData) -> ArrivalFigures | None:
    """What became of the arrivals, from the generators' own samples; None under the closed model."""
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
    """Completed actions of the workload per second; opening and closing pages is not counted."""
    begin, end = window
    done = sum(
        1
        for o in operations
        if o.outcome == "ok" and o.action not in TAB_ACTIONS and begin <= (o.complete_ns or 0) <= end
    )
    return done / ((end - begin) / 1e9)


def cpu_seconds(samples: Sequence[ProcessSample], window: tuple[int, int]) -> float | None:
    """CPU time used within a window, interpolated between samples; None if the samples do not reach into it."""
    inside = [s for s in samples if window[0] <= s.time_ns <= window[1]]
    if len(inside) < 2:
        return None
    times = [s.time_ns for s in samples]
    used = [s.cpu_s for s in samples]
    begin, end = np.interp(window, times, used)
    return float(end - begin)


def loadgen_figures(data: RunData, rss_bytes_per_session: float | None) -> LoadgenFigures:
    """What the load generator used in the timed window."""
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


def server_figures(data: RunData) -> ServerFigures:
    """What the app used."""
    window = data.timed_window()
    used = cpu_seconds(data.target, window) if window else None
    return ServerFigures(
        cpu_utilisation=used / ((window[1] - window[0]) / 1e9) if window and used is not None else None,
        rss_high_water_bytes=max((s.rss_bytes for s in data.target_at_work()), default=None),
    )
