"""When did it happen? Operations are closed intervals; clocks of different machines are never compared.

An operation that was acknowledged took effect somewhere between its invoke and its completion. One that ended in any
other way, and may have happened all the same, took effect at any time from its invoke on: there is no end to it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from harness.history import History
from harness.records import PHASES, Operation

Line = tuple[str, bool]


class Span(NamedTuple):
    """An operation as seen from one line of operations: what ended by `begin` came before it, what began at `end` or later came after."""

    begin: float
    end: float


def end_of(operation: Operation) -> float:
    """When it had surely taken effect: its completion if it was acknowledged, otherwise never."""
    return (
        operation.complete_ns if operation.outcome == "ok" and operation.complete_ns is not None else math.inf
    )


class Clocks:
    """Compares times where they can be compared.

    Operations stand in lines: those of one clock, in two lines if the phases of some say nothing about their order (those
    of lost workers). Times within a clock are compared as they are. An operation is placed on the line of another clock by
    its phase alone, since no phase begins anywhere before all workers have finished the one before. No phase waits for a worker
    that is lost, so with those there is no order; nor is there with unknown phases.

    Args:
        history: whose operations are compared.

    Attributes:
        several: there is more than one clock.
    """

    def __init__(self, history: History) -> None:
        self._workers = history.workers
        self.several = history.workers.several_clocks
        # line → for each phase, when it or a later one began there
        self._begins: dict[Line, list[float]] = {}
        if not self.several:
            return
        for operation in history.operations:
            line = self.line(operation)
            if line[1]:
                begins = self._begins.setdefault(line, [math.inf] * (len(PHASES) + 1))
                place = PHASES.index(operation.phase)
                begins[place] = min(begins[place], operation.invoke_ns)
        for begins in self._begins.values():
            begins[:] = reversed(list(accumulate(reversed(begins), min)))

    def line(self, operation: Operation) -> Line:
        """The line in which an operation stands."""
        if not self.several:
            return ("", True)
        placed = not self._workers.lost(operation.worker) and operation.phase in PHASES
        return (self._workers.clock(operation.worker), placed)

    def on(self, line: Line, operation: Operation) -> Span:
        """An operation, as seen from a line."""
        mine = self.line(operation)
        if line[0] == mine[0]:
            return Span(
                operation.invoke_ns, math.inf if operation.complete_ns is None else operation.complete_ns
            )
        if not line[1] or not mine[1]:
            return Span(-math.inf, math.inf)
        place = PHASES.index(operation.phase)
        begins = self._begins[line]
        return Span(begins[place], begins[place + 1])


class Sums:
    """Amounts of operations of one line, by when they may have happened and by when they surely had.

    Args:
        operations: that may have happened, with their amounts.
    """

    def __init__(self, operations: Sequence[tuple[Operation, int]]) -> None:
        by_begin = sorted((o.invoke_ns, amount) for o, amount in operations)
        by_end = sorted((o.complete_ns or 0, amount) for o, amount in operations if o.outcome == "ok")
        sure = sorted((o.invoke_ns, amount) for o, amount in operations if o.outcome == "ok")
        self._begins, self._begun = _running(by_begin)
        self._ends, self._ended = _running(by_end)
        self._sure_begins, self._sure_begun = _running(sure)

    def possible(self, before: float) -> int:
        """The sum of those that can have happened before a time: they began before it."""
        return self._begun[bisect.bisect_left(self._begins, before)]

    def sure(self, by: float) -> int:
        """The sum of those that had surely happened by a time: they were acknowledged by then."""
        return self._ended[bisect.bisect_right(self._ends, by)]

    def sure_since(self, since: float, by: float) -> int:
        """At most the sum of those that surely happened between two times, and exactly that if none spans both."""
        earlier = self._sure_begun[bisect.bisect_left(self._sure_begins, since)]
        return max(0, self.sure(by) - earlier)


def _running(amounts: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [time for time, _ in amounts], [0, *accumulate(amount for _, amount in amounts)]
