"""Robust straight lines.

Theil–Sen: the slope is the median of the slopes of all pairs of points, so that one plateau that was measured while something
else happened does not move it. Its interval is a bootstrap over the steps from one plateau to the next: they are drawn anew,
put together again, and fitted again. What disturbs a plateau of a real app stays for the following ones (a table that has
grown, a block that cannot be returned), and so it is the steps that are alike and independent, and not what is left over at
each plateau; Sen's own interval assumes the latter, and covers half of the truths that it should where that is not so.

With few steps the percentiles of a bootstrap lie too near: they are widened as Student's t and Bessel's correction say.

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
# Of fewer points nobody can tell how much they scatter.
MIN_POINTS = 5
_RESAMPLES = 1000
# The same plateaus must always give the same interval.
_SEED = 20
_Floats = npt.NDArray[np.float64]


class Slope(msgspec.Struct, frozen=True, kw_only=True):
    """A slope with its 95 % interval, in units of y per unit of x.

    Attributes:
        estimate: the slope.
        low, high: ends of its 95 % interval.
        intercept: y at x = 0, for drawing.
        points: how many points it rests on.
    """

    estimate: float
    low: float
    high: float
    intercept: float
    points: int


def theil_sen(x: Sequence[float], y: Sequence[float]) -> Slope | None:
    """Fit a line; None with fewer than five points, or without two different x.

    Args:
        x: in the order in which the points were measured.
        y: as many.
    """
    if len(x) < MIN_POINTS or len(set(x)) < 2:
        return None
    at, values = np.asarray(x, float), np.asarray(y, float)
    # Far from zero the differences would be rounded off; the slope does not depend on where zero is.
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
    # What is common to all that is drawn moves only the line, not its slope.
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
    # Takes a while to import, which `gradsoak --help` need not wait for; `scipy.stats`, with the same functions, most of a second.
    from scipy import special

    upper = 1 - (1 - CONFIDENCE) / 2
    student = special.stdtrit(steps - 1, upper) / special.ndtri(upper)
    return float(student) * math.sqrt(steps / (steps - 1))
