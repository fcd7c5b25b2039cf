"""Robust straight lines.

Theil–Sen: the slope is the median of the slopes of all pairs of points; the interval is Sen's, from the distribution of
Kendall's tau. One plateau that was measured while something else happened does not move it.

Sources: Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968); `scipy.stats.theilslopes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

CONFIDENCE = 0.95
# With four points, Sen's 95 % interval would need an order statistic that does not exist.
MIN_POINTS = 5


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A slope with its 95 % interval, in units of y per unit of x.

    Attributes:
        intercept: y at x = 0, for drawing.
        points: how many points it rests on.
    """

    estimate: float
    low: float
    high: float
    intercept: float
    points: int


def theil_sen(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """Fit a line; None with fewer than five points, or without two different x."""
    if len(x) < MIN_POINTS or len(set(x)) < 2:
        return None
    from scipy import stats  # takes most of a second to import, which `gradsoak --help` need not wait for

    fit = stats.theilslopes(y, x, alpha=CONFIDENCE)
    return Line(
        estimate=float(fit.slope),
        low=float(fit.low_slope),
        high=float(fit.high_slope),
        intercept=float(fit.intercept),
        points=len(x),
    )
