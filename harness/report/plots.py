"""The plots of a run: records and figures in, SVG and PNG out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness import units
from harness.analysis import Analysis, RunData
from harness.analysis.latency.figures import Latency
from harness.analysis.memory.session_cost import live_bytes, staircase, uss_bytes
from harness.analysis.theil_sen import Slope
from harness.records import RESTART_PHASE, TAB_ACTIONS, Check, Plateau
from harness.report import session_matrix_plot, waterfall
from harness.report.plot_style import (
    FIRST,
    MUTED,
    RULE,
    SECOND,
    SURFACE,
    THIRD,
    Phase,
    Plot,
    blank,
    finish,
    interrupt,
    legend,
    mark_phases,
    panel,
    plain,
    say,
    style,
    thin,
)

__all__ = ["Plot", "doubt", "draw_all", "ranked"]

_HEIGHT_IN = 3.5
_MB = 1e6
# From here on the quick actions would be squeezed against the axis.
_LOG_SPAN = 20.0
# And from here on labels at 2 and 5 of each decade would touch.
_DECADES_ONLY = 100.0
_MAX_BINS = 300
_MAX_NAME = 18
_STEPS = [1, 2, 2.5, 5, 10]


def draw_all(data: RunData, analysis: Analysis, checks: Sequence[Check] = ()) -> list[Plot]:
    """Draw every plot of a run. One without data says so, in the middle, and why.

    Of memory that nobody could look at there is none: the page says why in words. Nor is there one of its ledger without one,
    or of sessions, for checks that found nothing that crossed between them.
    """
    external = data.manifest.external
    with style():
        memory = (
            []
            if external is not None and external.pid is None
            else [_memory_over_time(data), _memory_per_session(data.plateaus, analysis)]
        )
        where = waterfall.draw(analysis.memory.ledger)
        return [
            *session_matrix_plot.draw(checks),
            *memory,
            *([where] if where is not None else []),
            _latency(analysis),
            _stages(analysis),
            _throughput(data, analysis),
        ]


def ranked(latency_ms: dict[str, Latency]) -> list[tuple[str, Latency]]:
    """Actions of the workload before those of the tab, and the slowest p95 first."""
    return sorted(latency_ms.items(), key=lambda item: (item[0] in TAB_ACTIONS, -item[1].slow, item[0]))


class _Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The run's time axis: monotonic nanoseconds of its two ends."""

    began_ns: int
    ended_ns: int

    def seconds(self, time_ns: int) -> float:
        return (time_ns - self.began_ns) / 1e9

    @property
    def length_s(self) -> float:
        return self.seconds(self.ended_ns)


def _clock(data: RunData) -> _Clock | None:
    """From the first thing recorded to the last; None if the run ended before anything took time."""
    times = [t for span in data.phases for t in (span.begin_ns, span.end_ns)]
    times += [sample.time_ns for sample in (*data.target[:1], *data.target[-1:])]
    times += [operation.invoke_ns for operation in data.history.operations[:1]]
    times += [o.complete_ns for o in data.history.operations if o.complete_ns is not None]
    if not times or max(times) <= min(times):
        return None
    return _Clock(began_ns=min(times), ended_ns=max(times))


def _time_axis(axes: Any, data: RunData, clock: _Clock) -> None:
    axes.set_xlim(0, clock.length_s)
    axes.set_xlabel("seconds since the run began")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.grid(axis="y")
    mark_phases(
        axes,
        [
            Phase(name=span.name, begin_s=clock.seconds(span.begin_ns), end_s=clock.seconds(span.end_ns))
            for span in data.phases
            if span.end_ns > span.begin_ns
        ],
    )


def _memory_over_time(data: RunData) -> Plot:
    title = "Memory of the app over time (MB)"
    figure = blank(title, _HEIGHT_IN)
    clock, samples = _clock(data), data.target_at_work()
    if clock is None or not samples:
        why = "No sample of the app's processes was recorded."
        say(panel(figure, left_in=0.16, top_in=0.5, bottom_in=0.16), why)
        return finish(figure, name="memory-over-time", title=title, caption="", alt=f"{title}: {why}")
    axes = panel(figure, left_in=0.52, top_in=0.94)
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
            # A lone sample makes no line.
            dot = "o" if len(known) == 1 else None
            axes.plot(times, values, color=colour, linestyle=dashes, marker=dot, label=name)
            lows += _after_start([t for t, _ in known], [v for _, v in known], data, clock)
    heap = [
        (clock.seconds(p.probe.time_ns), p.probe.live_bytes / _MB)
        for p in data.plateaus
        if p.probe.live_bytes is not None
    ]
    if heap:
        axes.plot(
            [t for t, _ in heap],
            [v for _, v in heap],
            color=THIRD,
            linestyle="none",
            marker="D",
            markersize=5,
            markeredgecolor=SURFACE,
            markeredgewidth=0.7,
            label="live heap, at rest",
        )
        lows += [v for _, v in heap]
    top = axes.get_ylim()[1]
    floor = min(lows, default=0.0)
    axes.set_ylim(max(0.0, floor - 0.35 * (top - floor)), top)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
    _time_axis(axes, data, clock)
    legend(axes, 0.40)
    peak = max(samples, key=lambda s: s.rss_bytes)
    last = samples[-1]
    alt = (
        f"Server RSS is highest {clock.seconds(peak.time_ns):.1f} s into the run, at {units.byte_size(peak.rss_bytes)}, "
        f"and {units.byte_size(last.rss_bytes)} at the end."
    )
    if heap:
        values = [v * _MB for _, v in heap]
        alt += (
            f" The live heap at {units.plural(len(heap), 'plateau')} lies between {units.byte_size(min(values))} "
            f"and {units.byte_size(max(values))}."
        )
    caption = (
        "RSS is the resident memory of the app's processes, USS the part of it that no other process shares"
    )
    caption += (
        "; diamonds are the bytes in use by objects, measured when memory had come to rest." if heap else "."
    )
    caption += " The vertical axis begins near the lowest value after the start."
    if len(samples) < len(data.target):
        caption += (
            " The phase explain is left out: gradsoak looks through the app's heap then, which takes memory."
        )
    return finish(figure, name="memory-over-time", title=title, caption=caption, alt=alt)


def _after_start(
    times: Sequence[float], values: Sequence[float], data: RunData, clock: _Clock
) -> list[float]:
    """Values from when the app was up; while it imports its modules, memory climbs from nothing and says nothing."""
    start = data.phase("start")
    begin_s = clock.seconds(start.end_ns) if start is not None else 0.0
    return [v for t, v in zip(times, values, strict=True) if t >= begin_s] or list(values)


def _memory_per_session(plateaus: Sequence[Plateau], analysis: Analysis) -> Plot:
    title = "Memory against open sessions (MB above plateau 0)"
    name = "memory-per-session"
    figure = blank(title, _HEIGHT_IN)
    steps = staircase(plateaus)
    slopes = analysis.memory.bytes_per_open_session
    kinds: list[tuple[str, Callable[[Plateau], int | None], Slope | None, str, str]] = [
        ("Live heap", live_bytes, slopes.live, FIRST, "o"),
        ("USS", uss_bytes, slopes.uss, SECOND, "s"),
    ]
    leaked = analysis.memory.leaked_bytes_per_request
    points = {kind: _growth(steps, measure, leaked) for kind, measure, *_ in kinds}
    if not any(points.values()):
        why = "No plateau was reached." if not steps else "Memory could not be measured at any plateau."
        say(panel(figure, left_in=0.16, top_in=0.5, bottom_in=0.16), why)
        return finish(figure, name=name, title=title, caption="", alt=f"{title}: {why}")
    # What was measured in one way only, has the width of both.
    kinds = [kind for kind in kinds if points[kind[0]]]
    panels = [panel(figure, left_in=0.52, top_in=0.92, right_in=2.47 if len(kinds) > 1 else 0.16)]
    if len(kinds) > 1:
        panels.append(panel(figure, left_in=2.81, top_in=0.92))
    findings = []
    reached: list[float] = []
    for axes, (kind, _, line, colour, marker) in zip(panels, kinds, strict=True):
        height_pt = axes.get_position().height * _HEIGHT_IN * 72
        heading = f"{units.byte_size(line.estimate)} per session" if line else "no slope"
        detail = f"{kind}, {units.byte_interval(line)}" if line else kind
        axes.text(
            0,
            1 + 22 / height_pt,
            heading,
            transform=axes.transAxes,
            va="bottom",
            color=colour,
            fontweight="bold",
        )
        axes.text(0, 1 + 7 / height_pt, detail, transform=axes.transAxes, va="bottom", fontsize=10)
        reached += _slope(axes, points[kind], line, colour, marker)
        findings.append(
            f"{kind}: {units.bytes_with_interval(line, 'session')}, from {units.plural(line.points, 'plateau')}."
            if line
            else f"{kind}: no slope, from {units.plural(len(points[kind]), 'plateau')}."
        )
    axis_x = [x for known in points.values() for x, _ in known]
    x_room, y_room = max(max(axis_x) - min(axis_x), 1) * 0.06, max(max(reached) - min(reached), 0.01) * 0.09
    for axes in panels:
        axes.set_xlim(min(axis_x) - x_room, max(axis_x) + x_room)
        axes.set_ylim(min(reached) - y_room, max(reached) + y_room)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=_STEPS))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
        axes.set_xlabel("open sessions")
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)  # both have the same scale; once is enough to read it
    caption = (
        "Each point is a plateau: that many pages held open, memory at rest. The line is the Theil–Sen slope, "
        "the shaded fan its 95% interval."
    )
    if leaked:
        caption += " What requests leak is taken away, and told apart."
    return finish(figure, name=name, title=title, caption=caption, alt=" ".join(findings))


def _growth(
    steps: Sequence[Plateau], measure: Callable[[Plateau], int | None], leaked: float
) -> list[tuple[int, float]]:
    """Open sessions → MB above the first plateau that was measured, without what requests had leaked."""
    known = [
        (p.open_sessions, value - leaked * (p.requests or 0))
        for p in steps
        if (value := measure(p)) is not None
    ]
    return [(sessions, (value - known[0][1]) / _MB) for sessions, value in known]


def _slope(
    axes: Any, points: list[tuple[int, float]], line: Slope | None, colour: str, marker: str
) -> list[float]:
    """Draw one measure; returns the heights that the axis must hold."""
    x = np.array([p[0] for p in points], dtype=float)
    y = np.array([p[1] for p in points])
    reached = [float(value) for value in y]
    if line is not None:
        reach = np.array([x.min(), x.max()])
        # Theil–Sen lines pass through the point of medians; so do those of the interval's two ends.
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
        marker=marker,
        markersize=6,
        markeredgecolor=SURFACE,
        markeredgewidth=0.8,
    )
    return reached


def _latency(analysis: Analysis) -> Plot:
    title = "Response time of each action (ms)"
    rows = ranked(analysis.latency_ms)
    figure = blank(title, max(_HEIGHT_IN - 0.3, 1.6 + 0.36 * len(rows)))
    if not rows:
        timed = analysis.timed_window_s is not None
        why = (
            "No action was completed in the timed window."
            if timed
            else "The run never came to its timed window."
        )
        say(panel(figure, left_in=0.16, top_in=0.5, bottom_in=0.16), why)
        return finish(figure, name="latency", title=title, caption="", alt=f"{title}: {why}")
    names = [
        f"{units.clip(plain(action), _MAX_NAME)}\n{units.count(figures.count)}×" for action, figures in rows
    ]
    longest = max(len(part) for text in names for part in text.split("\n"))
    axes = panel(figure, left_in=0.35 + 0.085 * longest, top_in=0.78, right_in=0.24)
    places = np.arange(len(rows))[::-1]
    axes.hlines(
        places, [f.p50 for _, f in rows], [_longest(f) for _, f in rows], color=RULE, linewidth=3.5, zorder=1
    )
    for percentile, colour, marker, size in (
        ("p50", FIRST, "o", 7.5),
        ("p95", SECOND, "s", 7),
        ("p99", THIRD, "D", 6),
    ):
        told = [
            (value, place)
            for (_, f), place in zip(rows, places, strict=True)
            if (value := getattr(f, percentile)) is not None
        ]
        if not told:
            continue
        axes.plot(
            [value for value, _ in told],
            [place for _, place in told],
            color=colour,
            linestyle="none",
            marker=marker,
            markersize=size,
            markeredgecolor=SURFACE,
            markeredgewidth=0.7,
            label=percentile,
        )
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    low, high = min(f.p50 for _, f in rows), max(_longest(f) for _, f in rows)
    logarithmic = low > 0 and high / low > _LOG_SPAN
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.25, high * 1.25)
        axes.xaxis.set_major_locator(
            LogLocator(subs=(1.0,) if high / low > _DECADES_ONLY else (1.0, 2.0, 5.0), numticks=20)
        )
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, high * 1.06 or 1)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("ms, logarithmic" if logarithmic else "ms")
    axes.grid(axis="x")
    legend(axes, 0.42)
    alt = " ".join(
        f"{action}: "
        + ", ".join(
            f"{name} {units.milliseconds(value)}"
            for name in ("p50", "p95", "p99")
            if (value := getattr(f, name)) is not None
        )
        + f" over {units.plural(f.count, 'operation')}."
        for action, f in rows
    )
    caption = (
        (
            "From when each operation should have begun, over those that were due in the timed window; "
            if analysis.model == "open"
            else "Percentiles of the operations that were invoked in the timed window; "
        )
        + "× is how many they were. A percentile that so few cannot tell is left out."
        + doubt(analysis)
    )
    return finish(figure, name="latency", title=title, caption=caption, alt=alt)


def _longest(figures: Latency) -> float:
    """The highest percentile that is drawn."""
    return next(v for v in (figures.p99, figures.p95, figures.p50) if v is not None)


def doubt(analysis: Analysis) -> str:
    """What must stand beside every figure of time when the load generator was, or may have been, the bottleneck."""
    if analysis.generator.bottleneck is False:
        return ""
    if analysis.generator.bottleneck is None:
        return " Caution: nobody knows whether the load generator kept up."
    return " Caution: the load generator was the bottleneck; these times are its own rather than the app's."


# Name of the part → its colour; the order is the order in time.
_PARTS = {
    "page_wait": ("page not ready", RULE),
    "generator_delay": ("generator late", THIRD),
    "accept": ("accept", MUTED),
    "queue_wait": ("queue wait", SECOND),
    "service": ("service", FIRST),
}


def _stages(analysis: Analysis) -> Plot:
    title = "Where the time of each action goes (mean, ms)"
    name = "stages"
    rows = [
        (action, split)
        for action, _ in ranked(analysis.latency_ms)
        if action in analysis.stages_ms and (split := analysis.stages_ms[action].mean) is not None
    ]
    # Three keys fit beside each other; under the open model there are five.
    used = [part for part in _PARTS if any(getattr(split, part) > 0 for _, split in rows)]
    lines = 2 if len(used) > 3 else 1
    figure = blank(title, max(_HEIGHT_IN - 0.3, 1.6 + 0.36 * len(rows)))
    if not rows:
        why = "No action went through Gradio's queue in the timed window."
        say(panel(figure, left_in=0.16, top_in=0.5, bottom_in=0.16), why)
        return finish(figure, name=name, title=title, caption="", alt=f"{title}: {why}")
    names = [f"{units.clip(plain(action), _MAX_NAME)}\n{units.count(split.count)}×" for action, split in rows]
    longest = max(len(part) for text in names for part in text.split("\n"))
    axes = panel(figure, left_in=0.35 + 0.085 * longest, top_in=0.78 + 0.2 * (lines - 1), right_in=0.24)
    places = np.arange(len(rows))[::-1]
    reached = np.zeros(len(rows))
    for part in used:
        text, colour = _PARTS[part]
        widths = np.array([getattr(split, part) for _, split in rows])
        axes.barh(
            places,
            widths,
            left=reached,
            height=0.5,
            color=colour,
            edgecolor=SURFACE,
            linewidth=0.8,
            label=text,
        )
        reached += widths
    for place, total in zip(places, reached, strict=True):
        axes.annotate(
            units.number(total), (total, place), xytext=(4, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    # Room for the figure at the end of the longest bar.
    axes.set_xlim(0, float(reached.max()) * 1.16 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("ms")
    axes.grid(axis="x")
    legend(axes, 0.42, columns=3)
    alt = " ".join(
        f"{action}: "
        + ", ".join(f"{_PARTS[part][0]} {units.milliseconds(getattr(split, part))}" for part in used)
        + f", {units.milliseconds(total)} together, mean of {units.plural(split.count, 'operation')}."
        for (action, split), total in zip(rows, reached, strict=True)
    )
    caption = (
        "Accept: until the server had taken the event in. Queue wait: until it began to work on it. Service: until the "
        "result was on the socket. Means, since percentiles of parts do not add up." + doubt(analysis)
    )
    return finish(figure, name=name, title=title, caption=caption, alt=alt)


def _throughput(data: RunData, analysis: Analysis) -> Plot:
    title = "Operations per second, over the whole run"
    figure = blank(title, _HEIGHT_IN)
    clock = _clock(data)
    if clock is None or not data.history.operations:
        why = "No operation was recorded."
        say(panel(figure, left_in=0.16, top_in=0.5, bottom_in=0.16), why)
        return finish(figure, name="throughput", title=title, caption="", alt=f"{title}: {why}")
    axes = panel(figure, left_in=0.52, top_in=0.94)
    bin_s = float(max(1, int(np.ceil(clock.length_s / _MAX_BINS))))
    edges = np.arange(0.0, clock.length_s + bin_s, bin_s)
    good: list[float] = []
    bad: list[float] = []
    for operation in data.history.operations:
        # One that nobody saw end is counted where it began: there is no other time for it.
        ended_ns = operation.complete_ns if operation.complete_ns is not None else operation.invoke_ns
        (good if operation.outcome == "ok" else bad).append(clock.seconds(ended_ns))
    heights: list[Any] = []
    for text, times, colour, dashes, width in (
        ("ok" if bad else "ok (none ended otherwise)", good, FIRST, "-", 1.6),
        ("fail, info or pending", bad, SECOND, (0, (3, 1.2)), 1.9),
    ):
        per_s = np.histogram(times, edges)[0] / bin_s
        heights.append(per_s)
        if times or not bad:
            axes.stairs(
                per_s, edges, baseline=None, color=colour, linestyle=dashes, linewidth=width, label=text
            )
        if not bad:
            break
    axes.set_ylim(0, max(float(h.max()) for h in heights) * 1.08)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=_STEPS))
    _time_axis(axes, data, clock)
    legend(axes, 0.40)
    busiest = int(heights[0].argmax())
    alt = (
        f"At most {units.number(float(heights[0][busiest]))} operations per second ended as ok, "
        f"{units.number(edges[busiest])} s into the run; {units.plural(len(good), 'operation')} in all. "
        + (f"{units.plural(len(bad), 'operation')} did not end as ok." if bad else "None ended otherwise.")
    )
    caption = f"Every operation, opening and closing pages included, in the {_length(bin_s)} in which it was completed."
    caption += doubt(analysis)
    return finish(figure, name="throughput", title=title, caption=caption, alt=alt)


def _length(bin_s: float) -> str:
    return "second" if bin_s == 1 else f"{bin_s:g} seconds"
