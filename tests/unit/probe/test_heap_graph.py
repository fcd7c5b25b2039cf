"""What can be reached and what would be freed, on heaps that were made up, against a definition that is slow and plain."""

from __future__ import annotations

import gc
import random
import sys

import pytest

from harness.probe import heap_graph
from tests.unit.probe.heaps import Node, Row, heap_of


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
def test_an_object_with_a_holder_outside_the_walk_is_not_pinned() -> None:
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


@pytest.mark.usefixtures("alone")
def test_a_walk_that_was_cut_short_is_marked_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(n) for n in range(5000)]
    assert heap_of(LOG=rows).complete
    assert not heap_of(-1.0, LOG=rows).complete
    heap = heap_of(LOG=rows)
    heap.deadline = -1.0
    assert not heap.pinned_by([heap.numbers[id(rows)]]).exact
    monkeypatch.setattr(heap_graph, "MAX_OBJECTS", 100)
    assert not heap_of(LOG=rows).complete
