"""The plots of response times and throughput."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
import pytest

from harness.analysis import analyse
from harness.analysis.latency.figures import Latency
from harness.history import History, InMemoryHistory
from harness.recorded_run import RecordedRun
from harness.records import Operation
from harness.report.response_times import ranked
from tests.unit.report.builders import (
    generator_samples,
    manifest,
    operation,
    with_latency,
)
from tests.unit.report.plotted import draw_one, words


@pytest.mark.parametrize("outcome", ["fail", "info", "pending"])
def test_what_did_not_end_as_ok_is_shown(full: RecordedRun, outcome: str) -> None:
    history = History(operations=[operation(1, 6.0), operation(2, 7.0, outcome=outcome)], problems=[])
    plot = draw_one(msgspec.structs.replace(full, recorded=InMemoryHistory(history)), "throughput")
    assert "fail, info or pending" in words(plot)
    assert "1 operation did not end as ok." in plot.alt


def test_latency_is_logarithmic_only_where_it_must_be(full: RecordedRun) -> None:
    near = {"a": Latency(p50=10, p95=20, p99=30, count=9)}
    far = near | {"b": Latency(p50=1_000, p95=5_000, p99=9_000, count=9)}
    plots = [draw_one(full, "latency", with_latency(full, figures)) for figures in (near, far)]
    assert ["logarithmic" in words(plot) for plot in plots] == [False, True]


def test_zero_latency_and_many_actions_and_odd_names(full: RecordedRun) -> None:
    odd = {f"action {i} \x07$x_{i}$ & <" + "y" * 40: Latency(p50=0, p95=0, p99=0, count=1) for i in range(25)}
    plot = draw_one(full, "latency", with_latency(full, odd))
    ET.fromstring(plot.svg)
    assert "$x_3$" in words(plot)


def test_the_parts_of_the_time_are_drawn_in_order_and_add_up(full: RecordedRun) -> None:
    plot = draw_one(full, "stages")
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


def _clicks(data: RecordedRun) -> list[Operation]:
    begin, end = data.timed_window() or (0, 0)
    return [
        o
        for o in data.history.operations
        if o.action == "click" and begin <= o.invoke_ns and (o.complete_ns or 0) <= end
    ]


def test_an_open_model_shows_five_parts_with_room_for_their_names(full: RecordedRun) -> None:
    profile = msgspec.structs.replace(full.manifest.profile, arrival_rate=10.0)
    late = [
        msgspec.structs.replace(o, intended_ns=o.invoke_ns - 300_000_000) if o.intended_ns else o
        for o in full.history.operations
    ]
    plot = draw_one(
        msgspec.structs.replace(
            full,
            manifest=manifest(profile=profile),
            recorded=InMemoryHistory(History(operations=late, problems=[])),
        ),
        "stages",
    )
    for part in ("page not ready", "generator late", "accept", "queue wait", "service"):
        assert part in words(plot)


@pytest.mark.parametrize("name", ["latency", "stages", "throughput"])
def test_every_plot_of_times_has_a_caution_if_the_generator_was_the_bottleneck(
    full: RecordedRun, name: str
) -> None:
    slow = msgspec.structs.replace(full, generator={"0": generator_samples(5, 25, lag_ms=400)})
    assert "Caution" in draw_one(slow, name).caption
    assert "Caution" in draw_one(msgspec.structs.replace(full, generator={}), name).caption
    assert "Caution" not in draw_one(full, name).caption


def test_actions_of_the_workload_come_first_and_the_slowest_of_them_at_the_top() -> None:
    def latency(p95: float) -> Latency:
        return Latency(p50=1, p95=p95, p99=99, count=1)

    figures = {"open": latency(90), "quick": latency(5), "slow": latency(50), "reload": latency(95)}
    assert [name for name, _ in ranked(figures)] == ["slow", "quick", "reload", "open"]
