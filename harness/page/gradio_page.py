"""GradioPage: one open page of an app. Gradio sees each page as one session.

This module has the actions of a user (`fill`, `click`, `value` …) and of an API client (`call`). Other modules of this room do
the work: `open_close` opens and closes the page, `frontend` imitates Gradio's JavaScript, `protocol` reads the app's endpoints
with gradio_client, `event_queue` sends events and receives their results, and `transport` has the connections.
"""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gradio_client.client import Endpoint
from gradio_client.utils import is_file_obj_with_meta, traverse

from harness.page import files
from harness.page.activity import Activity, Step
from harness.page.api_arguments import complete_arguments, component_type, find_endpoint
from harness.page.blueprint import Component
from harness.page.frontend import Frontend
from harness.page.open_close import OpenablePage
from harness.page.page_errors import HIDDEN_ERROR, OperationFailed, OperationUnknown, PageMisuse
from harness.page.protocol import require_ok
from harness.page.timing import Timing

_Gesture = Callable[[Frontend, Activity], None]

# Components in which a user chooses or sets a value instead of writing a text.
_CHOSEN = frozenset(
    {"checkbox", "checkboxgroup", "colorpicker", "datetime", "dropdown", "number", "radio", "slider"}
)


class Pending:
    """An action that runs in the background.

    Attributes:
        activity: the events that the action has triggered so far.
    """

    def __init__(
        self, page: GradioPage, activity: Activity, greenlet: gevent.Greenlet, may_fail: bool
    ) -> None:
        self._page = page
        self._greenlet = greenlet
        self._may_fail = may_fail
        self.activity = activity

    @property
    def done(self) -> bool:
        """True if all events that the action triggered have ended."""
        return bool(self._greenlet.ready())

    def wait(self) -> Activity:
        """Wait until the action has ended. Return or raise the same as an action in the foreground."""
        error = self._greenlet.get()
        # The operation that waits for the action records its times. An operation that ran in between does not.
        self._page._time_of(self.activity)
        if error is not None:
            raise error
        return self._page._conclude(self.activity, self._may_fail)


class GradioPage(OpenablePage):
    """One open page of an app, with the actions of a user and of an API client. Arguments: see `OpenablePage`."""

    # --- actions of a user ---

    def fill(self, name: str | int, value: Any) -> Activity:
        """Set the value of a component, and wait for all events that this triggers.

        A text triggers one `change` and one `input` event, not one per character.

        Args:
            name: label, `elem_id` or id of the component, or its type if the page has only one component of that type.
            value: the new value, as JSON: a text, a number, the messages of a chat.

        Returns:
            The events that were triggered; all have ended. The other actions also return this.

        Raises:
            OperationFailed: the app raised an error, the server refused an event, or the component is hidden or disabled.
            OperationUnknown: the outcome is unknown.
            PageMisuse: there is no such component, or more than one.
        """
        component = self._usable(name, "change")
        self._sends(value, component.type)

        def act(frontend: Frontend, activity: Activity) -> None:
            frontend.enter(component, value, activity)
            if component.type == "slider":
                frontend.dispatch(component.id, "release", activity, value)

        return self._act(act)

    def click(self, name: str | int, *, may_fail: bool = False) -> Activity:
        """Click a button, or anything else that listens to clicks.

        Args:
            name: the text on the button, or as for `fill`.
            may_fail: do not raise errors of the app. The result has them as `failures`.
        """
        return self.trigger(name, "click", may_fail=may_fail)

    def submit(self, name: str | int, value: Any = None, *, may_fail: bool = False) -> Activity:
        """Press Enter in a component. If a value is given, set it first."""
        component = self._listening(name, "submit")
        if value is not None:
            self.fill(component.id, value)

        def act(frontend: Frontend, activity: Activity) -> None:
            frontend.dispatch(component.id, "submit", activity)
            if component.type == "textbox":  # Gradio's text field also sends `input` for the Enter key
                frontend.dispatch(component.id, "input", activity)

        return self._act(act, may_fail=may_fail)

    def select(self, name: str | int, choice: Any, *, may_fail: bool = False) -> Activity:
        """Select a choice of a dropdown, radio or checkbox group, or a tab of a `gr.Tabs`. A checked box is unchecked.

        Args:
            name: as for `fill`. For a tab, the name of the `gr.Tabs`.
            choice: the text of the choice on the page, or its value.

        Raises:
            PageMisuse: there is no such choice; the hint lists the choices.
        """
        component = self._usable(name, "select")
        frontend = self._opened()
        if component.type == "tabs":
            return self._act(
                lambda frontend, activity: self._open_tab(frontend, component, choice, activity),
                may_fail=may_fail,
            )
        place, value = _choice_of(component, frontend.prop(component, "choices") or [], choice)
        selected = True
        new = value
        if component.type == "checkboxgroup" or frontend.prop(component, "multiselect"):
            now = list(frontend.prop(component, "value") or [])
            selected = value not in now
            new = [*now, value] if selected else [v for v in now if v != value]
        data = {"index": place, "value": value, "selected": selected}

        return self._act(
            lambda frontend, activity: frontend.choose(component, new, data, activity), may_fail=may_fail
        )

    def upload(
        self, name: str | int, *files: str | Path | tuple[str, bytes], may_fail: bool = False
    ) -> Activity:
        """Upload files with a component.

        Args:
            name: as for `fill`.
            files: paths, or pairs of name and content.
        """
        component = self._usable(name, "upload")
        stored = self._upload(files)
        several = self._opened().prop(component, "file_count") in ("multiple", "directory")
        value = stored if several else stored[0] if stored else None

        def act(frontend: Frontend, activity: Activity) -> None:
            frontend.put(component, value, activity)
            frontend.dispatch(component.id, "upload", activity)

        return self._act(act, may_fail=may_fail)

    def trigger(
        self, name: str | int, event: str, event_data: Any = None, *, may_fail: bool = False
    ) -> Activity:
        """Trigger any event of a component, such as a chat's `like` or `retry`.

        Args:
            name: as for `fill`.
            event: name of the event, such as `like`.
            event_data: data for functions that have a `gr.EventData` parameter.
        """
        return self._act(self._event(name, event, event_data), may_fail=may_fail)

    def begin(
        self, name: str | int, event: str = "click", event_data: Any = None, *, may_fail: bool = False
    ) -> Pending:
        """Trigger an event without waiting for it, for example to click again or to stop a running event."""
        return self._act_apart(self._event(name, event, event_data), may_fail=may_fail)

    def value(self, name: str | int) -> Any:
        """Return the current value of a component, in the form that the server sends. A Chatbot has a list of messages."""
        return self._opened().prop(self._readable(name), "value")

    def prop(self, name: str | int, prop: str) -> Any:
        """Return the current value of a property of a component: `visible`, `choices`, `label` …"""
        return self._opened().prop(self._readable(name), prop)

    def download(self, file: Mapping[str, Any] | str) -> bytes:
        """Download a file that a component shows, and return its content.

        Args:
            file: the value of the component, or the `url` in this value.

        Raises:
            OperationFailed: the server refused the file.
            OperationUnknown: no answer arrived.
        """
        address = file if isinstance(file, str) else files.address_of(file, self._prefix())
        path = files.path_below(self._url, address)
        status, content, name = self._transport.get_file(path)
        done_ns = time.monotonic_ns()
        self._scanner.file(path, name, content, self._files.components_of(path))
        require_ok(path, status, content)
        self.span.extend(Timing(completed_ns=done_ns))
        return content

    # --- actions of an API client ---

    def call(self, api_name: str, *args: Any) -> Any:
        """Call an endpoint, and wait for its outputs. The components of the page do not change, so no other event follows.

        See `harness.workload.Page.call` for arguments and result.

        Raises:
            OperationFailed: the function of the endpoint raised an error, or the server refused the call.
            OperationUnknown: no result arrived.
            PageMisuse: the app has no such endpoint, or the arguments do not fit it.
        """
        endpoint = find_endpoint(self._opened_protocol().by_api_name, api_name)
        data = self._arguments(endpoint, args)
        queue = self._queue
        assert queue is not None
        activity = Activity()
        step = Step(name=api_name)
        activity.steps.append(step)
        body = {"data": data, "fn_index": endpoint.fn_index, "session_hash": self._session_hash}
        event = queue.join(body, activity.inbox)
        step.event_id = event.id
        result: Any = None
        ended = False
        partials: list[list[Any]] = []
        timeout = gevent.Timeout.start_new(self._timeout_s)
        try:
            while not ended:
                queue.wait(activity.inbox, lambda: False)
                while activity.inbox.news:
                    news = activity.inbox.news.popleft()
                    if news.kind == "partial":
                        partials.append(news.output.get("data") or [])
                    elif news.kind != "log":
                        ended, result = True, news
        except gevent.Timeout as late:
            if late is not timeout:
                raise
            queue.abandon(lambda pending: pending is event)
            raise OperationUnknown("timeout", f"{api_name}: no result within {self._timeout_s:g} s") from None
        finally:
            timeout.close()
            activity.time(event)
            self._time_of(activity)
        if result.kind == "broken":
            raise result.output
        if result.kind == "failed":
            raise OperationFailed("app", f"{api_name}: {result.output or HIDDEN_ERROR}")
        outputs = [*partials, result.output.get("data") or []]
        if len(outputs[-1]) != len(endpoint.output_component_types):
            raise OperationUnknown(
                "protocol",
                f"{api_name}: {len(outputs[-1])} outputs came, {len(endpoint.output_component_types)} were expected",
            )
        *self._traces.partials, last = (endpoint.process_predictions(*output) for output in outputs)
        return last

    # --- helpers ---

    def _act(self, act: _Gesture, *, may_fail: bool = False) -> Activity:
        frontend, activity = self._opened(), Activity(self._readable)
        try:
            act(frontend, activity)
            frontend.settle(activity, self._timeout_s)
        finally:
            self._time_of(activity)
        return self._conclude(activity, may_fail)

    def _act_apart(self, act: _Gesture, *, may_fail: bool) -> Pending:
        frontend, activity = self._opened(), Activity(self._readable)

        def perform() -> Exception | None:
            try:
                act(frontend, activity)
                frontend.settle(activity, self._timeout_s)
            except Exception as error:  # raised again by `Pending.wait`
                return error
            return None

        greenlet = gevent.spawn(perform)
        gevent.sleep(0)  # let the greenlet start now, so that actions start in the order of the workload
        return Pending(self, activity, greenlet, may_fail)

    def _readable(self, name: str | int) -> Component:
        component = self._opened().blueprint.find(name)
        if component.type == "state":
            raise PageMisuse(f"{component} never leaves the server.", "Read a component that shows it.")
        return component

    def _listening(self, name: str | int, event: str) -> Component:
        frontend = self._opened()
        component = self._usable(name, event)
        if not frontend.blueprint.listeners(component.id, event):
            events = ", ".join(frontend.blueprint.events_of(component.id)) or "nothing"
            raise PageMisuse(
                f"The app does not listen to {event!r} of {component}.", f"It listens to {events}."
            )
        return component

    def _event(self, name: str | int, event: str, event_data: Any) -> _Gesture:
        component = self._listening(name, event)
        return lambda frontend, activity: frontend.dispatch(component.id, event, activity, event_data)

    def _usable(self, name: str | int, event: str) -> Component:
        """Find a component, and require that it is visible and not disabled."""
        frontend = self._opened()
        component = frontend.blueprint.find(name, event)
        if not frontend.visible(component):
            raise OperationFailed("rejected", f"{component} is not visible")
        if frontend.prop(component, "interactive") is False:
            raise OperationFailed("rejected", f"{component} is not interactive")
        return component

    def _open_tab(self, frontend: Frontend, tabs: Component, choice: Any, activity: Activity) -> None:
        items = [
            c
            for c in frontend.blueprint.components.values()
            if c.type == "tabitem" and next(iter(frontend.blueprint.ancestors(c.id)), None) is tabs
        ]
        place, chosen = _choice_of(tabs, [(c.name, c.id) for c in items], choice)
        data = {"index": place, "value": items[place].name}
        frontend.dispatch(tabs.id, "change", activity)
        frontend.dispatch(tabs.id, "select", activity, data)
        frontend.dispatch(chosen, "select", activity, data)

    def _upload(self, files: Sequence[str | Path | tuple[str, bytes]]) -> list[dict[str, Any]]:
        parts = []
        for file in files:
            name, content = file if isinstance(file, tuple) else (Path(file).name, Path(file).read_bytes())
            self._scanner.watcher.sent(name.encode() + b"\n" + content)
            parts.append((name, content, mimetypes.guess_type(name)[0] or "application/octet-stream"))
        if not parts:
            return []
        status, answer = self._transport.upload(f"{self._prefix()}upload", parts)
        if status != 200:
            text = answer.decode("utf-8", "replace")[:300]
            raise OperationFailed("rejected", f"the upload answered {status}: {text}")
        root = self._url.rstrip("/")
        return [
            {
                "path": path,
                "url": f"{root}/{self._prefix()}file={path}",
                "orig_name": name,
                "size": len(content),
                "mime_type": mime,
                "is_stream": False,
                "meta": {"_type": "gradio.FileData"},
            }
            for path, (name, content, mime) in zip(msgspec.json.decode(answer), parts, strict=True)
        ]

    def _arguments(self, endpoint: Endpoint, args: Sequence[Any]) -> list[Any]:
        """Return the arguments of a call in the form in which they are sent."""
        data = complete_arguments(endpoint, args)
        for place, value in enumerate(data):
            self._sends(value, component_type(endpoint, place))
        data = endpoint.insert_empty_state(*data)
        return [self._uploaded(value) if isinstance(value, (dict, list)) else value for value in data]

    def _sends(self, value: Any, kind: str) -> None:
        """Report the texts in a value to the watcher, before the value is sent. Choices of a list do not count as texts."""
        if kind in _CHOSEN:
            return
        if text := "\n".join(_texts(value)):
            self._scanner.watcher.sent(text)

    def _uploaded(self, value: Any) -> Any:
        """Upload the local files in a value, and return the value with the uploaded files. `gradio_client.handle_file` marks files."""

        def upload(file: dict[str, Any]) -> dict[str, Any]:
            path = file["path"]
            return (
                file
                if path.startswith(("http://", "https://")) or not Path(path).is_file()
                else self._upload([path])[0]
            )

        return traverse(value, upload, is_file_obj_with_meta)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, but not those of files. The texts of files are reported when they are uploaded."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _texts(element)
    elif isinstance(value, dict) and not files.is_file(value):
        for element in value.values():
            yield from _texts(element)


def _choice_of(component: Component, choices: Sequence[Any], wanted: Any) -> tuple[int, Any]:
    """Return index and value of a choice of a dropdown, radio or checkbox group.

    Args:
        choices: the choices: pairs of text and value, or texts.
        wanted: text or value of the choice.

    Raises:
        PageMisuse: there is no such choice.
    """
    for place, choice in enumerate(choices):
        shown, value = choice if isinstance(choice, (list, tuple)) else (choice, choice)
        if wanted in (shown, value):
            return place, value
    offered = ", ".join(repr(c[0] if isinstance(c, (list, tuple)) else c) for c in choices[:20])
    raise PageMisuse(f"{component} offers no {wanted!r}.", f"It offers {offered or 'nothing'}.")
