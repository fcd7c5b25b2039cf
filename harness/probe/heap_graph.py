"""The heap as a graph: which object refers to which, and what would be freed if some objects went.

One walk follows all references that the garbage collector knows, breadth first from the roots, and records the parent of each
object. This gives a short chain to every object, and a bound on what an object pins: what the walk reached without passing it is
held without it. Reference counts decide about the rest. If an object has more references than those from the rest itself,
something else holds it and everything it refers to. CPython's collector finds unreachable objects in the same way; here
the question is about a part of the heap.

No code of the app runs. Objects that another thread is still building are not visited, because no visited object refers to them.
The walk keeps all visited objects alive until it ends, a few seconds at most.
"""

from __future__ import annotations

import array
import collections
import gc
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from . import PACKAGE
from .heap_roots import own_objects
from .heap_roots import roots as process_roots
from .introspection import PLAIN, SAMPLE, SAMPLE_ABOVE, is_kind, sampled, size_of
from .type_rules import SEQUENCES, SETS, is_end

# Maximum number of visited objects.
MAX_OBJECTS = 1_000_000
LEAVES = frozenset(PLAIN)
ELEMENTS: tuple[Any, ...] = (*SEQUENCES, *SETS)
_PLAIN_CONTAINERS = frozenset((dict, list, tuple, set, frozenset, collections.deque))


class Pinned:
    """What would be freed.

    Attributes:
        sizes: id → bytes of each object that would be freed.
        bytes: sum of the sizes.
        exact: False if there was no time for all objects; the bytes are then a part.
    """

    __slots__ = ("bytes", "exact", "sizes")

    def __init__(self, sizes: dict[int, int], exact: bool) -> None:
        self.sizes = sizes
        self.bytes = sum(sizes.values())
        self.exact = exact


class Heap:
    """The objects reachable from the roots, each with its parent in the walk. Values without parts are left out.

    Args:
        wanted: objects that are included even if they have no parts.

    Attributes:
        objects: the objects, in the order of the walk.
        numbers: id → place in `objects`.
        parents: place of each object's parent; -1 for a root.
        roots: place → label of each root.
        plain_bytes: place of a container with very many plain values → bytes of these values.
        complete: whether all reachable objects were visited.
        deadline: monotonic seconds; after it, answers are not exact.
    """

    def __init__(self, wanted: Iterable[object] = ()) -> None:
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.complete = True
        self.deadline = float("inf")
        self.parents = array.array("l")
        # The children of an object are consecutive: place → first and last.
        self._reached: dict[int, tuple[int, int]] = {}
        self.roots: dict[int, str] = {}
        self._wanted = {id(thing) for thing in wanted}
        self.plain_bytes: dict[int, int] = {}

    # --- the walk ---

    def walk(self, deadline: float, groups: Iterable[list[tuple[str, object]]] | None = None) -> None:
        """Visit everything, one group of roots after another. An object that several groups reach belongs to the first.

        Args:
            deadline: monotonic seconds; the walk ends early then.
            groups: labelled roots; default: those of this process.
        """
        numbered: list[list[int]] = []
        # Roots are added first, so that none is reached from another.
        for group in process_roots() if groups is None else groups:
            numbered.append([])
            for label, thing in group:
                if id(thing) not in self.numbers:
                    self.roots[self._add(thing)] = label
                    numbered[-1].append(self.numbers[id(thing)])
        for thing in own_objects():
            if id(thing) not in self.numbers:
                self.roots[self._add(thing)] = PACKAGE
        late: list[int] = []
        for starts in numbered:
            self._visit(starts, late, deadline)
        self._visit(late, None, deadline)

    def _add(self, thing: object) -> int:
        number = self.numbers[id(thing)] = len(self.objects)
        self.objects.append(thing)
        self.parents.append(-1)
        return number

    def _visit(self, starts: list[int], late: list[int] | None, deadline: float) -> None:
        """Visit breadth first from some objects. If there is a list `late`, objects that lead to everything else are put off to it."""
        numbers, objects, parents, wanted = self.numbers, self.objects, self.parents, self._wanted
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
            if kind in LEAVES or (kind in _PLAIN_CONTAINERS and self._all_plain(number, thing)):
                continue
            first = len(objects)
            for part in gc.get_referents(thing):
                key = id(part)
                if key not in numbers and (type(part) not in LEAVES or key in wanted):
                    numbers[key] = len(objects)
                    objects.append(part)
                    parents.append(number)
            if len(objects) > first:
                self._reached[number] = (first, len(objects))
                pending.extend(range(first, len(objects)))

    def _all_plain(self, number: int, thing: Any) -> bool:
        """Whether a container has very many plain values and nothing else; if so, their bytes are recorded."""
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
            or not all(type(part) in LEAVES for part in parts)
            or any(id(p) in self._wanted for p in parts)
        ):
            return False
        different = {id(part): part for part in parts}
        size = sum(map(size_of, different.values()))
        # If the sample repeats few objects, the rest does, too.
        self.plain_bytes[number] = size if 2 * len(different) < len(parts) else size * length // len(parts)
        return True

    def length(self, number: int) -> int:
        """Entries of a container, 0 of anything else."""
        thing = self.objects[number]
        for kind in (dict, *ELEMENTS, str, bytes, bytearray):
            if is_kind(thing, kind):
                return int(kind.__len__(thing))
        return 0

    # --- what is pinned ---

    def pinned_by(self, targets: list[int]) -> Pinned:
        """What would be freed if the targets went, the targets included.

        Args:
            targets: their places in `objects`.
        """
        members = list(dict.fromkeys(targets))
        removed = set(members)
        for number in members:  # the list grows during the loop
            first, last = self._reached.get(number, (0, 0))
            members += [child for child in range(first, last) if child not in removed]
        inside: dict[int, int] = {}
        exact = self._count(members, inside)
        held = self._held_elsewhere(members, removed, inside)
        sizes = {
            id(self.objects[n]): size_of(self.objects[n]) + self.plain_bytes.get(n, 0)
            for n in members
            if n not in held
        }
        sizes.update(self._values([number for number in members if number not in held]))
        return Pinned(sizes, exact and time.monotonic() <= self.deadline)

    def _chunks(self, members: list[int]) -> Iterator[list[Any]]:
        """The referents of the members, a few members at a time, until the deadline."""
        objects, plain = self.objects, self.plain_bytes
        for start in range(0, len(members), SAMPLE):
            if time.monotonic() > self.deadline:
                return
            yield gc.get_referents(*(objects[n] for n in members[start : start + SAMPLE] if n not in plain))

    def _count(self, members: list[int], inside: dict[int, int]) -> bool:
        """Add up in `inside`: id → references from the members. False if there was no time for all."""
        for parts in self._chunks(members):
            for key in map(id, parts):
                inside[key] = inside.get(key, 0) + 1
        return time.monotonic() <= self.deadline

    def _held_elsewhere(self, members: list[int], removed: set[int], inside: dict[int, int]) -> set[int]:
        """Members that something else holds, and the members that these refer to."""
        objects, numbers = self.objects, self.numbers
        unshared = [object()]
        # Every count includes two references more: that of the list `objects`, and that of the call.
        extra = next(map(sys.getrefcount, map(unshared.__getitem__, [0])))
        counts = map(sys.getrefcount, map(objects.__getitem__, members))
        held = {
            number
            for number, count in zip(members, counts)
            if number not in removed and count - extra > inside.get(id(objects[number]), 0)
        }
        among, pending = set(members), list(held)
        while pending:
            number = pending.pop()
            if number in self.plain_bytes:
                continue
            for key in map(id, gc.get_referents(objects[number])):
                other = numbers.get(key)
                if other is not None and other in among and other not in held and other not in removed:
                    held.add(other)
                    pending.append(other)
        return held

    def _values(self, members: list[int]) -> dict[int, int]:
        """Id → bytes of the values without parts that only these objects hold."""
        found: dict[int, Any] = {}
        inside: dict[int, int] = {}
        for parts in self._chunks(members):
            for part in parts:
                if type(part) in LEAVES:
                    key = id(part)
                    inside[key] = inside.get(key, 0) + 1
                    if key not in self.numbers:
                        found[key] = part
            parts.clear()
            part = None
        extra = next(map(sys.getrefcount, {0: object()}.values()))
        counts = map(sys.getrefcount, found.values())
        alone = [key for key, count in zip(list(found), counts) if count - extra <= inside[key]]
        return {key: size_of(found[key]) for key in alone}
