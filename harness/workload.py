"""What a scenario's `workload.py` is written with.

A workload says what a person does in one browser tab, and which state that touches:

    class Visitor(Workload):
        state = {"count": counter()}

        def arrive(self):
            self.click()

        @action
        def click(self):
            with self.operation("click", count=increment()) as seen:
                seen["count"] = self.page.call("/click")

It knows nothing of Locust: the load generator gives it a session to act in. `load_workload` finds the one in a file.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol, TypeVar, overload

import msgspec

from harness import tokens
from harness.blobs import as_bytes, digest
from harness.errors import UsageError
from harness.records import TAB_ACTIONS, ConcurrentUpdates, Effect, Scope, StateVariable
from harness.records import Model as ModelName

__all__ = [
    "Model",
    "Page",
    "Session",
    "Workload",
    "action",
    "answer",
    "append",
    "append_only_list",
    "ask",
    "assigned",
    "begin",
    "blob",
    "chain",
    "clear",
    "counter",
    "digest",
    "does",
    "increment",
    "load_workload",
    "offer",
    "put",
    "record",
    "register",
    "store",
    "write",
]

F = TypeVar("F", bound=Callable[..., None])

_EFFECTS_OF: dict[ModelName, set[str]] = {
    "counter": {"increment", "clear"},
    "list": {"append", "offer", "clear"},
    "register": {"write", "clear"},
    "record": {"put", "clear"},
    "blob": {"store", "clear"},
    "assigned": set(),
    "answer": {"ask"},
    "chain": {"begin"},
    "custom": {"does", "clear"},
}


# --- models: what must be true of a variable ---


def counter(
    initial: int = 0, *, scope: Scope = "session", concurrent_updates: ConcurrentUpdates = "atomic"
) -> StateVariable:
    """A number that only its owner's increments change.

    Args:
        initial: where it starts.
        scope: who owns it: the `session`, one `user` over all page loads, or `everyone`.
        concurrent_updates: what the app guarantees for updates that overlap in time: `atomic` (none is lost), or
            `last-wins` (each may overwrite those that it overlaps).
    """
    return StateVariable(model="counter", initial=initial, scope=scope, concurrent_updates=concurrent_updates)


def append_only_list(
    *,
    scope: Scope = "session",
    concurrent_updates: ConcurrentUpdates = "atomic",
    within_s: float = 0.0,
    above: float | None = None,
) -> StateVariable:
    """A list that only grows, by its owner's appends. Elements are unique: use tokens.

    Args:
        scope: see `counter`.
        concurrent_updates: see `counter`.
        within_s: a write must be visible to reads that begin so many seconds after its completion; 0 is at once.
        above: elements come as `offer(number, element)`, and only those whose number is greater are accepted.
    """
    return StateVariable(
        model="list",
        initial=[],
        scope=scope,
        concurrent_updates=concurrent_updates,
        within_s=within_s,
        above=above,
    )


def register(
    initial: Any = None, *, scope: Scope = "session", concurrent_updates: ConcurrentUpdates = "atomic"
) -> StateVariable:
    """A value that holds the last one its owner wrote. Values are unique: make them from tokens. Arguments as of `counter`."""
    return StateVariable(
        model="register", initial=initial, scope=scope, concurrent_updates=concurrent_updates
    )


def record(initial: Mapping[str, Any] | None = None, *, scope: Scope = "session") -> StateVariable:
    """A dict each of whose keys holds the last value its owner put there. Values are unique: make them from tokens.

    Args:
        initial: what a new owner starts from; a key that is not in it reads as absent until something is put there.
        scope: see `counter`.
    """
    return StateVariable(model="record", initial=dict(initial or {}), scope=scope)


def blob(*, scope: Scope = "session", concurrent_updates: ConcurrentUpdates = "atomic") -> StateVariable:
    """Content that is too large for the history, such as a file: what its owner stored last, compared by its digest.

    Contents are unique: put a token into each, or enough that is random. What is read goes into `seen` as
    `digest(content)`; None stands for nothing. Arguments as of `counter`.
    """
    return StateVariable(model="blob", scope=scope, concurrent_updates=concurrent_updates)


def assigned(*, scope: Scope = "session") -> StateVariable:
    """A value that the app itself gives to each owner, such as the time when a page was loaded: never another's, never changed."""
    return StateVariable(model="assigned", scope=scope)


def answer() -> StateVariable:
    """What the answer to an operation shows must be what that operation asked. Read a value, or a list of all that was shown."""
    return StateVariable(model="answer")


def chain() -> StateVariable:
    """Every step of an operation must show what that same operation began with. Read a list, one value for each step."""
    return StateVariable(model="chain")


class Model:
    """A model of one's own: what each effect makes of the state, in one pure function.

        class Stack(Model):
            initial = []

            def step(self, state, name, value):
                return [*state, value] if name == "push" else state[:-1]

    An operation asks for `does("push", value)`, and `state = {"stack": Stack(scope="user")}` declares the variable. Every read
    must be explained by some order in which the operations of its owner can have taken effect.

    Attributes:
        initial: the state that a new owner begins with, of what JSON has.

    Args:
        scope: see `counter`.
        concurrent_updates: see `counter`.
        within_s: see `append_only_list`.
    """

    initial: Any = None

    def __init__(
        self,
        *,
        scope: Scope = "session",
        concurrent_updates: ConcurrentUpdates = "atomic",
        within_s: float = 0.0,
    ) -> None:
        self.scope = scope
        self.concurrent_updates = concurrent_updates
        self.within_s = within_s

    def step(self, state: Any, name: str, value: Any) -> Any:
        """The state after an effect. It depends on nothing else, and may be asked for many times.

        Args:
            state: the one before.
            name, value: as in `does(name, value)`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method step(self, state, name, value)")

    def shows(self, state: Any) -> Any:
        """What a read of the state must show; the state itself, unless this is overridden."""
        return state

    @property
    def tells_all(self) -> bool:
        """Whether a read shows the whole state."""
        return type(self).shows is Model.shows

    def variable(self) -> StateVariable:
        """What the manifest says of it.

        Raises:
            TypeError: the initial state is nothing that JSON has.
        """
        try:
            initial = msgspec.json.decode(msgspec.json.encode(self.initial))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{type(self).__name__}.initial must be made of what JSON has: {error}"
            ) from error
        return StateVariable(
            model="custom",
            initial=initial,
            scope=self.scope,
            concurrent_updates=self.concurrent_updates,
            within_s=self.within_s,
        )


# --- effects: what an operation asks of a variable ---


def increment(amount: int = 1) -> Effect:
    """Effect: add a positive whole number to a counter.

    Raises:
        ValueError: the amount is not positive: then no bound on the count would hold.
    """
    if not isinstance(amount, int) or amount < 1:
        raise ValueError(f"a counter grows by whole numbers from 1 on, not by {amount!r}")
    return Effect(op="increment", value=amount)


def append(value: str) -> Effect:
    """Effect: add one unique element to the end of a list."""
    return Effect(op="append", value=value)


def offer(number: float, element: str) -> Effect:
    """Effect: add one unique element to a list that accepts only those whose number is above its threshold."""
    return Effect(op="offer", value=[number, element])


def write(value: Any) -> Effect:
    """Effect: replace the value of a register."""
    return Effect(op="write", value=value)


def store(content: Any) -> Effect:
    """Effect: replace a blob.

    Args:
        content: bytes, a text, or anything that JSON can say; only its digest is recorded, and the tokens in it.
    """
    data = as_bytes(content)
    # The tokens say what a response may show of it, where it is meant for others as well.
    return Effect(op="store", value=[digest(data), [*dict.fromkeys(tokens.find(data.decode("latin-1")))]])


def put(**values: Any) -> Effect:
    """Effect: replace the values of these keys of a record."""
    return Effect(op="put", value=values)


def clear() -> Effect:
    """Effect: back to the initial value."""
    return Effect(op="clear", value=None)


def ask(value: Any) -> Effect:
    """Effect: the answer to this operation must show this value, and no other operation's."""
    return Effect(op="ask", value=value)


def begin(value: Any) -> Effect:
    """Effect: each step of the chain that this operation sets off must show this value."""
    return Effect(op="begin", value=value)


def does(name: str, value: Any = None) -> Effect:
    """Effect: what `step(state, name, value)` of a model of one's own makes of the state."""
    return Effect(op="does", value=[name, value])


class Page(Protocol):
    """The browser tab, as a workload sees it: `harness.page.gradio_page.GradioPage`, described in docs/page.md.

    A `name` is a label (or the text on a button), an `elem_id`, an id, or a type if there is only one of it.
    """

    @property
    def partials(self) -> list[Any]:
        """Every partial output of the `call` that ended last, in the form of its result."""

    def fill(self, name: str | int, value: Any) -> Any:
        """Give a component a value, and wait until everything that this sets off is over. So do the others.

        The result has `value(name)`: what this very action brought for a component.
        """

    def click(self, name: str | int, *, may_fail: bool = False) -> Any:
        """Click a button; with `may_fail`, an error of the app is an answer like any other."""

    def submit(self, name: str | int, value: Any = None, *, may_fail: bool = False) -> Any:
        """Press Enter in a component, after filling it if a value is given."""

    def select(self, name: str | int, choice: Any, *, may_fail: bool = False) -> Any:
        """Choose in a dropdown, radio or checkbox group, or open a tab."""

    def upload(self, name: str | int, *files: Any, may_fail: bool = False) -> Any:
        """Choose files, by path or as a name with its content, in an upload component."""

    def trigger(self, name: str | int, event: str, event_data: Any = None, *, may_fail: bool = False) -> Any:
        """Let any other event of a component happen."""

    def begin(
        self, name: str | int, event: str = "click", event_data: Any = None, *, may_fail: bool = False
    ) -> Any:
        """As `trigger`, without waiting; the result has `wait()`."""

    def value(self, name: str | int) -> Any:
        """What a component shows."""

    def prop(self, name: str | int, prop: str) -> Any:
        """A property of a component as it is now."""

    def download(self, file: Any) -> bytes:
        """The content of a file that a component shows."""

    def call(self, api_name: str, *args: Any) -> Any:
        """Trigger an event of the app by its endpoint and wait for its outputs; the components do not notice.

        Args:
            api_name: the endpoint, for example `/click`.
            args: values of its input components, in order, State left out.

        Returns:
            The value of its output component, or a tuple of several; State left out.
        """


class Session(Protocol):
    """What the load generator provides to a workload: a tab, and a place to write down what happens in it."""

    @property
    def id(self) -> str:
        """Its name in the history."""

    @property
    def page(self) -> Page:
        """Its tab."""

    @property
    def random(self) -> random.Random:
        """Random numbers that the run's seed decides."""

    @property
    def params(self) -> Mapping[str, str]:
        """The scenario's adjustable values."""

    @property
    def user(self) -> str:
        """The person's name: the same after a reload, and after a restart of the app; unlike any other person's."""

    def token(self) -> str:
        """A new value that names this session and no other write."""

    def secret(self, text: str) -> None:
        """From now on, no response of the server may hold this text."""

    def at_once(self, actions: Sequence[Callable[[], None]]) -> None:
        """Do several actions at the same time, and wait for all."""

    def operation(self, name: str, effects: Mapping[str, Effect]) -> AbstractContextManager[dict[str, Any]]:
        """Record one operation: its invoke on entry, its completion on exit."""


@overload
def action(function: F) -> F: ...
@overload
def action(*, weight: int = 1) -> Callable[[F], F]: ...
def action(function: Any = None, *, weight: int = 1) -> Any:
    """Mark a method as something that a person does again and again.

    Args:
        function: the method, when used without parentheses.
        weight: how often it is chosen, compared with the other actions.
    """

    def mark(method: F) -> F:
        method.gradsoak_weight = weight  # type: ignore[attr-defined]
        return method

    return mark(function) if function is not None else mark


# Names of a workload's actions with their cumulative weights: needed at every act, found out once.
_choices: dict[type, tuple[list[str], list[int]]] = {}


class Workload:
    """One visit to the app: a session from opening the page to closing it.

    Subclass it in `workload.py`, name the state variables, and write one method per action. One object lives as
    long as one session, so attributes of `self` are what the page itself holds, such as a chat's visible history.

    Attributes:
        state: state variable → the model that it must follow: one of those above, or a `Model` of one's own.
        shared: names of components in which tokens of any session may stand: what the app shows to everybody on purpose,
            and `state` says nothing of. What is written to a variable of scope `everyone` may be seen anywhere.
        variables: what the manifest says of `state`.
        own_models: those variables that have a model of one's own.
    """

    state: ClassVar[Mapping[str, StateVariable | Model]] = {}
    variables: ClassVar[dict[str, StateVariable]] = {}
    own_models: ClassVar[dict[str, Model]] = {}
    shared: ClassVar[Sequence[str]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if isinstance(cls.shared, str):
            raise TypeError(
                f"{cls.__name__}.shared is the text {cls.shared!r}, whose letters would be the names: "
                f"write shared = [{cls.shared!r}]"
            )
        cls.own_models = {name: model for name, model in cls.state.items() if isinstance(model, Model)}
        cls.variables = {
            name: model.variable() if isinstance(model, Model) else model for name, model in cls.state.items()
        }

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def page(self) -> Page:
        """The browser tab of this session."""
        return self._session.page

    @property
    def random(self) -> random.Random:
        """Random numbers that the run's seed decides."""
        return self._session.random

    @property
    def params(self) -> Mapping[str, str]:
        """The scenario's adjustable values."""
        return self._session.params

    def token(self) -> str:
        """A new value that names this session and no other write."""
        return self._session.token()

    @property
    def user(self) -> str:
        """The person's name: the same after a reload, and after a restart of the app; unlike any other person's."""
        return self._session.user

    def secret(self, text: str) -> None:
        """Declare a text that only the server's State holds: from now on, no response may show it, whoever gets it.

        Raises:
            ValueError: it is so short that it may stand anywhere. Make it from a token.
        """
        self._session.secret(text)

    def at_once(self, *actions: Callable[[], None]) -> None:
        """Do several things at the same time, as with a double click or with two buttons, and wait for all of them.

        Args:
            actions: methods of this workload, each with operations of its own; the same may stand there twice.
        """
        self._session.at_once(actions)

    @contextmanager
    def operation(self, name: str, /, **effects: Effect) -> Iterator[dict[str, Any]]:
        """Record one operation.

        Args:
            name: the action's name, as it stands in the latency table.
            effects: state variable → what this operation asks of it.

        Returns:
            A context manager; put what the page showed into the mapping that it yields, by state variable.

        Raises:
            KeyError: an effect or an observation names a variable that `state` does not declare.
            ValueError: an effect does not fit the variable's model, or the name is that of something a tab does by itself.
        """
        if name in TAB_ACTIONS:
            raise ValueError(
                f"operation {name!r}: {', '.join(TAB_ACTIONS)} are what a tab does by itself; choose another name"
            )
        self.check_effects(name, effects)
        with self._session.operation(name, effects) as seen:
            yield seen
            self._declared(name, seen)

    def check_effects(self, name: str, effects: Mapping[str, Effect]) -> None:
        """Make sure that an operation may ask this of the state.

        Raises:
            KeyError: an effect names a variable that `state` does not declare.
            ValueError: an effect does not fit the variable's model.
        """
        self._declared(name, effects)
        for variable, effect in effects.items():
            model = self.variables[variable].model
            if effect.op not in _EFFECTS_OF[model]:
                raise ValueError(
                    f"operation {name!r}: {effect.op} does not fit {variable!r}, which is a {model}"
                )

    def _declared(self, name: str, variables: Mapping[str, Any]) -> None:
        if variables.keys() <= self.state.keys():
            return
        unknown = sorted(set(variables) - set(self.state))
        known = ", ".join(self.state) or "nothing"
        raise KeyError(f"operation {name!r} names {', '.join(unknown)}; `state` declares {known}")

    def arrive(self) -> None:
        """What everybody does first, and what gives the session its state. Default: nothing."""

    def leave(self) -> Mapping[str, Effect]:
        """What closing the tab asks of the state: state variable → effect. Default: nothing.

        Called once for each session whose page was open, just before the tab is closed, however the visit went; the effects
        stand on the `close` operation. Gradio tells nobody when an app's `unload` has run: that may be later.
        """
        return {}

    def act(self) -> None:
        """Do one of the actions, chosen by weight."""
        kind = type(self)
        if kind not in _choices:
            methods = kind.actions()
            _choices[kind] = list(methods), list(itertools.accumulate(methods.values()))
        names, cumulative_weights = _choices[kind]
        if names:
            getattr(self, self.random.choices(names, cum_weights=cumulative_weights)[0])()

    @classmethod
    def actions(cls) -> dict[str, int]:
        """Names of the methods marked with `@action`, with their weights, in order of definition."""
        found: dict[str, int] = {}
        for kind in reversed(cls.__mro__):
            for name, member in vars(kind).items():
                weight = getattr(member, "gradsoak_weight", None)
                if weight is not None:
                    found[name] = weight
        return found


# --- finding the one in a file ---


def load_workload(path: Path) -> type[Workload]:
    """Import a scenario's `workload.py` and find the one Workload that it defines.

    Raises:
        UsageError: it cannot be imported, or does not define exactly one.
    """
    module = _import(path)
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Workload) and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = ", ".join(kind.__name__ for kind in found) or "none"
        raise UsageError(
            f"{path} must define exactly one Workload class; it defines {names}.",
            "See docs/write-a-scenario.md.",
        )
    workload = found[0]
    if not workload.actions():
        raise UsageError(
            f"{path}: {workload.__name__} has no @action.", "Mark what a person does with @action."
        )
    return workload


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gradsoak_workload", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file.", "A scenario folder holds a workload.py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["gradsoak_workload"] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(
            f"{path} cannot be imported: {type(error).__name__}: {error}.", "Correct it and run again."
        ) from error
    return module
