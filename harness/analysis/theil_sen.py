"""Robust straight lines.

The slope is the median of the slopes of all pairs of points (Theil–Sen), so one disturbed plateau does not move it.

Its interval is a bootstrap over the steps from one plateau to the next: the steps are resampled, joined to a new series, and fitted
again. A disturbance in a real app (a table that has grown, a block that cannot be returned) stays for all later plateaus. So the
steps are independent and alike, the residuals are not. Sen's own interval, which scipy computes, assumes independent residuals; on
such series it covers the true slope about half as often as it should.

The percentiles of a bootstrap over few steps are too narrow. They are widened by Student's t and Bessel's correction.

Sources: Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968); Efron and Tibshirani, "An
Introduction to the Bootstrap" (1993), chapters 12 and 13. Its coverage is counted in tests/property/test_statistics.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
# The scatter of fewer points is unknown.
MIN_POINTS = 5
_RESAMPLES = 1000
# Fixed, so that the same plateaus always give the same interval.
_SEED = 20
_Floats = npt.NDArray[np.float64]


class Slope(msgspec.Struct, frozen=True, kw_only=True):
    """A slope with its 95 % interval, in units of y per unit of x.

    Attributes:
        estimate: the slope.
        low, high: ends of its 95 % interval.
        intercept: y at x = 0, for plots.
        points: number of points.
    """

    estimate: float
    low: float
    high: float
    intercept: float
    points: int


def theil_sen(x: Sequence[float], y: Sequence[float]) -> Slope | None:
    """Return the slope of y over x; None with fewer than five points, or if all x are equal.

    Args:
        x: in the order of measurement.
        y: as many values.
    """
    if len(x) < MIN_POINTS or len(set(x)) < 2:
        return None
    at, values = np.asarray(x, float), np.asarray(y, float)
    # Large values would lose digits in differences; the slope does not depend on the origin.
    values = values - values[0]
    estimate = float(_slopes(at, values)[()])
    low, high = _interval(at, values, estimate)
    return Slope(
        estimate=estimate,
        low=low,
        high=high,
        intercept=float(np.median(y) - estimate * np.median(at)),
        points=len(x),
    )


def _slopes(x: _Floats, y: _Floats) -> _Floats:
    """The median slope of all pairs of points, for each row of y."""
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] != x[first]
    first, second = first[apart], second[apart]
    rates: _Floats = (y[..., second] - y[..., first]) / (x[second] - x[first])
    return np.asarray(np.median(rates, axis=-1))


def _interval(x: _Floats, y: _Floats, estimate: float) -> tuple[float, float]:
    left = np.diff(y) - estimate * np.diff(x)
    drawn = left[_draws(len(left))]
    # The first value of each series is 0: an offset does not change its slope.
    deviations = _slopes(x, np.concatenate([np.zeros((len(drawn), 1)), np.cumsum(drawn, axis=1)], axis=1))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(deviations, [tail, 1 - tail])
    factor = _widening(len(left))
    return estimate + factor * min(0.0, float(low)), estimate + factor * max(0.0, float(high))


@cache
def _draws(steps: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(_SEED).integers(0, steps, (_RESAMPLES, steps))


@cache
def _widening(steps: int) -> float:
    # Imported here, since `gradsoak --help` need not wait for it. `scipy.stats` has the same functions, but takes most of a second.
    from scipy import special

    upper = 1 - (1 - CONFIDENCE) / 2
    student = special.stdtrit(steps - 1, upper) / special.ndtri(upper)
    return float(student) * math.sqrt(steps / (steps - 1))
