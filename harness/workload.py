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

It knows nothing of Locust: the load generator gives it a session to act in.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Protocol, TypeVar, overload

from harness.records import Effect, StateVariable

F = TypeVar("F", bound=Callable[..., None])

_EFFECT_OF = {"counter": "increment", "list": "append", "register": "write"}


def counter(initial: int = 0) -> StateVariable:
    """A number that only this session's increments change."""
    return StateVariable(model="counter", initial=initial)


def append_only_list() -> StateVariable:
    """A list that only grows, by this session's appends. Elements are unique: use tokens."""
    return StateVariable(model="list", initial=[])


def register(initial: Any = None) -> StateVariable:
    """A value that holds the last one this session wrote. Values are unique: make them from tokens."""
    return StateVariable(model="register", initial=initial)


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


def write(value: Any) -> Effect:
    """Effect: replace the value of a register."""
    return Effect(op="write", value=value)


class Page(Protocol):
    """The browser tab, as a workload sees it: `harness.page.gradio_page.GradioPage`, described in docs/page.md.

    A `name` is a label (or the text on a button), an `elem_id`, an id, or a type if there is only one of it.
    """

    partials: list[Any]

    def fill(self, name: str | int, value: Any) -> Any:
        """Give a component a value, and wait until everything that this sets off is over. So do the others."""

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

    def token(self) -> str:
        """A new value that names this session and no other write."""

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
        state: state variable → the model that it must follow.
    """

    state: ClassVar[dict[str, StateVariable]] = {}

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

    @contextmanager
    def operation(self, name: str, **effects: Effect) -> Iterator[dict[str, Any]]:
        """Record one operation.

        Args:
            name: the action's name, as it stands in the latency table.
            effects: state variable → what this operation asks of it.

        Returns:
            A context manager; put what the page showed into the mapping that it yields, by state variable.

        Raises:
            KeyError: an effect or an observation names a variable that `state` does not declare.
            ValueError: an effect does not fit the variable's model.
        """
        self._declared(name, effects)
        for variable, effect in effects.items():
            model = self.state[variable].model
            if effect.op != _EFFECT_OF[model]:
                raise ValueError(
                    f"operation {name!r}: {effect.op} does not fit {variable!r}, which is a {model}"
                )
        with self._session.operation(name, effects) as seen:
            yield seen
            self._declared(name, seen)

    def _declared(self, name: str, variables: Mapping[str, Any]) -> None:
        if variables.keys() <= self.state.keys():
            return
        unknown = sorted(set(variables) - set(self.state))
        known = ", ".join(self.state) or "nothing"
        raise KeyError(f"operation {name!r} names {', '.join(unknown)}; `state` declares {known}")

    def arrive(self) -> None:
        """What everybody does first, and what gives the session its state. Default: nothing."""

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
