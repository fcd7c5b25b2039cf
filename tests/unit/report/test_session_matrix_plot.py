"""Sessions against sessions, as a picture: for two of them and for hundreds."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import msgspec
import pytest

from harness.analysis import analyse
from harness.checkers.session_matrix import MAX_GROUPS, crossings
from harness.records import Check
from harness.report.plot_declaration import PlotSource
from harness.report.plot_style import FIRST, PALETTE, Plot
from harness.report.plots import drawn
from harness.report.session_matrix_plot import PLOTS
from harness.report.svg import inline
from tests.unit.report.builders import empty_run

SVG = "{http://www.w3.org/2000/svg}"


def check(pairs: list[tuple[str, str, int]], names: list[str], name: str = "cross-session-read") -> Check:
    began = {session: number for number, session in enumerate(names)}
    return Check(
        name=name,
        verdict="fail",
        reason="Planted.",
        evidence={},
        crossings=crossings([([whose, by], times) for whose, by, times in pairs], began),
    )


def plots_of(*checks: Check) -> list[Plot]:
    data = empty_run()
    return drawn(PLOTS, PlotSource(data=data, analysis=analyse(data), checks=checks))


def plot_of(*args: object, **more: object) -> Plot:
    (plot,) = plots_of(check(*args, **more))  # type: ignore[arg-type]
    return plot


def words(plot: Plot) -> list[str]:
    return ["".join(t.itertext()).strip() for t in ET.fromstring(plot.svg).iter(f"{SVG}text")]


def squares(plot: Plot) -> list[tuple[float, float]]:
    """First corners of all squares, that of the one key included, in units of the picture."""
    paths = re.findall(rf'<path d="([^"]+)"[^>]*style="[^"]*fill: {FIRST}', plot.svg.decode())
    corners = [part.split("L")[0].split() for d in paths for part in d.split("M")[1:]]
    return [(float(x), float(y)) for x, y in corners]


NAMES = [f"s0-{number}" for number in range(1, 13)]


def test_a_session_seen_by_all_is_a_row_and_a_session_that_sees_all_a_column() -> None:
    row = plot_of([(NAMES[4], by, 1) for by in NAMES if by != NAMES[4]], NAMES)
    column = plot_of([(whose, NAMES[4], 1) for whose in NAMES if whose != NAMES[4]], NAMES)
    for plot, along, across in ((row, 0, 1), (column, 1, 0)):
        places = squares(plot)
        fixed = [place[across] for place in places]
        line = [place for place in places if fixed.count(place[across]) > 1]
        assert len({place[along] for place in line}) == 11
        assert len({place[across] for place in line}) == 1
    assert "Most often seen was the state of s0-5 (11 times)" in row.alt
    assert "Most state was seen by s0-5 (11 times)" in column.alt
    assert row.svg != column.svg


def test_two_sessions_are_named_on_both_sides() -> None:
    plot = plot_of([("s0-1", "s0-2", 3), ("s0-2", "s0-1", 1)], ["s0-1", "s0-2"])
    assert words(plot).count("s0-1") == words(plot).count("s0-2") == 2
    assert {"whose state", "seen by", "1×", "3×"} <= set(words(plot))
    assert "2 of the 2 possible pairs of 2 sessions" in plot.caption
    assert "A row or column stands for" not in plot.caption


@pytest.mark.parametrize("number", [3, 25, 51, 126, 503])
def test_labels_are_thinned_and_never_touch(number: int) -> None:
    names = [f"s0-{i}" for i in range(number)]
    plot = plot_of([(a, b, 1) for a in names for b in names if a < b], names)
    labels = [word for word in words(plot) if word.startswith("s0-")]
    assert "s0-0" in labels
    assert len(labels) <= 40
    assert len(plot.svg) < 200_000
    if number > MAX_GROUPS:
        assert f"A row or column stands for up to {-(-number // MAX_GROUPS)} sessions." in plot.caption
    else:
        assert "up to" not in plot.caption


def test_how_often_decides_the_strength_in_at_most_five_steps() -> None:
    pairs = [("s0-1", name, 4**power) for power, name in enumerate(NAMES[1:])]
    plot = plot_of(pairs, NAMES)
    keys = [word for word in words(plot) if word.endswith("×")]
    assert len(keys) == 5
    assert keys[0].startswith("1–")
    assert keys[-1].endswith("1,048,576×")
    assert len(set(re.findall(r"opacity: ([\d.]+)", plot.svg.decode()))) >= 4


def test_what_is_not_on_record_is_not_taken_for_absent() -> None:
    pairs = [("s0-1", "s0-2", 3), ("s0-2", "s0-1", 1)]
    assert "pairs may be missing" in plot_of(pairs, NAMES, name="canary").caption
    assert "pairs may be missing" not in plot_of(pairs, NAMES).caption


def test_colours_come_from_the_page() -> None:
    text = inline(plot_of([("s0-1", "s0-2", 3), ("s0-2", "s0-1", 1)], NAMES).svg.decode(), PALETTE)
    ET.fromstring(text)
    assert "var(--plot-first)" in text
    assert not re.search(r"#[0-9a-fA-F]{6}\b", text)


def test_there_is_no_matrix_if_at_most_one_pair_crossed() -> None:
    one = check([("s0-1", "s0-2", 30)], NAMES)
    none = msgspec.structs.replace(one, crossings=None)
    lost = check([("s0-1", "s0-2", 1), ("s0-2", "s0-3", 1)], NAMES, name="lost-update")
    assert plots_of(one, none, lost) == []
