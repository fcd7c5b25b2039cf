"""The report as a person sees it: a real headless browser, both colour schemes, a phone's width, and print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.visit import Visit
from tests.conftest import SHOWN

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("bench")]

PLOTS = ("memory-over-time", "memory-per-session", "latency", "stages", "throughput")


# One for each check that found what crossed.
MATRICES = ("sessions-cross-session-read", "sessions-canary")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scenario", SHOWN)
def test_the_report_shows_its_plots_and_asks_for_nothing(
    browser: Any, bench: Path, scenario: str, scheme: str
) -> None:
    visit = Visit(
        browser,
        bench / scenario / "derived/report.html",
        color_scheme=scheme,
        viewport={"width": 1200, "height": 900},
    )
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith(("file:", "data:"))] == []
    svgs = visit.page.locator(".plots svg[role=img]")
    files = {path.stem for path in (bench / scenario / "derived/plots").glob("*.svg")}
    # Where every megabyte went is drawn if it is known.
    known = json.loads((bench / scenario / "derived/analysis.json").read_text())["memory"]["ledger"]
    assert files >= {
        *PLOTS,
        *(["memory-ledger"] if known else []),
        *(MATRICES if scenario == "counters_global" else []),
    }
    assert svgs.count() == len(files)
    for number in range(svgs.count()):
        box = svgs.nth(number).bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 150
        assert svgs.nth(number).locator("path").count() > 10
        assert svgs.nth(number).get_attribute("aria-label")
    text = visit.page.inner_text("body")
    assert ("PASS" in text) == (scenario == "counters")
    assert ("Operation A: session" in text) == (scenario == "counters_global")
    background = visit.luminance("getComputedStyle(document.documentElement).backgroundColor")
    ink = visit.luminance("getComputedStyle(document.body).color")
    plot_ink = visit.luminance("getComputedStyle(document.querySelector('svg[role=img] text')).fill")
    assert (background < 0.3) == (scheme == "dark")
    assert abs(background - ink) > 0.5
    assert abs(background - plot_ink) > 0.35


@pytest.mark.parametrize(
    "page", ["counters/derived/report.html", "counters_global/derived/report.html", "index.html"]
)
def test_a_phone_never_scrolls_sideways(browser: Any, bench: Path, page: str) -> None:
    visit = Visit(browser, bench / page, viewport={"width": 360, "height": 740}, is_mobile=True)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert visit.complaints == []


@pytest.mark.parametrize("scenario", SHOWN)
def test_labels_of_a_picture_do_not_lie_on_each_other(browser: Any, bench: Path, scenario: str) -> None:
    visit = Visit(browser, bench / scenario / "derived/report.html", viewport={"width": 1200, "height": 900})
    visit.open_all()
    assert visit.overlaps("svg[role=img]") == []


def test_the_report_can_be_printed(browser: Any, bench: Path, tmp_path: Path) -> None:
    visit = Visit(browser, bench / "counters_global/derived/report.html", color_scheme="dark")
    visit.page.emulate_media(media="print", color_scheme="dark")
    assert visit.luminance("getComputedStyle(document.body).color") < 0.3
    visit.page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_index_leads_to_every_run(browser: Any, bench: Path, scheme: str) -> None:
    visit = Visit(browser, bench / "index.html", color_scheme=scheme)
    assert visit.complaints == []
    links = visit.page.locator("a[href$='derived/report.html']")
    hrefs = [links.nth(i).get_attribute("href") for i in range(links.count())]
    assert hrefs == [
        f"{run.parent.name}/derived/report.html" for run in sorted(bench.glob("*/manifest.json"))
    ]
    visit.page.click("a[href^='counters_global']")
    assert "FAIL" in visit.page.inner_text("body")
    assert visit.complaints == []
