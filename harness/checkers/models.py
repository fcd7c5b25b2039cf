"""What each model does: pure functions from a state and an effect to the state after it.

An owner with no overlapping or failed operations must read exactly this (`harness.checkers.sequential`). What else may be read,
where operations overlap, fail or stay unanswered, is derived in `list_reads`, `register_reads` and `counter_reads`.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from harness.blobs import canonical
from harness.records import Effect, StateVariable

# A count of 3 may be shown as 3.0, but not as true.
COUNTS = (int, float)
# Models whose values say by themselves who wrote them.
NAMED_VALUES = ("list", "register", "record", "blob")
# Of these, the ones that hold one value: the last one that was written.
SINGLE = ("register", "blob")
# Models of state that the app keeps and that only effects change.
KEPT = ("counter", *NAMED_VALUES)
# Nothing is kept of these from one operation to the next.
REPLIES = ("answer", "chain")


class OwnModel(Protocol):
    """A model that a workload brings along: `harness.workload.Model`."""

    @property
    def initial(self) -> Any:
        """The state that a new owner begins with."""

    @property
    def tells_all(self) -> bool:
        """Whether a read shows the whole state."""

    def step(self, state: Any, name: str, value: Any) -> Any:
        """The state after an effect."""

    def shows(self, state: Any) -> Any:
        """What a read of the state must show."""


class Unavailable(msgspec.Struct, frozen=True):
    """A model that a workload brought along, and that is not there.

    Attributes:
        reason: why, as a sentence.
    """

    reason: str


def start(variable: StateVariable) -> Any:
    """The state that a new owner begins with."""
    if variable.model == "counter":
        return variable.initial or 0
    if variable.model == "list":
        return list(variable.initial or [])
    if variable.model == "record":
        return dict(variable.initial or {})
    return variable.initial


def step(variable: StateVariable, state: Any, effect: Effect) -> Any:
    """The state after an effect; the one before is not changed.

    Args:
        variable: the model, with its initial value and its threshold.
        state: of the same kind as `start` returns.
        effect: one that fits the model.
    """
    if effect.op == "increment":
        return state + effect.value
    if effect.op == "append":
        return [*state, effect.value]
    if effect.op == "offer":
        return [*state, put_there(effect)] if accepted(variable, effect) else state
    if effect.op == "put":
        return {**state, **effect.value}
    if effect.op == "clear":
        return start(variable)
    return put_there(effect)  # written, stored, asked, or begun with


def put_there(effect: Effect) -> Any:
    """The one value that an effect adds to a list, or puts in the place of another; of a `put` all of them, by key."""
    if effect.op == "offer":
        return effect.value[1]
    return effect.value[0] if effect.op == "store" else effect.value


def accepted(variable: StateVariable, effect: Effect) -> bool:
    """False only for an offer that the variable's threshold refuses."""
    return effect.op != "offer" or variable.above is None or effect.value[0] > variable.above


def key(value: Any) -> Any:
    """A value as a dictionary key: the same for values that are equal in JSON, however they were written down.

    The order of an object's keys says nothing, and 1 is the same number as 1.0, inside of lists and objects as well.
    """
    if isinstance(value, (str, float)) or type(value) is int:
        return value
    return canonical(value)


def written(effect: Effect) -> list[tuple[str, Any]]:
    """What an effect puts into the state: (key of a record, value); the key is empty for all other models."""
    if effect.op == "put":
        return list(effect.value.items())
    return [] if effect.op in ("clear", "increment", "does") else [("", put_there(effect))]


def owner_of(model: StateVariable, session: str, user: str, account: int = 0) -> str:
    """Whose state a session deals with: its own, its user's if that is known, or that of all sessions (the empty string).

    A user is who the app takes for one: the account, where people log in, and several of them may use the same.
    """
    if model.scope == "everyone":
        return ""
    if model.scope == "user" and account:
        return f"account {account}"
    return f"user {user}" if model.scope == "user" and user else f"session {session}"
