from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.theil_sen import theil_sen

POINTS = st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=5, max_size=12)


@given(POINTS, st.integers(-(10**6), 10**6), st.integers(1, 1000))
def test_scaling_scales_the_slope_and_shifting_keeps_it(values: list[float], shift: int, scale: int) -> None:
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


def test_the_interval_covers_the_true_slope_as_often_as_stated() -> None:
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


NOISE: dict[str, Callable[[random.Random, int], list[float]]] = {
    "measured": lambda rng, n: [rng.gauss(0, 1) for _ in range(n)],
    "kept": lambda rng, n: list(itertools.accumulate(rng.gauss(0, 1) for _ in range(n))),
    "outlier": lambda rng, n: [rng.gauss(0, 1) + 10 * (i == n // 2) for i in range(n)],
    "warming-up": lambda rng, n: [rng.gauss(0, 0.3) - 2 * math.exp(-i) for i in range(n)],
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("points", [5, 7, 13])
def test_the_interval_covers_the_true_slope_under_any_kind_of_noise(points: int, noise: str) -> None:
    """Noise that is measured once, and noise that stays for all later plateaus; Sen's interval covers half of the latter."""
    rng = random.Random(points)
    x = [8.0 * i for i in range(points)]
    covered = 0
    for _ in range(300):
        disturbance = NOISE[noise](rng, points)
        line = theil_sen(x, [1e8 + 65_000 * at + 50_000 * e for at, e in zip(x, disturbance, strict=True)])
        assert line is not None
        covered += line.low <= 65_000 <= line.high
    assert covered >= 0.9 * 300, covered


def test_plateaus_without_noise_give_a_narrow_interval() -> None:
    line = theil_sen([0, 8, 16, 24, 32], [5.0, 13.0, 21.0, 29.0, 37.0])
    assert line is not None
    assert (line.estimate, line.low, line.high) == (1.0, 1.0, 1.0)


def test_the_same_plateaus_give_the_same_interval() -> None:
    x, y = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 2.0, 1.0, 5.0, 3.0, 7.0]
    assert theil_sen(x, y) == theil_sen(x, y)


def test_steps_without_new_sessions_do_no_harm() -> None:
    line = theil_sen([0, 8, 8, 16, 24, 32], [0.0, 8.0, 8.5, 16.0, 24.0, 32.0])
    assert line is not None
    assert line.low <= 1 <= line.high


@pytest.mark.parametrize("state_bytes", [1_000, 10_000, 100_000, 1_000_000, 10_000_000])
def test_the_cost_of_a_session_of_known_size_is_found(state_bytes: int) -> None:
    """Thirty simulated staircases over a floor of 65 KB, with noise as it was seen: a twentieth of the floor that stays, from one
    step to the next, and a tenth of a step that a plateau happens to hold when it is measured."""
    truth = 65_000 + state_bytes
    covered = near = 0
    for seed in range(30):
        rng = random.Random(seed)
        live, y = 1.3e8, []
        for _ in range(7):
            y.append(live + rng.gauss(0, 0.1 * 65_000))
            live += 8 * truth + rng.gauss(0, 0.05 * 8 * 65_000)
        line = theil_sen([8.0 * i for i in range(7)], y)
        assert line is not None
        covered += line.low <= truth <= line.high
        near += abs(line.estimate - truth) <= 0.03 * truth
    assert covered >= 27, covered
    assert near >= 24, near
