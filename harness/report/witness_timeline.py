"""The timeline of a witness: which session wrote when, which session read when, and which value crossed. Pure.

One lane for each session, one bar for each operation from its invoke to its completion, and an arrow from the write to
the read that shows its value. The picture is small, and every anomaly has one, so it is written as SVG text rather than
drawn by matplotlib: words stay words, and the style sheet of the page (`base.html.j2`) sets the colours.

All text is monospaced, so that its width is known without a font and no text overlaps another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

import markupsafe
import msgspec

from harness.records import Anomaly, Operation
from harness.report.plot_style import plain
from harness.report.witness_operations import (
    LINE_CELLS,
    Arrow,
    DrawnOperation,
    arrows_between,
    drawn_operation,
)
from harness.report.witness_values import cells, clip

# User units, for `LINE_CELLS` characters side by side. A phone shows the picture about as wide as this in px, a desktop up to 1.5 times as wide.
WIDTH = 320.0
FONT = 10.0
# Width of a monospaced character relative to its size: 0.55 (Consolas) to 0.605 (DejaVu Sans Mono).
CELL = 0.61 * FONT
_MARGIN = 6.0
_LEFT, _RIGHT = _MARGIN, WIDTH - _MARGIN
_BAR = 14.0
_LINE = 12.5
# Between two rows of a lane, so that arrows are visible.
_BETWEEN = 13.0
# The minimum width for the letter in a bar.
_MIN_BAR = 14.0
# Two points in time that are closer on a true scale could not be distinguished.
_MIN_APART = 5.0
# Length of an operation without a known end, beyond the last known time.
_OPEN_END = 26.0
# The axis is marked as broken where a unit stands for this many times more time than elsewhere.
_BROKEN = 20.0


def timeline(anomaly: Anomaly, recorded: Mapping[str, Operation], name: str) -> markupsafe.Markup:
    """Draw the timeline of an anomaly's witness.

    Args:
        anomaly: the anomaly with its witness.
        recorded: `worker:id` → operation, for the operations of the witness that are on record. They show which outcome
            leaves the end open, and which values other than those of the variable were seen.
        name: prefix of the ids, unique on the page.

    Returns:
        An SVG element for the page; empty without a witness.
    """
    if not anomaly.witness:
        return markupsafe.Markup("")
    acts = [drawn_operation(w, anomaly, recorded) for w in anomaly.witness]
    links = arrows_between(acts, anomaly)
    scale = _scale(acts)
    lanes = _lanes(acts)
    rows = _rows(acts, lanes, scale, links)
    bottom = max(row.bar + _BAR + (row.below * _LINE) for row in rows.values()) + 6
    parts: list[str] = []
    parts += _lane_marks(lanes, rows)
    axis, height = _axis(acts, rows, scale, bottom)
    parts += axis
    # Arrows pass behind bars and behind text, which has an outline in the colour of the lane.
    parts += _arrows(links, rows)
    parts += [_bar(act, rows[act.letter]) for act in acts]
    parts += itertools.chain.from_iterable(_texts(act, rows[act.letter]) for act in acts)
    title = f"{anomaly.kind} in {anomaly.variable}, sessions {' and '.join(dict.fromkeys(anomaly.sessions))}"
    desc = " ".join([*(act.sentence for act in acts), *(link.sentence for link in links)])
    return markupsafe.Markup(
        f'<svg class="timeline" role="img" viewBox="0 0 {WIDTH:g} {_n(height)}" '
        f'aria-labelledby="{escape(name)}-title {escape(name)}-desc">'
        f'<title id="{escape(name)}-title">{_escape(title)}</title>'
        f'<desc id="{escape(name)}-desc">{_escape(desc)}</desc>' + "".join(parts) + "</svg>"
    )


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """Position of an operation. `bar` is the top of its bar; `above` and `below` are the numbers of lines of text."""

    left: float
    right: float
    bar: float
    above: int
    below: int


class _Lane(msgspec.Struct, kw_only=True):
    session: str
    acts: list[DrawnOperation]
    top: float = 0.0
    bottom: float = 0.0


class _StretchedAxis(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds → units. True to scale, or stretched if a true scale would hide operations.

    Attributes:
        times: every time at which an operation began or ended, ascending.
        places: the place of each of these times.
        broken: middles of the stretches that stand for much more time than others of the same width.
        true: distances are proportional to time.
    """

    times: list[float]
    places: list[float]
    broken: list[float]
    true: bool

    def place(self, time_s: float) -> float:
        return self.places[self.times.index(time_s)]


def _scale(acts: Sequence[DrawnOperation]) -> _StretchedAxis:
    times = sorted({t for act in acts for t in (act.begin_s, act.end_s)})
    right = _RIGHT - (_OPEN_END if any(act.open_ended for act in acts) else 0.0)
    right -= _MIN_BAR  # room for an operation that begins at the end
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    if not steps:
        return _StretchedAxis(times=times, places=[_LEFT], broken=[], true=True)
    room = right - _LEFT
    span = times[-1] - times[0]
    true = min(steps) / span * room >= _MIN_APART and all(
        (act.end_s - act.begin_s) / span * room >= _MIN_BAR for act in acts if act.end_s > act.begin_s
    )
    # With the logarithm, a longer wait stays longer, and the shortest stays visible.
    weights = steps if true else [1 + 0.5 * math.log10(step / min(steps)) for step in steps]
    places = [_LEFT + room * part / sum(weights) for part in itertools.accumulate([0.0, *weights])]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(places)]
    dense = [step / (b - a) for step, (a, b) in zip(steps, itertools.pairwise(places), strict=True)]
    broken = [
        middle
        for middle, per_unit in zip(middles, dense, strict=True)
        if not true and per_unit > _BROKEN * min(dense)
    ]
    return _StretchedAxis(times=times, places=places, broken=broken, true=true)


def _lanes(acts: Sequence[DrawnOperation]) -> list[_Lane]:
    """One lane for each session, that of the last operation at the bottom, so that every arrow points down."""
    order = dict.fromkeys(act.session for act in acts)
    del order[acts[-1].session]
    return [
        _Lane(session=session, acts=[act for act in acts if act.session == session])
        for session in [*order, acts[-1].session]
    ]


def _rows(
    acts: Sequence[DrawnOperation], lanes: Sequence[_Lane], scale: _StretchedAxis, links: Sequence[Arrow]
) -> dict[str, _Row]:
    """Give each operation its own row. Text is below the bar if no arrow starts there, else above it."""
    rows: dict[str, _Row] = {}
    sources = {link.source for link in links}
    y = 0.0
    for lane in lanes:
        lane.top = y
        y += 4 + _LINE
        for act in lane.acts:
            below = len(act.lines) if act.letter not in sources else 0
            above = len(act.lines) - below
            left = scale.place(act.begin_s)
            rows[act.letter] = _Row(
                left=left,
                right=max(scale.place(act.end_s), left + _MIN_BAR),
                bar=y + above * _LINE + 2,
                above=above,
                below=below,
            )
            y = rows[act.letter].bar + _BAR + 2 + below * _LINE + _BETWEEN
        lane.bottom = y = y - _BETWEEN + 4
        y += 5
    return rows


def _lane_marks(lanes: Sequence[_Lane], rows: Mapping[str, _Row]) -> list[str]:
    parts = []
    for lane in lanes:
        parts.append(
            f'<rect class="lane" x="0" y="{_n(lane.top)}" width="{WIDTH:g}" height="{_n(lane.bottom - lane.top)}" rx="3"/>'
        )
        parts.append(_text(_LEFT, lane.top + _LINE, clip(plain(lane.session), LINE_CELLS), "session"))
    return parts


def _axis(
    acts: Sequence[DrawnOperation], rows: Mapping[str, _Row], scale: _StretchedAxis, bottom: float
) -> tuple[list[str], float]:
    """Draw the time axis. Its ticks are the times of the operations, as many as fit, beginnings first."""
    shortest = min((later - earlier for earlier, later in itertools.pairwise(scale.times)), default=1.0)
    decimals = min(6, max(3, math.ceil(-math.log10(shortest))))
    begins = [act.begin_s for act in acts]
    ends = [act.end_s for act in acts if act.end_s not in begins]
    taken: list[tuple[float, float]] = []
    parts = []
    for time_s in dict.fromkeys([*begins[:1], *begins[-1:], *begins, *ends[-1:], *ends]):
        label = f"{time_s:,.{decimals}f}"
        width = cells(label) * CELL
        place = scale.place(time_s)
        left = min(max(place - width / 2, _LEFT), _RIGHT - width)
        if any(left < end + CELL and start - CELL < left + width for start, end in taken):
            continue
        taken.append((left, left + width))
        tops = [rows[act.letter].bar for act in acts if time_s in (act.begin_s, act.end_s)]
        parts.append(f'<path class="tick" d="M{_n(place)} {_n(min(tops) + _BAR)}V{_n(bottom + 3)}"/>')
        parts.append(_text(left, bottom + 3 + _LINE, label, "time"))
    parts.append(f'<path class="axis" d="M0 {_n(bottom)}H{WIDTH:g}"/>')
    parts += [
        f'<path class="gap" d="M{_n(x - 4)} {_n(bottom + 4)}l4 -8h3l-4 8z"/>'
        f'<path class="axis" d="M{_n(x - 4)} {_n(bottom + 4)}l4 -8m3 0l-4 8"/>'
        for x in scale.broken
    ]
    unit = "seconds since the first operation" + ("" if scale.true else ", not to scale")
    parts.append(_text(_LEFT, bottom + 3 + 2 * _LINE, unit, "time"))
    return parts, bottom + 3 + 2 * _LINE + 5


def _bar(act: DrawnOperation, row: _Row) -> str:
    style = "bar last" if act.last else "bar"
    solid = f'<rect class="{style}" x="{_n(row.left)}" y="{_n(row.bar)}" width="{_n(row.right - row.left)}" height="{_BAR:g}" rx="2"/>'
    letter = _text((row.left + row.right) / 2, row.bar + _BAR - 3.6, act.letter, "letter")
    if not act.open_ended:
        return solid + letter
    top, low, middle = row.bar + 0.5, row.bar + _BAR - 0.5, row.bar + _BAR / 2
    tip = f"M{_n(row.right)} {_n(top)}H{_n(_RIGHT - 7)}L{_n(_RIGHT)} {_n(middle)}L{_n(_RIGHT - 7)} {_n(low)}H{_n(row.right)}"
    return f'<path class="open {style}" d="{tip}"/>' + solid + letter


def _arrows(links: Sequence[Arrow], rows: Mapping[str, _Row]) -> list[str]:
    parts = []
    landed: dict[str, int] = {}
    for link in links:
        source, target = rows[link.source], rows[link.target]
        # To the right of earlier arrows to the same operation.
        aside = 9.0 * landed.get(link.target, 0)
        landed[link.target] = landed.get(link.target, 0) + 1
        if source.right <= target.left:
            start, end = source.right - 3, target.left + 3
        else:
            start = end = (max(source.left, target.left) + min(source.right, target.right)) / 2
        end = min(end + aside, max(target.left + 3, target.right - 3))
        high, low = source.bar + _BAR, target.bar - 1
        bend = (low - high) / 2
        tip = low - (4 if link.missing else 5)
        style = "link missing" if link.missing else "link"
        parts.append(
            f'<path class="{style}" d="M{_n(start)} {_n(high)}C{_n(start)} {_n(high + bend)} {_n(end)} {_n(high)} {_n(end)} {_n(tip)}"/>'
        )
        head = (
            f"M{_n(end - 4)} {_n(tip - 4)}l8 8m0 -8l-8 8"
            if link.missing
            else f"M{_n(end - 3.5)} {_n(low - 7)}h7l-3.5 7z"
        )
        parts.append(f'<path class="head {style}" d="{head}"/>')
    return parts


def _texts(act: DrawnOperation, row: _Row) -> list[str]:
    top = row.bar - 2 - row.above * _LINE if row.above else row.bar + _BAR + 1
    left = min(row.left, *(_RIGHT - cells(line) * CELL for line in act.lines))
    return [
        _text(left, top + (number + 1) * _LINE - 3, line, "what") for number, line in enumerate(act.lines)
    ]


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{_n(x)}" y="{_n(y)}">{_escape(text)}</text>'


def _escape(text: str) -> str:
    return escape(plain(text))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
