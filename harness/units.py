"""Figures as text: three significant digits, with units, thousands separated. Pure.

All units are decimal: 1 KB = 1000 bytes. The minus sign is − (U+2212). A missing figure is a dash (–), so that no table cell is
empty.
"""

from __future__ import annotations

import math
from typing import Protocol

MISSING = "–"
_BYTE_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB"))
# 999.5 of a unit would round to four digits, so from there on the next unit is used.
_ROUNDS_UP = 0.9995


class Estimated(Protocol):
    """An estimate with its interval: `harness.analysis.theil_sen.Slope`, `harness.records.Interval`."""

    @property
    def estimate(self) -> float:
        """The estimate."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""

    @property
    def high(self) -> float:
        """Upper end of the interval."""


def number(value: float) -> str:
    """Three significant digits: `4.87`, `13.9`, `608`, `12,956`."""
    if not math.isfinite(value):
        return MISSING
    size = abs(value)
    decimals = 2 if size < 9.995 else 1 if size < 99.95 else 0
    if size and size < 0.0995:
        decimals = min(2 - math.floor(math.log10(size)), 9)
    text = f"{value:,.{decimals}f}"
    if size < 9.995 and float(text.replace(",", "")) == 0:
        return "0"
    return text.replace("-", "−")


def count(value: float | None) -> str:
    """A whole number: `12,956`."""
    return MISSING if value is None else f"{round(value):,}".replace("-", "−")


def byte_size(value: float | None) -> str:
    """An amount of memory given in bytes: `512 B`, `71.5 KB`, `191 MB`."""
    if value is None or not math.isfinite(value):
        return MISSING
    scale, unit = _byte_unit(value)
    return f"{count(value)} B" if unit == "B" else f"{number(value / scale)} {unit}"


def byte_interval(line: Estimated | None) -> str:
    """The interval without its estimate, in the estimate's unit: `69.4–77.6 KB`, `−1.2 to 4.0 KB`."""
    if line is None:
        return MISSING
    return f"{_ends(line)} {_byte_unit(line.estimate)[1]}"


def bytes_with_interval(line: Estimated | None, per: str = "") -> str:
    """An estimate with its interval: `71.5 KB (69.4–77.6)`, or with `per`: `71.5 KB per session (69.4–77.6)`."""
    if line is None:
        return MISSING
    return f"{byte_size(line.estimate)}{' per ' + per if per else ''} ({_ends(line)})"


def milliseconds(value: float | None) -> str:
    """A latency given in milliseconds: `0.43 ms`, `13.9 ms`, `1.23 s`."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{number(value)} ms" if abs(value) < 999.5 else f"{number(value / 1000)} s"


def duration(seconds: float | None) -> str:
    """A duration: `340 ms`, `12.0 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if abs(seconds) < 0.9995:
        return milliseconds(seconds * 1000) if seconds else "0 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(round(whole / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def rate(per_second: float | None) -> str:
    """A throughput: `50.8/s`."""
    return MISSING if per_second is None else f"{number(per_second)}/s"


def share(value: float | None) -> str:
    """A share, given as 0 to 1, in percent: `12%`, `0.4%`."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"


def setting(value: float) -> str:
    """A figure that a user chose, with all its digits: `10`, `0.2`."""
    return f"{value:,.10g}".replace("-", "−")


def plural(value: int, one: str, many: str | None = None) -> str:
    """A count with its noun: `1 session`, `126 sessions`."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def clip(text: str, length: int) -> str:
    """A text of at most `length` characters; a cut is marked with `…`."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _byte_unit(value: float) -> tuple[float, str]:
    return next(
        ((scale, unit) for scale, unit in _BYTE_UNITS if abs(value) >= scale * _ROUNDS_UP), (1.0, "B")
    )


def _ends(line: Estimated) -> str:
    scale, unit = _byte_unit(line.estimate)
    show = count if unit == "B" else number
    # Between figures with a minus sign, a dash is hard to read.
    joint = " to " if line.low < 0 or line.high < 0 else "–"
    return f"{show(line.low / scale)}{joint}{show(line.high / scale)}"
