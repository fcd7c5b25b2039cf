"""What is said of memory as a person sees it: nothing lies on anything else, nothing is cut, on a screen and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.analysis import RunData
from harness.report import waterfall
from harness.report.html import render_run
from harness.report.plots import draw_all
from tests.browser.looking import Visit
from tests.unit.report import memories
from tests.unit.report.builders import failing
from tests.unit.report.conftest import full

__all__ = ["full"]

pytestmark = pytest.mark.browser

SCREEN = {"viewport": {"width": 1200, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}
# Everything was measured; one item is many times the others; every bar is hard to see, or goes backwards.
LEDGERS = {
    "usual": memories.ledger(),
    "large": memories.ledger({**memories.HELD, "state": 8_240_000_000}),
    "small": memories.ledger(
        {"interpreter": 1_412_200_000, "framework": 30_000, "state": 1, "unexplained": -20_000_000},
        {
            "interpreter": 1_412_200_000,
            "framework": 0,
            "leaked-per-request": 4_000,
            "unexplained": -12_345_678,
        },
    ),
}
# A phone has no room for the heads of tables: each cell is labelled instead.
HEAD = (
    "e => { const head = e.closest('thead'); return head && getComputedStyle(head).position === 'absolute'; }"
)
# What is cut off, or reaches out of what it stands in: elements whose content is wider than they are, but for what may be scrolled.
CUT = f"""[...document.querySelectorAll('section[aria-labelledby=memory] *')].filter(e =>
    e.checkVisibility() && !e.closest('svg, .scroll') && !({HEAD})(e) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
    && getComputedStyle(e).display !== 'inline').map(e => e.tagName + ' ' + e.textContent.slice(0, 60))"""
# Texts of one row of a table that lie on each other.
CROWDED = """[...document.querySelectorAll('section[aria-labelledby=memory] tr')].filter(r => r.checkVisibility() && !(HEAD)(r)).flatMap(row => {
    const boxes = [...row.children].filter(c => c.checkVisibility()).map(c => {
        const range = document.createRange(); range.selectNodeContents(c); return [c.textContent.trim(), range.getBoundingClientRect()];
    });
    const found = [];
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
        const a = boxes[i][1], b = boxes[j][1];
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
            found.push(boxes[i][0] + ' / ' + boxes[j][0]);
    }
    return found;
})""".replace("HEAD", HEAD)


@pytest.fixture(params=LEDGERS)
def report(request: pytest.FixtureRequest, full: RunData, tmp_path: Path) -> Path:
    data, analysis = memories.rich(full)
    memory = memories.figures(ledger=LEDGERS[request.param])
    analysis = msgspec.structs.replace(analysis, memory=memory)
    path = tmp_path / "report.html"
    path.write_text(render_run(data, failing([]), analysis, draw_all(data, analysis)))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [SCREEN, PHONE], ids=["screen", "phone"])
def test_everything_about_memory_can_be_read(
    browser: Any, report: Path, options: dict[str, Any], scheme: str
) -> None:
    visit = Visit(browser, report, color_scheme=scheme, **options)
    visit.open_all()
    page = visit.page
    assert visit.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]
    assert page.evaluate(CUT) == []
    assert page.evaluate(CROWDED) == []
    assert visit.overlaps("section[aria-labelledby=memory] svg") == []
    picture = page.locator(f"svg:has([id^='{waterfall.NAME}-'])")
    assert picture.count() == 1
    # As it is shown, a line of text is no smaller than a footnote.
    sizes = picture.evaluate(
        "s => [...s.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize) * s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    assert min(sizes) > 8.5
    # Ink and every figure stand out from the ground, in both schemes.
    ground = visit.luminance("getComputedStyle(document.documentElement).backgroundColor")
    text = visit.luminance(
        f"getComputedStyle(document.querySelector(\"svg [id^='{waterfall.NAME}-'] text\")).fill"
    )
    assert (ground < 0.3) == (scheme == "dark")
    assert abs(ground - text) > 0.35
