"""The plots of memory."""

from __future__ import annotations

import math
import re

import msgspec

from harness.analysis import analyse
from harness.history import PhaseSpan
from harness.recorded_run import RecordedRun
from harness.report.plot_style import FIRST
from harness.report.time_axis import interrupt
from tests.unit.report.builders import (
    BEGAN,
    S,
    plateau,
    process_sample,
)
from tests.unit.report.plotted import draw, draw_one, words


def test_what_the_platform_does_not_tell_is_left_out(full: RecordedRun) -> None:
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
    assert "could not be measured" in words(draw_one(nothing, "memory-per-session"))


def test_too_few_plateaus_are_points_without_a_slope(full: RecordedRun) -> None:
    few = msgspec.structs.replace(full, plateaus=full.plateaus[:1])
    assert "no slope" in words(draw_one(few, "memory-per-session"))


def test_what_gradsoak_asks_of_the_app_at_the_end_is_no_memory_of_the_app(full: RecordedRun) -> None:
    last = full.target[-1]
    greedy = msgspec.structs.replace(last, time_ns=last.time_ns + 2 * S, rss_bytes=9 * last.rss_bytes)
    phases = [
        *full.phases,
        PhaseSpan(name="explain", begin_ns=last.time_ns + S, end_ns=last.time_ns + 3 * S),
    ]
    asked = msgspec.structs.replace(full, target=[*full.target, greedy], phases=phases)
    analysis = analyse(asked)
    assert analysis.server.rss_high_water_bytes == analyse(full).server.rss_high_water_bytes
    before, after = (draw_one(data, "memory-over-time") for data in (full, asked))
    highest = re.search(r"highest .* at ([^,]+),", before.alt)
    assert highest is not None
    assert f"at {highest[1]}," in after.alt
    assert "The end of the run is left out" in after.caption
    assert "explain" not in before.caption


def test_memory_of_the_app_before_its_restart_is_not_joined_with_that_after(full: RecordedRun) -> None:
    times, values = interrupt([1.0, 2.0, 5.0], [10.0, 11.0, 3.0], at_s=4.5)
    assert (times[:2], times[3:], values[:2], values[3:]) == ([1.0, 2.0], [5.0], [10.0, 11.0], [3.0])
    assert math.isnan(times[2])
    assert math.isnan(values[2])
    # So the line is drawn in two pieces.
    phases = [*full.phases, PhaseSpan(name="restart", begin_ns=BEGAN + 8 * S, end_ns=BEGAN + 12 * S)]
    pieces = []
    for data in (full, msgspec.structs.replace(full, phases=phases)):
        paths = re.findall(
            rf'<path d="([^"]*)"[^>]*stroke: {FIRST}', draw_one(data, "memory-over-time").svg.decode()
        )
        pieces.append(max(path.count("M") for path in paths))
    assert pieces == [1, 2]
