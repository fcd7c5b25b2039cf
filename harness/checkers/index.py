"""The history, arranged for questions about who wrote what, and what was read."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, TypeVar, cast

import msgspec

from harness.history import History
from harness.records import Operation, StateVariable

T = TypeVar("T")


def key(value: Any) -> Any:
    """A value as a dictionary key; JSON lists and objects by their encoding."""
    return value if isinstance(value, (str, int, float, bool, type(None))) else msgspec.json.encode(value)


class Increments:
    """All increments of one counter, by invoke time: how many can have happened until then?"""

    def __init__(self, operations: list[Operation], variable: str) -> None:
        self.operations = [
            o
            for o in operations
            if variable in o.effects and o.effects[variable].op == "increment" and o.may_have_happened
        ]
        self._times = [o.invoke_ns for o in self.operations]
        self._sums = [0, *accumulate(int(o.effects[variable].value) for o in self.operations)]

    def possible_before(self, time_ns: int) -> int:
        """Sum of the increments invoked before a time."""
        return self._sums[bisect.bisect_left(self._times, time_ns)]

    def foreign_before(self, read: Operation) -> Operation | None:
        """The increment of another session that best explains what a read saw.

        That is the latest one acknowledged before the read began, since nobody can doubt its order; failing that, the
        latest one invoked before the read was complete.
        """
        fallback = None
        for position in range(bisect.bisect_left(self._times, read.complete_ns or 0) - 1, -1, -1):
            operation = self.operations[position]
            if operation.session == read.session:
                continue
            fallback = fallback or operation
            if operation.outcome == "ok" and (operation.complete_ns or 0) <= read.invoke_ns:
                return operation
        return fallback


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
                self.increments[variable] = Increments(history.operations, variable)
                self.own_increments[variable] = {
                    session: Increments(operations, variable) for session, operations in self.sessions.items()
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
