"""Explains growth: what holds the containers and types that grew, and what would be freed without them."""

from __future__ import annotations

import collections
import itertools
import time
from typing import Any

from . import object_types
from .census import CensusTaker
from .heap_graph import Heap
from .path_walk import Path
from .reference_chains import Chains

MAX_TARGETS = 30
MAX_HOLDERS = 5
# Maximum seconds in all, and for the walk.
MAX_S = 5.0
MAX_WALK_S = 3.0
# Steps of a chain that are shown: the first and the last ones.
_FIRST, _LAST = 8, 6
# Types that are everywhere: listed only if no other type grew.
_EVERYDAY = {"weakref.ReferenceType", "weakref.KeyedRef", "weakref.CallableProxyType", "weakref.ProxyType"}


class GrownContainer:
    """The containers at one access path, if they have more entries than at the first census."""

    __slots__ = ("before", "found", "numbers", "path")

    def __init__(self, path: Path, before: int, found: list[Any]) -> None:
        self.path = path
        self.before = before
        self.found = found
        self.numbers: list[int] = []


def explain(census: CensusTaker) -> dict[str, object]:
    """Explain what has grown since the first census: `{"retainers": [...], "pause_ms": ...}`.

    Args:
        census: the taker of the first census.
    """
    began = time.perf_counter()
    found: list[dict[str, object]] = []
    if census.first_lengths or census.first_types:
        counted = object_types.count()
        grown = _grown_containers(census)
        found = Explanation(grown, grown_types(census.first_types, counted[0] if counted else {})).retainers()
    return {"retainers": found, "pause_ms": (time.perf_counter() - began) * 1000}


def _grown_containers(census: CensusTaker) -> list[GrownContainer]:
    """The containers that grew: first those inside no other of them, then in the order of the bytes their growth added."""
    walk = census.walk(keep=True)
    assert walk.found is not None
    pinned, first = walk.pinned(), census.first_lengths
    grown = {
        path.text: GrownContainer(path, first.get(path.text, 0), walk.found[path.text])
        for path in walk.listed()
        if path.length > first.get(path.text, 0)
    }

    def order(container: GrownContainer) -> tuple[bool, float]:
        path = container.path
        above, inside = path.parent, False
        while above is not None and not inside:
            inside = above.text in grown
            above = above.parent
        return inside, -pinned[path.text] * (path.length - container.before) / path.length

    return sorted(grown.values(), key=order)[:MAX_TARGETS]


def grown_types(before: dict[str, int], now: dict[str, int]) -> list[tuple[str, int, int]]:
    """Name, objects before and objects now of the types that grew most; built-in types only if no other type grew."""
    grown = [
        (name, before.get(name, 0), number) for name, number in now.items() if number > before.get(name, 0)
    ]
    grown.sort(key=lambda row: (row[1] - row[2], row[0]))
    named = [row for row in grown if "." in row[0] and row[0] not in _EVERYDAY]
    return (named or grown)[:MAX_TARGETS]


class Explanation:
    """Explains several targets with one walk over the heap.

    Args:
        containers: containers that grew. The references to them are dropped.
        types_: types that grew: name, objects before, objects now.
    """

    def __init__(self, containers: list[GrownContainer], types_: list[tuple[str, int, int]]) -> None:
        self._containers = containers
        self._types = types_
        self._heap = Heap(itertools.chain.from_iterable(c.found for c in containers))
        self._chains = Chains(self._heap)

    def retainers(self) -> list[dict[str, object]]:
        """One dict for each target, as in the record `Retainer`."""
        heap, now = self._heap, time.monotonic()
        heap.walk(now + MAX_WALK_S)
        heap.deadline = now + MAX_S
        for container in self._containers:
            container.numbers = [
                heap.numbers[id(thing)] for thing in container.found if id(thing) in heap.numbers
            ]
            # The probe's own references would count as a holder.
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

    def _of_container(self, container: GrownContainer) -> dict[str, object]:
        heap, path = self._heap, container.path
        pinned = heap.pinned_by(container.numbers) if container.numbers else None
        chain = _census_chain(path)
        if pinned is not None:
            chain += self._chains.onward(max(container.numbers, key=heap.length), pinned)
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
        heap, chains = self._heap, self._chains
        ways = collections.Counter(map(chains.chain_id, numbers))
        pinned = heap.pinned_by(numbers) if numbers else None
        return {
            "target": name,
            "of": "type",
            "before": before,
            "now": now,
            "holders": [
                {"chain": shortened(chains.chain(way)), "count": count}
                for way, count in ways.most_common(MAX_HOLDERS)
            ],
            "pinned_bytes": pinned.bytes if pinned else None,
            "exact": heap.complete and bool(pinned and pinned.exact),
        }


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
    """A chain, with its middle left out if it is long."""
    return chain if len(chain) <= _FIRST + _LAST + 1 else [*chain[:_FIRST], "…", *chain[-_LAST:]]
