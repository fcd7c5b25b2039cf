"""Heaps that were made up, for the tests of walks over them."""

from __future__ import annotations

from typing import Any

from harness.probe.heap_graph import Heap


class Node:
    __slots__ = ("data", "next")

    def __init__(self, size: int) -> None:
        self.next: list[Any] = []
        self.data = bytes(size)


class Row:
    def __init__(self, number: int) -> None:
        self.payload = {"rows": [bytes(1000 + number)]}


def heap_of(deadline: float = float("inf"), **roots: Any) -> Heap:
    heap = Heap()
    heap.walk(deadline, [[("root: module", roots)]])
    return heap
