"""Reads of long lists, recorded as the difference from the read before. Pure.

A chat of a thousand turns is read a thousand times, and each reading holds the one before. Written out in full, the history
would grow with the square of the turns. So a reading of a list may be recorded as the difference to the previous reading of
the same variable in the same session, from which it is restored without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from harness.records import ListDelta

# A list with fewer common elements is recorded in full, which is easier to read and hardly longer.
MIN_KEPT = 8
# Equal values of these types have the same JSON, and they are immutable.
_PLAIN = {str, int, type(None)}


class Shortener:
    """The last read of each list of one session, when recording."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        # Variable → the operation that read it, and what it read, frozen.
        self._last: dict[str, tuple[int, list[Any]]] = {}

    def shorten(
        self, operation: int, reads: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, ListDelta]]:
        """Divide the reads of an operation into those recorded in full and those recorded as a difference.

        Args:
            operation: its number, unique within the worker.
            reads: state variable → the value observed.

        Returns:
            State variable → value, and state variable → difference; no variable is in both.
        """
        whole: dict[str, Any] = {}
        deltas: dict[str, ListDelta] = {}
        for variable, value in reads.items():
            if not isinstance(value, list):
                whole[variable] = value
                continue
            now = frozen(value)
            since, before = self._last.get(variable, (0, []))
            delta = _difference(since, before, now, value)
            if delta is None:
                whole[variable] = value
            else:
                deltas[variable] = delta
            self._last[variable] = operation, now
        return whole, deltas


class Restorer:
    """The last read of each list of one session, when reading the record."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        # Variable → the operation that read it, and what it read.
        self._last: dict[str, tuple[int, list[Any]]] = {}

    def restore(
        self, operation: int, reads: Mapping[str, Any], deltas: Mapping[str, ListDelta]
    ) -> tuple[dict[str, Any], list[str]]:
        """Restore the reads of an operation; the inverse of `Shortener.shorten`.

        Args:
            operation: its number.
            reads: what was recorded as it is.
            deltas: what was recorded as a difference.

        Returns:
            State variable → value, and the variables that could not be restored, since the reading that the difference
            refers to is not the last one on record.
        """
        values = dict(reads)
        lost = []
        for variable, delta in deltas.items():
            since, before = self._last.pop(variable, (0, []))
            if since == delta.since and 0 <= delta.start <= delta.start + delta.keep <= len(before):
                values[variable] = [*before[delta.start : delta.start + delta.keep], *delta.then]
            else:
                lost.append(variable)
        for variable, value in values.items():
            if isinstance(value, list):
                self._last[variable] = operation, value
        return values, lost


def frozen(value: list[Any]) -> list[Any]:
    """A copy of a list, whose elements are equal only if their records are. Later changes of the original do not affect it.

    1, 1.0 and true are equal in Python, and a dict may be changed after it was read; so all but texts, whole numbers and
    nothing is kept as the JSON that it becomes.
    """
    if set(map(type, value)) <= _PLAIN:
        return list(value)
    return [element if type(element) in _PLAIN else msgspec.json.encode(element) for element in value]


def _difference(since: int, before: list[Any], now: list[Any], value: list[Any]) -> ListDelta | None:
    """The difference of a list from the one before; None if they have too few elements in common.

    What stays is one stretch: all of the list before, as in a history that grows, or its end, as in one that keeps the last few.

    Args:
        since: the operation that read the list before.
        before: what it read, frozen.
        now: what is read now, frozen.
        value: the same as it is.
    """
    if len(before) < MIN_KEPT or len(now) < MIN_KEPT or now[0] not in before:
        return None
    start = before.index(now[0])
    keep = min(len(before) - start, len(now))
    if before[start : start + keep] != now[:keep]:
        keep = next(n for n in range(keep) if before[start + n] != now[n])
    return ListDelta(since=since, start=start, keep=keep, then=value[keep:]) if keep >= MIN_KEPT else None
