"""The breakdown of memory as a picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import msgspec
import pytest

from harness.analysis.memory.breakdown import BreakdownItem
from harness.recorded_run import RecordedRun
from harness.report import breakdown_table
from harness.report.plot_style import PALETTE
from harness.report.plots import draw_all
from harness.report.svg import inline
from tests.unit.report import memories

NAME = "memory-ledger"


def _words(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_waterfall_has_a_bar_for_each_item_and_says_that_its_axis_is_broken() -> None:
    plot = memories.waterfall_of(memories.breakdown())
    assert plot is not None
    words = _words(plot.svg)
    for name in (*breakdown_table.ITEMS.values(), "RSS"):
        assert words.count(name) == 2
    for figure in ("141.23", "+4.10", "−1.30", "166.43", "176.36", "0.00"):
        assert figure in words
    assert "The axis is broken at //, and continues at 130 MB." in words
    assert {"All sessions open", "All sessions closed"} <= set(words)
    assert "RSS 166.43 MB" in plot.alt
    assert plot.png.startswith(b"\x89PNG")
    page = inline(plot.svg.decode(), PALETTE)
    assert not re.search(r"#[0-9a-fA-F]{6}\b", page)


def test_an_axis_that_has_room_for_all_is_not_broken() -> None:
    large = {**memories.HELD, "state": 1_240_000_000}
    plot = memories.waterfall_of(memories.breakdown(large))
    assert plot is not None
    assert "The axis begins at 0." in _words(plot.svg)
    assert not any("broken" in word for word in _words(plot.svg))


@pytest.mark.parametrize(
    ("held", "closed"),
    [
        ({"interpreter": 141_000_000, "framework": 30_000, "unexplained": 10_000}, {}),
        ({"interpreter": 141_000_000}, {"interpreter": 141_000_000}),
        ({"unexplained": 0}, {"unexplained": -3_000_000}),
        ({"interpreter": 90_000_000, "unexplained": -80_000_000}, {"interpreter": 90_000_000, "state": 1}),
        ({"state": 700}, {}),
    ],
)
def test_any_breakdown_can_be_drawn(held: dict[BreakdownItem, int], closed: dict[BreakdownItem, int]) -> None:
    plot = memories.waterfall_of(memories.breakdown(held, closed))
    assert plot is not None
    words = _words(plot.svg)
    assert words.count("RSS") == (2 if closed else 1)
    assert breakdown_table.megabytes(sum(held.values())) in words
    assert memories.waterfall_of(memories.breakdown(held, closed)) == plot


def test_without_a_breakdown_there_is_no_picture(full: RecordedRun) -> None:
    assert memories.waterfall_of([]) is None
    data, analysis = memories.rich(full)
    assert NAME in {plot.name for plot in draw_all(data, analysis)}
    without = msgspec.structs.replace(analysis, memory=memories.figures(ledger=[]))
    assert NAME not in {plot.name for plot in draw_all(data, without)}
