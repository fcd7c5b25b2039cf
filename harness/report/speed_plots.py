"""The plots of speed: response times, where the time goes, and throughput. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness import units
from harness.analysis.latency.figures import Latency
from harness.report.plot_declaration import Drawing, NoData, PlotDeclaration, PlotSource
from harness.report.plot_style import (
    FIRST,
    HEIGHT_IN,
    MUTED,
    RULE,
    SECOND,
    STEPS,
    SURFACE,
    THIRD,
    blank,
    legend,
    panel,
    plain,
)
from harness.report.response_times import doubt, ranked
from harness.report.time_axis import Clock, clock_of, draw_time_axis

# From this ratio on, a linear scale would squeeze the fast actions against the axis.
_LOG_SPAN = 20.0
# From this ratio on, labels at 2 and 5 of each decade would touch.
_DECADES_ONLY = 100.0
_MAX_BINS = 300
_MAX_NAME = 18


def _latency(title: str, source: PlotSource) -> Drawing | NoData:
    analysis = source.analysis
    rows = ranked(analysis.latency_ms)
    height_in = max(HEIGHT_IN - 0.3, 1.6 + 0.36 * len(rows))
    if not rows:
        timed = analysis.timed_window_s is not None
        why = (
            "No action was completed in the timed window."
            if timed
            else "The run ended before its timed window."
        )
        return NoData(reason=why, height_in=height_in)
    axes = _row_axes(blank(title, height_in), [(action, f.count) for action, f in rows], top_in=0.78)
    places = _places(rows)
    axes.hlines(
        places, [f.p50 for _, f in rows], [_longest(f) for _, f in rows], color=RULE, linewidth=3.5, zorder=1
    )
    for percentile, colour, marker, size in (
        ("p50", FIRST, "o", 7.5),
        ("p95", SECOND, "s", 7),
        ("p99", THIRD, "D", 6),
    ):
        known = [
            (value, place)
            for (_, f), place in zip(rows, places, strict=True)
            if (value := getattr(f, percentile)) is not None
        ]
        if not known:
            continue
        axes.plot(
            [value for value, _ in known],
            [place for _, place in known],
            color=colour,
            linestyle="none",
            marker=marker,
            markersize=size,
            markeredgecolor=SURFACE,
            markeredgewidth=0.7,
            label=percentile,
        )
    _latency_scale(axes, min(f.p50 for _, f in rows), max(_longest(f) for _, f in rows))
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
    return Drawing(figure=axes.figure, alt=alt)


def _latency_scale(axes: Any, low: float, high: float) -> None:
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
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_xlabel("ms, logarithmic" if logarithmic else "ms")
    axes.grid(axis="x")


def _latency_caption(source: PlotSource) -> str:
    return (
        (
            "Percentiles over the operations due in the timed window, counted from their intended start. "
            if source.analysis.model == "open"
            else "Percentiles over the operations invoked in the timed window. "
        )
        + "×: number of operations. A percentile without enough operations is left out."
        + doubt(source.analysis)
    )


def _row_axes(figure: Any, rows: Sequence[tuple[str, int]], top_in: float) -> Any:
    """Axes with one row for each action and its number of operations, the first action at the top."""
    names = [f"{units.clip(plain(action), _MAX_NAME)}\n{units.count(number)}×" for action, number in rows]
    longest = max(len(part) for text in names for part in text.split("\n"))
    axes = panel(figure, left_in=0.35 + 0.085 * longest, top_in=top_in, right_in=0.24)
    axes.set_yticks(_places(rows), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    return axes


def _places(rows: Sequence[object]) -> Any:
    return np.arange(len(rows))[::-1]


def _longest(figures: Latency) -> float:
    """The highest percentile of an action that is drawn, ms."""
    return next(v for v in (figures.p99, figures.p95, figures.p50) if v is not None)


# Part of the response time → its name and colour, in the order of time.
_PARTS = {
    "page_wait": ("page not ready", RULE),
    "generator_delay": ("generator late", THIRD),
    "accept": ("accept", MUTED),
    "queue_wait": ("queue wait", SECOND),
    "service": ("service", FIRST),
}


def _stages(title: str, source: PlotSource) -> Drawing | NoData:
    analysis = source.analysis
    rows = [
        (action, split)
        for action, _ in ranked(analysis.latency_ms)
        if action in analysis.stages_ms and (split := analysis.stages_ms[action].mean) is not None
    ]
    height_in = max(HEIGHT_IN - 0.3, 1.6 + 0.36 * len(rows))
    if not rows:
        return NoData(
            reason="No action went through Gradio's queue in the timed window.", height_in=height_in
        )
    used = [part for part in _PARTS if any(getattr(split, part) > 0 for _, split in rows)]
    # Three keys fit beside each other; under the open model there are five.
    lines = 2 if len(used) > 3 else 1
    figure = blank(title, height_in)
    axes = _row_axes(
        figure, [(action, split.count) for action, split in rows], top_in=0.78 + 0.2 * (lines - 1)
    )
    places = _places(rows)
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
    # Room for the figure at the end of the longest bar.
    axes.set_xlim(0, float(reached.max()) * 1.16 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=STEPS))
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
    return Drawing(figure=figure, alt=alt)


def _stages_caption(source: PlotSource) -> str:
    return (
        "Accept: until the server accepted the event. Queue wait: until the server began to process it. Service: until the "
        "result was on the socket. The bars are means, because percentiles of parts do not add up."
        + doubt(source.analysis)
    )


def _throughput(title: str, source: PlotSource) -> Drawing | NoData:
    data = source.data
    clock = clock_of(data)
    if clock is None or not data.history.operations:
        return NoData(reason="No operation was recorded.", height_in=HEIGHT_IN)
    axes = panel(blank(title, HEIGHT_IN), left_in=0.52, top_in=0.94)
    bin_s = _bin_s(clock)
    edges = np.arange(0.0, clock.length_s + bin_s, bin_s)
    good: list[float] = []
    bad: list[float] = []
    for operation in data.history.operations:
        # An operation without a known end is counted at its invoke, the only time it has.
        ended_ns = operation.complete_ns if operation.complete_ns is not None else operation.invoke_ns
        (good if operation.outcome == "ok" else bad).append(clock.seconds(ended_ns))
    heights: list[Any] = []
    for text, times, colour, dashes, width in (
        ("ok" if bad else "ok (no other outcome)", good, FIRST, "-", 1.6),
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
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=STEPS))
    draw_time_axis(axes, data, clock)
    legend(axes, 0.40)
    busiest = int(heights[0].argmax())
    alt = (
        f"At most {units.number(float(heights[0][busiest]))} operations per second ended as ok, "
        f"{units.number(edges[busiest])} s into the run; {units.plural(len(good), 'operation')} in all. "
        + (f"{units.plural(len(bad), 'operation')} did not end as ok." if bad else "All ended as ok.")
    )
    return Drawing(figure=axes.figure, alt=alt)


def _bin_s(clock: Clock) -> float:
    return float(max(1, int(np.ceil(clock.length_s / _MAX_BINS))))


def _throughput_caption(source: PlotSource) -> str:
    clock = clock_of(source.data)
    length = _length(_bin_s(clock)) if clock is not None else "second"
    return (
        f"All operations, including opening and closing pages, by the {length} in which they completed."
        + doubt(source.analysis)
    )


def _length(bin_s: float) -> str:
    return "second" if bin_s == 1 else f"{bin_s:g} seconds"


PLOTS = (
    PlotDeclaration(
        name="latency",
        title="Response time of each action (ms)",
        section="speed",
        caption=_latency_caption,
        draw=_latency,
    ),
    PlotDeclaration(
        name="stages",
        title="Where the time of each action goes (mean, ms)",
        section="speed",
        caption=_stages_caption,
        draw=_stages,
    ),
    PlotDeclaration(
        name="throughput",
        title="Operations per second, over the whole run",
        section="speed",
        caption=_throughput_caption,
        draw=_throughput,
    ),
)
