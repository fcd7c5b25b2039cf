from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.fit import theil_sen

POINTS = st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=5, max_size=12)


@given(POINTS, st.integers(-(10**6), 10**6), st.integers(1, 1000))
def test_scale_and_shift_move_the_slope_as_they_must(values: list[float], shift: int, scale: int) -> None:
    x = [float(i) for i in range(len(values))]
    plain = theil_sen(x, values)
    moved = theil_sen(x, [shift + scale * v for v in values])
    assert plain is not None
    assert moved is not None
    tolerance = 1e-6 * (abs(scale * plain.estimate) + abs(shift) + scale * 1e9) + 1e-6
    assert abs(moved.estimate - scale * plain.estimate) <= tolerance


@given(POINTS)
def test_the_estimate_lies_in_its_interval(values: list[float]) -> None:
    line = theil_sen([float(i) for i in range(len(values))], values)
    assert line is not None
    assert line.low <= line.estimate <= line.high


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Six plateaus with noise, a thousand times: a 95 % interval must cover the slope in at least 90 %."""
    rng = random.Random(20)
    covered = 0
    for _ in range(1000):
        x = [0.0, 8.0, 16.0, 24.0, 32.0, 40.0]
        y = [1e8 + 70_000 * n + rng.gauss(0, 100_000) for n in x]
        line = theil_sen(x, y)
        assert line is not None
        covered += line.low <= 70_000 <= line.high
    assert covered >= 900, covered
