"""The history, arranged for questions about who wrote what, and what was read."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, TypeVar, cast

import msgspec

from harness.history import Fleet, History
from harness.records import PHASES, Operation, StateVariable

T = TypeVar("T")


def key(value: Any) -> Any:
    """A value as a dictionary key; JSON lists and objects by their encoding."""
    return value if isinstance(value, (str, int, float, bool, type(None))) else msgspec.json.encode(value)


class _Line:
    """Increments whose times were read from one clock, by invoke time."""

    def __init__(self, operations: list[Operation], variable: str) -> None:
        self.operations = operations
        self._times = [o.invoke_ns for o in operations]
        self._sums = [0, *accumulate(int(o.effects[variable].value) for o in operations)]

    def invoked_before(self, time_ns: int) -> int:
        """How many were invoked before a time."""
        return bisect.bisect_left(self._times, time_ns)

    def sum_of(self, count: int) -> int:
        """Sum of the first ones."""
        return self._sums[count]


class Increments:
    """All increments of one counter: how many can have happened until a read was complete?

    Times of different clocks are never compared: an increment by a worker with another clock than the reader's may have
    happened before, unless it belongs to a later phase of the run.

    Args:
        operations: ordered by invoke time.
        variable: the counter.
        fleet: whose clocks they were recorded by.
    """

    def __init__(self, operations: list[Operation], variable: str, fleet: Fleet) -> None:
        self._fleet = fleet
        lines: dict[str, list[Operation]] = {}
        for o in operations:
            if variable in o.effects and o.effects[variable].op == "increment" and o.may_have_happened:
                lines.setdefault(fleet.clock(o.worker), []).append(o)
        self._lines = {clock: _Line(found, variable) for clock, found in lines.items()}
        self._by_phase = {clock: _by_phase(found, variable) for clock, found in lines.items()}

    def possible_before(self, read: Operation) -> int:
        """The largest sum of increments that a read can have seen."""
        total = 0
        for clock, line in self._lines.items():
            if clock == self._fleet.clock(read.worker):
                total += line.sum_of(line.invoked_before(read.complete_ns or 0))
            else:
                total += sum(
                    amount
                    for increment, amount in self._by_phase[clock]
                    if not earlier_phase(self._fleet, read, increment)
                )
        return total

    def foreign_before(self, read: Operation) -> Operation | None:
        """The increment of another session that best explains what a read saw.

        That is the latest one acknowledged before the read began, since nobody can doubt its order; failing that, the
        latest one invoked before the read was complete; failing that, one by a worker with another clock.
        """
        fallback = None
        line = self._lines.get(self._fleet.clock(read.worker))
        if line is not None:
            for position in range(line.invoked_before(read.complete_ns or 0) - 1, -1, -1):
                operation = line.operations[position]
                if operation.session == read.session:
                    continue
                fallback = fallback or operation
                if operation.outcome == "ok" and (operation.complete_ns or 0) <= read.invoke_ns:
                    return operation
        if fallback is not None:
            return fallback
        for clock, other in self._lines.items():
            if clock != self._fleet.clock(read.worker):
                for operation in other.operations:
                    if not earlier_phase(self._fleet, read, operation):
                        return operation
        return None


def _by_phase(operations: list[Operation], variable: str) -> list[tuple[Operation, int]]:
    """One operation for each phase and worker, with the sum of the increments that it stands for."""
    sums: dict[tuple[str, str], tuple[Operation, int]] = {}
    for operation in operations:
        first, amount = sums.get((operation.worker, operation.phase), (operation, 0))
        sums[operation.worker, operation.phase] = (first, amount + int(operation.effects[variable].value))
    return list(sums.values())


def earlier_phase(fleet: Fleet, one: Operation, other: Operation) -> bool:
    """Whether the phase of one operation was over before that of the other began, on whichever machines.

    No phase waits for a worker that is lost, so with those there is no order; nor is there with phases that nobody knows.
    """
    if fleet.lost(one.worker) or fleet.lost(other.worker):
        return False
    return (
        one.phase in PHASES and other.phase in PHASES and PHASES.index(one.phase) < PHASES.index(other.phase)
    )


class Index:
    """Everything that checkers look up, built once per history.

    Args:
        history: operations ordered by invoke time.
        state: state variable → model.

    Attributes:
        sessions: session → its operations, ordered by invoke time.
        reads: variable → the completed operations that read it, ordered by completion.
        writers: variable → key of a value → operations that wrote or appended it.
        own_values: variable → session → keys of the values that it wrote or appended itself.
        increments: variable → all increments.
        own_increments: variable → session → its increments.
    """

    def __init__(self, history: History, state: Mapping[str, StateVariable]) -> None:
        self.history = history
        self.state = state
        self.sessions = history.by_session()
        self._remembered: dict[str, Any] = {}
        self.reads: dict[str, list[Operation]] = {}
        self.writers: dict[str, dict[Any, list[Operation]]] = {}
        self.own_values: dict[str, dict[str, set[Any]]] = {}
        self.increments: dict[str, Increments] = {}
        self.own_increments: dict[str, dict[str, Increments]] = {}
        for variable, model in state.items():
            self.reads[variable] = sorted(
                (o for o in history.operations if variable in o.reads),
                key=lambda o: (o.complete_ns or 0, o.id),
            )
            if model.model == "counter":
                self.increments[variable] = Increments(history.operations, variable, history.fleet)
                self.own_increments[variable] = {
                    session: Increments(operations, variable, history.fleet)
                    for session, operations in self.sessions.items()
                }
                continue
            writers: dict[Any, list[Operation]] = {}
            for operation in history.operations:
                effect = operation.effects.get(variable)
                if effect is not None and operation.may_have_happened:
                    writers.setdefault(key(effect.value), []).append(operation)
            self.writers[variable] = writers
            own: dict[str, set[Any]] = {}
            for value, wrote in writers.items():
                for operation in wrote:
                    own.setdefault(operation.session, set()).add(value)
            self.own_values[variable] = own

    def session_reads(self, variable: str) -> dict[str, list[Operation]]:
        """Session → its completed reads of a variable, ordered by completion."""
        by_session: dict[str, list[Operation]] = {}
        for read in self.reads[variable]:
            by_session.setdefault(read.session, []).append(read)
        return by_session

    def acknowledged_before(self, read: Operation, variable: str) -> list[Operation]:
        """The session's own writes that a read must reflect: acknowledged before it was invoked, and its own."""
        return [
            o
            for o in self.sessions[read.session]
            if variable in o.effects
            and o.outcome == "ok"
            and (o is read or (o.complete_ns is not None and o.complete_ns <= read.invoke_ns))
        ]

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """What several checkers need and one look at the history gives: computed at the first call, then remembered."""
        if name not in self._remembered:
            self._remembered[name] = compute()
        return cast(T, self._remembered[name])
