"""The time axis of plots: its length, its marked phases, and thinning of long series. Pure."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.recorded_run import RecordedRun
from harness.report.plot_style import BAND, MUTED, SMALL_PT, STEPS, plain

_LABEL_GAP_PT = 9.0


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A phase on the time axis of a plot, seconds since the run began."""

    name: str
    begin_s: float
    end_s: float


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The time axis of a run, from `began_ns` to `ended_ns`, monotonic nanoseconds."""

    began_ns: int
    ended_ns: int

    def seconds(self, time_ns: int) -> float:
        """Seconds from the start of the axis to a point in time."""
        return (time_ns - self.began_ns) / 1e9

    @property
    def length_s(self) -> float:
        """Length of the axis in seconds."""
        return self.seconds(self.ended_ns)


def clock_of(data: RecordedRun) -> Clock | None:
    """The axis from the first to the last recorded time; None if they are the same, or nothing was recorded."""
    times = [t for span in data.phases for t in (span.begin_ns, span.end_ns)]
    times += [sample.time_ns for sample in (*data.target[:1], *data.target[-1:])]
    times += [operation.invoke_ns for operation in data.history.operations[:1]]
    times += [o.complete_ns for o in data.history.operations if o.complete_ns is not None]
    if not times or max(times) <= min(times):
        return None
    return Clock(began_ns=min(times), ended_ns=max(times))


def draw_time_axis(axes: Any, data: RecordedRun, clock: Clock) -> None:
    """Set up the horizontal axis as time of the run, with marked phases."""
    axes.set_xlim(0, clock.length_s)
    axes.set_xlabel("seconds since the run began")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=STEPS))
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


def mark_phases(axes: Any, spans: Sequence[Phase]) -> None:
    """Shade every other phase, and write the names of phases above the axes.

    The names are in one row, as near to their phases as possible without touching. A line connects a name that had to move
    to its phase. If there is too little room, the shortest phases have no name.
    """
    figure = axes.figure
    width_pt = axes.get_position().width * figure.get_size_inches()[0] * 72
    low, high = axes.get_xlim()
    for index, span in enumerate(spans):
        if index % 2 == 0:
            axes.axvspan(span.begin_s, span.end_s, color=BAND, linewidth=0, zorder=0)

    def across(time_s: float) -> float:
        return float((min(max(time_s, low), high) - low) / (high - low) * width_pt)

    named = []
    for span in spans:
        text = axes.text(
            0, 0, plain(span.name), fontsize=SMALL_PT, color=MUTED, ha="center", va="bottom", clip_on=False
        )
        named.append((span, text, text.get_window_extent().width))
    # The row may use the margin right of the axes, but not cross the edge of the figure.
    room = (-12.0, width_pt + 8.0)
    while named and sum(size + _LABEL_GAP_PT for _, _, size in named) > room[1] - room[0]:
        shortest = min(named, key=lambda item: item[0].end_s - item[0].begin_s)
        shortest[1].remove()
        named.remove(shortest)
    middles = [across((span.begin_s + span.end_s) / 2) for span, _, _ in named]
    places = spread(middles, [size for _, _, size in named], room, _LABEL_GAP_PT)
    height_pt = axes.get_position().height * figure.get_size_inches()[1] * 72
    for (span, text, _), middle, place in zip(named, middles, places, strict=True):
        text.set_transform(axes.transAxes)
        text.set_position((place / width_pt, 1 + 9 / height_pt))
        if not across(span.begin_s) <= place <= across(span.end_s):
            axes.plot(
                [place / width_pt, middle / width_pt],
                [1 + 9 / height_pt, 1 + 1 / height_pt],
                transform=axes.transAxes,
                color=MUTED,
                linewidth=0.7,
                clip_on=False,
                scalex=False,
                scaley=False,
            )


def spread(
    wanted: Sequence[float], sizes: Sequence[float], room: tuple[float, float], gap: float
) -> list[float]:
    """Middles of labels on a line: in order, not touching, as near as possible to the wanted places.

    Least squares: isotonic regression by pooling adjacent violators, after the widths of the labels are subtracted.

    Args:
        wanted: the best place of each label's middle, ascending.
        sizes: their widths.
        room: ends of the line; all labels together must fit.
        gap: minimum distance between two labels.
    """
    if not wanted:
        return []
    starts = np.concatenate([[0.0], np.cumsum([size + gap for size in sizes])])[:-1]
    halves = np.asarray(sizes) / 2
    blocks: list[list[float]] = []
    for value in np.asarray(wanted) - halves - starts:
        blocks.append([float(value)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    pooled = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks])
    total = float(starts[-1] + sizes[-1])
    pooled = np.clip(pooled, room[0], max(room[0], room[1] - total))
    return [float(middle) for middle in pooled + starts + halves]


def thin(
    times: Sequence[float], values: Sequence[float], buckets: int = 400
) -> tuple[list[float], list[float]]:
    """Keep the lowest and highest value of each stretch of time, so that drawing time does not grow with the run."""
    if len(times) <= 2 * buckets:
        return list(times), list(values)
    keep: set[int] = {0, len(times) - 1}
    for part in np.array_split(np.arange(len(times)), buckets):
        here = np.asarray(values)[part]
        keep |= {int(part[here.argmin()]), int(part[here.argmax()])}
    return [times[i] for i in sorted(keep)], [values[i] for i in sorted(keep)]


def interrupt(
    times: Sequence[float], values: Sequence[float], at_s: float
) -> tuple[list[float], list[float]]:
    """Break a line at a point in time: it ends before `at_s` and continues after it."""
    place = bisect.bisect_left(times, at_s)
    return (
        [*times[:place], math.nan, *times[place:]],
        [*values[:place], math.nan, *values[place:]],
    )
