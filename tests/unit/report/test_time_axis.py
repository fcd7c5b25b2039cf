"""The time axis of plots: names of phases, and lines of many samples."""

from __future__ import annotations

import itertools

import msgspec

from harness.history import PhaseSpan
from harness.recorded_run import RecordedRun
from harness.report.time_axis import spread, thin
from tests.unit.report.builders import (
    BEGAN,
    S,
)
from tests.unit.report.plotted import draw_one, words


def test_labels_are_spread_without_touching_and_stay_in_the_room() -> None:
    wanted, sizes = [10.0, 95.0, 97.0, 99.0], [20.0, 20.0, 30.0, 10.0]
    places = spread(wanted, sizes, (0.0, 110.0), 5.0)
    edges = [(place - size / 2, place + size / 2) for place, size in zip(places, sizes, strict=True)]
    assert all(right + 5.0 <= left + 1e-9 for (_, right), (left, _) in itertools.pairwise(edges))
    assert edges[0][0] >= 0
    assert edges[-1][1] <= 110 + 1e-9
    assert places[0] == 10.0
    assert spread([], [], (0, 1), 1) == []


def test_names_that_find_no_room_are_left_out_shortest_phase_first(full: RecordedRun) -> None:
    crowd = [
        PhaseSpan(name=f"phase number {i}", begin_ns=BEGAN + i * S, end_ns=BEGAN + (i + 1) * S)
        for i in range(30)
    ]
    long = PhaseSpan(name="the long one", begin_ns=BEGAN + 30 * S, end_ns=BEGAN + 60 * S)
    plot = draw_one(msgspec.structs.replace(full, phases=[*crowd, long]), "throughput")
    assert "the long one" in words(plot)
    assert words(plot).count("phase number") < 10


def test_thinning_keeps_the_ends_and_the_extremes() -> None:
    values = [float(i % 50) for i in range(10_000)]
    values[4_321] = 1e6
    values[7_777] = -1e6
    times, kept = thin(list(range(10_000)), values)
    assert len(times) <= 802
    assert (times[0], times[-1]) == (0, 9_999)
    assert {1e6, -1e6} <= set(kept)
    assert thin([1, 2], [3, 4]) == ([1, 2], [3, 4])
