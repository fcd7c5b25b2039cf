"""Retainer paths: the chain of references from a root to an object in words, and on to its heaviest part."""

from __future__ import annotations

import gc
import itertools
import types
from typing import Any

from . import object_types
from .heap_graph import ELEMENTS, LEAVES, Heap, Pinned
from .heap_roots import Locals, is_suspended, task_parts
from .introspection import Attributes, copy, function_attributes, is_kind, retried
from .path_walk import RECORD_KEYS, WORD
from .type_rules import LRU

# From a container on: steps of the chain, elements that are weighed at each step, and objects that are weighed below each.
_DEEPER = 4
_WEIGHED = 16
_WEIGHED_PARTS = 2_000
_UNKNOWN = ".?"


class Chains:
    """The chains of one walk. Objects that are held in the same way share a chain.

    Args:
        heap: the objects of the walk.
    """

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._attributes = Attributes()
        self._labels: dict[int, tuple[dict[int, str], str]] = {}
        # All chains as a tree: (number of the parent chain, text) ↔ number.
        self._chains: dict[tuple[int, str], int] = {}
        self._links: list[tuple[int, str]] = []
        self._chain_of: dict[int, int] = {}

    def chain_id(self, number: int) -> int:
        """Number of the chain from a root to an object. Objects held in the same way have the same number."""
        pending = []
        while number not in self._chain_of:
            pending.append(number)
            parent = self._heap.parents[number]
            if parent < 0:
                break
            number = parent
        for place in reversed(pending):
            self._chain_of[place] = self._link(place)
        return self._chain_of[pending[0] if pending else number]

    def chain(self, way: int) -> list[str]:
        """The steps of the chain with that number."""
        found = []
        while way >= 0:
            way, text = self._links[way]
            found.append(text)
        return found[::-1]

    def _link(self, number: int) -> int:
        parent = self._heap.parents[number]
        if parent < 0:
            return self._intern(-1, self._heap.roots[number])
        before = self._chain_of[parent]
        label = self._label(parent, number)
        if not label:  # an internal part of its parent, which is no step of its own
            return before
        text = f"{label}: {object_types.type_name(type(self._heap.objects[number]))}"
        # The next element of a linked list is the same step again.
        return before if self._links[before][1] == text else self._intern(before, text)

    def _intern(self, before: int, text: str) -> int:
        way = self._chains.get((before, text))
        if way is None:
            way = self._chains[before, text] = len(self._links)
            self._links.append((before, text))
        return way

    def _label(self, parent: int, number: int) -> str:
        known = self._labels.get(parent)
        if known is None:
            known = self._labels[parent] = self._labels_of(parent)
        labels, otherwise = known
        return labels.get(id(self._heap.objects[number]), otherwise)

    def _labels_of(self, number: int) -> tuple[dict[int, str], str]:
        """Id of a part → its label (empty if it is no step of its own); and the label of all other parts."""
        thing, parent = self._heap.objects[number], self._heap.parents[number]
        if parent < 0 and is_kind(thing, types.ModuleType):
            return {}, ""
        if parent < 0 and type(thing) is dict:
            return {id(value): f".{name}" for name, value in copy(thing)}, _UNKNOWN
        if parent < 0 and type(thing) is Locals:
            return {
                id(value): ".<local>" if name.isdigit() else f".<{name}>" for name, value in copy(thing)
            }, _UNKNOWN
        hidden = parent >= 0 and self._label(parent, number) == ""
        owner: Any = self._heap.objects[parent] if hidden else None
        if type(thing) is dict:
            if is_kind(owner, types.FunctionType) and thing is owner.__kwdefaults__:
                return {id(value): f"({name}=)" for name, value in copy(thing)}, _UNKNOWN
            if hidden:
                return {id(value): f".{name}" for name, value in copy(thing)}, _UNKNOWN
            return _entries(thing), "[*]"
        if type(thing) is tuple and is_kind(owner, types.FunctionType):
            if thing is owner.__closure__:
                return {id(cell): "" for cell in thing}, _UNKNOWN
            arguments = owner.__code__.co_varnames[: owner.__code__.co_argcount]
            return {
                id(v): f"({n}=)" for n, v in zip(arguments[len(arguments) - len(thing) :], thing)
            }, _UNKNOWN
        if type(thing) is types.CellType:
            return {}, self._cell_name(number, parent)
        return self._parts_of(thing)

    def _cell_name(self, number: int, closure: int) -> str:
        owner = self._heap.parents[closure] if closure >= 0 else -1
        function: Any = self._heap.objects[owner] if owner >= 0 else None
        if is_kind(function, types.FunctionType):
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
                if cell is self._heap.objects[number]:
                    return f".<{name}>"
        return ".<cell>"

    def _parts_of(self, thing: Any) -> tuple[dict[int, str], str]:
        if is_kind(thing, types.FunctionType):
            plumbing = [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
            if function_attributes(thing):
                plumbing.append(thing.__dict__)
            labels = {id(part): "" for part in plumbing if part is not None}
            return {
                **labels,
                id(thing.__code__): ".__code__",
                id(thing.__globals__): ".__globals__",
            }, _UNKNOWN
        if is_kind(thing, types.MethodType):
            return {id(thing.__self__): ".__self__", id(thing.__func__): ".__func__"}, _UNKNOWN
        if is_kind(thing, type):
            labels = {id(part): "" for part in gc.get_referents(thing) if type(part) is dict}
            return {**labels, id(thing.__mro__): ".__mro__", id(thing.__bases__): ".__bases__"}, _UNKNOWN
        labels = {}
        attributes = self._attributes.of(thing)
        for name, value in itertools.chain(task_parts(thing), attributes):
            labels.setdefault(id(value), f".{name}")
        if attributes:
            # The dictionary of its attributes, if it has one by now.
            for part in gc.get_referents(thing):
                if type(part) is dict and id(part) not in labels and _is_own(thing, part):
                    labels[id(part)] = ""
                    break
        elements = is_kind(thing, LRU) or any(is_kind(thing, kind) for kind in (dict, *ELEMENTS))
        return labels, "[*]" if elements else _UNKNOWN if not is_suspended(thing) else ".<local>"

    # --- onward ---

    def onward(self, number: int, pinned: Pinned) -> list[str]:
        """The steps from a container to the heaviest part that it pins."""
        thing, found = self._heap.objects[number], []
        seen = {id(thing)}
        weight = 0
        for _ in range(_DEEPER):
            parts = [(label, part) for label, part in self._weighable(thing) if id(part) not in seen]
            weights = [self._weight(part, pinned) for _, part in parts]
            heaviest = max(weights, default=0)
            # A part below a quarter of its holder does not explain the holder's weight.
            if not heaviest or 4 * heaviest < weight:
                break
            label, thing = parts[weights.index(heaviest)]
            weight = heaviest
            seen.add(id(thing))
            found.append(f"{label}: {object_types.type_name(type(thing))}")
            if type(thing) in LEAVES:
                break
        return found

    def _weighable(self, thing: Any) -> list[tuple[str, Any]]:
        """Some parts of an object, each with its label."""
        if is_kind(thing, types.FunctionType):
            cells = zip(thing.__code__.co_freevars, thing.__closure__ or ())
            return [(f".<{name}>", part) for name, cell in cells for part in gc.get_referents(cell)]
        found: list[tuple[str, Any]] = [(f".{name}", value) for name, value in self._attributes.of(thing)]
        if is_kind(thing, dict):
            names = _entries(thing)
            values = _spread(retried(lambda: list(dict.values(thing))))
            return found + [(names.get(id(value), "[*]"), value) for value in values]
        for kind in ELEMENTS:
            if is_kind(thing, kind):
                elements = _spread(retried(lambda kind=kind: list(kind.__iter__(thing))))  # type: ignore[misc]
                return found + [("[*]", element) for element in elements]
        if found:
            return found
        otherwise = "[*]" if is_kind(thing, LRU) else ".<local>" if is_suspended(thing) else _UNKNOWN
        return [(otherwise, part) for part in _spread(gc.get_referents(thing))]

    def _weight(self, thing: object, pinned: Pinned) -> int:
        """Pinned bytes of an object and everything below it; of a large one, of the visited part."""
        total, seen, pending = 0, {id(thing)}, [thing]
        while pending and len(seen) < _WEIGHED_PARTS:
            part = pending.pop()
            size = pinned.sizes.get(id(part))
            if size is None:
                continue
            total += size
            number = self._heap.numbers.get(id(part))
            if number is None or number in self._heap.plain_bytes:
                continue
            for other in gc.get_referents(part):
                if id(other) in pinned.sizes and id(other) not in seen:
                    seen.add(id(other))
                    pending.append(other)
        return total


def _is_own(thing: object, part: object) -> bool:
    try:
        return object.__getattribute__(thing, "__dict__") is part
    except (AttributeError, TypeError):
        return False


def _entries(thing: Any) -> dict[int, str]:
    """Id → label for keys and values of a small dict; a key that is a word is in the label. Empty for a large dict."""
    if dict.__len__(thing) > RECORD_KEYS:
        return {}
    found = {}
    for key, value in copy(thing):
        found[id(key)] = ".keys()[*]"
        found[id(value)] = f"[{key!r}]" if type(key) is str and WORD.match(key) else "[*]"
    return found


def _spread(parts: list[Any]) -> list[Any]:
    """A sample spread evenly over a list, its last element included."""
    if len(parts) <= _WEIGHED:
        return parts
    step = len(parts) / _WEIGHED
    return [parts[-1 - int(n * step)] for n in range(_WEIGHED)]
