"""The list of plots, and what holds of all of them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib
import msgspec

from harness.history import History, InMemoryHistory, PhaseSpan
from harness.recorded_run import RecordedRun
from harness.report.plot_style import PALETTE, SURFACE
from harness.report.plots import PLOTS
from harness.report.run_page import render_run
from harness.report.svg import inline
from tests.unit.report.builders import (
    BEGAN,
    anomaly,
    failing,
    operation,
    process_sample,
)
from tests.unit.report.memories import rich
from tests.unit.report.plotted import draw, draw_one, words


def test_a_full_run_is_drawn_with_its_phases_and_findings(full: RecordedRun) -> None:
    plots = draw(full)
    for name in ("memory-over-time", "throughput"):
        for phase in ("start", "warm-up", "staircase", "load", "drain", "after-close"):
            assert phase in words(plots[name])
    assert "KB per session" in words(plots["memory-per-session"])
    assert "71." in plots["memory-per-session"].alt
    assert "annotate <b>" in words(plots["latency"])
    assert all(plot.caption for plot in plots.values())


def test_a_run_without_anything_says_why_there_is_nothing(empty: RecordedRun) -> None:
    plots = draw(empty)
    assert "No plateau was reached." in words(plots["memory-per-session"])
    assert "No operation was recorded." in words(plots["throughput"])
    assert "timed window" in words(plots["latency"])
    assert "No sample" in words(plots["memory-over-time"])


def test_one_sample_and_one_phase_of_no_length(empty: RecordedRun) -> None:
    point = msgspec.structs.replace(
        empty,
        target=[process_sample(0.0)],
        phases=[PhaseSpan(name="start", begin_ns=BEGAN, end_ns=BEGAN)],
        recorded=InMemoryHistory(History(operations=[operation(1, 0.0, outcome="pending")], problems=[])),
    )
    draw(point)
    draw(msgspec.structs.replace(point, target=[process_sample(0.5)]))


def test_the_same_run_gives_the_same_bytes(full: RecordedRun) -> None:
    assert draw(full) == draw(full)


def test_matplotlib_settings_of_the_user_are_neither_used_nor_changed(full: RecordedRun) -> None:
    expected = draw(full)
    with matplotlib.rc_context({"font.size": 30.0, "text.parse_math": True}):
        before = dict(matplotlib.rcParams)
        assert draw(full) == expected
        assert dict(matplotlib.rcParams) == before


def test_every_colour_of_an_inlined_plot_comes_from_the_page(full: RecordedRun, empty: RecordedRun) -> None:
    for plot in [*draw(full).values(), *draw(empty).values()]:
        assert SURFACE.encode() in plot.svg
        text = inline(plot.svg.decode(), PALETTE)
        ET.fromstring(text)
        assert "var(--plot-ink)" in text
        assert not re.search(r"#[0-9a-fA-F]{6}\b", text)
        assert "<style" not in text
        assert "DejaVu" not in text


def test_inlined_plots_share_no_id_and_name_themselves(full: RecordedRun) -> None:
    plots = draw(full)
    page = "".join(inline(plot.svg.decode(), PALETTE) for plot in plots.values())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    roots = re.findall(r"<svg [^>]*>", page)
    assert len(roots) == len(plots)
    assert all('role="img"' in root and "aria-label=" in root and "viewBox=" in root for root in roots)
    assert not any(re.search(r'\s(width|height)="', root) for root in roots)


def test_the_page_shows_every_plot_of_the_list(full: RecordedRun) -> None:
    """A declaration is enough: the templates name sections, and no plot."""
    some = draw_one(full, "latency")
    plots = [
        msgspec.structs.replace(some, name=plot.name, section=plot.section, caption=f"This is {plot.name}.")
        for plot in PLOTS
    ]
    (one,) = failing([anomaly(1)]).checks
    crossed = {plot.section.removeprefix("check:") for plot in PLOTS if plot.section.startswith("check:")}
    checks = failing([])
    every = [msgspec.structs.replace(one, name=name) for name in sorted(crossed)]
    page = render_run(full, msgspec.structs.replace(checks, checks=every), rich(full)[1], plots)
    assert [name for name in (plot.name for plot in PLOTS) if page.count(f"This is {name}.") != 1] == []


def test_names_of_plots_are_unique() -> None:
    names = [plot.name for plot in PLOTS]
    assert len(names) == len(set(names))
