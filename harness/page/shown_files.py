"""The files that a page shows: fetched as soon as a component shows them, as a browser does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gevent

from harness.page import files
from harness.page.activity import Activity
from harness.page.blueprint import Component
from harness.page.frontend import Frontend
from harness.page.page_errors import OperationFailed, OperationUnknown
from harness.page.response_watcher import ResponseScanner
from harness.page.transport import Transport

# For this many files a page remembers their components, and whether they were fetched.
_MAX_REMEMBERED = 256


class ShownFiles:
    """The files that the components of one page have shown or offered.

    Args:
        root: root of the app.
        timeout_s: longest wait for all files of one action.
        transport: fetches them.
        scanner: searches them.
    """

    __slots__ = ("_components", "_fetched", "_root", "_scanner", "_timeout_s", "_transport")

    def __init__(self, root: str, timeout_s: float, transport: Transport, scanner: ResponseScanner) -> None:
        self._root = root
        self._timeout_s = timeout_s
        self._transport = transport
        self._scanner = scanner
        # By path, the latest files; created when needed, since most pages show none.
        self._components: dict[str, list[Component]] | None = None
        self._fetched: set[str] | None = None

    def show(self, activity: Activity, frontend: Frontend, notice: Callable[[str], None]) -> None:
        """Fetch the pictures and the like that an action has made visible. The action's times are settled by then.

        Args:
            activity: the action; its files.
            frontend: says which components are visible.
            notice: called about a file that could not be fetched.
        """
        self._components = self._components or {}
        self._fetched = self._fetched or set()
        shown: dict[str, list[Component]] = {}
        for address, components in activity.files.items():
            if not files.is_of(self._root, address):
                continue
            path = files.path_below(self._root, address)
            self._components[path] = components
            if path not in self._fetched and any(_shows(c, frontend) for c in components):
                shown[path] = components
        for path in [*self._components][:-_MAX_REMEMBERED]:
            del self._components[path]
            self._fetched.discard(path)
        with gevent.Timeout(self._timeout_s, False):
            for path, components in [*shown.items()][: files.MAX_FILES]:
                self._fetched.add(path)
                self._fetch(path, components, notice)

    def components_of(self, path: str) -> Sequence[Component]:
        """The components that have shown or offered a file; none if that is unknown."""
        return (self._components or {}).get(path, ())

    def _fetch(self, path: str, components: Sequence[Component], notice: Callable[[str], None]) -> None:
        """Fetch a file. A missing picture is an empty frame to a user, and no failure of the action."""
        try:
            status, content, name = self._transport.get_file(path, files.MAX_FILE_BYTES)
        except (OperationFailed, OperationUnknown) as error:
            notice(f"a file that {components[0]} shows could not be fetched: {error}")
            return
        self._scanner.file(path, name, content, components)
        if status not in (200, 206):
            notice(f"a file that {components[0]} shows could not be fetched: the answer was {status}")


def _shows(component: Component, frontend: Frontend) -> bool:
    """Whether a component shows its files without a click, and is visible itself."""
    return component.type not in files.ON_CLICK and frontend.visible(component)
