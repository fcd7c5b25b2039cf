"""Why what grew is still there: how it is held, and what would be freed if it went.

One walk goes forward along all references that the garbage collector knows of, breadth first, from wide roots, and notes from
where it came to each object. That gives a short chain to everything, and a bound on what something pins: an object that
was reached without passing it is held without it. Of the others, the reference counts tell: an object to which more references
exist than those from among them is held by somebody else, and so is everything that it refers to. This is how CPython's own
collector finds what is unreachable, asked about a part of the heap.

Nothing of the app's own code runs. What is being built by another thread is not seen, since nothing that is seen refers to it.
The walk keeps what it has found alive until it ends, a few seconds at most.
"""

from __future__ import annotations

import array
import collections
import gc
import itertools
import re
import sys
import threading
import time
import types
from collections.abc import Iterable, Iterator
from typing import Any

from . import interpreter_stats, object_types
from .census import RECORD_KEYS, Census, Path, gradio_roots, handlers, user_modules
from .introspection import (
    PLAIN,
    SAMPLE,
    SAMPLE_ABOVE,
    Attributes,
    copy,
    function_attributes,
    is_kind,
    retried,
    sampled,
    size_of,
)
from .type_rules import LRU, SEQUENCES, SETS, is_end

MAX_TARGETS = 30
MAX_HOLDERS = 5
# Objects of which the walk knows from where it came to them.
MAX_OBJECTS = 1_000_000
# Seconds for all, and of these for the walk.
MAX_S = 5.0
MAX_WALK_S = 3.0
# Links of a chain that are shown: the first ones, and the last ones.
_FIRST, _LAST = 8, 6
# How far a chain goes on from a container to what it holds, how many elements are weighed at each step, and how far into them.
_DEEPER = 4
_WEIGHED = 16
_WEIGHED_PARTS = 2_000
_OURS = "_gradsoak_probe"
_WORD = re.compile(r"[A-Za-z_][A-Za-z_]{0,23}\Z")
_NUMBERS = re.compile(r"\d+")
_LEAVES = frozenset(PLAIN)
_PLAIN_CONTAINERS = frozenset((dict, list, tuple, set, frozenset, collections.deque))
_ELEMENTS: tuple[Any, ...] = (*SEQUENCES, *SETS)
_TASK_PARTS = ("_coro", "_context", "_fut_waiter", "_callbacks", "_result", "_exception")
_UNKNOWN = ".?"
_OPTIMIZED = 1  # inspect.CO_OPTIMIZED: the frame of a function
_LOCALS_NAMES = {"locals", "vars", "eval", "exec", "dir"}
# What everything is made of: worth a line only where nothing else grew.
_EVERYDAY = {"weakref.ReferenceType", "weakref.KeyedRef", "weakref.CallableProxyType", "weakref.ProxyType"}


class Container:
    """Containers at one access path that have more entries than at first."""

    __slots__ = ("before", "found", "numbers", "path")

    def __init__(self, path: Path, before: int, found: list[Any]) -> None:
        self.path = path
        self.before = before
        self.found = found
        self.numbers: list[int] = []


def explain(census: Census) -> dict[str, object]:
    """What has grown since the first census, and why it is there: `{"retainers": [...], "pause_ms": ...}`.

    Args:
        census: the one that has taken the first, and decides on the shape of paths.
    """
    began = time.perf_counter()
    found: list[dict[str, object]] = []
    if census.first_lengths or census.first_types:
        counted = object_types.count()
        grown = _grown_containers(census)
        found = Explanation(grown, grown_types(census.first_types, counted[0] if counted else {})).retainers()
    return {"retainers": found, "pause_ms": (time.perf_counter() - began) * 1000}


def _grown_containers(census: Census) -> list[Container]:
    """Those of which it is worth while to know more, those first that stand in no other, and by what their growth has added."""
    walk = census.walk(keep=True)
    assert walk.found is not None
    pinned, first = walk.pinned(), census.first_lengths
    grown = {
        path.text: Container(path, first.get(path.text, 0), walk.found[path.text])
        for path in walk.listed()
        if path.length > first.get(path.text, 0)
    }

    def order(container: Container) -> tuple[bool, float]:
        path = container.path
        above, inside = path.parent, False
        while above is not None and not inside:
            inside = above.text in grown
            above = above.parent
        return inside, -pinned[path.text] * (path.length - container.before) / path.length

    return sorted(grown.values(), key=order)[:MAX_TARGETS]


def grown_types(before: dict[str, int], now: dict[str, int]) -> list[tuple[str, int, int]]:
    """Name, objects before, objects now, of the types that grew most; built-in ones only where no other did."""
    grown = [
        (name, before.get(name, 0), number) for name, number in now.items() if number > before.get(name, 0)
    ]
    grown.sort(key=lambda row: (row[1] - row[2], row[0]))
    named = [row for row in grown if "." in row[0] and row[0] not in _EVERYDAY]
    return (named or grown)[:MAX_TARGETS]


class Explanation:
    """One walk over the heap, and what it tells of several targets.

    Args:
        containers: what grew, by access path. Their objects are let go of.
        types_: what grew, by type: name, objects before, objects now.
    """

    def __init__(self, containers: list[Container], types_: list[tuple[str, int, int]]) -> None:
        self._containers = containers
        self._types = types_
        self._heap = Heap(itertools.chain.from_iterable(c.found for c in containers))

    def retainers(self) -> list[dict[str, object]]:
        """As in the record `Retainer`."""
        heap, now = self._heap, time.monotonic()
        heap.walk(now + MAX_WALK_S)
        heap.deadline = now + MAX_S
        for container in self._containers:
            container.numbers = [
                heap.numbers[id(thing)] for thing in container.found if id(thing) in heap.numbers
            ]
            # References of ours would look like somebody's who holds it.
            container.found.clear()
        by_type = self._by_type()
        return [
            *map(self._of_container, self._containers),
            *(self._of_type(name, before, now, by_type.get(name, [])) for name, before, now in self._types),
        ]

    def _by_type(self) -> dict[str, list[int]]:
        wanted = {name for name, _, _ in self._types}
        names = {id(k): n for k in object_types.all_types() if (n := object_types.type_name(k)) in wanted}
        found: dict[str, list[int]] = {}
        for number, kind in enumerate(map(id, map(type, self._heap.objects))):
            if kind in names:
                found.setdefault(names[kind], []).append(number)
        return found

    def _of_container(self, container: Container) -> dict[str, object]:
        heap, path = self._heap, container.path
        pinned = heap.pinned_by(container.numbers) if container.numbers else None
        chain = _census_chain(path)
        if pinned is not None:
            chain += heap.onward(max(container.numbers, key=heap.length), pinned)
        return {
            "target": path.text,
            "of": "container",
            "before": container.before,
            "now": path.length,
            "holders": [{"chain": shortened(chain), "count": path.containers}],
            "pinned_bytes": pinned.bytes if pinned else None,
            "exact": heap.complete
            and len(container.numbers) == path.containers
            and bool(pinned and pinned.exact),
        }

    def _of_type(self, name: str, before: int, now: int, numbers: list[int]) -> dict[str, object]:
        heap = self._heap
        ways = collections.Counter(map(heap.chain_id, numbers))
        pinned = heap.pinned_by(numbers) if numbers else None
        return {
            "target": name,
            "of": "type",
            "before": before,
            "now": now,
            "holders": [
                {"chain": shortened(heap.chain(way)), "count": count}
                for way, count in ways.most_common(MAX_HOLDERS)
            ],
            "pinned_bytes": pinned.bytes if pinned else None,
            "exact": heap.complete and bool(pinned and pinned.exact),
        }


class Pinned:
    """What would be freed, as far as it was found.

    Attributes:
        sizes: id → bytes, of everything that would be.
        bytes: their sum.
        exact: whether all was looked at.
    """

    __slots__ = ("bytes", "exact", "sizes")

    def __init__(self, sizes: dict[int, int], exact: bool) -> None:
        self.sizes = sizes
        self.bytes = sum(sizes.values())
        self.exact = exact


class Heap:
    """The objects that can be reached from the roots, each with the one from which it was reached. Values without parts are left out.

    Args:
        wanted: objects that must be among them, also if they have no parts.

    Attributes:
        objects: in the order of being found.
        numbers: id → place in `objects`.
        complete: whether all were visited.
        deadline: monotonic seconds; what is asked later is answered roughly.
    """

    def __init__(self, wanted: Iterable[object] = ()) -> None:
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.complete = True
        self.deadline = float("inf")
        self._parents = array.array("l")
        # Those reached from one object stand one after another.
        self._reached: dict[int, tuple[int, int]] = {}
        self._roots: dict[int, str] = {}
        self._wanted = {id(thing) for thing in wanted}
        # Of containers with very many plain values: what these occupy.
        self._plain_bytes: dict[int, int] = {}
        self._attributes = Attributes()
        self._labels: dict[int, tuple[dict[int, str], str]] = {}
        # Chains as a tree: (the chain that goes before, text) ↔ number.
        self._chains: dict[tuple[int, str], int] = {}
        self._links: list[tuple[int, str]] = []
        self._chain_of: dict[int, int] = {}

    # --- the walk ---

    def walk(self, deadline: float, groups: Iterable[list[tuple[str, object]]] | None = None) -> None:
        """Visit everything, one group of roots after another: what several reach is told of the first.

        Args:
            deadline: monotonic seconds; then it ends early.
            groups: the roots, each with what it is called; default: of this process.
        """
        numbered: list[list[int]] = []
        # No root is reached from another.
        for group in roots() if groups is None else groups:
            numbered.append([])
            for label, thing in group:
                if id(thing) not in self.numbers:
                    self._roots[self._add(thing)] = label
                    numbered[-1].append(self.numbers[id(thing)])
        for thing in _ours():
            if id(thing) not in self.numbers:
                self._roots[self._add(thing)] = _OURS
        late: list[int] = []
        for starts in numbered:
            self._visit(starts, late, deadline)
        self._visit(late, None, deadline)

    def _add(self, thing: object) -> int:
        number = self.numbers[id(thing)] = len(self.objects)
        self.objects.append(thing)
        self._parents.append(-1)
        return number

    def _visit(self, starts: list[int], late: list[int] | None, deadline: float) -> None:
        """Breadth first from some objects. Those that lead to everything else are put off, if there is a list for them."""
        numbers, objects, parents, wanted = self.numbers, self.objects, self._parents, self._wanted
        ends: dict[type, bool] = {}
        pending = collections.deque(starts)
        turns = 0
        while pending:
            number = pending.popleft()
            turns += 1
            if len(objects) > MAX_OBJECTS or (turns & 1023 == 0 and time.monotonic() > deadline):
                self.complete = False
                return
            thing = objects[number]
            kind = type(thing)
            if late is not None and parents[number] >= 0:
                end = ends.get(kind)
                if end is None:
                    end = ends[kind] = is_end(kind)
                if end:
                    late.append(number)
                    continue
            if kind in _LEAVES or (kind in _PLAIN_CONTAINERS and self._all_plain(number, thing)):
                continue
            first = len(objects)
            for part in gc.get_referents(thing):
                key = id(part)
                if key not in numbers and (type(part) not in _LEAVES or key in wanted):
                    numbers[key] = len(objects)
                    objects.append(part)
                    parents.append(number)
            if len(objects) > first:
                self._reached[number] = (first, len(objects))
                pending.extend(range(first, len(objects)))

    def _all_plain(self, number: int, thing: Any) -> bool:
        """Whether it has very many plain values and nothing else; what these occupy is noted then."""
        kind = type(thing)
        length = kind.__len__(thing)
        if length <= SAMPLE_ABOVE:
            return False
        if kind is dict:
            parts = list(itertools.chain.from_iterable(sampled(lambda: dict.items(thing), length)))
            length *= 2
        else:
            parts = sampled(lambda: kind.__iter__(thing), length)
        if (
            not parts
            or not all(type(part) in _LEAVES for part in parts)
            or any(id(p) in self._wanted for p in parts)
        ):
            return False
        different = {id(part): part for part in parts}
        size = sum(map(size_of, different.values()))
        # Few objects again and again are so in the rest, too.
        self._plain_bytes[number] = size if 2 * len(different) < len(parts) else size * length // len(parts)
        return True

    def length(self, number: int) -> int:
        """Entries of a container, 0 of anything else."""
        thing = self.objects[number]
        for kind in (dict, *_ELEMENTS, str, bytes, bytearray):
            if is_kind(thing, kind):
                return int(kind.__len__(thing))
        return 0

    # --- what is pinned ---

    def pinned_by(self, targets: list[int]) -> Pinned:
        """What would be freed if some objects went, themselves included.

        Args:
            targets: their places in `objects`.
        """
        members = list(dict.fromkeys(targets))
        removed = set(members)
        for number in members:  # it grows meanwhile
            first, last = self._reached.get(number, (0, 0))
            members += [child for child in range(first, last) if child not in removed]
        inside: dict[int, int] = {}
        exact = self._count(members, inside)
        held = self._held_elsewhere(members, removed, inside)
        sizes = {
            id(self.objects[n]): size_of(self.objects[n]) + self._plain_bytes.get(n, 0)
            for n in members
            if n not in held
        }
        sizes.update(self._values([number for number in members if number not in held]))
        return Pinned(sizes, exact and time.monotonic() <= self.deadline)

    def _chunks(self, members: list[int]) -> Iterator[list[Any]]:
        """What the members refer to, some of them at a time."""
        objects, plain = self.objects, self._plain_bytes
        for start in range(0, len(members), SAMPLE):
            if time.monotonic() > self.deadline:
                return
            yield gc.get_referents(*(objects[n] for n in members[start : start + SAMPLE] if n not in plain))

    def _count(self, members: list[int], inside: dict[int, int]) -> bool:
        """Id → how many references come from the members; False if there was no time for all."""
        for parts in self._chunks(members):
            for key in map(id, parts):
                inside[key] = inside.get(key, 0) + 1
        return time.monotonic() <= self.deadline

    def _held_elsewhere(self, members: list[int], removed: set[int], inside: dict[int, int]) -> set[int]:
        """Members that somebody else holds, and what these refer to."""
        objects, numbers = self.objects, self.numbers
        nobodys = [object()]
        # What a count contains besides: the reference of our list, and that of asking.
        ours = next(map(sys.getrefcount, map(nobodys.__getitem__, [0])))
        counts = map(sys.getrefcount, map(objects.__getitem__, members))
        held = {
            number
            for number, count in zip(members, counts)
            if number not in removed and count - ours > inside.get(id(objects[number]), 0)
        }
        among, pending = set(members), list(held)
        while pending:
            number = pending.pop()
            if number in self._plain_bytes:
                continue
            for key in map(id, gc.get_referents(objects[number])):
                other = numbers.get(key)
                if other is not None and other in among and other not in held and other not in removed:
                    held.add(other)
                    pending.append(other)
        return held

    def _values(self, members: list[int]) -> dict[int, int]:
        """Id → bytes, of the values without parts that only these objects hold."""
        found: dict[int, Any] = {}
        inside: dict[int, int] = {}
        for parts in self._chunks(members):
            for part in parts:
                if type(part) in _LEAVES:
                    key = id(part)
                    inside[key] = inside.get(key, 0) + 1
                    if key not in self.numbers:
                        found[key] = part
            parts.clear()
            part = None
        ours = next(map(sys.getrefcount, {0: object()}.values()))
        counts = map(sys.getrefcount, found.values())
        alone = [key for key, count in zip(list(found), counts) if count - ours <= inside[key]]
        return {key: size_of(found[key]) for key in alone}

    # --- chains ---

    def chain_id(self, number: int) -> int:
        """Number of the chain from a root to an object; objects that are held in the same way have the same."""
        pending = []
        while number not in self._chain_of:
            pending.append(number)
            parent = self._parents[number]
            if parent < 0:
                break
            number = parent
        for place in reversed(pending):
            self._chain_of[place] = self._link(place)
        return self._chain_of[pending[0] if pending else number]

    def chain(self, way: int) -> list[str]:
        """The chain of that number, one step each."""
        found = []
        while way >= 0:
            way, text = self._links[way]
            found.append(text)
        return found[::-1]

    def _link(self, number: int) -> int:
        parent = self._parents[number]
        if parent < 0:
            return self._intern(-1, self._roots[number])
        before = self._chain_of[parent]
        label = self._label(parent, number)
        if not label:  # a part of its parent that nobody has written down
            return before
        text = f"{label}: {object_types.type_name(type(self.objects[number]))}"
        # One element of a linked list after another is the same step again.
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
        return labels.get(id(self.objects[number]), otherwise)

    def _labels_of(self, number: int) -> tuple[dict[int, str], str]:
        """Id of a part → how it is reached from its owner ("" if it is no step of its own); and how all other parts are."""
        thing, parent = self.objects[number], self._parents[number]
        if parent < 0 and is_kind(thing, types.ModuleType):
            return {}, ""
        if parent < 0 and type(thing) is dict:
            return {id(value): f".{name}" for name, value in copy(thing)}, _UNKNOWN
        if parent < 0 and type(thing) is Locals:
            return {
                id(value): ".<local>" if name.isdigit() else f".<{name}>" for name, value in copy(thing)
            }, _UNKNOWN
        hidden = parent >= 0 and self._label(parent, number) == ""
        owner: Any = self.objects[parent] if hidden else None
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
        owner = self._parents[closure] if closure >= 0 else -1
        function: Any = self.objects[owner] if owner >= 0 else None
        if is_kind(function, types.FunctionType):
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
                if cell is self.objects[number]:
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
        for name, value in itertools.chain(_task_parts(thing), attributes):
            labels.setdefault(id(value), f".{name}")
        if attributes:
            # Its dictionary, if it has got one by now.
            for part in gc.get_referents(thing):
                if type(part) is dict and id(part) not in labels and _is_own(thing, part):
                    labels[id(part)] = ""
                    break
        elements = is_kind(thing, LRU) or any(is_kind(thing, kind) for kind in (dict, *_ELEMENTS))
        return labels, "[*]" if elements else _UNKNOWN if not _suspended(thing) else ".<local>"

    # --- onward ---

    def onward(self, number: int, pinned: Pinned) -> list[str]:
        """From a container to the heaviest of what it pins, a few steps."""
        thing, found = self.objects[number], []
        seen = {id(thing)}
        weight = 0
        for _ in range(_DEEPER):
            parts = [(label, part) for label, part in self._weighable(thing) if id(part) not in seen]
            weights = [self._weight(part, pinned) for _, part in parts]
            heaviest = max(weights, default=0)
            # Below a quarter of what holds it, it does not explain that.
            if not heaviest or 4 * heaviest < weight:
                break
            label, thing = parts[weights.index(heaviest)]
            weight = heaviest
            seen.add(id(thing))
            found.append(f"{label}: {object_types.type_name(type(thing))}")
            if type(thing) in _LEAVES:
                break
        return found

    def _weighable(self, thing: Any) -> list[tuple[str, Any]]:
        """Some parts of an object, and how they are reached."""
        if is_kind(thing, types.FunctionType):
            cells = zip(thing.__code__.co_freevars, thing.__closure__ or ())
            return [(f".<{name}>", part) for name, cell in cells for part in gc.get_referents(cell)]
        found: list[tuple[str, Any]] = [(f".{name}", value) for name, value in self._attributes.of(thing)]
        if is_kind(thing, dict):
            names = _entries(thing)
            values = _spread(retried(lambda: list(dict.values(thing))))
            return found + [(names.get(id(value), "[*]"), value) for value in values]
        for kind in _ELEMENTS:
            if is_kind(thing, kind):
                elements = _spread(retried(lambda kind=kind: list(kind.__iter__(thing))))  # type: ignore[misc]
                return found + [("[*]", element) for element in elements]
        if found:
            return found
        otherwise = "[*]" if is_kind(thing, LRU) else ".<local>" if _suspended(thing) else _UNKNOWN
        return [(otherwise, part) for part in _spread(gc.get_referents(thing))]

    def _weight(self, thing: object, pinned: Pinned) -> int:
        """Bytes of a thing and what it leads to, as far as they are pinned; of a large one, the part that was looked at."""
        total, seen, pending = 0, {id(thing)}, [thing]
        while pending and len(seen) < _WEIGHED_PARTS:
            part = pending.pop()
            size = pinned.sizes.get(id(part))
            if size is None:
                continue
            total += size
            number = self.numbers.get(id(part))
            if number is None or number in self._plain_bytes:
                continue
            for other in gc.get_referents(part):
                if id(other) in pinned.sizes and id(other) not in seen:
                    seen.add(id(other))
                    pending.append(other)
        return total


class Locals(dict):  # type: ignore[type-arg]
    """What the local variables of a running frame stand for."""


def roots() -> Iterator[list[tuple[str, object]]]:
    """Where a walk begins, and what that is called: the user's modules, Gradio's own objects, all other modules, threads and tasks."""
    users = user_modules()
    yield [
        *((f"{label}: module", part) for label, module in users.values() for part in (vars(module), module)),
        *((f"{label}: {object_types.type_name(type(thing))}", thing) for label, thing in handlers(users)),
    ]
    gradios = list(gradio_roots())
    order = ("gradio.Queue", "gradio.StateHolder", "gradio.App", "gradio.Blocks")
    gradios.sort(key=lambda row: order.index(row[0]))
    yield [(f"{label}: {object_types.type_name(type(thing))}", thing) for label, thing in gradios]
    others = [
        (name, module)
        for name, module in list(sys.modules.items())
        if is_kind(module, types.ModuleType) and name not in users and not name.startswith(_OURS)
    ]
    yield [(f"{name}: module", part) for name, module in others for part in (vars(module), module)]
    yield [*_tasks(), *_frames()]


def _ours() -> Iterator[object]:
    """What is there because of the probe: nobody is interested in what it holds."""
    yield threading.current_thread()
    for name, module in list(sys.modules.items()):
        if name.startswith(_OURS):
            yield module
            yield vars(module)


def _tasks() -> Iterator[tuple[str, object]]:
    for task in interpreter_stats.all_tasks() or ():
        coroutine = dict(_task_parts(task)).get("_coro")
        name = getattr(coroutine, "__qualname__", "?") if _suspended(coroutine) else "?"
        yield f"task {name}: {object_types.type_name(type(task))}", task


def _task_parts(thing: object) -> Iterator[tuple[str, object]]:
    kind = interpreter_stats.task_kind()
    if kind is not None and is_kind(thing, kind):
        for name in _TASK_PARTS:
            member = vars(kind).get(name)
            if is_kind(member, types.GetSetDescriptorType):
                yield name, member.__get__(thing, kind)


def _frames() -> Iterator[tuple[str, object]]:
    """The local variables of every frame that runs, ours excepted."""
    names = {thread.ident: _NUMBERS.sub("*", thread.name) for thread in threading.enumerate()}
    us = threading.get_ident()
    for thread, frame in sys._current_frames().items():
        place: types.FrameType | None = frame
        while place is not None and thread != us:
            # The variables of a module are its attributes.
            if place.f_code.co_flags & _OPTIMIZED:
                yield f"thread {names.get(thread, '?')}: {place.f_code.co_name}", _locals(place)
            place = place.f_back


def _locals(frame: types.FrameType) -> Locals:
    """Local variables of a running frame, which stays as it was.

    From 3.13 on `f_locals` is a view. Before, it is a dictionary that stays with the frame, the very one that the app may have got
    from `locals()`, brought up to date: so functions that ask for that are left alone, and the dictionary is emptied again.
    Until 3.10 the collector finds the variables, without their names.
    """
    if sys.version_info >= (3, 13):
        return Locals(copy(frame.f_locals))
    if sys.version_info < (3, 11):
        return Locals(
            (str(n), part)
            for n, part in enumerate(gc.get_referents(frame))
            if not is_kind(part, types.FrameType)
        )
    if not _LOCALS_NAMES.isdisjoint(frame.f_code.co_names):
        return Locals()
    snapshot = frame.f_locals
    found = Locals(snapshot)
    if sys.getrefcount(snapshot) <= 3:  # the frame's, ours, and that of asking
        snapshot.clear()
    return found


def _suspended(thing: object) -> bool:
    return any(
        is_kind(thing, kind) for kind in (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)
    )


def _is_own(thing: object, part: object) -> bool:
    try:
        return object.__getattribute__(thing, "__dict__") is part
    except (AttributeError, TypeError):
        return False


def _entries(thing: Any) -> dict[int, str]:
    """How the entries of a small dict are reached: under a key that is a word, by that key. Of a large one, nothing."""
    if dict.__len__(thing) > RECORD_KEYS:
        return {}
    found = {}
    for key, value in copy(thing):
        found[id(key)] = ".keys()[*]"
        found[id(value)] = f"[{key!r}]" if type(key) is str and _WORD.match(key) else "[*]"
    return found


def _spread(parts: list[Any]) -> list[Any]:
    """Some of them, the last one included."""
    if len(parts) <= _WEIGHED:
        return parts
    step = len(parts) / _WEIGHED
    return [parts[-1 - int(n * step)] for n in range(_WEIGHED)]


def _census_chain(path: Path) -> list[str]:
    found = []
    place: Path | None = path
    while place is not None:
        step = place.text if place.parent is None else place.text[len(place.parent.text) :]
        kind = "module" if place.type is None else object_types.type_name(place.type)
        found.append(f"{step}: {kind}")
        place = place.parent
    return found[::-1]


def shortened(chain: list[str]) -> list[str]:
    """A chain of many links with its middle left out."""
    return chain if len(chain) <= _FIRST + _LAST + 1 else [*chain[:_FIRST], "…", *chain[-_LAST:]]
