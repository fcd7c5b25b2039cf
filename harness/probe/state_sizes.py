"""Sizes of the values in gr.State for each session, with everything they refer to."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
import types
from typing import Any

from . import gradio_state
from .introspection import PLAIN, SAMPLE_ABOVE, Attributes, copy, is_kind, retried, sampled, size_of
from .type_rules import SEQUENCES, SETS, how

MAX_SESSIONS = 1000
# Limits over all sessions: visited objects and seconds. Beyond them, the result is incomplete.
MAX_VISITED = 300_000
MAX_S = 2.0
_COLLECTIONS: tuple[Any, ...] = (*SEQUENCES, *SETS)
# Always in memory, whether or not a session refers to them.
_CONSTANTS = (type(None), bool, type(Ellipsis), type(NotImplemented))
_SMALL_INTS = range(-5, 257)


def state() -> dict[str, object] | None:
    """Sizes in bytes over the last used sessions that have values; None if the values cannot be read."""
    holders = gradio_state.state_holders()
    held = [getattr(holder, "session_data", None) for holder in holders]
    if not holders or not all(is_kind(sessions, dict) for sessions in held):
        return None
    found = [session for sessions in held for _, session in copy(sessions)]
    # Gradio keeps the last used session last.
    data = [getattr(session, "state_data", None) for session in found[: -MAX_SESSIONS - 1 : -1]]
    if not all(is_kind(values, dict) for values in data):
        return None
    account = Account()
    for values in data:
        if values:  # closed sessions have none any more
            account.add([value for _, value in copy(values)])
    return account.result()


class Account:
    """Deep sizes of the values of several owners, and what they share.

    A value is followed along its references, but not into modules, classes, the globals of a function, or Gradio's own objects.
    """

    def __init__(self) -> None:
        self._attributes = Attributes()
        self._ends: dict[type, bool] = {}
        # id → bytes, and id → owner; -1 for several owners. The objects are kept, so that their ids are not reused.
        self._sizes: dict[int, int] = {}
        self._owners: dict[int, int] = {}
        self._kept: list[object] = []
        self._of_owner: list[int] = []
        self._visited = 0
        self._deadline = time.monotonic() + MAX_S
        self.complete = True

    def add(self, values: list[object]) -> None:
        """Add the values of one more owner. Does nothing after a limit was reached."""
        number = len(self._of_owner)
        seen: set[int] = set()
        total = 0
        pending = values[::-1]
        while pending and self.complete:
            thing = pending.pop()
            if id(thing) in seen or self._is_end(type(thing)) or _is_constant(thing):
                continue
            seen.add(id(thing))
            self._visited += 1
            late = self._visited % 256 == 0 and time.monotonic() > self._deadline
            self.complete = self._visited < MAX_VISITED and not late
            size, parts = self._look_into(thing)
            total += size
            if self._owners.setdefault(id(thing), number) != number:
                self._owners[id(thing)] = -1
            if id(thing) not in self._sizes:
                self._sizes[id(thing)] = size
                self._kept.append(thing)
            pending += parts
        # An owner that was not finished is left out, unless it is the only one.
        if self.complete or not self._of_owner:
            self._of_owner.append(total)

    def result(self) -> dict[str, object]:
        """As in the record `StateSizes`."""
        return {
            "sessions": len(self._of_owner),
            "total_bytes": sum(self._sizes.values()),
            "shared_bytes": sum(self._sizes[key] for key, owner in self._owners.items() if owner == -1),
            "median_bytes": int(statistics.median(self._of_owner)) if self._of_owner else 0,
            "max_bytes": max(self._of_owner, default=0),
            "complete": self.complete,
        }

    def _is_end(self, kind: type) -> bool:
        known = self._ends.get(kind)
        if known is None:
            known = self._ends[kind] = how(kind) in ("ignore", "type")
        return known

    def _look_into(self, thing: Any) -> tuple[int, list[object]]:
        """Bytes of an object, including very many plain elements; and the other objects it refers to."""
        kind, size = type(thing), size_of(thing)
        if kind in PLAIN:
            return size, []
        if is_kind(thing, types.FunctionType):
            return size, list(thing.__closure__ or ())
        parts: list[object] = [value for _, value in self._attributes.of(thing)]
        if is_kind(thing, dict):
            length = dict.__len__(thing)
            items = sampled(lambda: dict.items(thing), length)
            if length > SAMPLE_ABOVE:
                keys, values = [key for key, _ in items], [value for _, value in items]
                if all(type(part) in PLAIN for part in (*keys, *values)):
                    return size + _scaled(keys, length) + _scaled(values, length), parts
                items = retried(lambda: list(dict.items(thing)))
            return size, parts + list(itertools.chain.from_iterable(items))
        base = next((one for one in _COLLECTIONS if is_kind(thing, one)), None)
        if base is not None:
            length = base.__len__(thing)
            elements = sampled(lambda: base.__iter__(thing), length)
            if length > SAMPLE_ABOVE:
                if all(type(element) in PLAIN for element in elements):
                    return size + _scaled(elements, length), parts
                elements = retried(lambda: list(base.__iter__(thing)))
            return size, parts + elements
        return size, parts or gc.get_referents(thing)


def _is_constant(thing: object) -> bool:
    kind = type(thing)
    return kind in _CONSTANTS or (kind is int and thing in _SMALL_INTS)


def _scaled(sample: list[object], length: int) -> int:
    """Bytes of very many plain values, from a sample. If the sample repeats few objects, the rest does, too."""
    own = [value for value in sample if not _is_constant(value)]
    different = {id(value): value for value in own}
    found = sum(map(size_of, different.values()))
    if len(different) * 2 < len(own):
        return found
    return found * length // max(1, len(sample))
