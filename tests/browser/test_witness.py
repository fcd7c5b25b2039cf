"""Witnesses as a person sees them: timelines that can be read, records that open by a click, on a screen, a phone and paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli.report import evaluate_again
from harness.workload import append_only_list, counter, register
from tests.browser.visit import Visit
from tests.builders import HistoryBuilder
from tests.stored import FROM, MS, leaking, store

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("witness")]

SCREEN = {"viewport": {"width": 1200, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}


def awkward() -> HistoryBuilder:
    """State that crossed many times, and cases that are hard to draw: waits of seconds, unknown ends, long values."""
    builder, log = leaking(), [f"s0-{n % 6 + 1}-value-{n}" for n in range(18)]
    now = FROM + 5_000 * MS
    for number in range(40):
        log.append(f"s0-7-value-{number}")
        builder.append("s0-7", log[-1], list(log), begin=now, end=now + 1 * MS)
        now += 30 * MS
    builder.append("s0-8", "a late value", outcome="info", error="timeout", begin=now, end=now + 3 * MS)
    builder.read("s0-9", [*log, "a late value"], begin=now + 900 * MS, end=now + 901 * MS)
    now += 2_000 * MS
    builder.append("s0-9", "stale " + "大" * 80, begin=now, end=now + 1 * MS)
    builder.read("s0-9", list(log), begin=now + 4_000 * MS, end=now + 4_001 * MS)
    builder.click("s0-8", begin=now, end=now + 2 * MS)
    builder.read("s0-8", 0, "n", begin=now + 5 * MS, end=now + 6 * MS)
    builder.read("s0-8", 1, "n", begin=now + 500 * MS, end=now + 501 * MS)
    builder.write("s0-1", "a long text, " * 60, "a long text, " * 60, begin=now, end=now + 7 * MS)
    builder.read("s0-2", "a long text, " * 60, "r", begin=now + 9 * MS, end=now + 12 * MS)
    return builder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("witness") / "run"
    run = store(path, awkward(), log=append_only_list(), n=counter(), r=register())
    derived, error = evaluate_again(run.path)
    assert error is None
    found = {check.name for check in derived.checks.checks if check.anomalies}
    assert found >= {"cross-session-read", "read-your-writes", "lost-update"}
    return run.path / "derived/report.html"


@pytest.mark.parametrize("options", [SCREEN, PHONE], ids=["screen", "phone"])
def test_every_timeline_can_be_read(browser: Any, report: Path, options: dict[str, Any]) -> None:
    visit = Visit(browser, report, **options)
    visit.open_all()
    timelines = visit.page.locator("svg.timeline")
    assert timelines.count() >= 40
    assert visit.overlaps("svg.timeline") == []
    assert visit.overlaps(".plots svg") == []
    for number in range(timelines.count()):
        box = timelines.nth(number).bounding_box()
        assert box is not None
        assert 270 < box["width"] <= 500
    # As it is shown, a line of text is no smaller than a footnote.
    size = visit.page.evaluate(
        "Math.min(...[...document.querySelectorAll('svg.timeline')].map(s => 10 * s.getBoundingClientRect().width / s.viewBox.baseVal.width))"
    )
    assert size > 8.5
    assert visit.complaints == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"]


def test_the_records_of_a_witness_open_by_a_click(browser: Any, report: Path) -> None:
    visit = Visit(browser, report, **SCREEN)
    first = visit.page.locator("article.anomaly").first
    records = first.locator("pre").first
    assert not records.is_visible()
    first.locator("summary").click()
    assert records.is_visible()
    assert '"type": "invoke"' in records.inner_text()
    assert '"type": "ok"' in records.inner_text()
    more = visit.page.locator("details:has(> .pairs)").first
    pair = more.locator(".pairs > details").first
    assert not pair.is_visible()
    more.locator("> summary").click()
    assert pair.is_visible()
    pair.locator("> summary").click()
    assert pair.locator("svg.timeline").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_timeline_is_legible_in_both_colour_schemes(browser: Any, report: Path, scheme: str) -> None:
    visit = Visit(browser, report, color_scheme=scheme, **SCREEN)

    def seen(selector: str, what: str = "fill") -> float:
        return visit.luminance(f"getComputedStyle(document.querySelector('svg.timeline {selector}')).{what}")

    lane = seen(".lane")
    assert (lane < 0.3) == (scheme == "dark")
    assert abs(lane - seen(".what")) > 0.5
    assert abs(lane - seen(".time")) > 0.3
    for style in (".bar:not(.last)", ".bar.last"):
        assert abs(lane - seen(style)) > 0.25
        assert abs(seen(style) - seen(".letter")) > 0.25
    assert abs(lane - seen(".link", "stroke")) > 0.25


def test_a_screen_reader_gets_a_description_of_a_timeline(browser: Any, report: Path) -> None:
    visit = Visit(browser, report, **SCREEN)
    image = visit.page.get_by_role("img", name="cross-session-read in log, sessions s0-1 and s0-2").first
    assert image.is_visible()
    described = image.locator("desc").text_content()
    assert "What A wrote is seen in B." in described


def test_timelines_are_printed_in_light_colours(browser: Any, report: Path, tmp_path: Path) -> None:
    visit = Visit(browser, report, color_scheme="dark")
    visit.page.emulate_media(media="print", color_scheme="dark")
    assert visit.luminance("getComputedStyle(document.querySelector('svg.timeline .lane')).fill") > 0.7
    visit.page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
