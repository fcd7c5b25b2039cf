"""Why something is still there: on heaps that were made up, against a definition that is slow and plain; and in a process."""

from __future__ import annotations

import collections
import functools
import gc
import random
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.probe import census, retainers
from harness.probe.retainers import Heap, Locals


class Node:
    __slots__ = ("data", "next")

    def __init__(self, size: int) -> None:
        self.next: list[Any] = []
        self.data = bytes(size)


class Row:
    def __init__(self, number: int) -> None:
        self.payload = {"rows": [bytes(1000 + number)]}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walks do not go into modules, which would lead them to everything that this process holds."""
    modules = [part for m in sys.modules.values() if isinstance(m, types.ModuleType) for part in (m, vars(m))]
    monkeypatch.setattr(retainers, "_ours", lambda: iter(modules))


def heap_of(deadline: float = float("inf"), **roots: Any) -> Heap:
    heap = Heap()
    heap.walk(deadline, [[("root: module", roots)]])
    return heap


def chains(heap: Heap, things: list[int]) -> dict[str, int]:
    """Chain → how many are held that way. Takes ids, so that nothing here holds the objects."""
    ways = collections.Counter(heap.chain_id(heap.numbers[key]) for key in things)
    return {" → ".join(heap.chain(way)): count for way, count in ways.items()}


def reachable(edges: dict[int, list[int]], starts: list[int], without: set[int]) -> set[int]:
    seen = {n for n in starts if n not in without}
    pending = list(seen)
    while pending:
        for other in edges[pending.pop()]:
            if other not in seen and other not in without:
                seen.add(other)
                pending.append(other)
    return seen


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("seed", range(40))
def test_what_is_pinned_is_what_no_root_reaches_any_more(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.randrange(5, 60)
    edges = {n: [rng.randrange(count) for _ in range(rng.choice((0, 1, 1, 2, 3)))] for n in range(count)}
    starts = rng.sample(range(count), rng.randrange(1, 4))
    nodes = [Node(100 + n) for n in range(count)]
    for n, others in edges.items():
        nodes[n].next = [nodes[other] for other in others]
    ids = {n: id(node) for n, node in enumerate(nodes)}
    sizes = {
        n: sys.getsizeof(node) + sys.getsizeof(node.next) + sys.getsizeof(node.data)
        for n, node in enumerate(nodes)
    }
    roots = {f"start{n}": nodes[n] for n in starts}
    del nodes  # from now on only the roots hold them
    gc.collect()
    everything = reachable(edges, starts, set())
    targets = set(rng.sample(sorted(everything), min(len(everything), rng.choice((1, 1, 3)))))
    heap = heap_of(**roots)
    for name in roots:
        roots[name] = None
    pinned = heap.pinned_by([heap.numbers[ids[n]] for n in targets])
    # Those that roots hold directly stay, unless they are targets: the dictionary of the roots is in this function's hands.
    expected = everything - reachable(edges, starts, targets)
    assert pinned.bytes == sum(sizes[n] for n in expected)
    assert pinned.exact


@pytest.mark.usefixtures("alone")
def test_what_somebody_else_holds_whom_the_walk_has_not_found_is_not_pinned() -> None:
    row = Row(1)
    kept = row.payload
    heap = heap_of(LOG=[row])
    del row
    log = next(n for n, thing in enumerate(heap.objects) if type(thing) is list and heap.length(n) == 1)
    assert heap.pinned_by([log]).bytes < 300
    kept = None  # type: ignore[assignment]
    assert heap.pinned_by([log]).bytes > 1000
    assert kept is None


@pytest.mark.usefixtures("alone")
def test_very_many_plain_values_are_estimated_and_shared_ones_counted_once() -> None:
    log = [float(n) for n in range(100_000)]
    again = ["the same text"] * 100_000
    ids = [id(log), id(again)]
    heap = heap_of(LOG=log, AGAIN=again)
    del log, again
    assert heap.pinned_by([heap.numbers[ids[0]]]).bytes == pytest.approx(100_000 * (8 + 24), rel=0.02)
    assert heap.pinned_by([heap.numbers[ids[1]]]).bytes == pytest.approx(800_056, rel=0.01)
    assert len(heap.objects) < 10_000


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
        ("inside", f".X: {__name__}.Row → .payload: dict → ['kept']: list → [*]"),
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
    assert chains(heap_of(**roots), [key]) == {f"root: module → {expected}: {__name__}.Row": 1}


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
        heap.walk(float("inf"), [list(retainers._frames())])
        assert chains(heap, ids) == {f"thread worker-*: serve → .<row>: {__name__}.Row": 1}
    finally:
        end.set()
        thread.join()


def test_frames_are_left_as_they_were() -> None:
    """Up to Python 3.12, looking at the variables of a frame changes what `locals()` has given."""
    steps, seen = [threading.Event() for _ in range(4)], []

    def asks() -> None:
        mine = locals()
        later = 1
        steps[0].set()
        steps[1].wait()
        seen.append(sorted(mine))
        seen.append(later)

    def drops() -> None:
        row = Row(1)
        refers.append(weakref.ref(row))
        steps[2].set()
        steps[3].wait()
        del row
        seen.append(refers[0]() is None)

    refers: list[weakref.ref[Row]] = []
    for function, (ready, go) in ((asks, steps[:2]), (drops, steps[2:])):
        thread = threading.Thread(target=function)
        thread.start()
        ready.wait()
        frames = list(retainers._frames())
        assert any(label.endswith(f": {function.__name__}") for label, _ in frames)
        del frames
        go.set()
        thread.join()
    assert seen == [["seen", "steps"], 1, True]


@pytest.mark.usefixtures("alone")
def test_what_is_held_in_the_same_way_is_one_cluster() -> None:
    rows = [Row(n) for n in range(30)]
    ids = [id(row) for row in rows]
    roots = {"LOG": rows[:20], "STORE": {f"hash{n}": {"row": row} for n, row in enumerate(rows[20:])}}
    del rows
    assert chains(heap_of(**roots), ids) == {
        f"root: module → .LOG: list → [*]: {__name__}.Row": 20,
        f"root: module → .STORE: dict → [*]: dict → ['row']: {__name__}.Row": 10,
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
    assert heap.onward(number, heap.pinned_by([number])) == [
        f"[*]: {__name__}.Row", ".payload: dict", "['rows']: list", "[*]: bytes",
    ]  # fmt: skip


@pytest.mark.usefixtures("alone")
def test_a_walk_that_was_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(n) for n in range(5000)]
    assert heap_of(LOG=rows).complete
    assert not heap_of(-1.0, LOG=rows).complete
    heap = heap_of(LOG=rows)
    heap.deadline = -1.0
    assert not heap.pinned_by([heap.numbers[id(rows)]]).exact
    monkeypatch.setattr(retainers, "MAX_OBJECTS", 100)
    assert not heap_of(LOG=rows).complete


def test_long_chains_lose_their_middle() -> None:
    links = [str(n) for n in range(100)]
    short = retainers.shortened(links)
    assert short[:8] == links[:8]
    assert short[-6:] == links[-6:]
    assert short[8] == "…"
    assert retainers.shortened(links[:15]) == links[:15]


def test_types_that_everything_is_made_of_only_count_where_no_other_grew() -> None:
    before = {"dict": 5, "app.Row": 1, "app.Gone": 3}
    assert retainers.grown_types(before, {"dict": 50, "app.Row": 4, "app.New": 2, "app.Gone": 1}) == [
        ("app.Row", 1, 4), ("app.New", 0, 2),
    ]  # fmt: skip
    assert retainers.grown_types(before, {"dict": 50, "app.Row": 1, "cell": 2}) == [
        ("dict", 5, 50),
        ("cell", 0, 2),
    ]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__file__ = str(tmp_path / "app.py")
    monkeypatch.setitem(sys.modules, "__main__", module)
    # This process holds much, and the machine may be busy.
    monkeypatch.setattr(retainers, "MAX_WALK_S", 120.0)
    monkeypatch.setattr(retainers, "MAX_S", 240.0)
    monkeypatch.setattr(retainers, "MAX_OBJECTS", 10**8)
    return module


APP = """
calls = []

class Turn:
    def __init__(self, number): self.text = "x" * 10_000 + str(number)

class Jealous(dict):
    def __len__(self): calls.append("len"); raise RuntimeError
    def __iter__(self): calls.append("iter"); raise RuntimeError
    def __getattribute__(self, name): calls.append(name); raise RuntimeError
    def __sizeof__(self): calls.append("size"); raise RuntimeError
    def __eq__(self, other): calls.append("eq"); raise RuntimeError
    __hash__ = None

def make():
    hidden = {}
    def remember(number): hidden[f"n{number}"] = [Turn(number)]
    return remember

remember = make()
remember(0)
LOG = [Jealous(a=0)]
STEADY = list(range(1000))
"""


def test_what_grew_since_the_first_census_is_named_with_what_it_pins(app: types.ModuleType) -> None:
    exec(compile(APP, "app.py", "exec"), app.__dict__)
    taker = census.Census()
    assert retainers.explain(taker)["retainers"] == []
    taker.take()
    for number in range(1, 51):
        app.remember(number)
        app.LOG.append(app.Jealous(a=[number]))
    answer: Any = retainers.explain(taker)["retainers"]
    found = {retainer["target"]: retainer for retainer in answer}
    hidden = found["app.remember.<hidden>"]
    assert (hidden["of"], hidden["before"], hidden["now"], hidden["exact"]) == ("container", 1, 51, True)
    assert hidden["pinned_bytes"] == pytest.approx(51 * 10_000, rel=0.05)
    assert hidden["holders"] == [
        {
            "chain": [
                "app: module", ".remember: function", ".<hidden>: dict", "[*]: list", "[*]: app.Turn", ".text: str",
            ],
            "count": 1,
        }
    ]  # fmt: skip
    turn = found["app.Turn"]
    assert (turn["of"], turn["before"], turn["now"], turn["exact"]) == ("type", 1, 51, True)
    assert turn["pinned_bytes"] == pytest.approx(51 * 10_000, rel=0.05)
    assert turn["holders"] == [
        {
            "chain": ["app: module", ".remember: function", ".<hidden>: dict", "[*]: list", "[*]: app.Turn"],
            "count": 51,
        }
    ]
    assert (found["app.LOG"]["before"], found["app.LOG"]["now"]) == (1, 51)
    assert found["app.Jealous"]["holders"][0]["chain"][-1] == "[*]: app.Jealous"
    assert "app.STEADY" not in found
    assert app.calls == []


def test_nothing_of_ours_is_among_the_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = types.ModuleType("_gradsoak_probe.other")
    ours.KEPT = [Row(1)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "_gradsoak_probe.other", ours)
    labels = {label for group in retainers.roots() for label, _ in group}
    assert not any("_gradsoak" in label for label in labels)
    heap = Heap()
    heap.walk(float("inf"), [[("root: module", {"alias": ours})]])
    assert id(ours.KEPT) not in heap.numbers


def test_local_variables_are_copied() -> None:
    assert isinstance(next(iter(retainers._frames()), ("", Locals()))[1], Locals)
