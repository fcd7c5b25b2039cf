"""The building blocks of a scenario's `workload.py`: models, effects, actions.

A workload describes what a user does in one browser tab, and which state that touches:

    class Visitor(Workload):
        state = {"count": counter()}

        def arrive(self):
            self.click()

        @action
        def click(self):
            with self.operation("click", count=increment()) as seen:
                seen["count"] = self.page.call("/click")

It does not depend on Locust: the load generator gives it a session to act in. `load_workload` loads the workload of a file.
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
        initial: its value for a new owner.
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
    """A list that only grows, by its owner's appends. Each element must be unique: use tokens.

    Args:
        scope: see `counter`.
        concurrent_updates: see `counter`.
        within_s: a write must be visible to reads that begin this many seconds after its completion; 0 means at once.
        above: elements come as `offer(number, element)`; the list accepts only those with a number greater than this.
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
    """A variable that holds the last value its owner wrote. Each value must be unique: use tokens. Arguments as for `counter`."""
    return StateVariable(
        model="register", initial=initial, scope=scope, concurrent_updates=concurrent_updates
    )


def record(initial: Mapping[str, Any] | None = None, *, scope: Scope = "session") -> StateVariable:
    """A dict in which each key holds the last value its owner put there. Each value must be unique: use tokens.

    Args:
        initial: its content for a new owner; any other key is absent until a value is put there.
        scope: see `counter`.
    """
    return StateVariable(model="record", initial=dict(initial or {}), scope=scope)


def blob(*, scope: Scope = "session", concurrent_updates: ConcurrentUpdates = "atomic") -> StateVariable:
    """Content too large for the history, such as a file: the last content its owner stored, compared by its digest.

    Each content must be unique: put a token or enough random bytes into it. Put a read into `seen` as `digest(content)`, or
    None if there is no content. Arguments as for `counter`.
    """
    return StateVariable(model="blob", scope=scope, concurrent_updates=concurrent_updates)


def assigned(*, scope: Scope = "session") -> StateVariable:
    """A value that the app gives each owner, such as the time of a page load: unique to the owner, and never changed."""
    return StateVariable(model="assigned", scope=scope)


def answer() -> StateVariable:
    """An operation's answer must show what that operation asked. Read one value, or a list of all values shown."""
    return StateVariable(model="answer")


def chain() -> StateVariable:
    """Each step of an operation must show what that operation began with. Read a list with one value per step."""
    return StateVariable(model="chain")


class Model:
    """A model of your own: one pure function returns the state after each effect.

        class Stack(Model):
            initial = []

            def step(self, state, name, value):
                return [*state, value] if name == "push" else state[:-1]

    An operation asks for `does("push", value)`, and `state = {"stack": Stack(scope="user")}` declares the variable. Some order in
    which the owner's operations can have taken effect must explain every read.

    Attributes:
        initial: the state of a new owner, made of JSON values.

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
        """The state after an effect. It must depend on its arguments alone; the checker calls it many times.

        Args:
            state: the state before.
            name: the effect's name, as in `does(name, value)`.
            value: the effect's value, as in `does(name, value)`.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method step(self, state, name, value)")

    def shows(self, state: Any) -> Any:
        """What a read of the state must show: the state itself, unless a subclass overrides this."""
        return state

    @property
    def tells_all(self) -> bool:
        """Whether a read shows the whole state."""
        return type(self).shows is Model.shows

    def variable(self) -> StateVariable:
        """The variable as the manifest records it.

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


# --- effects: what an operation asks of a variable ---


def increment(amount: int = 1) -> Effect:
    """Effect: add a positive whole number to a counter.

    Raises:
        ValueError: the amount is not positive; the checker's bounds on a count need positive amounts.
    """
    if not isinstance(amount, int) or amount < 1:
        raise ValueError(f"increment({amount!r}): a counter grows by whole numbers, 1 or more")
    return Effect(op="increment", value=amount)


def append(value: str) -> Effect:
    """Effect: add one unique element to the end of a list."""
    return Effect(op="append", value=value)


def offer(number: float, element: str) -> Effect:
    """Effect: offer one unique element to a list that accepts it only if the number is above the list's threshold."""
    return Effect(op="offer", value=[number, element])


def write(value: Any) -> Effect:
    """Effect: replace the value of a register."""
    return Effect(op="write", value=value)


def store(content: Any) -> Effect:
    """Effect: replace a blob.

    Args:
        content: bytes, a text, or JSON values; only its digest and the tokens in it are recorded.
    """
    data = as_bytes(content)
    # If the blob is shared, responses to other sessions may show these tokens.
    return Effect(op="store", value=[digest(data), [*dict.fromkeys(tokens.find(data.decode("latin-1")))]])


def put(**values: Any) -> Effect:
    """Effect: replace the values of these keys of a record."""
    return Effect(op="put", value=values)


def clear() -> Effect:
    """Effect: set the variable back to its initial value."""
    return Effect(op="clear", value=None)


def ask(value: Any) -> Effect:
    """Effect: the answer to this operation must show this value, and no value of another operation."""
    return Effect(op="ask", value=value)


def begin(value: Any) -> Effect:
    """Effect: each step of the chain that this operation starts must show this value."""
    return Effect(op="begin", value=value)


def does(name: str, value: Any = None) -> Effect:
    """Effect of a model of your own: the state becomes `step(state, name, value)`."""
    return Effect(op="does", value=[name, value])


class Page(Protocol):
    """The browser tab of a session: `harness.page.gradio_page.GradioPage`, described in docs/page.md.

    A `name` is a label, the text on a button, an `elem_id`, an id, or a component type that occurs once on the page.
    """

    @property
    def partials(self) -> list[Any]:
        """All partial outputs of the last `call`, each in the form of its result."""

    def fill(self, name: str | int, value: Any) -> Any:
        """Set a component's value, and wait for all events that this triggers. The other actions wait likewise.

        The result has `value(name)`: the value that this action brought for a component.
        """

    def click(self, name: str | int, *, may_fail: bool = False) -> Any:
        """Click a button. With `may_fail`, an error of the app is an answer and not a failed operation."""

    def submit(self, name: str | int, value: Any = None, *, may_fail: bool = False) -> Any:
        """Press Enter in a component; if a value is given, fill it first."""

    def select(self, name: str | int, choice: Any, *, may_fail: bool = False) -> Any:
        """Choose in a dropdown, radio or checkbox group, or open a tab of the app."""

    def upload(self, name: str | int, *files: Any, may_fail: bool = False) -> Any:
        """Choose files in an upload component, each by its path or as a name with its content."""

    def trigger(self, name: str | int, event: str, event_data: Any = None, *, may_fail: bool = False) -> Any:
        """Trigger any other event of a component."""

    def begin(
        self, name: str | int, event: str = "click", event_data: Any = None, *, may_fail: bool = False
    ) -> Any:
        """Trigger an event without waiting for it; the result has `wait()`."""

    def value(self, name: str | int) -> Any:
        """What a component shows."""

    def prop(self, name: str | int, prop: str) -> Any:
        """The current value of a component's property."""

    def download(self, file: Any) -> bytes:
        """The content of a file that a component shows."""

    def call(self, api_name: str, *args: Any) -> Any:
        """Trigger an event of the app by its endpoint, and wait for its outputs. The page's components stay as they are.

        Args:
            api_name: the endpoint, for example `/click`.
            args: values of its input components, in order, without State.

        Returns:
            The value of its output component, or a tuple of several values, without State.
        """


class Session(Protocol):
    """A session, as the load generator provides it to a workload: a browser tab, and the recording of its operations."""

    @property
    def id(self) -> str:
        """The session's id in the history."""

    @property
    def page(self) -> Page:
        """The session's browser tab."""

    @property
    def random(self) -> random.Random:
        """Random number generator, seeded by the run's seed."""

    @property
    def params(self) -> Mapping[str, str]:
        """The scenario's parameters: name → value."""

    @property
    def user(self) -> str:
        """The user's name: unique, and the same after a reload and after a restart of the app."""

    def token(self) -> str:
        """A new unique value that names this session."""

    def secret(self, text: str) -> None:
        """Declare that from now on no response of the server may contain this text."""

    def at_once(self, actions: Sequence[Callable[[], None]]) -> None:
        """Do several actions at the same time, and wait for all of them."""

    def operation(self, name: str, effects: Mapping[str, Effect]) -> AbstractContextManager[dict[str, Any]]:
        """Record one operation: its invoke when the block begins, its completion when the block ends."""


@overload
def action(function: F) -> F: ...
@overload
def action(*, weight: int = 1) -> Callable[[F], F]: ...
def action(function: Any = None, *, weight: int = 1) -> Any:
    """Mark a method as an action that users repeat.

    Args:
        function: the method, if the decorator is used without parentheses.
        weight: how often the action is chosen, relative to the other actions.
    """

    def mark(method: F) -> F:
        method.gradsoak_weight = weight  # type: ignore[attr-defined]
        return method

    return mark(function) if function is not None else mark


# Workload class → names of its actions and their cumulative weights. Each `act` needs them, so they are computed once.
_choices: dict[type, tuple[list[str], list[int]]] = {}


class Workload:
    """One session of one user: from opening the page to closing it.

    Subclass it in `workload.py`, declare the state variables, and write one method per action. One object exists per session, so
    its attributes can hold what the page holds, such as the visible history of a chat.

    Attributes:
        state: state variable → the model that it must follow: one of the functions above, or a `Model` of your own.
        shared: names of components that may show tokens of any session: data that the app shares on purpose and that no variable
            of `state` stands for. Tokens written to a variable of scope `everyone` may appear in any component.
        variables: the variables of `state`, as the manifest records them.
        own_models: the variables that have a model of your own.
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
        """The browser tab of this session."""
        return self._session.page

    @property
    def random(self) -> random.Random:
        """Random number generator, seeded by the run's seed."""
        return self._session.random

    @property
    def params(self) -> Mapping[str, str]:
        """The scenario's parameters: name → value."""
        return self._session.params

    def token(self) -> str:
        """A new unique value that names this session."""
        return self._session.token()

    @property
    def user(self) -> str:
        """The user's name: unique, and the same after a reload and after a restart of the app."""
        return self._session.user

    def secret(self, text: str) -> None:
        """Declare a text that only the server's State holds: from now on no response to any session may contain it.

        Raises:
            ValueError: the text is so short that it may occur by chance. Make it from a token.
        """
        self._session.secret(text)

    def at_once(self, *actions: Callable[[], None]) -> None:
        """Do several actions at the same time, such as a double click or two buttons, and wait for all of them.

        Args:
            actions: methods of this workload, each with operations of its own; one method may be given twice.
        """
        self._session.at_once(actions)

    @contextmanager
    def operation(self, name: str, /, **effects: Effect) -> Iterator[dict[str, Any]]:
        """Record one operation.

        Args:
            name: name of the action, as in the latency table.
            effects: state variable → what this operation asks of it.

        Returns:
            A context manager that yields a mapping; put what the page showed into it, by state variable.

        Raises:
            KeyError: an effect or an observation names a variable that `state` does not declare.
            ValueError: an effect does not fit the variable's model, or the name is one of the tab's own actions.
        """
        if name in TAB_ACTIONS:
            raise ValueError(
                f"operation {name!r}: {', '.join(TAB_ACTIONS)} are names of the tab's own actions; choose another name"
            )
        self.check_effects(name, effects)
        with self._session.operation(name, effects) as seen:
            yield seen
            self._declared(name, seen)

    def check_effects(self, name: str, effects: Mapping[str, Effect]) -> None:
        """Check that the declared state allows these effects.

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
        """What each user does first; it gives the session its state. Default: nothing."""

    def leave(self) -> Mapping[str, Effect]:
        """The effects of closing the tab: state variable → effect. Default: none.

        It is called once for each session whose page was open, just before the tab is closed, also if an action failed before.
        The effects are recorded on the `close` operation. Gradio may run the app's `unload` later and does not report when.
        """
        return {}

    def act(self) -> None:
        """Do one action, chosen at random by weight."""
        kind = type(self)
        if kind not in _choices:
            methods = kind.actions()
            _choices[kind] = list(methods), list(itertools.accumulate(methods.values()))
        names, cumulative_weights = _choices[kind]
        if names:
            getattr(self, self.random.choices(names, cum_weights=cumulative_weights)[0])()

    @classmethod
    def actions(cls) -> dict[str, int]:
        """Name of each method marked with `@action` → its weight, in order of definition."""
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
        UsageError: the file cannot be imported, defines none or several, or the workload has no action.
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
