"""The plots of memory: over time, and against open sessions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from matplotlib.ticker import MaxNLocator

from harness import units
from harness.analysis.memory.session_cost import live_bytes, staircase, uss_bytes
from harness.analysis.theil_sen import Slope
from harness.recorded_run import RecordedRun
from harness.records import RESTART_PHASE, Plateau, ProcessSample
from harness.report.plot_declaration import Drawing, NoData, PlotDeclaration, PlotSource
from harness.report.plot_style import FIRST, HEIGHT_IN, SECOND, STEPS, SURFACE, THIRD, blank, legend, panel
from harness.report.time_axis import Clock, clock_of, draw_time_axis, interrupt, thin

_MB = 1e6


def _memory_over_time(title: str, source: PlotSource) -> Drawing | NoData:
    data = source.data
    clock, samples = clock_of(data), data.target_at_work()
    if clock is None or not samples:
        return NoData(reason="No sample of the app's processes was recorded.", height_in=HEIGHT_IN)
    axes = panel(blank(title, HEIGHT_IN), left_in=0.52, top_in=0.94)
    restart = data.phase(RESTART_PHASE)
    lows: list[float] = []
    for name, measured, colour, dashes in (
        ("RSS", [s.rss_bytes for s in samples], FIRST, "-"),
        ("USS", [s.uss_bytes for s in samples], SECOND, (0, (4, 1.4))),
    ):
        known = [
            (clock.seconds(s.time_ns), value / _MB)
            for s, value in zip(samples, measured, strict=True)
            if value is not None
        ]
        if known:
            times, values = thin([t for t, _ in known], [v for _, v in known])
            if restart is not None:
                times, values = interrupt(times, values, clock.seconds(restart.end_ns))
            # A single sample makes no line.
            dot = "o" if len(known) == 1 else None
            axes.plot(times, values, color=colour, linestyle=dashes, marker=dot, label=name)
            lows += _after_start([t for t, _ in known], [v for _, v in known], data, clock)
    heap = _heap_at_rest(data)
    if heap:
        axes.plot(
            [clock.seconds(time_ns) for time_ns, _ in heap],
            [size / _MB for _, size in heap],
            color=THIRD,
            linestyle="none",
            marker="D",
            markersize=5,
            markeredgecolor=SURFACE,
            markeredgewidth=0.7,
            label="live heap, at rest",
        )
        lows += [size / _MB for _, size in heap]
    top = axes.get_ylim()[1]
    floor = min(lows, default=0.0)
    axes.set_ylim(max(0.0, floor - 0.35 * (top - floor)), top)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=STEPS))
    draw_time_axis(axes, data, clock)
    legend(axes, 0.40)
    return Drawing(figure=axes.figure, alt=_over_time_in_words(clock, samples, [size for _, size in heap]))


def _heap_at_rest(data: RecordedRun) -> list[tuple[int, int]]:
    """Time and live bytes of each plateau for which the probe reported live bytes."""
    return [(p.probe.time_ns, p.probe.live_bytes) for p in data.plateaus if p.probe.live_bytes is not None]


def _over_time_in_words(clock: Clock, samples: Sequence[ProcessSample], heap: Sequence[int]) -> str:
    peak = max(samples, key=lambda s: s.rss_bytes)
    alt = (
        f"Server RSS is highest {clock.seconds(peak.time_ns):.1f} s into the run, at {units.byte_size(peak.rss_bytes)}, "
        f"and {units.byte_size(samples[-1].rss_bytes)} at the end."
    )
    if heap:
        alt += (
            f" The live heap at {units.plural(len(heap), 'plateau')} lies between {units.byte_size(min(heap))} "
            f"and {units.byte_size(max(heap))}."
        )
    return alt


def _over_time_caption(source: PlotSource) -> str:
    caption = "RSS: resident memory of the app's processes. USS: the part of it that no other process shares."
    caption += (
        " Diamonds: the live heap at the plateaus, which is the memory that objects occupy."
        if _heap_at_rest(source.data)
        else ""
    )
    caption += " The vertical axis begins near the lowest value after the start."
    if len(source.data.target_at_work()) < len(source.data.target):
        caption += " The end of the run is left out: there the probe searches for references, and this needs memory itself."
    return caption


def _after_start(
    times: Sequence[float], values: Sequence[float], data: RecordedRun, clock: Clock
) -> list[float]:
    """Values from when the app was ready. Before that, memory climbs from zero while the app imports its modules."""
    start = data.phase("start")
    begin_s = clock.seconds(start.end_ns) if start is not None else 0.0
    return [v for t, v in zip(times, values, strict=True) if t >= begin_s] or list(values)


class _Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of memory: its points are open sessions and MB above the first measured plateau."""

    name: str
    points: list[tuple[int, float]]
    slope: Slope | None
    colour: str
    marker: str


def _memory_per_session(title: str, source: PlotSource) -> Drawing | NoData:
    steps = staircase(source.data.plateaus)
    memory = source.analysis.memory
    slopes, leaked = memory.bytes_per_open_session, memory.leaked_bytes_per_request
    measures = [
        _Measure(
            name="Live heap",
            points=_growth(steps, live_bytes, leaked),
            slope=slopes.live,
            colour=FIRST,
            marker="o",
        ),
        _Measure(
            name="USS",
            points=_growth(steps, uss_bytes, leaked),
            slope=slopes.uss,
            colour=SECOND,
            marker="s",
        ),
    ]
    # A single measure takes the width of both panels.
    measures = [measure for measure in measures if measure.points]
    if not measures:
        why = "No plateau was reached." if not steps else "Memory could not be measured at any plateau."
        return NoData(reason=why, height_in=HEIGHT_IN)
    figure = blank(title, HEIGHT_IN)
    panels = [panel(figure, left_in=0.52, top_in=0.92, right_in=2.47 if len(measures) > 1 else 0.16)]
    if len(measures) > 1:
        panels.append(panel(figure, left_in=2.81, top_in=0.92))
    reached: list[float] = []
    for axes, measure in zip(panels, measures, strict=True):
        _heading(axes, measure)
        reached += _slope(axes, measure)
    axis_x = [x for measure in measures for x, _ in measure.points]
    x_room, y_room = max(max(axis_x) - min(axis_x), 1) * 0.06, max(max(reached) - min(reached), 0.01) * 0.09
    for axes in panels:
        axes.set_xlim(min(axis_x) - x_room, max(axis_x) + x_room)
        axes.set_ylim(min(reached) - y_room, max(reached) + y_room)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=STEPS))
        axes.set_xlabel("open sessions")
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)  # both panels have the same scale
    return Drawing(figure=figure, alt=" ".join(map(_slope_in_words, measures)))


def _heading(axes: Any, measure: _Measure) -> None:
    height_pt = axes.get_position().height * HEIGHT_IN * 72
    line = measure.slope
    heading = f"{units.byte_size(line.estimate)} per session" if line else "no slope"
    detail = f"{measure.name}, {units.byte_interval(line)}" if line else measure.name
    axes.text(
        0,
        1 + 22 / height_pt,
        heading,
        transform=axes.transAxes,
        va="bottom",
        color=measure.colour,
        fontweight="bold",
    )
    axes.text(0, 1 + 7 / height_pt, detail, transform=axes.transAxes, va="bottom", fontsize=10)


def _slope_in_words(measure: _Measure) -> str:
    line = measure.slope
    if line is None:
        return f"{measure.name}: no slope, from {units.plural(len(measure.points), 'plateau')}."
    return f"{measure.name}: {units.bytes_with_interval(line, 'session')}, from {units.plural(line.points, 'plateau')}."


def _per_session_caption(source: PlotSource) -> str:
    caption = (
        "Each point is a plateau: a measurement at rest, with that number of open sessions. The line is the fitted slope (Theil–Sen). "
        "The shaded area is its 95% interval."
    )
    if source.analysis.memory.leaked_bytes_per_request:
        caption += " Memory that requests leak is not included."
    return caption


def _growth(
    steps: Sequence[Plateau], measure: Callable[[Plateau], int | None], leaked: float
) -> list[tuple[int, float]]:
    """Open sessions → MB above the first measured plateau, without the bytes leaked by requests."""
    known = [
        (p.open_sessions, value - leaked * (p.requests or 0))
        for p in steps
        if (value := measure(p)) is not None
    ]
    return [(sessions, (value - known[0][1]) / _MB) for sessions, value in known]


def _slope(axes: Any, measure: _Measure) -> list[float]:
    """Draw one measure. Returns the values that the vertical axis must include, MB."""
    line, colour = measure.slope, measure.colour
    x = np.array([p[0] for p in measure.points], dtype=float)
    y = np.array([p[1] for p in measure.points])
    reached = [float(value) for value in y]
    if line is not None:
        reach = np.array([x.min(), x.max()])
        # The Theil–Sen line and the lines of both interval ends pass through the point of medians.
        middle_x, middle_y = float(np.median(x)), float(np.median(y))
        low, best, high = (
            middle_y + s / _MB * (reach - middle_x) for s in (line.low, line.estimate, line.high)
        )
        axes.fill_between(reach, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(reach, best, color=colour)
        reached += [float(value) for value in (*low, *high)]
    axes.plot(
        x,
        y,
        color=colour,
        linestyle="none",
        marker=measure.marker,
        markersize=6,
        markeredgecolor=SURFACE,
        markeredgewidth=0.8,
    )
    return reached


def _has_processes(source: PlotSource) -> bool:
    """False for an app whose processes could not be sampled: the page says why in words."""
    external = source.data.manifest.external
    return external is None or external.pid is not None


PLOTS = (
    PlotDeclaration(
        name="memory-per-session",
        title="Memory against open sessions (MB above plateau 0)",
        section="memory",
        caption=_per_session_caption,
        draw=_memory_per_session,
        applies=_has_processes,
    ),
    PlotDeclaration(
        name="memory-over-time",
        title="Memory of the app over time (MB)",
        section="memory",
        caption=_over_time_caption,
        draw=_memory_over_time,
        applies=_has_processes,
    ),
)
