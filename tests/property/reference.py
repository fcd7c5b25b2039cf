"""What an isolated, linearizable variable can show: every order of a small history, tried one by one. Obviously correct, and slow.

Shares nothing with the checkers: neither their models, nor their bounds, nor their search. An operation of an atomic variable is
one moment, at which it changes the state and shows it. Where the app guarantees no more than that the last of overlapping updates wins,
an update that depends on the state is two moments, one at which it takes note of the state and one at which it replaces it, and
its answer is a third. What was not acknowledged happens at any time from its beginning on, or not at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from harness.history import History
from harness.records import Operation, StateVariable

MISSING = object()


class Moment(NamedTuple):
    """A part of an operation: `note`, `change` or `show`, or, if all are one, `all`."""

    operation: int
    part: str


def is_legal(history: History, state: Mapping[str, StateVariable]) -> bool:
    """Whether for each variable and each of its owners some order explains everything that was shown."""
    person = {o.session: o.user for o in history.operations if o.user}
    for variable, model in state.items():
        owned: dict[str, list[Operation]] = {}
        for operation in history.operations:
            owner = {
                "session": operation.session,
                "user": person.get(operation.session, operation.session),
                "everyone": "",
            }[model.scope]
            if variable in operation.effects or variable in operation.reads:
                owned.setdefault(owner, []).append(operation)
        if not all(some_order_explains(variable, model, operations) for operations in owned.values()):
            return False
    return True


def some_order_explains(variable: str, model: StateVariable, operations: list[Operation]) -> bool:
    """Whether some subset of what may have happened, in some order, shows what was shown."""
    doubtful = [n for n, o in enumerate(operations) if o.outcome != "ok"]
    certain = [n for n, o in enumerate(operations) if o.outcome == "ok"]
    return any(
        orders(variable, model, operations, {*certain, *happened})
        for count in range(len(doubtful) + 1)
        for happened in itertools.combinations(doubtful, count)
    )


def orders(variable: str, model: StateVariable, operations: list[Operation], happened: set[int]) -> bool:
    """Whether those that happened can be put into an order that shows what was shown."""
    moments = [
        m
        for n in sorted(happened)
        for m in parts(n, operations[n].effects.get(variable), variable, model, operations[n])
    ]

    def extend(rest: list[Moment], state: Any, noted: dict[int, Any]) -> bool:
        if not rest:
            return True
        for moment in rest:
            if any(comes_before(other, moment, operations) for other in rest if other is not moment):
                continue
            operation = operations[moment.operation]
            effect = operation.effects.get(variable)
            now, notes = state, noted
            if moment.part == "note":
                notes = {**noted, moment.operation: state}
            elif effect is not None and moment.part in ("all", "change"):
                now = CHANGES[effect.op](noted.get(moment.operation, state), effect.value, model)
            shown = operation.reads.get(variable, MISSING)
            if moment.part in ("all", "show") and shown is not MISSING and not the_same(shown, now, model):
                continue
            if extend([m for m in rest if m is not moment], now, notes):
                return True
        return False

    return extend(moments, initial(model), {})


def parts(
    number: int, effect: Any, variable: str, model: StateVariable, operation: Operation
) -> Iterable[Moment]:
    """The moments of an operation, in order."""
    if model.concurrent_updates == "atomic" or effect is None:
        return [Moment(number, "all")]
    if effect.op in ("write", "clear"):
        return [Moment(number, "change"), Moment(number, "show")]
    return [Moment(number, "note"), Moment(number, "change"), Moment(number, "show")]


def comes_before(one: Moment, other: Moment, operations: list[Operation]) -> bool:
    """Whether one moment must come before another."""
    if one.operation == other.operation:
        return PARTS.index(one.part) < PARTS.index(other.part)
    first, second = operations[one.operation], operations[other.operation]
    return first.outcome == "ok" and first.complete_ns is not None and first.complete_ns <= second.invoke_ns


PARTS = ["note", "change", "show"]
CHANGES: dict[str, Callable[[Any, Any, StateVariable], Any]] = {
    "increment": lambda state, value, model: state + value,
    "append": lambda state, value, model: [*state, value],
    "write": lambda state, value, model: value,
    "put": lambda state, value, model: {**state, **value},
    "clear": lambda state, value, model: initial(model),
}


def initial(model: StateVariable) -> Any:
    """What a new owner begins with."""
    return {"counter": 0, "list": [], "register": None, "record": {}}[model.model]


def the_same(shown: Any, state: Any, model: StateVariable) -> bool:
    """Whether a page that shows this shows the state; of a record, that a key is absent is shown in either way."""
    if model.model == "record" and isinstance(shown, dict):
        return {k: v for k, v in shown.items() if v is not None} == {
            k: v for k, v in state.items() if v is not None
        }
    return type(shown) is type(state) and bool(shown == state)
