"""Looking into objects: nothing of the app's own code runs for it, and they are left as they were.

The second is less easy than it seems. Since Python 3.11 the attributes of most objects stand in the object itself, and asking for
`__dict__` makes a dictionary that stays: an app with a million small objects would be some sixty megabytes larger for having
been looked at. So the garbage collector is asked what an object refers to, and its attributes are then asked for by name, with
the names that another object of its type has told. The dictionary is asked for only where that leaves something unexplained.
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

# Of a container with more elements than this, some are looked at. If they are plain values, so are the others.
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
    """`isinstance`, without asking the object itself: `__class__` may be the app's own code."""
    return issubclass(type(thing), kind)


def module_of(kind: object) -> str:
    """The module that defines a type; empty if it is not a text."""
    name = getattr(kind, "__module__", None)
    return name if isinstance(name, str) else ""


class _TypeLayout:
    """What is known of the objects of one type.

    Attributes:
        names: attributes that they have had; None if asking for one of them by name could run the app's code.
    """

    __slots__ = ("collected", "has_dict", "inherited", "managed", "names", "slots")

    def __init__(self, kind: type) -> None:
        flags = _flags(kind)
        self.has_dict = _dict_offset(kind) != 0
        self.managed = bool(flags & _MANAGED)
        self.collected = bool(flags & _COLLECTED)
        self.slots: list[tuple[str, types.MemberDescriptorType]] = []
        # Members of a built-in type: the collector finds those elsewhere, if at all.
        self.inherited: list[tuple[str, types.MemberDescriptorType]] = []
        for base in kind.__mro__:
            slots = self.slots if "__slots__" in vars(base) else self.inherited
            for name, member in copy(vars(base)):
                if is_kind(member, types.MemberDescriptorType) and type(name) is str and name != "__dict__":
                    slots.append((name, member))
        self.names: dict[str, None] | None = {}


class Attributes:
    """Attributes of objects, one type after another: what it learns of a type serves for the next object of it."""

    def __init__(self) -> None:
        self._kinds: dict[type, _TypeLayout] = {}

    def of(self, thing: object) -> list[tuple[str, object]]:
        """Names and values, those in slots included."""
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
        # First come slots and attributes, or their dictionary; then the type; then what belongs to the built-in type that it
        # is made from: the elements of a list, but of an exception its dictionary as well.
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
    """Whether asking an object for an attribute of that name could run something of its class."""
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
    """What was put down at a function; none is asked for its dictionary that has none yet."""
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
    """Keys and values of something that other threads may be changing."""
    items = dict.items if issubclass(type(mapping), dict) else type(mapping).items
    return retried(lambda: list(items(mapping)))


def retried(make: Callable[[], list[Any]]) -> list[Any]:
    """A copy of something that other threads may be changing; after a few attempts, nothing."""
    for _ in range(_TRIES):
        try:
            return make()
        except RuntimeError:
            continue
    return []


def sampled(make: Callable[[], Iterable[Any]], length: int) -> list[Any]:
    """All elements, or some that are spread evenly over them."""
    if length <= SAMPLE_ABOVE:
        return retried(lambda: list(make()))
    return retried(lambda: list(itertools.islice(make(), 0, None, length // SAMPLE)))


def size_of(thing: object) -> int:
    """Bytes of an object itself. A `__sizeof__` that is written in Python is not called: it is the app's own code."""
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
    """Whether the app's own code says how large objects of a type are."""
    for base in kind.__mro__:
        found = vars(base).get("__sizeof__")
        if found is not None:
            return not is_kind(found, types.MethodDescriptorType)
    return False
