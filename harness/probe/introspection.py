"""Reads elements, attributes and sizes of objects. No code of the app runs, and the objects stay unchanged.

Since Python 3.11, most objects store their attributes inline. Reading `__dict__` then creates a dictionary that stays: an app
with a million small objects would grow by some sixty megabytes. So the garbage collector lists what an object refers to, and the
attributes are read by name, with the names known from other objects of the type. `__dict__` is read only if that leaves a
referent unexplained.
"""

from __future__ import annotations

import array
import collections
import gc
import io
import itertools
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# Of a container with more elements than this, a sample is read. If the sample has only plain values, the rest counts as plain.
SAMPLE_ABOVE = 512
SAMPLE = 128
PLAIN = (
    int,
    float,
    complex,
    bool,
    type(None),
    str,
    bytes,
    type(Ellipsis),
    type(NotImplemented),
    range,
    slice,
)
_TRIES = 3
_BARE = frozenset((*PLAIN, dict, list, tuple, set, frozenset, bytearray, memoryview, array.array, io.BytesIO))
_CONTAINERS = (dict, list, tuple, set, frozenset, collections.deque)
_flags = type.__dict__["__flags__"].__get__
_dict_offset = type.__dict__["__dictoffset__"].__get__
_COLLECTED = 1 << 14  # Py_TPFLAGS_HAVE_GC
# Py_TPFLAGS_MANAGED_DICT: attributes may stand in the object.
_MANAGED = 1 << 4 if sys.version_info >= (3, 11) else 0


def is_kind(thing: object, kind: type) -> bool:
    """`isinstance` without reading `__class__`, which may be code of the app."""
    return issubclass(type(thing), kind)


def module_of(kind: object) -> str:
    """Name of the module that defines a type; empty if it is not a text."""
    name = getattr(kind, "__module__", None)
    return name if isinstance(name, str) else ""


class _TypeLayout:
    """How objects of one type store their attributes.

    Attributes:
        names: attributes seen so far; None if reading one of them by name could run code of the app.
    """

    __slots__ = ("collected", "has_dict", "inherited", "managed", "names", "slots")

    def __init__(self, kind: type) -> None:
        flags = _flags(kind)
        self.has_dict = _dict_offset(kind) != 0
        self.managed = bool(flags & _MANAGED)
        self.collected = bool(flags & _COLLECTED)
        self.slots: list[tuple[str, types.MemberDescriptorType]] = []
        # Members of built-in types, which the collector lists elsewhere or not at all.
        self.inherited: list[tuple[str, types.MemberDescriptorType]] = []
        for base in kind.__mro__:
            slots = self.slots if "__slots__" in vars(base) else self.inherited
            for name, member in copy(vars(base)):
                if is_kind(member, types.MemberDescriptorType) and type(name) is str and name != "__dict__":
                    slots.append((name, member))
        self.names: dict[str, None] | None = {}


class Attributes:
    """Reads attributes of objects. What it learns about a type is used for further objects of that type."""

    def __init__(self) -> None:
        self._kinds: dict[type, _TypeLayout] = {}

    def of(self, thing: object) -> list[tuple[str, object]]:
        """Names and values of an object's attributes, slots included."""
        kind = type(thing)
        if kind in _BARE:
            return []
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = _TypeLayout(kind)
        slots = list(_slot_values(thing, known.slots))
        members = [*slots, *_slot_values(thing, known.inherited)] if known.inherited else slots
        if not known.has_dict:
            return members
        if not known.collected:
            return _items(thing) + members
        referents = gc.get_referents(thing)
        # The order is: slots and attributes, or their dictionary; the type; then the parts of the built-in base type, such as the
        # elements of a list. For an exception, the dictionary is among the latter.
        own = list(itertools.takewhile(lambda part: part is not kind, referents))
        if known.managed:
            return self._managed(thing, known, own, slots) + members
        searched = own if issubclass(kind, _CONTAINERS) else referents
        known_parts = {id(value) for _, value in members}
        has_items = any(is_kind(part, dict) and id(part) not in known_parts for part in searched)
        return (_items(thing) if has_items else []) + members

    def _managed(
        self, thing: object, known: _TypeLayout, own: list[object], slots: list[tuple[str, object]]
    ) -> list[tuple[str, object]]:
        if len(own) == len(slots):
            return []
        if known.names is not None:
            found = []
            for name in known.names:
                try:
                    found.append((name, object.__getattribute__(thing, name)))
                except AttributeError:
                    continue
            if len(found) + len(slots) == len(own):
                explained = {id(value) for _, value in itertools.chain(found, slots)}
                if all(id(part) in explained for part in own):
                    return found
        items = _items(thing)
        if known.names is not None:
            new = [name for name, _ in items if name not in known.names]
            if any(_answered_by_class(type(thing), name) for name in new):
                known.names = None
            else:
                known.names.update(dict.fromkeys(new))  # in their order, which decides what is found first
        return items


def _answered_by_class(kind: type, name: str) -> bool:
    """Whether reading an attribute of that name could run code of the class."""
    for base in kind.__mro__:
        inside = vars(base)
        if name in inside:
            return any("__get__" in vars(k) or "__set__" in vars(k) for k in type(inside[name]).__mro__)
    return False


def _items(thing: object) -> list[tuple[str, object]]:
    try:
        found = object.__getattribute__(thing, "__dict__")
    except (AttributeError, TypeError):
        return []
    if not is_kind(found, dict):
        return []
    return [(name, value) for name, value in copy(found) if type(name) is str]


def function_attributes(function: types.FunctionType) -> list[tuple[Any, Any]]:
    """The attributes of a function. `__dict__` is read only if the function has one already."""
    others = {
        id(function.__globals__),
        id(function.__kwdefaults__),
        id(getattr(function, "__builtins__", None)),
    }
    if any(type(part) is dict and id(part) not in others for part in gc.get_referents(function)):
        return copy(function.__dict__)
    return []


def _slot_values(
    thing: object, slots: list[tuple[str, types.MemberDescriptorType]]
) -> Iterator[tuple[str, object]]:
    for name, member in slots:
        try:
            yield name, member.__get__(thing, type(thing))
        except (AttributeError, TypeError):  # an empty slot
            continue


def copy(mapping: Any) -> list[tuple[Any, Any]]:
    """Keys and values of a mapping that other threads may change."""
    items = dict.items if issubclass(type(mapping), dict) else type(mapping).items
    return retried(lambda: list(items(mapping)))


def retried(make: Callable[[], list[Any]]) -> list[Any]:
    """A copy of something that other threads may change; empty after a few failed attempts."""
    for _ in range(_TRIES):
        try:
            return make()
        except RuntimeError:
            continue
    return []


def sampled(make: Callable[[], Iterable[Any]], length: int) -> list[Any]:
    """All elements, or a sample spread evenly over them if there are many."""
    if length <= SAMPLE_ABOVE:
        return retried(lambda: list(make()))
    return retried(lambda: list(itertools.islice(make(), 0, None, length // SAMPLE)))


def size_of(thing: object) -> int:
    """Bytes of an object itself. A `__sizeof__` written in Python is not called: it is code of the app."""
    kind = type(thing)
    try:
        if kind in _BARE:
            return sys.getsizeof(thing)
        if own_size(kind):
            return int(object.__sizeof__(thing))
        return sys.getsizeof(thing, 0)
    except Exception:
        return 0


def own_size(kind: type) -> bool:
    """Whether a type has a `__sizeof__` written in Python."""
    for base in kind.__mro__:
        found = vars(base).get("__sizeof__")
        if found is not None:
            return not is_kind(found, types.MethodDescriptorType)
    return False
