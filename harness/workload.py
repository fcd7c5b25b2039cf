"""The building blocks of a scenario's `workload.py`: models, effects, actions.

A workload describes what a user does on one page of the app, and which state these actions read and change:

    class Visitor(Workload):
        state = {"count": counter()}

        def arrive(self):
            self.click()

        @action
        def click(self):
            with self.operation("click", count=increment()) as seen:
                seen["count"] = self.page.call("/click")

This module does not import Locust. The load generator creates the session and gives it to the workload.
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
from harness.records import PAGE_ACTIONS, ConcurrentUpdates, Effect, Scope, StateVariable
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
    """Model: a number that only its owner's increments change.

    Args:
        initial: the value for a new owner.
        scope: the owner: one `session`, one `user` with all sessions of that user, or `everyone`.
        concurrent_updates: what the app guarantees if updates overlap in time: `atomic` (no update is lost) or `last-wins` (an
            update may overwrite another).
    """
    return StateVariable(model="counter", initial=initial, scope=scope, concurrent_updates=concurrent_updates)


def append_only_list(
    *,
    scope: Scope = "session",
    concurrent_updates: ConcurrentUpdates = "atomic",
    within_s: float = 0.0,
    above: float | None = None,
) -> StateVariable:
    """Model: a list to which only its owner appends. Each element must be unique: use tokens.

    Args:
        scope: see `counter`.
        concurrent_updates: see `counter`.
        within_s: the longest time from the completion of a write until every new read shows it, seconds. 0 means at once.
        above: a threshold. The list accepts an `offer(number, element)` only if the number is greater. None for lists with `append`.
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
    """Model: a variable that holds the last value that its owner wrote.

    Each value must be unique: use tokens. The arguments are those of `counter`.
    """
    return StateVariable(
        model="register", initial=initial, scope=scope, concurrent_updates=concurrent_updates
    )


def record(initial: Mapping[str, Any] | None = None, *, scope: Scope = "session") -> StateVariable:
    """Model: a dict. Each key holds the last value that its owner put there. Each value must be unique: use tokens.

    Args:
        initial: the content for a new owner.
        scope: see `counter`.
    """
    return StateVariable(model="record", initial=dict(initial or {}), scope=scope)


def blob(*, scope: Scope = "session", concurrent_updates: ConcurrentUpdates = "atomic") -> StateVariable:
    """Model: a variable that holds the last content that its owner stored, such as a file. The history holds only digests.

    Each content must be unique: put a token or random bytes into it. To record a read, put `digest(content)` into `seen`, or None if
    there is no content. The arguments are those of `counter`.
    """
    return StateVariable(model="blob", scope=scope, concurrent_updates=concurrent_updates)


def assigned(*, scope: Scope = "session") -> StateVariable:
    """Model: a value that the app assigns to each owner, such as an id. It is unique and never changes."""
    return StateVariable(model="assigned", scope=scope)


def answer() -> StateVariable:
    """Model: the answer to an operation must show the value that this operation asked for, with `ask`.

    To record the answer, put the value that the page showed into `seen`, or a list if the page showed several.
    """
    return StateVariable(model="answer")


def chain() -> StateVariable:
    """Model: an operation starts a chain of events, and each event must show the value that this operation gave, with `begin`.

    To record the chain, put a list into `seen` with one value for each event.
    """
    return StateVariable(model="chain")


class Model:
    """Base class for a model of your own. Its pure function `step` returns the state after an effect.

        class Stack(Model):
            initial = []

            def step(self, state, name, value):
                return [*state, value] if name == "push" else state[:-1]

    `state = {"stack": Stack(scope="user")}` declares a variable with this model, and `does("push", value)` is an effect on it. gradsoak
    searches for an order of the owner's operations that explains every read. If there is none, it reports an anomaly.

    Attributes:
        initial: the state for a new owner: JSON values.

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
        """Return the state after an effect. The result must depend only on the arguments.

        Args:
            state: the state before the effect.
            name: the first argument of `does(name, value)`.
            value: the second argument of `does(name, value)`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method step(self, state, name, value)")

    def shows(self, state: Any) -> Any:
        """Return what a read must show. By default this is the whole state; override it if the app shows less."""
        return state

    @property
    def tells_all(self) -> bool:
        """True if a read shows the whole state, because the class does not override `shows`."""
        return type(self).shows is Model.shows

    def variable(self) -> StateVariable:
        """Return the declaration of the variable, as the manifest records it.

        Raises:
            TypeError: the initial state is not made of JSON values.
        """
        try:
            initial = msgspec.json.decode(msgspec.json.encode(self.initial))
        except (TypeError, ValueError) as error:
            raise TypeError(f"{type(self).__name__}.initial must be made of JSON values: {error}") from error
        return StateVariable(
            model="custom",
            initial=initial,
            scope=self.scope,
            concurrent_updates=self.concurrent_updates,
            within_s=self.within_s,
        )


# --- effects: what an operation should do to a variable ---


def increment(amount: int = 1) -> Effect:
    """Effect: add a positive whole number to a counter.

    Raises:
        ValueError: the amount is not a positive whole number.
    """
    if not isinstance(amount, int) or amount < 1:
        raise ValueError(f"increment({amount!r}): a counter grows by whole numbers, 1 or more")
    return Effect(op="increment", value=amount)


def append(value: str) -> Effect:
    """Effect: add one unique element to the end of a list."""
    return Effect(op="append", value=value)


def offer(number: float, element: str) -> Effect:
    """Effect: append one unique element if the number is greater than the `above` of the list."""
    return Effect(op="offer", value=[number, element])


def write(value: Any) -> Effect:
    """Effect: replace the value of a register."""
    return Effect(op="write", value=value)


def store(content: Any) -> Effect:
    """Effect: replace a blob.

    Args:
        content: bytes, a text, or JSON values. The history records only the digest of the content and the tokens in it.
    """
    data = as_bytes(content)
    # The tokens are recorded because a shared blob may show them to other sessions.
    return Effect(op="store", value=[digest(data), [*dict.fromkeys(tokens.find(data.decode("latin-1")))]])


def put(**values: Any) -> Effect:
    """Effect: replace the values of these keys of a record."""
    return Effect(op="put", value=values)


def clear() -> Effect:
    """Effect: set the variable back to its initial value."""
    return Effect(op="clear", value=None)


def ask(value: Any) -> Effect:
    """Effect: ask for a value. The answer to this operation must show it, and must not show the value of another operation."""
    return Effect(op="ask", value=value)


def begin(value: Any) -> Effect:
    """Effect: start a chain of events with a value. Each event must show it."""
    return Effect(op="begin", value=value)


def does(name: str, value: Any = None) -> Effect:
    """Effect on a variable with a model of your own: the state becomes `step(state, name, value)`."""
    return Effect(op="does", value=[name, value])


class Page(Protocol):
    """The page of a session, as a workload uses it. `harness.page.gradio_page.GradioPage` implements it; see docs/page.md.

    The argument `name` selects a component: by its label, the text on a button, its `elem_id`, its id, or its type if the page has only
    one component of that type.
    """

    @property
    def partials(self) -> list[Any]:
        """All partial outputs of the last `call`, each in the form of its result."""

    def fill(self, name: str | int, value: Any) -> Any:
        """Set the value of a component, and wait for all events that this triggers. The other actions also wait for their events.

        The method `value(name)` of the result returns the new value of a component.
        """

    def click(self, name: str | int, *, may_fail: bool = False) -> Any:
        """Click a button. With `may_fail`, an error of the app does not make the operation fail."""

    def submit(self, name: str | int, value: Any = None, *, may_fail: bool = False) -> Any:
        """Press Enter in a component. If a value is given, set it first."""

    def select(self, name: str | int, choice: Any, *, may_fail: bool = False) -> Any:
        """Select a choice of a dropdown, radio or checkbox group, or a tab of a `gr.Tabs`."""

    def upload(self, name: str | int, *files: Any, may_fail: bool = False) -> Any:
        """Upload files with a component. Each file is a path, or a pair of name and content."""

    def trigger(self, name: str | int, event: str, event_data: Any = None, *, may_fail: bool = False) -> Any:
        """Trigger any other event of a component."""

    def begin(
        self, name: str | int, event: str = "click", event_data: Any = None, *, may_fail: bool = False
    ) -> Any:
        """Trigger an event without waiting for it. The method `wait()` of the result waits."""

    def value(self, name: str | int) -> Any:
        """Return the current value of a component."""

    def prop(self, name: str | int, prop: str) -> Any:
        """Return the current value of a property of a component, such as `visible`."""

    def download(self, file: Any) -> bytes:
        """Download a file that a component shows, and return its content."""

    def call(self, api_name: str, *args: Any) -> Any:
        """Call an endpoint of the app, and wait for its outputs. The components of the page do not change.

        Args:
            api_name: the endpoint, for example `/click`.
            args: values of the input components, in order, without `gr.State`.

        Returns:
            The value of the output component, or a tuple if there are several, without `gr.State`.
        """


class Session(Protocol):
    """A session, as the load generator gives it to a workload. It has a page and records operations."""

    @property
    def id(self) -> str:
        """Id of the session in the history."""

    @property
    def page(self) -> Page:
        """The page of the session."""

    @property
    def random(self) -> random.Random:
        """Random number generator of the session. It depends on the seed of the run."""

    @property
    def params(self) -> Mapping[str, str]:
        """Parameters of the scenario: name → value."""

    @property
    def user(self) -> str:
        """Unique name of the user. All sessions of the user have it, also after a restart of the app."""

    def token(self) -> str:
        """Return a new token of this session."""

    def secret(self, text: str) -> None:
        """Declare a secret: from now on, no response to any session may contain this text."""

    def at_once(self, actions: Sequence[Callable[[], None]]) -> None:
        """Run several actions at the same time, and wait for all of them."""

    def operation(self, name: str, effects: Mapping[str, Effect]) -> AbstractContextManager[dict[str, Any]]:
        """Record one operation. The invoke is written when the `with` block begins, the completion when it ends."""


@overload
def action(function: F) -> F: ...
@overload
def action(*, weight: int = 1) -> Callable[[F], F]: ...
def action(function: Any = None, *, weight: int = 1) -> Any:
    """Decorator: the method is an action. Users repeat the actions of a workload in random order.

    Args:
        function: the method, if the decorator is used without parentheses.
        weight: how often users choose this action, relative to the other actions.
    """

    def mark(method: F) -> F:
        method.gradsoak_weight = weight  # type: ignore[attr-defined]
        return method

    return mark(function) if function is not None else mark


# Workload class → names of its actions, and their cumulative weights. `act` uses them for every action, so they are computed once.
_choices: dict[type, tuple[list[str], list[int]]] = {}


class Workload:
    """Base class of a workload.

    A scenario's `workload.py` defines one subclass, with the state variables and one method per action. Each session has an object of this
    class. Its attributes can hold data of the session, such as the messages of a chat.

    Attributes:
        state: name of a state variable → its model: the result of a function such as `counter()`, or a `Model` of your own.
        shared: names of components that may show tokens of other sessions, because the app shares their data on purpose. Variables
            of scope `everyone` need no entry here: their tokens may appear in any component.
        variables: name of a state variable → its declaration, as the manifest records it. Derived from `state`.
        own_models: name of a state variable → its `Model`, for models of your own. Derived from `state`.
    """

    state: ClassVar[Mapping[str, StateVariable | Model]] = {}
    variables: ClassVar[dict[str, StateVariable]] = {}
    own_models: ClassVar[dict[str, Model]] = {}
    shared: ClassVar[Sequence[str]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if isinstance(cls.shared, str):
            raise TypeError(
                f"{cls.__name__}.shared must be a list of names, not the text {cls.shared!r}: "
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
        """The page of this session."""
        return self._session.page

    @property
    def random(self) -> random.Random:
        """Random number generator of the session. It depends on the seed of the run."""
        return self._session.random

    @property
    def params(self) -> Mapping[str, str]:
        """Parameters of the scenario: name → value."""
        return self._session.params

    def token(self) -> str:
        """Return a new token of this session."""
        return self._session.token()

    @property
    def user(self) -> str:
        """Unique name of the user. All sessions of the user have it, also after a restart of the app."""
        return self._session.user

    def secret(self, text: str) -> None:
        """Declare a secret: from now on, no response to any session may contain this text. Use it for texts in `gr.State`.

        Raises:
            ValueError: the text is so short that a response may contain it by chance. Use a token.
        """
        self._session.secret(text)

    def at_once(self, *actions: Callable[[], None]) -> None:
        """Run several actions at the same time, such as a double click or two buttons, and wait for all of them.

        Args:
            actions: methods of this workload. Each records its own operations. The same method may be given twice.
        """
        self._session.at_once(actions)

    @contextmanager
    def operation(self, name: str, /, **effects: Effect) -> Iterator[dict[str, Any]]:
        """Record one operation, with a `with` block around the requests that belong to it.

        Args:
            name: name of the operation in the report.
            effects: state variable → effect that the operation should have.

        Returns:
            A context manager that yields a dict, by convention called `seen`. Put the values that the page showed into this dict:
            state variable → value.

        Raises:
            KeyError: `effects` or `seen` has a variable that `state` does not declare.
            ValueError: an effect does not fit the model of its variable, or the load generator uses the name itself, such as `open`.
        """
        if name in PAGE_ACTIONS:
            raise ValueError(
                f"operation {name!r}: the load generator uses {', '.join(PAGE_ACTIONS)} itself; choose another name"
            )
        self.check_effects(name, effects)
        with self._session.operation(name, effects) as seen:
            yield seen
            self._declared(name, seen)

    def check_effects(self, name: str, effects: Mapping[str, Effect]) -> None:
        """Check that `state` declares these variables, and that the effects fit their models.

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
        """Do what each session does first, right after its page has opened. By default this is nothing."""

    def leave(self) -> Mapping[str, Effect]:
        """Return the effects of closing the page: state variable → effect. By default there are none.

        The load generator calls this once per session, just before it closes the page, and also if an action has failed. It records the
        effects with the operation `close`. The app's `unload` function may run later; Gradio does not report when.
        """
        return {}

    def act(self) -> None:
        """Do one random action. An action with a greater weight is chosen more often."""
        kind = type(self)
        if kind not in _choices:
            methods = kind.actions()
            _choices[kind] = list(methods), list(itertools.accumulate(methods.values()))
        names, cumulative_weights = _choices[kind]
        if names:
            getattr(self, self.random.choices(names, cum_weights=cumulative_weights)[0])()

    @classmethod
    def actions(cls) -> dict[str, int]:
        """Return the methods with the decorator `@action`: name → weight, in order of definition."""
        found: dict[str, int] = {}
        for kind in reversed(cls.__mro__):
            for name, member in vars(kind).items():
                weight = getattr(member, "gradsoak_weight", None)
                if weight is not None:
                    found[name] = weight
        return found


# --- loading a workload from a file ---


def load_workload(path: Path) -> type[Workload]:
    """Import a scenario's `workload.py` and return the Workload class that it defines.

    Raises:
        UsageError: the file cannot be imported, it does not define exactly one Workload class, or the class has no action.
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
            f"{path}: {workload.__name__} has no @action.", "Mark each method that is an action with @action."
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
