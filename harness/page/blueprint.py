"""The components of a page and its event listeners, which Gradio calls dependencies. Read from the app's config.

A blueprint never changes, so all pages of an app share one. When `gr.render` changes a page, that page gets a new one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Set
from typing import Any, Literal

import msgspec

from harness.page.javascript import Function, interpret
from harness.page.page_errors import PageMisuse

TriggerMode = Literal["once", "multiple", "always_last"]

# The value of a component whose value is None in the config, as Gradio's page sets it.
_SHOWN_FOR_NONE: dict[str, Any] = {"textbox": "", "number": 0, "chatbot": []}


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One component.

    Attributes:
        name: the text of a button, or the label of any other component.
        rendered_in: id of the `gr.render` that made it, None if it belongs to the app's config.
    """

    id: int
    type: str
    name: str
    elem_id: str | None
    props: dict[str, Any]
    rendered_in: int | None

    @property
    def initial_value(self) -> Any:
        """Its value when the page has been loaded."""
        value = self.props.get("value")
        return _SHOWN_FOR_NONE.get(self.type) if value is None else value

    def __str__(self) -> str:
        parts = [self.type]
        if self.name:
            parts.append(repr(self.name))
        if self.elem_id:
            parts.append(f"elem_id={self.elem_id!r}")
        return f"{' '.join(parts)} (id {self.id})"


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One event listener: which events trigger it, and what it does.

    Attributes:
        targets: pairs of component id and event name that trigger it.
        backend: whether it calls a function on the server.
        js: its `js=` as a Python function; None without `js=` or if that needs a JavaScript engine.
        js_source: the text of a `js=` that needs a JavaScript engine.
        queued: whether it goes through the queue.
        cancels: ids of the dependencies whose running events it cancels.
        props_of: positions of the inputs that are sent with all their properties.
        state_outputs: positions of the outputs that are State, of which the server sends nothing.
    """

    id: int
    name: str
    inputs: list[int]
    outputs: list[int]
    targets: list[tuple[int | None, str]]
    backend: bool
    js: Function | None
    js_source: str | None
    queued: bool
    trigger_mode: TriggerMode
    cancels: list[int]
    props_of: list[int]
    state_outputs: list[int]
    streaming: bool
    rendered_in: int | None


class DependencyFollowers(msgspec.Struct, frozen=True, kw_only=True):
    """Dependencies that follow another one: by `.success`, `.failure` and `.then`."""

    success: list[int] = []
    failure: list[int] = []
    always: list[int] = []


_NO_FOLLOWERS = DependencyFollowers()


class Blueprint:
    """Components and dependencies, indexed for fast lookups.

    Attributes:
        components: by id.
        dependencies: by id.
        then_after_failure: whether `.then` follows a failure as well, as before Gradio 6.
    """

    def __init__(
        self,
        components: Iterable[Mapping[str, Any]],
        dependencies: Iterable[Mapping[str, Any]],
        parents: dict[int, int],
        *,
        then_after_failure: bool,
    ) -> None:
        self._raw_components = list(components)
        self._raw_dependencies = list(dependencies)
        self._parents = parents
        self.then_after_failure = then_after_failure
        self.components = {raw["id"]: component_of(raw) for raw in self._raw_components}
        hidden = {component.id for component in self.components.values() if component.type == "state"}
        self.dependencies: dict[int, Dependency] = {}
        self._listeners: dict[tuple[int | None, str], list[Dependency]] = {}
        followers: dict[int, dict[str, list[int]]] = {}
        for place, raw in enumerate(self._raw_dependencies):
            dependency = _dependency(raw, place, hidden)
            self.dependencies[dependency.id] = dependency
            for target in dependency.targets:
                self._listeners.setdefault(target, []).append(dependency)
            if (before := raw.get("trigger_after")) is not None:
                when = (
                    "failure"
                    if raw.get("trigger_only_on_failure")
                    else "success"
                    if raw.get("trigger_only_on_success")
                    else "always"
                )
                followers.setdefault(before, {}).setdefault(when, []).append(dependency.id)
        self._followers = {before: DependencyFollowers(**after) for before, after in followers.items()}
        self._found: dict[tuple[str | int, str], Component] = {}

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Blueprint:
        """The blueprint of a whole app."""
        parents: dict[int, int] = {}
        _walk(config.get("layout") or {}, parents)
        major = int(str(config.get("version", "6")).split(".", 1)[0] or 6)
        return cls(config["components"], config["dependencies"], parents, then_after_failure=major < 6)

    def rendered(self, render: Mapping[str, Any]) -> Blueprint:
        """The blueprint after a `gr.render` has run.

        Args:
            render: its result: `render_id`, `components`, `dependencies` and `layout`.
        """
        number = render["render_id"]
        parents = dict(self._parents)
        _walk(render.get("layout") or {}, parents)
        return Blueprint(
            [raw for raw in self._raw_components if _rendered_in(raw) != number] + list(render["components"]),
            [raw for raw in self._raw_dependencies if raw.get("rendered_in") != number]
            + list(render["dependencies"]),
            parents,
            then_after_failure=self.then_after_failure,
        )

    # --- lookups ---

    def listeners(self, component: int | None, event: str) -> list[Dependency]:
        """The dependencies that an event of a component triggers."""
        return self._listeners.get((component, event), [])

    def followers(self, dependency: int) -> DependencyFollowers:
        """The dependencies that follow a dependency."""
        return self._followers.get(dependency, _NO_FOLLOWERS)

    def loading(self) -> list[tuple[Dependency, int | None]]:
        """The dependencies that loading the page triggers, each with its target."""
        return [
            (dependency, target)
            for dependency in self.dependencies.values()
            for target, event in dependency.targets
            if event == "load"
        ]

    def events_of(self, component: int) -> list[str]:
        """Names of the events of a component that have listeners."""
        return sorted({event for target, event in self._listeners if target == component})

    def ancestors(self, component: int) -> Iterable[Component]:
        """The containers around a component, innermost first."""
        parent = self._parents.get(component)
        while parent is not None:
            if parent in self.components:
                yield self.components[parent]
            parent = self._parents.get(parent)

    def find(self, wanted: str | int, event: str = "") -> Component:
        """The component of a name.

        Args:
            wanted: label or text of a button, `elem_id`, id, or type if only one component has it.
            event: the event to be triggered. Of several components with one name, those with listeners for it are meant.

        Raises:
            PageMisuse: there is none, or more than one; the message lists the candidates.
        """
        found = self._found.get((wanted, event))
        if found is None:
            found = self._found[wanted, event] = self._find(wanted, event)
        return found

    def _find(self, wanted: str | int, event: str) -> Component:
        if isinstance(wanted, int):
            if wanted in self.components:
                return self.components[wanted]
            raise PageMisuse(f"The page has no component with the id {wanted}.", self._offer(""))
        everything = list(self.components.values())
        for matches in (
            [c for c in everything if c.elem_id == wanted],
            [c for c in everything if c.name == wanted],
            [c for c in everything if c.type == wanted and c.type != "state"],
        ):
            if len(matches) > 1 and event:
                matches = [c for c in matches if (c.id, event) in self._listeners] or matches
            if len(matches) == 1:
                return matches[0]
            if matches:
                listed = "; ".join(map(str, matches))
                raise PageMisuse(f"{wanted!r} is ambiguous: {listed}.", "Name it by its elem_id or id.")
        raise PageMisuse(f"The page has no component {wanted!r}.", self._offer(wanted))

    def _offer(self, wanted: str) -> str:
        usable = [c for c in self.components.values() if c.type != "state" and (c.name or c.elem_id)]
        names = {name: c for c in usable for name in (c.name, c.elem_id) if name}
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
        if near:
            return f"Did you mean {' or '.join(str(names[name]) for name in near)}?"
        shown = "; ".join(map(str, usable[:20]))
        return f"It has {shown}{' …' if len(usable) > 20 else ''}." if usable else "It has none with a name."


def component_of(raw: Mapping[str, Any]) -> Component:
    """A component, from its description in a config."""
    props = raw.get("props") or {}
    name = props.get("label")
    if not name and raw["type"] in (
        "button",
        "clearbutton",
        "uploadbutton",
        "downloadbutton",
        "duplicatebutton",
    ):
        name = props.get("value")
    return Component(
        id=raw["id"],
        type=raw["type"],
        name=name if isinstance(name, str) else "",
        elem_id=props.get("elem_id"),
        props=props,
        rendered_in=_rendered_in(raw),
    )


def _rendered_in(raw: Mapping[str, Any]) -> int | None:
    number = raw.get("rendered_in", (raw.get("props") or {}).get("rendered_in"))
    return number if isinstance(number, int) else None


def _dependency(raw: Mapping[str, Any], place: int, hidden: Set[int]) -> Dependency:
    backend = bool(raw.get("backend_fn", True))
    # For Python that was translated to JavaScript, the server still has the function, which does the same.
    source = raw.get("js")
    js = None
    if isinstance(source, str):
        receivers = raw["inputs"] if backend else raw["outputs"]
        js = interpret(source, wrap=len(receivers) == 1)
    mode = raw.get("trigger_mode")
    name = raw.get("api_name")
    return Dependency(
        id=raw.get("id", place),
        name=f"/{name}" if isinstance(name, str) else f"event {raw.get('id', place)}",
        inputs=list(raw["inputs"]),
        outputs=list(raw["outputs"]),
        targets=[(target, event) for target, event in raw["targets"]],
        backend=backend,
        js=js,
        js_source=source if isinstance(source, str) and js is None else None,
        queued=raw.get("queue") is not False,
        trigger_mode=mode if mode in ("once", "multiple", "always_last") else "multiple",
        cancels=list(raw.get("cancels") or []),
        props_of=list(raw.get("component_prop_inputs") or []),
        state_outputs=[n for n, output in enumerate(raw["outputs"]) if output in hidden],
        streaming=raw.get("connection") == "stream",
        rendered_in=raw.get("rendered_in"),
    )


def _walk(node: Mapping[str, Any], parents: dict[int, int]) -> None:
    for child in node.get("children") or []:
        parents[child["id"]] = node["id"]
        _walk(child, parents)
