"""Records reads of long lists as differences, and restores them. Pure.

A chat of a thousand turns is read a thousand times, and each read contains the one before. Recorded whole, the history would
grow with the square of the turns. So a read of a list may be recorded as the difference to the previous read of the same
variable in the same session. The list is restored from it without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from harness.records import ListDelta

# With fewer elements in common, a list is recorded whole: that is easier to read, and hardly longer.
MIN_KEPT = 8
# Equal values of these types have the same JSON, and such a value cannot change later.
_PLAIN = {str, int, type(None)}


class Shortener:
    """Shortens the reads of one session for the record. Keeps the last read of each list."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        # Variable → number of the operation that read it last, and the list, frozen.
        self._last: dict[str, tuple[int, list[Any]]] = {}

    def shorten(
        self, operation: int, reads: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, ListDelta]]:
        """Divide an operation's reads into those recorded whole and those recorded as a difference.

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
    """Restores the reads of one session from the record. Keeps the last read of each list."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        # Variable → number of the operation that read it last, and the list.
        self._last: dict[str, tuple[int, list[Any]]] = {}

    def restore(
        self, operation: int, reads: Mapping[str, Any], deltas: Mapping[str, ListDelta]
    ) -> tuple[dict[str, Any], list[str]]:
        """Restore an operation's reads; the opposite of `Shortener.shorten`.

        Args:
            operation: its number.
            reads: those recorded whole.
            deltas: those recorded as a difference.

        Returns:
            State variable → value, and the variables that could not be restored: the read that the difference refers to is
            not the last one on record, or does not have the kept elements.
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
    """Copy a list for later comparison: elements are equal only if they are recorded alike, and do not change with the originals.

    In Python, 1, 1.0 and True are equal, and a dict may change after it was read. So every element that is no str, int or None is
    kept as its JSON.
    """
    if set(map(type, value)) <= _PLAIN:
        return list(value)
    return [element if type(element) in _PLAIN else msgspec.json.encode(element) for element in value]


def _difference(since: int, before: list[Any], now: list[Any], value: list[Any]) -> ListDelta | None:
    """The difference between two reads of a list; None if they have too little in common.

    The kept elements are one stretch of the previous read. It is all of it in a history that grows, and its end in a history that
    keeps the last few elements.

    Args:
        since: number of the operation that made the previous read.
        before: the previous read, frozen.
        now: the present read, frozen.
        value: the present read.
    """
    if len(before) < MIN_KEPT or len(now) < MIN_KEPT or now[0] not in before:
        return None
    start = before.index(now[0])
    keep = min(len(before) - start, len(now))
    if before[start : start + keep] != now[:keep]:
        keep = next(n for n in range(keep) if before[start + n] != now[n])
    return ListDelta(since=since, start=start, keep=keep, then=value[keep:]) if keep >= MIN_KEPT else None
