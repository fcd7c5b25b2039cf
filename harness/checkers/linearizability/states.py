"""The numbered states of each model, for the search in `harness.checkers.linearizability.search`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from harness.checkers.linearizability.search import Mark, States
from harness.checkers.models import OwnModel, accepted, key, put_there, start, step
from harness.records import Effect, StateVariable


def states_of(variable: StateVariable, own: OwnModel | None = None) -> States:
    """The states of a variable.

    Args:
        variable: the declaration of the variable.
        own: the model that the workload defines for it; None without one.
    """
    if own is not None:
        return _OwnStates(own)
    return _ListStates(variable) if variable.model == "list" else _ValueStates(variable)


class _ValueStates:
    """States of counters, registers and records. Each value is stored once."""

    tells_all = True

    def __init__(self, variable: StateVariable) -> None:
        self._variable = variable
        self._values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def start(self) -> int:
        return self._number(start(self._variable))

    def showing(self, shown: Any) -> int | None:
        return self._number(_present(shown) if self._variable.model == "record" else shown)

    def after(self, state: int, effect: Effect) -> int:
        return self._number(step(self._variable, self._values[state], effect))

    def shows(self, state: int, shown: Any) -> bool:
        if self._variable.model != "record":
            return bool(key(self._values[state]) == key(shown))
        if shown is not None and not isinstance(shown, dict):
            return False
        return bool(key(_present(self._values[state])) == key(_present(shown)))

    def can_become(self, state: int, effect: Effect | None, shown: Any, *, in_full: bool) -> bool:
        if self._variable.model != "counter":
            return True
        if not isinstance(shown, (int, float)):
            return False
        own = effect.value if effect is not None and effect.op == "increment" else 0
        return bool(self._values[state] + own <= shown)

    def made(self, effect: Effect) -> Sequence[Mark]:
        if self._variable.model == "counter":
            return ()
        return self._marks(start(self._variable) if effect.op == "clear" else put_there(effect))

    def marks(self, shown: Any) -> Sequence[Mark]:
        return () if self._variable.model == "counter" else self._marks(shown)

    def anchor(self, effect: Effect | None, shown: Any) -> Mark | None:
        return None

    def lost(self, before: int, after: int) -> Sequence[Mark]:
        if before == after or self._variable.model == "counter":
            return ()
        still = set(self._marks(self._values[after]))
        return [mark for mark in self._marks(self._values[before]) if mark not in still]

    def _marks(self, value: Any) -> list[Mark]:
        if self._variable.model == "record":
            return [(name, key(entry)) for name, entry in _present(value).items()]
        return [("", key(value))]

    def _number(self, value: Any) -> int:
        found = self._numbers.setdefault(key(value), len(self._values))
        if found == len(self._values):
            self._values.append(value)
        return found


def _present(shown: dict[str, Any] | None) -> dict[str, Any]:
    """A record without keys whose value is None, which count as absent."""
    return {name: value for name, value in (shown or {}).items() if value is not None}


# The mark of a list without elements.
_EMPTY = ()


class _ListStates:
    """States of lists. A list is stored as another list and one more element, so that long lists cost no more than short ones.

    Only the list that was visited last is kept in full, because most visits extend it.
    """

    tells_all = True

    def __init__(self, variable: StateVariable) -> None:
        self._variable = variable
        # Number of a list → the one without its last element, that element, and how many there are; 0 is empty.
        self._shorter = [0]
        self._last: list[Any] = [None]
        self._length = [0]
        self._longer: dict[tuple[int, Any], int] = {}
        self._path: list[int] = []
        self._laid_out: list[Any] = []
        self._start = self.showing(start(variable))

    def start(self) -> int:
        return self._start

    def showing(self, shown: Any) -> int:
        state = 0
        for element in shown:
            state = self._appended(state, element)
        return state

    def after(self, state: int, effect: Effect) -> int:
        if effect.op == "clear":
            return self._start
        if not accepted(self._variable, effect):
            return state
        return self._appended(state, put_there(effect))

    def shows(self, state: int, shown: Any) -> bool:
        if not isinstance(shown, list) or len(shown) != self._length[state]:
            return False
        return self._list(state) == shown

    def can_become(self, state: int, effect: Effect | None, shown: Any, *, in_full: bool) -> bool:
        length = self._length[state]
        if not isinstance(shown, list) or len(shown) < length:
            return False
        if not in_full:
            return not length or bool(shown[length - 1] == self._last[state])
        return self._list(state) == (shown if len(shown) == length else shown[:length])

    def made(self, effect: Effect) -> Sequence[Mark]:
        if effect.op == "clear":
            return self.marks(start(self._variable))
        if not accepted(self._variable, effect):
            return ()
        return [("", key(put_there(effect)))]

    def marks(self, shown: Any) -> Sequence[Mark]:
        if not isinstance(shown, list):
            return ()
        return [("", key(shown[-1]) if shown else _EMPTY)]

    def anchor(self, effect: Effect | None, shown: Any) -> Mark | None:
        least = 1 if effect is None else 2
        if not isinstance(shown, list) or len(shown) < least or self._length[self._start]:
            return None
        return "", key(shown[0])

    def lost(self, before: int, after: int) -> Sequence[Mark]:
        mark = key(self._last[before]) if before else _EMPTY
        # The same element may stand there twice.
        still = before == after or (before and after and mark == key(self._last[after]))
        return [] if still else [("", mark)]

    def _appended(self, state: int, element: Any) -> int:
        found = self._longer.setdefault((state, key(element)), len(self._last))
        if found == len(self._last):
            self._shorter.append(state)
            self._last.append(element)
            self._length.append(self._length[state] + 1)
        return found

    def _list(self, state: int) -> list[Any]:
        missing = []
        length = self._length[state]
        while length and (length > len(self._path) or self._path[length - 1] != state):
            missing.append(state)
            state = self._shorter[state]
            length -= 1
        del self._path[length:], self._laid_out[length:]
        for state in reversed(missing):
            self._path.append(state)
            self._laid_out.append(self._last[state])
        return self._laid_out


class _OwnStates:
    """States of a model that the workload defines. They may be of any type."""

    def __init__(self, own: OwnModel) -> None:
        self._own = own
        self._values: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._shown: dict[int, Any] = {}

    @property
    def tells_all(self) -> bool:
        return self._own.tells_all

    def start(self) -> int:
        return self._number(self._own.initial)

    def showing(self, shown: Any) -> int | None:
        return None  # a read may show only a part of the state

    def after(self, state: int, effect: Effect) -> int:
        if effect.op == "clear":
            return self.start()
        name, value = effect.value
        # A step may modify its arguments, so it gets copies.
        return self._number(self._own.step(copy.deepcopy(self._values[state]), name, copy.deepcopy(value)))

    def shows(self, state: int, shown: Any) -> bool:
        if state not in self._shown:
            self._shown[state] = key(self._own.shows(copy.deepcopy(self._values[state])))
        return bool(self._shown[state] == key(shown))

    def can_become(self, state: int, effect: Effect | None, shown: Any, *, in_full: bool) -> bool:
        return True

    def made(self, effect: Effect) -> Sequence[Mark]:
        return ()

    def marks(self, shown: Any) -> Sequence[Mark]:
        return ()

    def anchor(self, effect: Effect | None, shown: Any) -> Mark | None:
        return None

    def lost(self, before: int, after: int) -> Sequence[Mark]:
        return ()

    def _number(self, value: Any) -> int:
        found = self._numbers.setdefault(key(value), len(self._values))
        if found == len(self._values):
            self._values.append(value)
        return found
