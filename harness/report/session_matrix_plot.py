"""The session matrix of a check: whose state was seen by which session. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from harness import units
from harness.checkers.anomaly_catalogue import CATALOGUE
from harness.records import Crossings
from harness.report.plot_declaration import Drawing, PlotDeclaration, PlotSource
from harness.report.plot_style import BAND, FIRST, INK, RULE, WIDTH_IN, blank, panel, plain

# Checks whose anomalies show state of one session in another.
CROSSING = tuple(entry.name for entry in CATALOGUE if entry.crosses)
# One pair needs no picture: its anomalies show everything.
_MIN_PAIRS = 2
# Steps of one colour that differ in lightness: readable with any colour blindness, also on a dark page.
_STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
_MAX_SIDE_IN = 3.75
_MAX_CELL_IN = 0.6
_TOP_IN, _RIGHT_IN, _BOTTOM_IN = 0.78, 0.2, 0.54
_LABEL_GAP_PT = 6.0
_LINE_PT = 13.0
_MAX_NAME = 12


def section_of(check: str) -> str:
    """Section of the page for the session matrix of a check."""
    return f"check:{check}"


def _crossings(source: PlotSource, name: str) -> Crossings | None:
    """The crossings between sessions that the check of that name found; None with fewer than two pairs of sessions."""
    found = [check.crossings for check in source.checks if check.name == name]
    return next((c for c in found if c is not None and c.pairs >= _MIN_PAIRS), None)


def _matrix(check: str, title: str, source: PlotSource) -> Drawing:
    crossings = _crossings(source, check)
    assert crossings is not None
    names = [units.clip(plain(group.first), _MAX_NAME) for group in crossings.groups]
    count = len(names)
    left_in = 0.45 + 0.095 * max(len(name) for name in names)
    side_in = min(_MAX_SIDE_IN, WIDTH_IN - left_in - _RIGHT_IN, count * _MAX_CELL_IN)
    figure = blank(title, _TOP_IN + side_in + _BOTTOM_IN)
    axes = panel(
        figure,
        left_in=left_in,
        top_in=_TOP_IN,
        right_in=WIDTH_IN - left_in - side_in,
        bottom_in=_BOTTOM_IN,
    )
    axes.set_xlim(0, count)
    axes.set_ylim(count, 0)
    axes.spines[:].set_visible(False)
    axes.patch.set_facecolor(BAND)
    # The diagonal, where a session would meet itself.
    axes.plot([0, count], [0, count], color=RULE, linewidth=1.0, zorder=1)
    steps = _steps(max(times for line in crossings.seen for times in line))
    gap = 0.08 if count <= 25 else 0.0
    for (low, high), strength in zip(steps, _strengths(len(steps)), strict=True):
        cells = [
            (column, row)
            for row, line in enumerate(crossings.seen)
            for column, times in enumerate(line)
            if low <= times <= high
        ]
        if cells:
            # One path for all cells: thousands of rectangles would make the page heavy.
            axes.add_patch(
                PathPatch(_squares(cells, gap), facecolor=FIRST, alpha=strength, linewidth=0, zorder=2)
            )
    cell_pt = side_in * 72 / count
    _label(axes.yaxis, names, math.ceil(_LINE_PT / cell_pt))
    widest = max(_width(axes, name) for name in names)
    _label(axes.xaxis, names, math.ceil((widest + _LABEL_GAP_PT) / cell_pt))
    axes.tick_params(length=2.5, color=INK)
    axes.set_ylabel("whose state")
    axes.set_xlabel("seen by")
    _keys(figure, steps)
    return Drawing(figure=figure, alt=_in_words(title, crossings))


def _steps(most: int) -> list[tuple[int, int]]:
    """Ranges of occurrences that share a colour strength: one number each, or equal ratios if there are many."""
    if most <= len(_STRENGTHS):
        return [(times, times) for times in range(1, most + 1)]
    edges = [round(most ** (step / len(_STRENGTHS))) for step in range(len(_STRENGTHS) + 1)]
    steps = []
    low = 1
    for edge in edges[1:]:
        if edge >= low:
            steps.append((low, edge))
            low = edge + 1
    return steps


def _strengths(number: int) -> Sequence[float]:
    """The strongest steps, so that a single occurrence is visible."""
    return _STRENGTHS[-number:] if number < len(_STRENGTHS) else _STRENGTHS


def _squares(cells: Sequence[tuple[int, int]], gap: float) -> Any:
    vertices: list[tuple[float, float]] = []
    codes: list[Any] = []
    for x, y in cells:
        a, b, c, d = x + gap / 2, x + 1 - gap / 2, y + gap / 2, y + 1 - gap / 2
        vertices += [(a, c), (b, c), (b, d), (a, d), (a, c)]
        codes += [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(vertices, codes)


def _label(axis: Any, names: Sequence[str], every: int) -> None:
    places = range(0, len(names), max(1, every))
    axis.set_ticks([place + 0.5 for place in places], [names[place] for place in places])


def _width(axes: Any, name: str) -> float:
    text = axes.text(0, 0, name, fontsize=10.0)
    width = float(text.get_window_extent().width)
    text.remove()
    return width


def _keys(figure: Any, steps: Sequence[tuple[int, int]]) -> None:
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=FIRST, alpha=strength, linewidth=0)
        for strength in _strengths(len(steps))
    ]
    labels = [
        f"{units.count(low)}×" if low == high else f"{units.count(low)}–{units.count(high)}×"
        for low, high in steps
    ]
    height = figure.get_size_inches()[1]
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.12 / WIDTH_IN, 1 - 0.40 / height),
        ncols=len(handles),
        borderpad=0,
        borderaxespad=0,
        handlelength=0.9,
        handleheight=0.9,
        handletextpad=0.4,
        columnspacing=1.0,
    )


def _caption(check: str, source: PlotSource) -> str:
    crossings = _crossings(source, check)
    assert crossings is not None
    largest = max(group.sessions for group in crossings.groups)
    possible = crossings.sessions * (crossings.sessions - 1)
    caption = (
        f"{units.count(crossings.pairs)} of the {units.count(possible)} possible pairs of {units.count(crossings.sessions)} sessions had "
        "an anomaly. The list below has only some of them. Sessions are in the order of their start."
    )
    if largest > 1:
        caption += f" A row or column stands for up to {largest} sessions."
    if check == "canary":
        caption += " Some pairs may be missing, because gradsoak records only the first few foreign tokens of each operation."
    return caption + (
        " A stronger colour means more occurrences. If a row is full, all sessions saw the state of one session. If a column is full, one "
        "session saw the state of all sessions. If all cells above the diagonal are full, all sessions share one state that only grows."
    )


def _in_words(title: str, crossings: Crossings) -> str:
    rows = [sum(line) for line in crossings.seen]
    columns = [sum(line) for line in zip(*crossings.seen, strict=True)]

    def most(sums: list[int]) -> str:
        group = crossings.groups[sums.index(max(sums))]
        who = group.first if group.sessions == 1 else f"{group.first} to {group.last}"
        return f"{who} ({units.plural(max(sums), 'time')})"

    return (
        f"{title}. {units.plural(crossings.occurrences, 'occurrence')} between {units.plural(crossings.pairs, 'pair')} of "
        f"{units.count(crossings.sessions)} sessions. Most often seen was the state of {most(rows)}. Most state was seen by {most(columns)}."
    )


def _declaration(check: str) -> PlotDeclaration:
    return PlotDeclaration(
        name=f"sessions-{check}",
        title=f"{check}: which session saw whose state",
        section=section_of(check),
        caption=partial(_caption, check),
        draw=partial(_matrix, check),
        applies=lambda source: _crossings(source, check) is not None,
    )


PLOTS = tuple(_declaration(check) for check in CROSSING)
