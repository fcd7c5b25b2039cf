"""What the absence of anomalies says: how rare must a fault be to have been missed?"""

from __future__ import annotations

import math

# How certain "would have been found" is.
CERTAINTY = 0.95
# With fewer operations than would show a fault that strikes every tenth time, nothing is worth saying.
_LEAST = 10


def rarest_found(operations: int, certainty: float = CERTAINTY) -> int | None:
    """The rarest fault that so many operations without an anomaly rule out, once in how many operations; None if too few.

    The largest m with 1 - (1 - 1/m)^n >= certainty; for 95 % close to n / 3, the "rule of three" (Hanley & Lippman-Hand, "If
    nothing goes wrong, is everything all right?", JAMA 249:1743, 1983). It is assumed that the fault strikes
    independently of what happened before, and that it shows when it strikes.

    Args:
        operations: that would have shown it.
        certainty: between 0 and 1.
    """
    if operations < 1:
        return None
    once_in = math.floor(-1 / math.expm1(math.log1p(-certainty) / operations))
    return once_in if once_in >= _LEAST else None
