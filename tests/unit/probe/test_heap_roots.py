"""Where a walk begins: nothing of the probe's own, and running frames as they were before."""

from __future__ import annotations

import sys
import threading
import types
import weakref

import pytest

from harness.probe import heap_roots
from harness.probe.heap_graph import Heap
from tests.unit.probe.heaps import Row


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
        frames = list(heap_roots.frames())
        assert any(label.endswith(f": {function.__name__}") for label, _ in frames)
        del frames
        go.set()
        thread.join()
    assert seen == [["seen", "steps"], 1, True]


def test_nothing_of_ours_is_among_the_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = types.ModuleType("_gradsoak_probe.other")
    ours.KEPT = [Row(1)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "_gradsoak_probe.other", ours)
    labels = {label for group in heap_roots.roots() for label, _ in group}
    assert not any("_gradsoak" in label for label in labels)
    heap = Heap()
    heap.walk(float("inf"), [[("root: module", {"alias": ours})]])
    assert id(ours.KEPT) not in heap.numbers


def test_local_variables_are_copied() -> None:
    assert isinstance(next(iter(heap_roots.frames()), ("", heap_roots.Locals()))[1], heap_roots.Locals)
