"""Latency, throughput, and what the load generator itself used. Only from raw operations, never from rounded statistics."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from harness.analysis.data import RunData
from harness.records import TAB_ACTIONS, Operation, ProcessSample


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Latency of one kind of operation in the timed window, milliseconds, completed ones only.

    Attributes:
        count: operations that the percentiles rest on; a p99 of fewer than 100 is little more than the maximum.
    """

    p50: float
    p95: float
    p99: float
    count: int


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
        rss_high_water_bytes: largest resident memory in any sample.
    """

    cpu_utilisation: float | None
    rss_high_water_bytes: int | None


def in_window(operations: Sequence[Operation], window: tuple[int, int]) -> list[Operation]:
    """Operations that were invoked and completed within the window."""
    begin, end = window
    return [
        o for o in operations if o.invoke_ns >= begin and o.complete_ns is not None and o.complete_ns <= end
    ]


def latencies(operations: Sequence[Operation]) -> dict[str, Latency]:
    """Percentiles per action, linear interpolation between order statistics, for `ok` operations."""
    by_action: dict[str, list[float]] = {}
    for operation in operations:
        if operation.outcome == "ok" and operation.action != "close" and operation.latency_ns is not None:
            by_action.setdefault(operation.action, []).append(operation.latency_ns / 1e6)
    figures = {}
    for action, values in sorted(by_action.items()):
        p50, p95, p99 = (float(p) for p in np.percentile(values, [50, 95, 99]))
        figures[action] = Latency(p50=p50, p95=p95, p99=p99, count=len(values))
    return figures


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
        rss_high_water_bytes=max((s.rss_bytes for s in data.target), default=None),
    )
