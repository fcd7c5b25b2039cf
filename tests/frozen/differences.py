"""Differences between two JSON values, each with its path."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

_ABSENT = object()
# Floats pass through numpy, whose sums may end differently in the last bits on another processor.
RELATIVE_TOLERANCE = 1e-9


class Difference(NamedTuple):
    """One place at which two JSON values differ.

    Attributes:
        path: keys and positions that lead there, for example `checks.checks[3].verdict`.
        only_text: True if both values are sentences: strings with a space in them.
    """

    path: str
    old: Any
    new: Any
    only_text: bool

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.old)} → {_shown(self.new)}"


def differences(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """Every place at which two JSON values differ. Floats may differ by `RELATIVE_TOLERANCE`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{path}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list):
        for n in range(max(len(old), len(new))):
            yield from differences(
                *(side[n] if n < len(side) else _ABSENT for side in (old, new)), f"{path}[{n}]"
            )
    elif not _same(old, new):
        yield Difference(path, old, new, _is_sentence(old) and _is_sentence(new))


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=RELATIVE_TOLERANCE)
    return type(old) is type(new) and bool(old == new)


def _is_sentence(value: Any) -> bool:
    return isinstance(value, str) and " " in value


def _shown(value: Any) -> str:
    return "(absent)" if value is _ABSENT else repr(value)[:200]
