"""The matrix of a bench with many scenarios: its header stays in sight, nothing lies on anything, and a phone shows all of it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from harness.records import GUARANTEES, Guarantee, GuaranteeStatus
from harness.report.bench_page import render_bench
from tests.browser.test_report import Visit
from tests.unit.report.builders import bench, bench_row

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("bench")]
STATUSES: tuple[GuaranteeStatus, ...] = (
    "kept",
    "broken",
    "unknown",
    "does-not-apply",
    "kept",
    "kept",
    "kept",
)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """45 scenarios, every kind of mark among them."""
    rows = []
    for n in range(45):
        name = f"{'fault_reply_through_shared_queue' if n > 25 else 'persistence_by_user'}_{n}"
        guarantees = [
            Guarantee(name=p, status=STATUSES[(n + k) % len(STATUSES)], reason=f"Why {p} of {name}.")
            for k, p in enumerate(GUARANTEES)
        ]
        verdict = "fail" if n > 25 else "pass"
        rows.append(
            bench_row(scenario=name, run=name, patterns=[] if n > 25 else [n % 22 + 1], guarantees=guarantees, verdict=verdict, met=n != 30)
        )  # fmt: skip
    path = tmp_path / "index.html"
    path.write_text(render_bench(bench(*rows)))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_header_stays_in_sight_and_can_be_read(browser: Any, index: Path, scheme: str) -> None:
    visit = Visit(browser, index, color_scheme=scheme, viewport={"width": 1280, "height": 900})
    visit.page.evaluate("window.scrollTo(0, 1100)")
    heads = visit.page.evaluate(
        "[...document.querySelectorAll('.matrix thead th > span')].map(s => { const b = s.getBoundingClientRect();"
        " return [b.top, b.bottom, b.left, b.right]; })"
    )
    assert len(heads) == len(GUARANTEES) + 1
    for top, bottom, left, right in heads:
        assert 0 <= top < bottom < 250  # still at the top, though the page was scrolled
        assert right - left > 10
    assert all(one[3] <= other[2] for one, other in itertools.pairwise(heads))
    # A row that has been scrolled below the header is hidden by it.
    covered = visit.page.evaluate("document.elementFromPoint(60, 60).closest('thead') !== null")
    assert covered
    background = visit.luminance("getComputedStyle(document.documentElement).backgroundColor")
    for style in ("kept", "unknown", "does-not-apply"):
        ink = visit.luminance(f"getComputedStyle(document.querySelector('td .mark.{style}')).color")
        assert abs(background - ink) > 0.3, style
    assert visit.complaints == []


def test_every_cross_leads_to_the_report_and_declared_ones_look_different(browser: Any, index: Path) -> None:
    visit = Visit(browser, index, viewport={"width": 1280, "height": 900})
    crosses = visit.page.locator(".matrix td a.mark.broken")
    hrefs = {crosses.nth(n).get_attribute("href") for n in range(crosses.count())}
    assert all(href.endswith("/derived/report.html#guarantees") for href in hrefs)
    borders = visit.page.evaluate(
        "['.planted', ':not(.planted)'].map(s => getComputedStyle(document.querySelector('td a.mark.broken' + s)).borderTopStyle)"
    )
    assert borders == ["dashed", "solid"]


def test_the_reasons_open_with_the_keyboard(browser: Any, index: Path) -> None:
    visit = Visit(browser, index)
    reason = visit.page.get_by_text("Why invisible of persistence_by_user_3.")
    assert not reason.is_visible()
    for summary in ("details.why > summary", "details.why details:nth-of-type(4) > summary"):
        visit.page.focus(summary)
        visit.page.keyboard.press("Enter")
    assert reason.is_visible()


def test_a_phone_shows_the_whole_matrix(browser: Any, index: Path) -> None:
    visit = Visit(browser, index, viewport={"width": 360, "height": 740}, is_mobile=True)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    right = visit.page.evaluate(
        "Math.max(...[...document.querySelectorAll('.matrix td')].map(t => t.getBoundingClientRect().right))"
    )
    assert right <= 360
