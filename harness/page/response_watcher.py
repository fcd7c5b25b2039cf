"""Scans server responses for values that the session must not receive.

A watcher, given to the page, searches the bytes of each response. The page adds where a value was found: in which response
and in which component. The page itself checks for values of State, which Gradio must never send.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from harness.page.blueprint import Blueprint, Component, component_of

SightingKind = Literal["foreign-token", "state-on-the-wire", "secret"]
Path = tuple[str | int, ...]
# A response is searched for the place of a hit only after there was one; even so, the search must be bounded.
_MAX_NODES = 200_000
_EMPTY: tuple[Any, ...] = (None, "", 0, [], {})


class ScanHit(NamedTuple):
    """A value in a response that must not be there.

    Attributes:
        value: the value.
        literal: the text at that place of the response: the value itself, or its encoded form.
    """

    kind: SightingKind
    value: str
    literal: str


class Watcher(Protocol):
    """Searches everything that the server sends to a page."""

    @property
    def shared(self) -> frozenset[str]:
        """Names of components that may show values of other sessions."""

    @property
    def longest(self) -> int:
        """Length of the longest text that is searched for, in characters."""

    def search(self, content: bytes) -> Sequence[ScanHit]:
        """Search a response."""

    def search_part(self, content: bytes) -> Sequence[ScanHit]:
        """Search a part of a response that has been searched as a whole; it is not counted again."""

    def report(self, kind: SightingKind, value: str, where: str) -> None:
        """Record a value that must not be there, and where it was found, in words."""

    def sent(self, text: str | bytes) -> None:
        """Count a text or file that the page is about to send for the first time."""


class NullWatcher:
    """A watcher that finds and records nothing."""

    shared: frozenset[str] = frozenset()
    longest = 0

    def search(self, content: bytes) -> Sequence[ScanHit]:
        """Find nothing."""
        return ()

    search_part = search

    def report(self, kind: SightingKind, value: str, where: str) -> None:
        """Do nothing."""

    def sent(self, text: str | bytes) -> None:
        """Do nothing."""


NULL_WATCHER = NullWatcher()


class ResponseScanner:
    """Passes what a page receives to a watcher, and finds the place of each hit.

    Attributes:
        watcher: searches the bytes.
        blueprint: the components and events of the page as it is now; None before the page has been opened.
    """

    __slots__ = ("blueprint", "watcher")

    def __init__(self, watcher: Watcher = NULL_WATCHER) -> None:
        self.watcher = watcher
        self.blueprint: Blueprint | None = None

    # --- what the page receives ---

    def response(self, method: str, path: str, body: bytes) -> None:
        """Scan the answer to a request."""
        found = self.watcher.search(body)
        if found:
            self._report(found, f"{method} {path}", _decoded(body), None)

    def file(self, path: str, name: str, body: bytes, components: Sequence[Component]) -> None:
        """Scan a file that was fetched.

        Args:
            path: its path below the app's root.
            name: its name in the headers.
            body: its content, or the beginning of it.
            components: the components that show or offer it; empty if unknown. It may contain values of other sessions only
                if all of these components may show them.
        """
        for found, what in (
            (self.watcher.search(body), f"GET {path}"),
            (self.watcher.search_part(name.encode()) if name else (), f"GET {path}, in its name"),
        ):
            for finding in found:
                private = [c for c in components if not self._is_allowed(finding, c)]
                if private or not components:
                    shown = f", the file of {private[0]}" if private else ""
                    self.watcher.report(finding.kind, finding.value, what + shown)

    def answer(self, fn_index: int, body: bytes) -> None:
        """Scan the answer to an event that does not go through the queue."""
        found = self.watcher.search(body)
        if found:
            self._report(found, f"the answer of {self._name(fn_index)}", _decoded(body), fn_index)

    def message(self, fn_index: int | None, line: bytes, message: Mapping[str, Any]) -> None:
        """Scan a message of the event stream.

        Args:
            fn_index: number of the dependency whose event it belongs to; None if no action waits for that event.
            line: the message as it arrived.
            message: the decoded message.
        """
        found = self.watcher.search(line)
        if found and fn_index is None and self.watcher.shared:
            # The components of these outputs are unknown, and so is whether they may show the value.
            found = [finding for finding in found if finding.kind != "foreign-token"]
        if found:
            self._report(found, self._message_name(fn_index, message), message, fn_index)

    def outputs(self, fn_index: int, data: Sequence[Any], what: str) -> None:
        """Check the outputs of an event: in place of State there must be null.

        Args:
            fn_index: number of the dependency.
            data: the values by output; diffs have been applied.
            what: name of these outputs: `the result`, `a partial output`.
        """
        dependency = self.blueprint.dependencies.get(fn_index) if self.blueprint is not None else None
        if dependency is None:
            return
        for place in dependency.state_outputs:
            if place < len(data) and data[place] is not None:
                where = f"{what} of {dependency.name}, output {place + 1}, a State"
                self.watcher.report("state-on-the-wire", repr(data[place]), where)

    def joints(self, fn_index: int, texts: Iterable[tuple[int, str]]) -> None:
        """Scan the places where diffs have joined two texts: a value may be split between two messages.

        Args:
            fn_index: number of the dependency.
            texts: number of an output, and the text around such a place in it.
        """
        for place, text in texts:
            for finding in self.watcher.search_part(text.encode()):
                component = self._output(fn_index, place)
                if not self._is_allowed(finding, component):
                    where = (
                        f"a partial output of {self._name(fn_index)}, in {component or f'output {place + 1}'}"
                    )
                    self.watcher.report(finding.kind, finding.value, where)

    def components(self, found: Iterable[tuple[str, Any]], what: str) -> None:
        """Record values of State in the description of a page; see `state_held`."""
        for component, value in found:
            self.watcher.report("state-on-the-wire", repr(value), f"{what}, in {component}")

    # --- the place of a hit ---

    def _report(self, found: Sequence[ScanHit], what: str, document: Any, fn_index: int | None) -> None:
        for finding in found:
            paths = self._paths_to(finding, document)
            places = [self._place(path, document, fn_index) for path in paths]
            if not places:
                self.watcher.report(finding.kind, finding.value, what)
            for component, where in places:
                if not self._is_allowed(finding, component):
                    self.watcher.report(finding.kind, finding.value, f"{what}, in {where}")
                    break

    def _paths_to(self, finding: ScanHit, document: Any) -> list[Path]:
        # Decoding the JSON has removed one layer of escapes.
        for text in (finding.literal, finding.literal.replace("\\\\", "\\"), finding.value):
            if text and (paths := list(_paths(document, text))):
                return paths
        return []

    def _place(self, path: Path, document: Any, fn_index: int | None) -> tuple[Component | None, str]:
        component: Component | None = None
        rest = path
        if path[:2] == ("output", "data") or path[:1] == ("data",):
            start = path.index("data") + 1
            if isinstance(place := next(iter(path[start:]), None), int):
                component, rest = self._output(fn_index, place), ()
                return component, str(component) if component else f"output {place + 1}"
        for start in (n for n, name in enumerate(path) if name == "components"):
            if isinstance(place := next(iter(path[start + 1 :]), None), int):
                raw = _at(document, path[: start + 2])
                component, rest = component_of(raw), path[start + 2 :]
        names = ".".join(map(str, rest))
        return component, f"{names} of {component}" if component else names

    def _is_allowed(self, finding: ScanHit, component: Component | None) -> bool:
        shared = self.watcher.shared
        if not shared or finding.kind != "foreign-token" or component is None:
            return False
        return component.name in shared or component.elem_id in shared

    def _output(self, fn_index: int | None, place: int) -> Component | None:
        if self.blueprint is None or fn_index is None:
            return None
        dependency = self.blueprint.dependencies.get(fn_index)
        if dependency is None or place >= len(dependency.outputs):
            return None
        return self.blueprint.components.get(dependency.outputs[place])

    def _name(self, fn_index: int) -> str:
        dependency = self.blueprint.dependencies.get(fn_index) if self.blueprint is not None else None
        return dependency.name if dependency is not None else f"event {fn_index}"

    def _message_name(self, fn_index: int | None, message: Mapping[str, Any]) -> str:
        kind = message.get("msg")
        event = f" of {self._name(fn_index)}" if fn_index is not None else ""
        if kind == "process_completed":
            return ("the result" if message.get("success", True) else "the error") + event
        if kind in ("process_generating", "process_streaming"):
            return f"a partial output{event}"
        return f"the message {kind}{event}"


def state_held(components: Iterable[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """The State components with a value in the description of a page, each with that value.

    Gradio 5 and later put no value there. Earlier versions put the default there; an empty default is no leak.
    """
    held = []
    for raw in components:
        value = (raw.get("props") or {}).get("value")
        if raw.get("type") == "state" and value not in _EMPTY:
            held.append((str(component_of(raw)), value))
    return held


def state_described(info: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The State parameters with a value in the description of the endpoints, each with that value. Gradio normally omits State."""
    held = []
    for group in ("named_endpoints", "unnamed_endpoints"):
        for name, endpoint in (info.get(group) or {}).items():
            for parameter in [*(endpoint.get("parameters") or ()), *(endpoint.get("returns") or ())]:
                for key in ("parameter_default", "example_input"):
                    if parameter.get("component") == "State" and parameter.get(key) not in _EMPTY:
                        held.append((f"{key} of {name}, a State", parameter[key]))
    return held


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _paths(document: Any, literal: str) -> Iterator[Path]:
    """The places of a text in a document, as a whole value or as part of one."""
    stack: list[tuple[Path, Any]] = [((), document)]
    for _ in range(_MAX_NODES):
        if not stack:
            return
        path, node = stack.pop()
        if isinstance(node, str):
            if literal in node:
                yield path
        elif isinstance(node, list):
            stack += [((*path, place), value) for place, value in reversed(list(enumerate(node)))]
        elif isinstance(node, dict):
            for key, value in reversed(node.items()):
                if literal in key:
                    yield (*path, key)
                stack.append(((*path, key), value))


def _at(document: Any, path: Path) -> Any:
    for name in path:
        document = document[name]
    return document
