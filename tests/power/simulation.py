"""A Gradio app under the quick profile's users, simulated, with a fault that strikes once in so many operations.

Ten people visit the app as `gradsoak run` lets them: a visit is a first action and, on average, eight more, each after a pause
of 0.1 to 0.3 s; then the page is closed, and three times in ten the same person loads it again. Operations of different
sessions overlap, those of one do not, and each takes effect at one moment. Everything is drawn from one seed.

A fault strikes the next operation to which it can happen. Whether anything comes of it depends on who looks at what
afterwards: nothing here knows what the checkers look for.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

import msgspec

from harness import tokens
from harness.history import History, Workers
from harness.records import Effect, Operation, Sighting, StateVariable
from harness.workload import answer, append_only_list, assigned, chain, counter, record, register

RUN_TAG = "7f3a"
VARIABLE = "state"
USERS = 10
THINK_S = 0.2
ACTIONS = 8.0
RELOAD_SHARE = 0.3
# An operation takes at least the one, and on average the other more.
LEAST_S, MORE_S = 0.005, 0.02
# How often somebody looks without changing anything; and, where the state can be cleared, clears it.
LOOK_SHARE, CLEAR_SHARE = 0.25, 0.125
_KEYS = ("name", "age", "town")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What people do with the app's one variable, and what the app makes of it.

    Attributes:
        initial: what a session starts with; it gets the session's number.
        op: of the effect.
        value: what the next operation of a session writes.
        change: the state after a value was written.
        looks: whether people also look without changing anything; 1 if they do nothing else.
    """

    variable: StateVariable
    initial: Callable[[int], Any]
    op: str = ""
    value: Callable[[Session, random.Random], Any] = lambda session, rng: session.token()
    change: Callable[[Any, Any], Any] = lambda state, value: value
    looks: float = LOOK_SHARE


class Session:
    """One page load: what the server keeps for it, and what else is known of it.

    Args:
        number: of the session.
        person: whose it is.
        initial: what its state starts with.
        left_behind: the state of the same user's session before; None if there was none.
    """

    def __init__(self, number: int, person: int, initial: Any, left_behind: Any) -> None:
        self.number = number
        self.name = tokens.session_id(0, number)
        self.person = person
        self.state = initial
        self.left_behind = left_behind
        # The state before the latest change, and whether anybody has looked since then.
        self.before = initial
        self.looked = False
        self.acted = 0
        self.sequence = 0
        self.last_value: Any = None

    def token(self) -> str:
        """A value that nobody else writes."""
        self.sequence += 1
        return tokens.mint(RUN_TAG, 0, self.number, self.sequence)


class Action(msgspec.Struct, kw_only=True):
    """What one operation does when it takes effect.

    Attributes:
        what: `change`, `look` or `clear`.
        value: that is written.
        shown: by the answer.
    """

    session: Session
    what: str
    value: Any = None
    shown: Any = None
    sightings: list[Sighting] = []


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an app does wrong now and then.

    Attributes:
        model: of what it spoils.
        name: what happens, for people.
        check: that must report it.
        suits: whether it can happen to an action.
        spoil: lets an action take effect, wrongly.
    """

    model: str
    name: str
    check: str
    suits: Callable[[App, Action], bool]
    spoil: Callable[[App, Action], None]
    clears: bool = False


class App:
    """An app with one variable, its visitors, and the history that they leave.

    Args:
        model: what it keeps.
        fault: what goes wrong; None if nothing does.
        rate: how likely that is, at each operation.
        seed: of everything.
        clears: whether people clear the state now and then.
    """

    def __init__(
        self, model: Model, fault: Fault | None, rate: float, seed: str, clears: bool = False
    ) -> None:
        self.model = model
        self.rng = random.Random(seed)
        # When the fault strikes must not change what people do.
        self.rng_of_fault = random.Random(f"{seed} fault")
        self._fault, self._rate, self._armed = fault, rate, False
        self._clears = clears
        # Operations by invoke; where the workload's own stand in there, by completion; how many of these were complete when the fault struck.
        self.operations: list[Operation] = []
        self.completed: list[int] = []
        self.strikes: list[int] = []
        self.open: dict[int, Session] = {}
        self._sessions = 0
        self._people = 0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._now = 0.0
        for user in range(USERS):
            self._at(self.rng.uniform(0, 1), lambda user=user: self._visit(user, None))  # type: ignore[misc]

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass."""
        while not until():
            self._now, _, happen = heapq.heappop(self._agenda)
            happen()

    def history(self, count: int) -> History:
        """What is on record when so many of the workload's operations are complete."""
        now = self.operations[self.completed[count - 1]].complete_ns if count else 0
        assert now is not None
        known = [
            o if o.complete_ns is not None and o.complete_ns <= now else _pending(o)
            for o in self.operations
            if o.invoke_ns <= now
        ]
        return History(operations=known, problems=[], workers=Workers(run_tag=RUN_TAG))

    def others(self, session: Session) -> list[Session]:
        """Sessions of other people that are open and have done something."""
        return [s for s in self.open.values() if s.person != session.person and s.acted]

    def right(self, action: Action) -> None:
        """What must happen."""
        self.keep(action, self.changed(action))
        action.shown = action.session.state

    def changed(self, action: Action) -> Any:
        """What an action must make of the state of its session."""
        state = action.session.state
        if action.what == "clear":
            return self.model.initial(action.session.number)
        return state if action.what == "look" else self.model.change(state, action.value)

    def keep(self, action: Action, state: Any) -> None:
        """Keep a state for later operations of the session."""
        if action.what != "look":
            action.session.before, action.session.state = action.session.state, state

    # --- people ---

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (time, self._number, happen))

    def _visit(self, user: int, before: Session | None) -> None:
        self._sessions += 1
        if before is None:
            self._people += 1
        person = self._people if before is None else before.person
        session = Session(
            self._sessions,
            person,
            self.model.initial(self._sessions),
            None if before is None else before.state,
        )
        self.open[user] = session
        began = self._now
        self._record(session, "reload" if before else "open", began, began + LEAST_S, user=f"u{person}")
        length = 1
        while self.rng.random() > 1 / ACTIONS:
            length += 1
        self._at(began + LEAST_S, lambda: self._act(user, session, length, first=True))

    def _act(self, user: int, session: Session, left: int, first: bool = False) -> None:
        what = "change"
        if not first and self._clears and self.rng.random() < CLEAR_SHARE:
            what = "clear"
        elif self.rng.random() < (self.model.looks if not first else self.model.looks == 1):
            what = "look"
        action = Action(session=session, what=what)
        if what == "change":
            action.value = self.model.value(session, self.rng)
        began = self._now
        takes = LEAST_S + self.rng.expovariate(1 / MORE_S)
        effect = began + takes * self.rng.random()
        number = len(self.operations)
        self._record(session, what, began, began + takes)

        def happen() -> None:
            if self._fault is not None and self.rng_of_fault.random() < self._rate:
                self._armed = True
            if self._armed and self._fault is not None and self._fault.suits(self, action):
                self._armed = False
                self.strikes.append(len(self.completed))
                self._fault.spoil(self, action)
            else:
                self.right(action)
            session.looked = what == "look"
            session.acted += 1
            session.last_value = action.value if what == "change" else session.last_value

        def complete() -> None:
            effects = {}
            if what != "look":
                op: Any = "clear" if what == "clear" else self.model.op
                effects[VARIABLE] = Effect(op=op, value=action.value)
            self.operations[number] = msgspec.structs.replace(
                self.operations[number],
                effects=effects,
                reads={VARIABLE: action.shown},
                sightings=action.sightings,
                searched=1,
            )
            self.completed.append(number)
            if left:
                pause = self.rng.uniform(0.5, 1.5) * THINK_S
                self._at(self._now + pause, lambda: self._act(user, session, left - 1))
            else:
                back = session if self.rng.random() < RELOAD_SHARE else None
                self._at(self._now + LEAST_S, lambda: self._visit(user, back))

        self._at(effect, happen)
        self._at(began + takes, complete)

    def _record(self, session: Session, action: str, begin: float, end: float, user: str = "") -> None:
        self.operations.append(
            Operation(
                worker="0",
                id=len(self.operations) + 1,
                session=session.name,
                action=action,
                phase="load",
                outcome="ok",
                invoke_ns=round(begin * 1e9),
                complete_ns=round(end * 1e9),
                user=user,
            )
        )


def _pending(operation: Operation) -> Operation:
    return msgspec.structs.replace(
        operation, outcome="pending", complete_ns=None, reads={}, sightings=[], searched=0
    )


MODELS: dict[str, Model] = {
    "list": Model(
        variable=append_only_list(),
        initial=lambda number: [],
        op="append",
        change=lambda state, value: [*state, value],
    ),
    "counter": Model(
        variable=counter(),
        initial=lambda number: 0,
        op="increment",
        value=lambda session, rng: 1,
        change=lambda state, value: state + value,
    ),
    "register": Model(variable=register(), initial=lambda number: None, op="write"),
    "record": Model(
        variable=record(),
        initial=lambda number: {},
        op="put",
        value=lambda session, rng: {rng.choice(_KEYS): session.token()},
        change=lambda state, value: {**state, **value},
    ),
    "assigned": Model(variable=assigned(), initial=lambda number: f"given to {number}", looks=1),
    "answer": Model(variable=answer(), initial=lambda number: None, op="ask", looks=0),
    "chain": Model(
        variable=chain(),
        initial=lambda number: None,
        op="begin",
        change=lambda state, value: [value] * 2,
        looks=0,
    ),
}


# --- what can happen ---


def _any(app: App, action: Action) -> bool:
    return True


def _change(app: App, action: Action) -> bool:
    return action.what == "change"


def _change_of_something(app: App, action: Action) -> bool:
    return action.what == "change" and bool(action.session.state)


def _somebody_else(app: App, action: Action) -> bool:
    return action.what != "clear" and any(s.state != action.session.state for s in app.others(action.session))


def _second_look(app: App, action: Action) -> bool:
    session = action.session
    return action.what == "look" and session.looked and session.before != session.state


def _clear_of_something(app: App, action: Action) -> bool:
    return action.what == "clear" and bool(action.session.state)


def _returning(app: App, action: Action) -> bool:
    return not action.session.acted and bool(action.session.left_behind)


def _crossed(app: App, action: Action) -> None:
    app.right(action)
    others = [s for s in app.others(action.session) if s.state != action.session.state]
    action.shown = app.rng_of_fault.choice(others).state


def _not_kept(app: App, action: Action) -> None:
    action.shown = app.changed(action)


def _reset(app: App, action: Action) -> None:
    action.session.state = app.model.initial(action.session.number)
    app.right(action)


def _twice(app: App, action: Action) -> None:
    app.right(action)
    app.right(action)


def _stale(app: App, action: Action) -> None:
    app.right(action)
    action.shown = action.session.before


def _reordered(app: App, action: Action) -> None:
    *rest, last = action.session.state
    app.keep(action, [*rest, action.value, last])
    action.shown = action.session.state


def _garbled(app: App, action: Action) -> None:
    """The answer shows the latest text cut in two: a list without its end, a record with half a value."""
    app.right(action)
    shown = action.shown
    if isinstance(shown, list):
        action.shown = [*shown[:-1], shown[-1][:-2]]
    elif isinstance(shown, dict):
        action.shown = {**shown, **{name: value[:-2] for name, value in action.value.items()}}
    else:
        action.shown = shown[:-2]


def _shown_as_cleared(app: App, action: Action) -> None:
    action.shown = app.model.initial(action.session.number)


def _resurrected(app: App, action: Action) -> None:
    action.session.state = action.session.left_behind
    app.right(action)


def _swapped(app: App, action: Action) -> None:
    app.right(action)
    action.shown = app.rng_of_fault.choice(app.others(action.session)).last_value


def _mixed(app: App, action: Action) -> None:
    app.right(action)
    action.shown = [action.value, app.rng_of_fault.choice(app.others(action.session)).last_value]


def _foreign_token(app: App, action: Action) -> None:
    app.right(action)
    value = app.rng_of_fault.choice(app.others(action.session)).last_value
    action.sightings = [Sighting(kind="foreign-token", value=value, where="the log of /add")]


def _state_on_the_wire(app: App, action: Action) -> None:
    app.right(action)
    action.sightings = [
        Sighting(kind="state-on-the-wire", value="[…]", where="the result of /add, output 0, a State")
    ]


def _fault(model: str, name: str, check: str, suits: Any, spoil: Any, clears: bool = False) -> Fault:
    return Fault(model=model, name=name, check=check, suits=suits, spoil=spoil, clears=clears)


FAULTS: tuple[Fault, ...] = (
    _fault("list", "an answer shows another session's state", "cross-session-read", _somebody_else, _crossed),
    _fault("list", "an update is shown, and not kept", "lost-update", _change, _not_kept),
    _fault("list", "the state is back where it began", "reset", _change_of_something, _reset),
    _fault("list", "an update takes effect twice", "duplicate-effect", _change, _twice),
    _fault("list", "an answer lacks the update itself", "read-your-writes", _change, _stale),
    _fault("list", "a second look shows less than the first", "monotonic-reads", _second_look, _stale),
    _fault("list", "two updates take effect in the wrong order", "monotonic-writes", _change_of_something, _reordered),
    _fault("list", "an answer shows half a text", "garbage-read", _change, _garbled),
    _fault("list", "a clear empties what is shown alone", "cleared-state-returns", _clear_of_something, _shown_as_cleared, clears=True),
    _fault("list", "a reloaded page starts with what was there before", "resurrected-state", _returning, _resurrected),
    _fault("counter", "an answer shows another session's state", "cross-session-read", _somebody_else, _crossed),
    _fault("counter", "an update is shown, and not kept", "lost-update", _change, _not_kept),
    _fault("counter", "the state is back where it began", "reset", _change_of_something, _reset),
    _fault("counter", "an update takes effect twice", "cross-session-read", _change, _twice),
    _fault("register", "an answer shows another session's state", "cross-session-read", _somebody_else, _crossed),
    _fault("register", "an update is shown, and not kept", "lost-update", _change, _not_kept),
    _fault("register", "an answer shows half a text", "garbage-read", _change, _garbled),
    _fault("record", "an answer shows another session's state", "cross-session-read", _somebody_else, _crossed),
    _fault("record", "an update is shown, and not kept", "lost-update", _change, _not_kept),
    _fault("assigned", "a session is shown another's value", "cross-session-read", _somebody_else, _crossed),
    _fault("answer", "an answer is another session's", "misdelivered-response", _somebody_else, _swapped),
    _fault("chain", "step two works on another session's text", "non-atomic-chain", _somebody_else, _mixed),
    _fault("list", "a response holds another session's token", "canary", _somebody_else, _foreign_token),
    _fault("list", "a response holds a State value", "visible-state", _any, _state_on_the_wire),
)  # fmt: skip
