"""What the server sends to a page, looked at for what must not be in it: by whoever gives the page a watcher.

The watcher knows what it looks for. The page knows where it stood: in which response, and in which component. And it knows
by itself where State would stand, of which Gradio sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from harness.page.blueprint import Blueprint, Component, component_of

SightingKind = Literal["foreign-token", "state-on-the-wire", "secret"]
Path = tuple[str | int, ...]
# A document is searched for where something stood only after it was found; even so, there must be an end.
_MAX_NODES = 200_000
_EMPTY: tuple[Any, ...] = (None, "", 0, [], {})


class ScanHit(NamedTuple):
    """Something in a response that may not be there.

    Attributes:
        value: what it is.
        literal: a text that stands in the response where it was found: the value itself, unless it was encoded.
    """

    kind: SightingKind
    value: str
    literal: str


class Watcher(Protocol):
    """Searches everything that the server sends to a page."""

    @property
    def shared(self) -> frozenset[str]:
        """Names of components in which what belongs to other sessions may stand."""

    @property
    def longest(self) -> int:
        """The length of the longest text that is looked for, in characters."""

    def search(self, content: bytes) -> Sequence[ScanHit]:
        """Search a response."""

    def search_part(self, content: bytes) -> Sequence[ScanHit]:
        """Search a part of a response that has been looked at."""

    def report(self, kind: SightingKind, value: str, where: str) -> None:
        """Take note of what is there and may not be, and of where it stood, for people."""

    def sent(self, text: str | bytes) -> None:
        """Take note of a text, or of a file, that the page is about to send for the first time."""


class NullWatcher:
    """A watcher that does not look."""

    shared: frozenset[str] = frozenset()
    longest = 0

    def search(self, content: bytes) -> Sequence[ScanHit]:
        """Nothing is found."""
        return ()

    search_part = search

    def report(self, kind: SightingKind, value: str, where: str) -> None:
        """Nobody takes note."""

    def sent(self, text: str | bytes) -> None:
        """Nobody takes note."""


NULL_WATCHER = NullWatcher()


class ResponseScanner:
    """The page's end of a watcher.

    Attributes:
        watcher: who looks.
        blueprint: what the page is made of now; None before it has been opened.
    """

    __slots__ = ("blueprint", "watcher")

    def __init__(self, watcher: Watcher = NULL_WATCHER) -> None:
        self.watcher = watcher
        self.blueprint: Blueprint | None = None

    # --- what comes in ---

    def response(self, method: str, path: str, body: bytes) -> None:
        """The answer to a request."""
        found = self.watcher.search(body)
        if found:
            self._tell(found, f"{method} {path}", _decoded(body), None)

    def file(self, path: str, name: str, body: bytes, components: Sequence[Component]) -> None:
        """A file that was fetched.

        Args:
            path: below the app's root.
            name: what its headers call it.
            body: its content, or the beginning of it.
            components: show or offer it; none if nobody knows. It may hold what belongs to others only if it may in all of them.
        """
        for found, what in (
            (self.watcher.search(body), f"GET {path}"),
            (self.watcher.search_part(name.encode()) if name else (), f"GET {path}, in its name"),
        ):
            for finding in found:
                private = [c for c in components if not self._may_stand(finding, c)]
                if private or not components:
                    shown = f", the file of {private[0]}" if private else ""
                    self.watcher.report(finding.kind, finding.value, what + shown)

    def answer(self, fn_index: int, body: bytes) -> None:
        """The answer to the request for an event that does not go through the queue."""
        found = self.watcher.search(body)
        if found:
            self._tell(found, f"the answer of {self._name(fn_index)}", _decoded(body), fn_index)

    def message(self, fn_index: int | None, line: bytes, message: Mapping[str, Any]) -> None:
        """A message of the event stream.

        Args:
            fn_index: number of the dependency whose event it belongs to, None if to none that anybody waits for.
            line: as it came.
            message: the same, decoded.
        """
        found = self.watcher.search(line)
        if found and fn_index is None and self.watcher.shared:
            # Whose outputs these are is not known any more, so neither is whether it may stand there.
            found = [finding for finding in found if finding.kind != "foreign-token"]
        if found:
            self._tell(found, self._kind(fn_index, message), message, fn_index)

    def outputs(self, fn_index: int, data: Sequence[Any], what: str) -> None:
        """The outputs of an event: in the place of State there must be nothing.

        Args:
            data: the values by output, put together where they came as diffs.
            what: which outputs: `the result`, `a partial output`.
        """
        dependency = self.blueprint.dependencies.get(fn_index) if self.blueprint is not None else None
        if dependency is None:
            return
        for place in dependency.state_outputs:
            if place < len(data) and data[place] is not None:
                where = f"{what} of {dependency.name}, output {place + 1}, a State"
                self.watcher.report("state-on-the-wire", repr(data[place]), where)

    def joints(self, fn_index: int, texts: Iterable[tuple[int, str]]) -> None:
        """The places where a stream of diffs has put texts together: each half alone says nothing.

        Args:
            texts: numbers of outputs, each with the text around such a place in it.
        """
        for place, text in texts:
            for finding in self.watcher.search_part(text.encode()):
                component = self._output(fn_index, place)
                if not self._may_stand(finding, component):
                    where = (
                        f"a partial output of {self._name(fn_index)}, in {component or f'output {place + 1}'}"
                    )
                    self.watcher.report(finding.kind, finding.value, where)

    def components(self, found: Iterable[tuple[str, Any]], what: str) -> None:
        """State that the description of a page holds; see `state_held`."""
        for component, value in found:
            self.watcher.report("state-on-the-wire", repr(value), f"{what}, in {component}")

    # --- where it stood ---

    def _tell(self, found: Sequence[ScanHit], what: str, document: Any, fn_index: int | None) -> None:
        for finding in found:
            paths = self._paths_to(finding, document)
            places = [self._place(path, document, fn_index) for path in paths]
            if not places:
                self.watcher.report(finding.kind, finding.value, what)
            for component, where in places:
                if not self._may_stand(finding, component):
                    self.watcher.report(finding.kind, finding.value, f"{what}, in {where}")
                    break

    def _paths_to(self, finding: ScanHit, document: Any) -> list[Path]:
        # What was written in the escapes of JSON stands in the document without one layer of them.
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

    def _may_stand(self, finding: ScanHit, component: Component | None) -> bool:
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

    def _kind(self, fn_index: int | None, message: Mapping[str, Any]) -> str:
        kind = message.get("msg")
        whose = f" of {self._name(fn_index)}" if fn_index is not None else ""
        if kind == "process_completed":
            return ("the result" if message.get("success", True) else "the error") + whose
        if kind in ("process_generating", "process_streaming"):
            return f"a partial output{whose}"
        return f"the message {kind}{whose}"


def state_held(components: Iterable[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """State of which the description of a page holds a value, each with that value.

    Gradio puts none there since 5; before, it put the default there, which says nothing as long as it is empty.
    """
    held = []
    for raw in components:
        value = (raw.get("props") or {}).get("value")
        if raw.get("type") == "state" and value not in _EMPTY:
            held.append((str(component_of(raw)), value))
    return held


def state_described(info: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """State that the description of the endpoints gives a value, each with that value. Gradio leaves it out altogether."""
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
    """Where a text stands in a document, as a value or as a part of one."""
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
