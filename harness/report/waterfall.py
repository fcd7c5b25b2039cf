"""The memory breakdown as a waterfall: from zero, item by item, to resident memory. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import msgspec
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from harness import units
from harness.analysis.memory.breakdown import BreakdownItem, BreakdownMoment
from harness.report.breakdown_table import (
    ITEMS,
    MOMENTS,
    TOTAL,
    BreakdownRow,
    megabytes,
    moments,
    rows,
    totals,
)
from harness.report.plot_declaration import Drawing, PlotDeclaration, PlotSource
from harness.report.plot_style import (
    FIRST,
    INK,
    MUTED,
    RULE,
    SECOND,
    SMALL_PT,
    SURFACE,
    THIRD,
    blank,
    panel,
)

_MB = 1e6
# Blue: in use by sessions. Orange: should have been freed. Purple: kept by allocators. Grey: present before the first session.
_COLOURS: dict[BreakdownItem, str] = {
    "interpreter": MUTED,
    "framework": FIRST,
    "state": FIRST,
    "retained-after-close": SECOND,
    "leaked-per-request": SECOND,
    "allocator-retention": THIRD,
    "fragmentation": THIRD,
    "unexplained": SURFACE,
}
_ROW_IN = 0.25
_HEADING_IN = 0.40
_TOP_IN = 0.62
_AXIS_IN = 0.56
_LEFT_IN = 1.82
# Share of the width for the shortened part of a broken axis.
_STUB = 0.16
# The axis is broken if the items above the lowest bar end would have less than this share of the width.
_CROWDED = 0.5
_GAP_PT = 5.0
# DejaVu Sans Bold; the page's own typefaces are narrower.
_CHARACTER = 0.72


class _BrokenAxis(msgspec.Struct, frozen=True, kw_only=True):
    """The horizontal axis, MB. The part below `low` is drawn shortened, from `left` on. Without a break, `low` and `left` are 0."""

    left: float
    low: float
    right: float

    @property
    def broken(self) -> bool:
        return self.low > 0


def _waterfall(title: str, source: PlotSource) -> Drawing:
    """One panel for each moment, all on the same scale."""
    breakdown = source.analysis.memory.ledger
    shown, there = rows(breakdown), moments(breakdown)
    bars = {moment: _bars(shown, moment) for moment in there}
    high_in = (len(shown) + 1) * _ROW_IN
    height_in = _TOP_IN + len(there) * (_HEADING_IN + high_in) + _AXIS_IN - 0.1
    figure = blank(title, height_in)
    width_pt = (figure.get_size_inches()[0] - _LEFT_IN - 0.16) * 72
    scale = _scale([bar for of_moment in bars.values() for bar in of_moment], width_pt)
    figure.text(
        0.12 / figure.get_size_inches()[0],
        1 - 0.38 / height_in,
        f"The axis is broken at //, and continues at {megabytes(scale.low * _MB).removesuffix('.00')} MB."
        if scale.broken
        else "The axis begins at 0.",
        ha="left",
        va="top",
        fontsize=SMALL_PT,
        color=MUTED,
    )
    for number, moment in enumerate(there):
        top_in = _TOP_IN + number * (_HEADING_IN + high_in) + _HEADING_IN
        axes = panel(figure, left_in=_LEFT_IN, top_in=top_in, bottom_in=height_in - top_in - high_in)
        _panel(axes, shown, bars[moment], scale, heading=MOMENTS[moment], last=number == len(there) - 1)
    alt = " ".join(
        f"{MOMENTS[moment].capitalize()}: "
        + ", ".join(
            f"{row.name} {megabytes(cell.bytes, signed=number > 0)} MB"
            for number, row in enumerate(shown)
            if (cell := row.cells[moment]) is not None
        )
        + f"; RSS {megabytes(total)} MB."
        for moment, total in totals(breakdown).items()
    )
    return Drawing(figure=figure, alt=alt)


class _Bar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar from `begin` to `end`, MB, and the figure next to it; `colour` is empty if there is nothing to draw."""

    begin: float
    end: float
    text: str
    colour: str


def _bars(shown: Sequence[BreakdownRow], moment: BreakdownMoment) -> list[_Bar]:
    """The bars of all rows, and the total."""
    cells = [row.cells[moment] for row in shown]
    sizes = [cell.bytes if cell is not None else 0 for cell in cells]
    reached = [0, *accumulate(sizes)]
    colours = {ITEMS[item]: colour for item, colour in _COLOURS.items()}
    bars = [
        _Bar(
            begin=reached[i] / _MB,
            end=reached[i + 1] / _MB,
            text=units.MISSING if cells[i] is None else megabytes(sizes[i], signed=reached[i] != 0),
            colour=colours[row.name] if sizes[i] else "",
        )
        for i, row in enumerate(shown)
    ]
    return [*bars, _Bar(begin=0, end=reached[-1] / _MB, text=megabytes(reached[-1]), colour=INK)]


def _scale(bars: Sequence[_Bar], width_pt: float) -> _BrokenAxis:
    """An axis on which every bar fits with its figure. It is broken if the part below all items would leave too little room."""
    turns = [turn for bar in bars for turn in (bar.begin, bar.end) if turn > 0]
    bottom, top = min(turns, default=0.0), max(turns, default=1.0)
    # A figure needs room even next to a bar of almost no length.
    span = max(top - bottom, 0.02 * top)
    low = left = 0.0
    if span < _CROWDED * top:
        # The axis continues at a round figure, which is easy to add to.
        low = _round_down(bottom - 0.08 * span, span)
        left = low - (top - low) * _STUB / (1 - _STUB)
    needed = [
        (max(bar.begin, bar.end) - left)
        / max(0.2, 1 - (len(bar.text) * SMALL_PT * _CHARACTER + _GAP_PT) / width_pt)
        for bar in bars
    ]
    return _BrokenAxis(left=left, low=low, right=left + max(needed, default=1.0))


def _round_down(value: float, span: float) -> float:
    step = 10.0 ** len(str(int(span))) / 10 if span >= 1 else 0.1
    return max(0.0, value // step * step)


def _panel(
    axes: Any,
    shown: Sequence[BreakdownRow],
    bars: Sequence[_Bar],
    scale: _BrokenAxis,
    *,
    heading: str,
    last: bool,
) -> None:
    count = len(bars)
    axes.set_xlim(scale.left, scale.right)
    axes.set_ylim(-0.5, count - 0.5)
    axes.set_yticks(range(count - 1, -1, -1), [*(row.name for row in shown), TOTAL])
    axes.tick_params(axis="y", length=0)
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.grid(axis="x")
    _ticks(axes, scale)
    if last:
        axes.set_xlabel("MB")
    else:
        axes.tick_params(axis="x", labelbottom=False, length=0)
    axes.text(
        (0.12 - _LEFT_IN) / (axes.get_position().width * axes.figure.get_size_inches()[0]),
        1 + 5 / (count * _ROW_IN * 72),
        heading[0].upper() + heading[1:],
        transform=axes.transAxes,
        va="bottom",
        fontweight="bold",
    )
    # A line separates the total from its items.
    axes.axhline(0.5, color=RULE, linewidth=0.7)
    for place, bar in zip(range(count - 1, -1, -1), bars, strict=True):
        begin = scale.left if bar.begin == 0 else bar.begin
        if bar.colour:
            outlined = bar.colour == SURFACE
            axes.barh(
                place,
                bar.end - begin,
                left=begin,
                height=0.62,
                color=bar.colour,
                # With an edge, a bar of almost no length is still a visible line.
                edgecolor=MUTED if outlined else bar.colour,
                linewidth=0.9,
                zorder=3,
            )
        if scale.broken and bar.begin == 0 and bar.colour:
            _break(axes, place - 0.46, place + 0.46, scale)
        if place > 1:
            above = place - 0.31 if bar.colour else place + 0.31
            axes.plot([bar.end] * 2, [above, place - 0.69], color=MUTED, linewidth=0.7, zorder=2)
        axes.annotate(
            bar.text,
            (max(begin, bar.end), place),
            xytext=(_GAP_PT, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=SMALL_PT,
            fontweight="bold" if place == 0 else "normal",
            zorder=4,
        )
    if scale.broken:
        _break(axes, -0.72, -0.28, scale)


def _ticks(axes: Any, scale: _BrokenAxis) -> None:
    between = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(scale.low, scale.right)
    apart = (scale.right - scale.left) * 0.1
    first = scale.left + apart if scale.broken else 0
    ticks = [scale.left, *(t for t in between if max(scale.low, first) < t <= scale.right - apart / 3)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: "0" if value == scale.left else f"{value:,.10g}")
    )


def _break(axes: Any, bottom: float, top: float, scale: _BrokenAxis) -> None:
    """Draw two strokes across the shortened part, with the page's surface between them."""
    middle = scale.left + (scale.low - scale.left) / 2
    width = (scale.right - scale.left) * 0.012
    axes.fill(
        [middle - 2 * width, middle, middle + 2 * width, middle],
        [bottom, top, top, bottom],
        color=SURFACE,
        linewidth=0,
        clip_on=False,
        zorder=5,
    )
    for offset in (-1, 1):
        axes.plot(
            [middle + (offset - 1) * width, middle + (offset + 1) * width],
            [bottom, top],
            color=MUTED,
            linewidth=0.9,
            clip_on=False,
            scalex=False,
            scaley=False,
            zorder=6,
        )


def _caption(source: PlotSource) -> str:
    return (
        "Each bar begins where the bar above it ends. The last bar is the sum: the resident memory of the app’s processes. "
        "Grey: present before the first session. Blue: in use by sessions. Orange: left behind. Purple: kept by allocators. "
        "Outline: not explained by the other items."
    )


PLOTS = (
    PlotDeclaration(
        name="memory-ledger",
        title="From zero to RSS, item by item (MB)",
        section="memory-breakdown",
        caption=_caption,
        draw=_waterfall,
        applies=lambda source: bool(source.analysis.memory.ledger),
    ),
)
