"""The increments of one counter by all sessions: as operations in memory (`Tally`), or in columns (`Increments`)."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.checkers.intervals import Clocks, Line, Sums, end_of
from harness.history import RecordedHistory, may_have_happened, outcome_of
from harness.records import Effect, Ok, Operation

_NEVER = 2**63 - 1
_NOT_READ: Any = object()


class Tally:
    """The increments of one counter by all sessions: how many can have happened until a read was complete?

    Args:
        increments: operations that may have happened, by invoke, with their amounts.
        clocks: to compare their times.
    """

    def __init__(self, increments: list[tuple[Operation, int]], clocks: Clocks) -> None:
        self._clocks = clocks
        lines: dict[Line, list[tuple[Operation, int]]] = {}
        for operation, amount in increments:
            lines.setdefault(clocks.line(operation), []).append((operation, amount))
        self.lines = {line: Sums(found) for line, found in lines.items()}
        self._operations = {line: [o for o, _ in found] for line, found in lines.items()}
        self._begins = {line: [o.invoke_ns for o, _ in found] for line, found in lines.items()}

    def possible_before(self, read: Operation) -> int:
        """The largest sum that a read can have seen."""
        return sum(sums.possible(self._clocks.on(line, read).end) for line, sums in self.lines.items())

    def sure_before(self, read: Operation, within_ns: float = 0.0) -> int:
        """The sum that had surely been reached before a read began."""
        return sum(
            sums.sure(self._clocks.on(line, read).begin - within_ns) for line, sums in self.lines.items()
        )

    def latest_before(self, read: Operation, suits: Callable[[str], bool]) -> Operation | None:
        """The increment that best explains what a read saw, of those by sessions that suit.

        That is the latest one acknowledged before the read began, since its order is certain; failing that, the
        latest one invoked before the read was complete; failing that, one by a worker with another clock.
        """
        mine = self._clocks.line(read)[0]
        for line in sorted(self.lines, key=lambda line: (line[0] != mine, not line[1])):
            span = self._clocks.on(line, read)
            fallback = None
            for position in range(bisect.bisect_left(self._begins[line], span.end) - 1, -1, -1):
                operation = self._operations[line][position]
                if not suits(operation.session):
                    continue
                fallback = fallback or operation
                if end_of(operation) <= span.begin:
                    return operation
            if fallback is not None:
                return fallback
        return None


class Increments:
    """The same as `Tally`, of a history whose times can all be compared.

    Args:
        recorded: the history.
        variable: the counter.
    """

    def __init__(self, recorded: RecordedHistory, variable: str) -> None:
        self._variable = variable
        begins, ends, amounts, ids = array("q"), array("q"), array("q"), array("q")
        completed = array("q")  # however it ended; 0 if it never did
        names, reads = array("l"), []
        known: dict[tuple[str, str, str, str, str], int] = {}
        for worker, pairs in recorded.pairs([]):
            for invoke, done in pairs:
                effect = invoke.effects.get(variable)
                if effect is None or effect.op != "increment" or not may_have_happened(done):
                    continue
                begins.append(invoke.time_ns)
                ends.append(done.time_ns if isinstance(done, Ok) else _NEVER)
                completed.append(0 if done is None else done.time_ns)
                amounts.append(effect.value)
                ids.append(invoke.id)
                who = (worker, invoke.session, invoke.action, invoke.phase, outcome_of(done))
                names.append(known.setdefault(who, len(known)))
                reads.append(done.reads.get(variable, _NOT_READ) if isinstance(done, Ok) else _NOT_READ)
        self._known = list(known)
        columns = [
            np.frombuffer(column, dtype=column.typecode) for column in (begins, ends, amounts, ids, names)
        ]
        order = np.lexsort((columns[3], columns[0]))
        self._begins, self._ends, self._amounts, self._ids, self._names = (c[order] for c in columns)
        self._reads = reads
        self._order = order
        self._completed = np.frombuffer(completed, dtype=completed.typecode)[order]
        self._begun = np.concatenate([[0], np.cumsum(self._amounts)])
        by_end = np.argsort(self._ends, kind="stable")
        self._sorted_ends = self._ends[by_end]
        self._ended = np.concatenate([[0], np.cumsum(self._amounts[by_end])])

    def possible_before(self, read: Operation) -> int:
        """The largest sum that a read can have seen."""
        until = _NEVER if read.complete_ns is None else read.complete_ns
        return int(self._begun[np.searchsorted(self._begins, until, side="left")])

    def sure_before(self, read: Operation) -> int:
        """The sum that had surely been reached before a read began."""
        return int(self._ended[np.searchsorted(self._sorted_ends, read.invoke_ns, side="right")])

    def latest_before(self, read: Operation, suits: Callable[[str], bool]) -> Operation | None:
        """The increment by a session that suits which best explains what a read saw; see `Tally.latest_before`."""
        until = _NEVER if read.complete_ns is None else read.complete_ns
        fallback: Operation | None = None
        for position in range(int(np.searchsorted(self._begins, until, side="left")) - 1, -1, -1):
            if not suits(self._known[self._names[position]][1]):
                continue
            operation = self._operation(position)
            if end_of(operation) <= read.invoke_ns:
                return operation
            fallback = fallback or operation
        return fallback

    def _operation(self, position: int) -> Operation:
        """An increment, with what a witness shows of it."""
        worker, session, action, phase, outcome = self._known[self._names[position]]
        shown = self._reads[self._order[position]]
        return Operation(
            worker=worker,
            id=int(self._ids[position]),
            session=session,
            action=action,
            phase=phase,
            outcome=outcome,
            invoke_ns=int(self._begins[position]),
            complete_ns=int(self._completed[position]) or None,
            effects={self._variable: Effect(op="increment", value=int(self._amounts[position]))},
            reads={} if shown is _NOT_READ else {self._variable: shown},
        )
