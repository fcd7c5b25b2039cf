"""How each thing is held, in words, on heaps that were made up and in this process."""

from __future__ import annotations

import collections
import functools
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from harness.probe import heap_roots
from harness.probe.heap_graph import Heap
from harness.probe.reference_chains import Chains
from tests.unit.probe.heaps import Row, heap_of


def chains_of(heap: Heap, things: list[int]) -> dict[str, int]:
    """Chain → how many are held that way. Takes ids, so that nothing here holds the objects."""
    chains = Chains(heap)
    ways = collections.Counter(chains.chain_id(heap.numbers[key]) for key in things)
    return {" → ".join(chains.chain(way)): count for way, count in ways.items()}


class Odd(list):  # type: ignore[type-arg]
    def __init__(self, *elements: Any) -> None:
        super().__init__(elements)
        self.note: Any = None


def keeping(kept: Row) -> Iterator[None]:
    yield
    del kept


def holding(way: str, row: Row) -> Any:
    def handler(first: int, seen: Any = None, *, more: Any = None) -> Any:
        return hidden

    hidden: Any = None
    if way == "list":
        return [row]
    if way == "record":
        return {"last": row, "other": 1}
    if way == "table":
        return {f"hash{n}": row for n in range(20)}
    if way == "key":
        return {row: 1}
    if way == "deque":
        return collections.deque([(row,)])
    if way == "attribute":
        return types.SimpleNamespace(row=row)
    if way == "inside":
        outer = Row(2)
        outer.payload["kept"] = [row]
        return outer
    if way == "subclass":
        return Odd(row)
    if way == "note":
        odd = Odd()
        odd.note = row
        return odd
    if way == "closure":
        hidden = row
    elif way == "default":
        handler.__defaults__ = (row,)
    elif way == "keyword":
        handler.__kwdefaults__ = {"more": row}
    elif way == "mark":
        handler.rows = row  # type: ignore[attr-defined]
    elif way == "partial":
        return functools.partial(print, row)
    elif way == "method":
        return types.MethodType(handler, row)
    elif way == "class":
        return type("Shop", (), {"orders": [row], "__module__": "app"})
    elif way == "cache":
        cached = functools.lru_cache(maxsize=4)(lambda: row)
        cached()
        row = None  # type: ignore[assignment]
        return cached
    elif way == "generator":
        waiting = keeping(row)
        next(waiting)
        return waiting
    elif way == "chain":
        links: Any = row
        for _ in range(500):
            links = types.SimpleNamespace(next=links)
        return links
    return handler


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("list", ".X: list → [*]"),
        ("record", ".X: dict → ['last']"),
        ("table", ".X: dict → [*]"),
        ("key", ".X: dict → .keys()[*]"),
        ("deque", ".X: collections.deque → [*]: tuple → [*]"),
        ("attribute", ".X: types.SimpleNamespace → .row"),
        ("inside", f".X: {Row.__module__}.Row → .payload: dict → ['kept']: list → [*]"),
        ("subclass", f".X: {__name__}.Odd → [*]"),
        ("note", f".X: {__name__}.Odd → .note"),
        ("closure", ".X: function → .<hidden>"),
        ("default", ".X: function → (seen=)"),
        ("keyword", ".X: function → (more=)"),
        ("mark", ".X: function → .rows"),
        ("partial", ".X: functools.partial → .args: tuple → [*]"),
        ("method", ".X: method → .__self__"),
        ("class", ".X: type → .orders: list → [*]"),
        ("cache", ".X: functools._lru_cache_wrapper → [*]"),
        ("generator", ".X: generator → .<local>"),
        ("chain", ".X: types.SimpleNamespace → .next: types.SimpleNamespace → .next"),
    ],
)  # fmt: skip
def test_a_chain_says_how_each_thing_is_held(way: str, expected: str) -> None:
    row = Row(1)
    key = id(row)
    roots = {"X": holding(way, row)}
    del row
    assert chains_of(heap_of(**roots), [key]) == {f"root: module → {expected}: {Row.__module__}.Row": 1}


def test_a_running_frame_holds_what_its_variables_stand_for() -> None:
    ready, end = threading.Event(), threading.Event()

    def serve() -> None:
        row = Row(1)
        ids.append(id(row))
        wait()

    def wait() -> None:
        ready.set()
        end.wait()

    ids: list[int] = []
    thread = threading.Thread(target=serve, name="worker-12")
    thread.start()
    ready.wait()
    try:
        heap = Heap()
        heap.walk(float("inf"), [list(heap_roots.frames())])
        assert chains_of(heap, ids) == {f"thread worker-*: serve → .<row>: {Row.__module__}.Row": 1}
    finally:
        end.set()
        thread.join()


@pytest.mark.usefixtures("alone")
def test_what_is_held_in_the_same_way_is_one_cluster() -> None:
    rows = [Row(n) for n in range(30)]
    ids = [id(row) for row in rows]
    roots = {"LOG": rows[:20], "STORE": {f"hash{n}": {"row": row} for n, row in enumerate(rows[20:])}}
    del rows
    assert chains_of(heap_of(**roots), ids) == {
        f"root: module → .LOG: list → [*]: {Row.__module__}.Row": 20,
        f"root: module → .STORE: dict → [*]: dict → ['row']: {Row.__module__}.Row": 10,
    }


@pytest.mark.usefixtures("alone")
def test_from_a_container_the_chain_goes_on_to_what_weighs_most() -> None:
    log = [Row(10_000) for _ in range(100)]
    for row in log:
        row.note = "small"  # type: ignore[attr-defined]
    key = id(log)
    heap = heap_of(LOG=log)
    del log, row
    number = heap.numbers[key]
    assert Chains(heap).onward(number, heap.pinned_by([number])) == [
        f"[*]: {Row.__module__}.Row", ".payload: dict", "['rows']: list", "[*]: bytes",
    ]  # fmt: skip
