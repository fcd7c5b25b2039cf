"""Figures: what was measured, against which bar; and the few statistics that they are made with."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from scipy import stats


class NotMeasured(Exception):
    """A figure could not be taken; the text says why."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line decides.

    Attributes:
        rounds: how often contenders take turns.
        users: how many call at once where that is not given by the figure.
        seconds: length of one turn of the load generator.
        sessions: how many are open at once in the figure of that name.
        calls: single calls per side for the latency.
        idle_sessions: how many are open at the last step of the memory staircase.
        operations: of the longest history that is checked.
        scratch: folder for what is made on the way.
    """

    rounds: int
    users: int
    seconds: float
    sessions: int
    calls: int
    idle_sessions: int
    operations: int
    scratch: Path


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    Attributes:
        value: None if it could not be measured; then `reason` says why.
        low, high: the spread of the rounds, or the interval of a slope.
        spread: what `low` and `high` are.
        direction: whether the bar is the most or the least that the value may be.
        detail: everything that the value was computed from.
    """

    name: str
    unit: str
    bar: float
    direction: Literal["at most", "at least"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    spread: str = ""
    reason: str = ""
    detail: dict[str, Any] = {}

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None if nothing was measured."""
        if self.value is None:
            return None
        return self.value <= self.bar if self.direction == "at most" else self.value >= self.bar


def middle(values: Sequence[float]) -> dict[str, float]:
    """Median and range of what rounds gave, as the fields of a figure."""
    return {"value": statistics.median(values), "low": min(values), "high": max(values)}


def slope(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """Theil–Sen slope with its 95 % interval (Sen 1968; `scipy.stats.theilslopes`), as the fields of a figure."""
    if len(set(x)) < 2:
        raise NotMeasured("a slope needs at least two steps")
    estimate, _, low, high = stats.theilslopes(y, x, 0.95)
    return {"value": float(estimate), "low": float(low), "high": float(high)}


def percentile(values: Sequence[float], share: float) -> float:
    """Linear interpolation between order statistics."""
    return float(np.percentile(values, 100 * share))


def significant(value: float) -> str:
    """Three significant digits, no exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:,.{digits}f}"
