"""What is said of memory as a person sees it: nothing lies on anything else, nothing is cut, on a screen and on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.recorded_run import RecordedRun
from harness.report.plots import draw_all
from harness.report.run_page import render_run
from tests.browser.visit import Visit
from tests.unit.report import memories
from tests.unit.report.builders import failing
from tests.unit.report.conftest import full

WATERFALL = "memory-ledger"
__all__ = ["full"]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("memory-pictures")]

SCREEN = {"viewport": {"width": 1200, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}
# Everything was measured; one item is many times the others; every bar is hard to see, or goes backwards.
LEDGERS = {
    "usual": memories.breakdown(),
    "large": memories.breakdown({**memories.HELD, "state": 8_240_000_000}),
    "small": memories.breakdown(
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
# Cut content: elements whose content is wider than they are, except those that can be scrolled.
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


@pytest.mark.parametrize("options", [SCREEN, PHONE], ids=["screen", "phone"])
def test_everything_about_memory_can_be_read(
    browser: Any, full: RecordedRun, tmp_path: Path, options: dict[str, Any]
) -> None:
    data, analysis = memories.rich(full)
    others = [plot for plot in draw_all(data, analysis) if plot.name != WATERFALL]
    for name, entries in LEDGERS.items():
        changed = msgspec.structs.replace(analysis, memory=memories.figures(ledger=entries))
        drawn = memories.waterfall_of(entries)
        assert drawn is not None
        path = tmp_path / f"{name}.html"
        path.write_text(render_run(data, failing([]), changed, [*others, drawn]))
        visit = Visit(browser, path, **options)
        visit.open_all()
        page = visit.page
        assert visit.complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]
        assert page.evaluate(CUT) == []
        assert page.evaluate(CROWDED) == []
        assert visit.overlaps("section[aria-labelledby=memory] svg") == []
        picture = page.locator(f"svg:has([id^='{WATERFALL}-'])")
        assert picture.count() == 1
        # As it is shown, a line of text is no smaller than a footnote.
        sizes = picture.evaluate(
            "s => [...s.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize) * s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
        )
        assert min(sizes) > 8.5
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            ground = visit.luminance("getComputedStyle(document.documentElement).backgroundColor")
            ink = visit.luminance(
                f"getComputedStyle(document.querySelector(\"svg [id^='{WATERFALL}-'] text\")).fill"
            )
            assert (ground < 0.3) == (scheme == "dark")
            assert abs(ground - ink) > 0.35
        page.close()


def test_overlapping_or_cut_text_would_be_detected(browser: Any, full: RecordedRun, tmp_path: Path) -> None:
    data, analysis = memories.rich(full)
    drawn = memories.waterfall_of(analysis.memory.ledger)
    assert drawn is not None
    path = tmp_path / "report.html"
    path.write_text(render_run(data, failing([]), analysis, [drawn]))
    visit = Visit(browser, path, **SCREEN)
    for fault, script in (
        (".costs { table-layout: fixed; width: 300px; } .costs td { white-space: nowrap; }", CUT),
        (".costs td:nth-child(3) { position: relative; left: -6rem; }", CROWDED),
    ):
        style = visit.page.add_style_tag(content=fault)
        assert visit.page.evaluate(script) != []
        style.evaluate("s => s.remove()")
        assert visit.page.evaluate(script) == []
    visit.page.evaluate(
        f"document.querySelectorAll(\"svg [id^='{WATERFALL}-'] text\").forEach(t => t.setAttribute('transform', 'translate(90 90)'))"
    )
    assert visit.overlaps("section[aria-labelledby=memory] svg") != []
