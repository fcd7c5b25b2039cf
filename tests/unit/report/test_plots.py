from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET

import matplotlib
import msgspec
import pytest

from harness.analysis import RunData, analyse
from harness.analysis.latency.figures import Latency
from harness.history import History, PhaseSpan
from harness.records import Operation
from harness.report.plot_style import FIRST, PALETTE, SURFACE, interrupt, spread, thin
from harness.report.plots import Plot, draw_all, ranked
from harness.report.svg import inline
from tests.unit.report.builders import (
    BEGAN,
    S,
    generator_samples,
    manifest,
    operation,
    plateau,
    process_sample,
    with_latency,
)

NAMES = ["memory-over-time", "memory-per-session", "latency", "stages", "throughput"]
# Only where a probe told of live bytes.
LEDGER = "memory-ledger"


def draw(data: RunData) -> dict[str, Plot]:
    plots = draw_all(data, analyse(data))
    assert [plot.name for plot in plots if plot.name != LEDGER] == NAMES
    for plot in plots:
        ET.fromstring(plot.svg)
        assert plot.png.startswith(b"\x89PNG")
        assert plot.title
        assert plot.alt
    return {plot.name: plot for plot in plots}


def words(plot: Plot) -> str:
    """All text in a plot."""
    root = ET.fromstring(plot.svg)
    return " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))


def test_a_full_run_is_drawn_with_its_phases_and_findings(full: RunData) -> None:
    plots = draw(full)
    for name in ("memory-over-time", "throughput"):
        for phase in ("start", "warm-up", "staircase", "load", "drain", "after-close"):
            assert phase in words(plots[name])
    assert "KB per session" in words(plots["memory-per-session"])
    assert "71." in plots["memory-per-session"].alt
    assert "annotate <b>" in words(plots["latency"])
    assert all(plot.caption for plot in plots.values())


def test_a_run_without_anything_says_why_there_is_nothing(empty: RunData) -> None:
    plots = draw(empty)
    assert "No plateau was reached." in words(plots["memory-per-session"])
    assert "No operation was recorded." in words(plots["throughput"])
    assert "timed window" in words(plots["latency"])
    assert "No sample" in words(plots["memory-over-time"])


def test_what_the_platform_does_not_tell_is_left_out(full: RunData) -> None:
    bare = msgspec.structs.replace(
        full,
        target=[process_sample(i, uss_bytes=None) for i in range(20)],
        plateaus=[plateau(n, 9 + n, None, 150_000_000 + n * 1000) for n in range(6)],
    )
    plots = draw(bare)
    assert "USS" not in words(plots["memory-over-time"])
    assert "USS" in words(plots["memory-per-session"])
    assert "Live heap" not in words(plots["memory-per-session"])
    nothing = msgspec.structs.replace(full, plateaus=[plateau(n, 9 + n, None, None) for n in range(6)])
    assert "could not be measured" in words(draw(nothing)["memory-per-session"])


def test_too_few_plateaus_are_points_without_a_slope(full: RunData) -> None:
    few = msgspec.structs.replace(full, plateaus=full.plateaus[:1])
    assert "no slope" in words(draw(few)["memory-per-session"])


@pytest.mark.parametrize("outcome", ["fail", "info", "pending"])
def test_what_did_not_end_as_ok_is_shown(full: RunData, outcome: str) -> None:
    history = History(operations=[operation(1, 6.0), operation(2, 7.0, outcome=outcome)], problems=[])
    plot = draw(msgspec.structs.replace(full, history=history))["throughput"]
    assert "fail, info or pending" in words(plot)
    assert "1 operation did not end as ok." in plot.alt


def test_one_sample_and_one_phase_of_no_length(empty: RunData) -> None:
    point = msgspec.structs.replace(
        empty,
        target=[process_sample(0.0)],
        phases=[PhaseSpan(name="start", begin_ns=BEGAN, end_ns=BEGAN)],
        history=History(operations=[operation(1, 0.0, outcome="pending")], problems=[]),
    )
    draw(point)
    draw(msgspec.structs.replace(point, target=[process_sample(0.5)]))


def test_latency_is_logarithmic_only_where_it_must_be(full: RunData) -> None:
    near = {"a": Latency(p50=10, p95=20, p99=30, count=9)}
    far = near | {"b": Latency(p50=1_000, p95=5_000, p99=9_000, count=9)}
    plots = [
        {p.name: p for p in draw_all(full, with_latency(full, figures))}["latency"] for figures in (near, far)
    ]
    assert ["logarithmic" in words(plot) for plot in plots] == [False, True]


def test_zero_latency_and_many_actions_and_odd_names(full: RunData) -> None:
    odd = {f"action {i} \x07$x_{i}$ & <" + "y" * 40: Latency(p50=0, p95=0, p99=0, count=1) for i in range(25)}
    plot = {p.name: p for p in draw_all(full, with_latency(full, odd))}["latency"]
    ET.fromstring(plot.svg)
    assert "$x_3$" in words(plot)


def test_the_parts_of_the_time_are_drawn_in_order_and_add_up(full: RunData) -> None:
    plot = draw(full)["stages"]
    assert [part for part in ("accept", "queue wait", "service") if part in words(plot)] == [
        "accept",
        "queue wait",
        "service",
    ]
    assert "page not ready" not in words(plot)
    split = analyse(full).stages_ms["click"].mean
    assert split is not None
    assert split.accept + split.queue_wait + split.service == pytest.approx(
        sum(o.latency_ns or 0 for o in _clicks(full)) / split.count / 1e6
    )
    assert f"mean of {split.count} operations" in plot.alt


def _clicks(data: RunData) -> list[Operation]:
    begin, end = data.timed_window() or (0, 0)
    return [
        o
        for o in data.history.operations
        if o.action == "click" and begin <= o.invoke_ns and (o.complete_ns or 0) <= end
    ]


def test_an_open_model_shows_five_parts_with_room_for_their_names(full: RunData) -> None:
    profile = msgspec.structs.replace(full.manifest.profile, arrival_rate=10.0)
    late = [
        msgspec.structs.replace(o, intended_ns=o.invoke_ns - 300_000_000) if o.intended_ns else o
        for o in full.history.operations
    ]
    plot = draw(
        msgspec.structs.replace(
            full,
            manifest=manifest(profile=profile),
            history=History(operations=late, problems=[]),
        )
    )["stages"]
    for part in ("page not ready", "generator late", "accept", "queue wait", "service"):
        assert part in words(plot)


@pytest.mark.parametrize("name", ["latency", "stages", "throughput"])
def test_a_generator_that_was_the_bottleneck_stands_under_every_time(full: RunData, name: str) -> None:
    slow = msgspec.structs.replace(full, generator={"0": generator_samples(5, 25, lag_ms=400)})
    assert "Caution" in draw(slow)[name].caption
    assert "Caution" in draw(msgspec.structs.replace(full, generator={}))[name].caption
    assert "Caution" not in draw(full)[name].caption


def test_actions_of_the_workload_come_first_and_the_slowest_of_them_at_the_top() -> None:
    def latency(p95: float) -> Latency:
        return Latency(p50=1, p95=p95, p99=99, count=1)

    figures = {"open": latency(90), "quick": latency(5), "slow": latency(50), "reload": latency(95)}
    assert [name for name, _ in ranked(figures)] == ["slow", "quick", "reload", "open"]


def test_the_same_run_gives_the_same_bytes(full: RunData) -> None:
    assert draw(full) == draw(full)


def test_nobodys_settings_are_used_or_changed(full: RunData) -> None:
    expected = draw(full)
    with matplotlib.rc_context({"font.size": 30.0, "text.parse_math": True}):
        before = dict(matplotlib.rcParams)
        assert draw(full) == expected
        assert dict(matplotlib.rcParams) == before


def test_every_colour_of_an_inlined_plot_comes_from_the_page(full: RunData, empty: RunData) -> None:
    for plot in [*draw(full).values(), *draw(empty).values()]:
        assert SURFACE.encode() in plot.svg
        text = inline(plot.svg.decode(), PALETTE)
        ET.fromstring(text)
        assert "var(--plot-ink)" in text
        assert not re.search(r"#[0-9a-fA-F]{6}\b", text)
        assert "<style" not in text
        assert "DejaVu" not in text


def test_inlined_plots_share_no_id_and_name_themselves(full: RunData) -> None:
    page = "".join(inline(plot.svg.decode(), PALETTE) for plot in draw(full).values())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    roots = re.findall(r"<svg [^>]*>", page)
    assert len(roots) == len([*NAMES, LEDGER])
    assert all('role="img"' in root and "aria-label=" in root and "viewBox=" in root for root in roots)
    assert not any(re.search(r'\s(width|height)="', root) for root in roots)


def test_labels_are_spread_without_touching_and_stay_in_the_room() -> None:
    wanted, sizes = [10.0, 95.0, 97.0, 99.0], [20.0, 20.0, 30.0, 10.0]
    places = spread(wanted, sizes, (0.0, 110.0), 5.0)
    edges = [(place - size / 2, place + size / 2) for place, size in zip(places, sizes, strict=True)]
    assert all(right + 5.0 <= left + 1e-9 for (_, right), (left, _) in itertools.pairwise(edges))
    assert edges[0][0] >= 0
    assert edges[-1][1] <= 110 + 1e-9
    assert places[0] == 10.0
    assert spread([], [], (0, 1), 1) == []


def test_names_that_find_no_room_are_left_out_shortest_phase_first(full: RunData) -> None:
    crowd = [
        PhaseSpan(name=f"phase number {i}", begin_ns=BEGAN + i * S, end_ns=BEGAN + (i + 1) * S)
        for i in range(30)
    ]
    long = PhaseSpan(name="the long one", begin_ns=BEGAN + 30 * S, end_ns=BEGAN + 60 * S)
    plot = draw(msgspec.structs.replace(full, phases=[*crowd, long]))["throughput"]
    assert "the long one" in words(plot)
    assert words(plot).count("phase number") < 10


def test_what_gradsoak_asks_of_the_app_at_the_end_is_no_memory_of_the_app(full: RunData) -> None:
    last = full.target[-1]
    greedy = msgspec.structs.replace(last, time_ns=last.time_ns + 2 * S, rss_bytes=9 * last.rss_bytes)
    phases = [
        *full.phases,
        PhaseSpan(name="explain", begin_ns=last.time_ns + S, end_ns=last.time_ns + 3 * S),
    ]
    asked = msgspec.structs.replace(full, target=[*full.target, greedy], phases=phases)
    analysis = analyse(asked)
    assert analysis.server.rss_high_water_bytes == analyse(full).server.rss_high_water_bytes
    before, after = (
        next(plot for plot in draw_all(data, analyse(data)) if plot.name == "memory-over-time")
        for data in (full, asked)
    )
    highest = re.search(r"highest .* at ([^,]+),", before.alt)
    assert highest is not None
    assert f"at {highest[1]}," in after.alt
    assert "explain is left out" in after.caption
    assert "explain" not in before.caption


def test_memory_of_the_app_before_its_restart_is_not_joined_with_that_after(full: RunData) -> None:
    times, values = interrupt([1.0, 2.0, 5.0], [10.0, 11.0, 3.0], at_s=4.5)
    assert (times[:2], times[3:], values[:2], values[3:]) == ([1.0, 2.0], [5.0], [10.0, 11.0], [3.0])
    assert math.isnan(times[2])
    assert math.isnan(values[2])
    # So the line is drawn in two pieces.
    phases = [*full.phases, PhaseSpan(name="restart", begin_ns=BEGAN + 8 * S, end_ns=BEGAN + 12 * S)]
    pieces = []
    for data in (full, msgspec.structs.replace(full, phases=phases)):
        paths = re.findall(
            rf'<path d="([^"]*)"[^>]*stroke: {FIRST}', draw(data)["memory-over-time"].svg.decode()
        )
        pieces.append(max(path.count("M") for path in paths))
    assert pieces == [1, 2]


def test_thinning_keeps_the_ends_and_the_extremes() -> None:
    values = [float(i % 50) for i in range(10_000)]
    values[4_321] = 1e6
    values[7_777] = -1e6
    times, kept = thin(list(range(10_000)), values)
    assert len(times) <= 802
    assert (times[0], times[-1]) == (0, 9_999)
    assert {1e6, -1e6} <= set(kept)
    assert thin([1, 2], [3, 4]) == ([1, 2], [3, 4])
