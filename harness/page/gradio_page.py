"""GradioPage: one browser tab, which to Gradio is one session.

What a person does in it (`fill`, `click`, `value` …), what an API client does (`call`), and what the tab does by itself
(`open`, `reload`, `close`). The work is done in `harness.page.frontend` (the front end), `harness.page.protocol` (what
gradio_client knows of the app), `harness.page.event_queue` and `harness.page.transport`.
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
from harness.page.protocol import there
from harness.page.timing import Timing

_Gesture = Callable[[Frontend, Activity], None]

# Components in which a person enters no text of their own.
_CHOSEN = frozenset(
    {"checkbox", "checkboxgroup", "colorpicker", "datetime", "dropdown", "number", "radio", "slider"}
)


class Pending:
    """An action that was not waited for.

    Attributes:
        activity: what it has set off so far.
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
        """Whether everything that it set off is over."""
        return bool(self._greenlet.ready())

    def wait(self) -> Activity:
        """Wait for it, as if it had been waited for from the start."""
        error = self._greenlet.get()
        # Its times belong to whoever waits for it, not to what else was done when it ended.
        self._page._time_of(self.activity)
        if error is not None:
            raise error
        return self._page._conclude(self.activity, self._may_fail)


class GradioPage(OpenablePage):
    """One session: opened, acted in, closed. See `harness.page.open_close.OpenablePage` for its arguments."""

    # --- what a person does ---

    def fill(self, name: str | int, value: Any) -> Activity:
        """Give a component a value, in one go: one `change` and one `input`, however long a text is.

        Args:
            name: label, `elem_id`, id, or type if there is only one of it.
            value: what the component holds then, as it travels: text, number, a chat's messages.

        Returns:
            Everything that this set off, which is over. So do all the actions below.

        Raises:
            OperationFailed: the app raised an error, or the server refused an event, or a person could not do this now.
            OperationUnknown: nobody knows how it ended.
            PageMisuse: no such component, or more than one.
        """
        component = self._usable(name, "change")
        self._sends(value, component.type)

        def act(tab: Frontend, activity: Activity) -> None:
            tab.enter(component, value, activity)
            if component.type == "slider":
                tab.dispatch(component.id, "release", activity, value)

        return self._act(act)

    def click(self, name: str | int, *, may_fail: bool = False) -> Activity:
        """Click a button, or anything else that listens to clicks.

        Args:
            name: the text on the button, or as for `fill`.
            may_fail: do not raise the app's errors; they stand in the result's `failures`.
        """
        return self.trigger(name, "click", may_fail=may_fail)

    def submit(self, name: str | int, value: Any = None, *, may_fail: bool = False) -> Activity:
        """Press Enter in a component, after filling it if a value is given."""
        component = self._listening(name, "submit")
        if value is not None:
            self.fill(component.id, value)

        def act(tab: Frontend, activity: Activity) -> None:
            tab.dispatch(component.id, "submit", activity)
            if component.type == "textbox":  # to a text field, Enter is a key like any other
                tab.dispatch(component.id, "input", activity)

        return self._act(act, may_fail=may_fail)

    def select(self, name: str | int, choice: Any, *, may_fail: bool = False) -> Activity:
        """Choose in a dropdown, radio or checkbox group (where a chosen one is taken back), or open a tab.

        Args:
            name: as for `fill`; for a tab, the label of the tabs' container, its id, or `tabs`.
            choice: what is shown, or its value.

        Raises:
            PageMisuse: there is no such choice; the message names those that there are.
        """
        component = self._usable(name, "select")
        tab = self._opened()
        if component.type == "tabs":
            return self._act(
                lambda tab, activity: self._open_tab(tab, component, choice, activity), may_fail=may_fail
            )
        place, value = _choice_of(component, tab.prop(component, "choices") or [], choice)
        selected = True
        new = value
        if component.type == "checkboxgroup" or tab.prop(component, "multiselect"):
            now = list(tab.prop(component, "value") or [])
            selected = value not in now
            new = [*now, value] if selected else [v for v in now if v != value]
        data = {"index": place, "value": value, "selected": selected}

        return self._act(lambda tab, activity: tab.choose(component, new, data, activity), may_fail=may_fail)

    def upload(
        self, name: str | int, *files: str | Path | tuple[str, bytes], may_fail: bool = False
    ) -> Activity:
        """Choose files in an upload component.

        Args:
            name: as for `fill`.
            files: paths, or names with their content.
        """
        component = self._usable(name, "upload")
        stored = self._upload(files)
        several = self._opened().prop(component, "file_count") in ("multiple", "directory")
        value = stored if several else stored[0] if stored else None

        def act(tab: Frontend, activity: Activity) -> None:
            tab.put(component, value, activity)
            tab.dispatch(component.id, "upload", activity)

        return self._act(act, may_fail=may_fail)

    def trigger(
        self, name: str | int, event: str, event_data: Any = None, *, may_fail: bool = False
    ) -> Activity:
        """Let any event of a component happen, such as a chat's `like` or `retry`.

        Args:
            event: its name, as in `component.event(…)`.
            event_data: what Gradio hands to a function that asks for `gr.EventData`.
        """
        return self._act(self._event(name, event, event_data), may_fail=may_fail)

    def begin(
        self, name: str | int, event: str = "click", event_data: Any = None, *, may_fail: bool = False
    ) -> Pending:
        """As `trigger`, without waiting: what a person does who clicks again, or stops what runs."""
        return self._act_apart(self._event(name, event, event_data), may_fail=may_fail)

    def value(self, name: str | int) -> Any:
        """What a component shows, as it came from the server: a Chatbot's is its list of messages."""
        return self._opened().prop(self._visible_to_us(name), "value")

    def prop(self, name: str | int, prop: str) -> Any:
        """A property of a component as it is now: `visible`, `choices`, `label` …"""
        return self._opened().prop(self._visible_to_us(name), prop)

    def download(self, file: Mapping[str, Any] | str) -> bytes:
        """The content of a file that a component shows.

        Args:
            file: the component's value, or the `url` in it.

        Raises:
            OperationFailed, OperationUnknown: it could not be fetched.
        """
        address = file if isinstance(file, str) else files.address_of(file, self._prefix())
        path = files.path_below(self._url, address)
        status, content, name = self._transport.get_file(path)
        done_ns = time.monotonic_ns()
        self._scanner.file(path, name, content, self._files.components_of(path))
        there(path, status, content)
        self.span.extend(Timing(completed_ns=done_ns))
        return content

    # --- what an API client does ---

    def call(self, api_name: str, *args: Any) -> Any:
        """Trigger an event by its endpoint, with values of our own, and wait for its result. Nothing else happens.

        See `harness.workload.Page.call`.

        Raises:
            OperationFailed: the app's function raised, or the server refused the event.
            OperationUnknown: no result arrived.
            PageMisuse: the app has no such endpoint, or it takes other arguments.
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
        tab, activity = self._opened(), Activity(self._visible_to_us)
        try:
            act(tab, activity)
            tab.settle(activity, self._timeout_s)
        finally:
            self._time_of(activity)
        return self._conclude(activity, may_fail)

    def _act_apart(self, act: _Gesture, *, may_fail: bool) -> Pending:
        tab, activity = self._opened(), Activity(self._visible_to_us)

        def perform() -> Exception | None:
            try:
                act(tab, activity)
                tab.settle(activity, self._timeout_s)
            except Exception as error:  # for whoever waits for it
                return error
            return None

        greenlet = gevent.spawn(perform)
        gevent.sleep(0)  # it begins now, in the order in which the person acts
        return Pending(self, activity, greenlet, may_fail)

    def _visible_to_us(self, name: str | int) -> Component:
        component = self._opened().blueprint.find(name)
        if component.type == "state":
            raise PageMisuse(f"{component} never leaves the server.", "Read a component that shows it.")
        return component

    def _listening(self, name: str | int, event: str) -> Component:
        tab = self._opened()
        component = self._usable(name, event)
        if not tab.blueprint.listeners(component.id, event):
            events = ", ".join(tab.blueprint.events_of(component.id)) or "nothing"
            raise PageMisuse(
                f"The app does not listen to {event!r} of {component}.", f"It listens to {events}."
            )
        return component

    def _event(self, name: str | int, event: str, event_data: Any) -> _Gesture:
        component = self._listening(name, event)
        return lambda tab, activity: tab.dispatch(component.id, event, activity, event_data)

    def _usable(self, name: str | int, event: str) -> Component:
        """A component that a person can act upon, as the page is now."""
        tab = self._opened()
        component = tab.blueprint.find(name, event)
        if not tab.visible(component):
            raise OperationFailed("rejected", f"{component} is not visible")
        if tab.prop(component, "interactive") is False:
            raise OperationFailed("rejected", f"{component} is not interactive")
        return component

    def _open_tab(self, tab: Frontend, tabs: Component, choice: Any, activity: Activity) -> None:
        items = [
            c
            for c in tab.blueprint.components.values()
            if c.type == "tabitem" and next(iter(tab.blueprint.ancestors(c.id)), None) is tabs
        ]
        place, chosen = _choice_of(tabs, [(c.name, c.id) for c in items], choice)
        data = {"index": place, "value": items[place].name}
        tab.dispatch(tabs.id, "change", activity)
        tab.dispatch(tabs.id, "select", activity, data)
        tab.dispatch(chosen, "select", activity, data)

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
        """The arguments of a call as they are sent."""
        data = complete_arguments(endpoint, args)
        for place, value in enumerate(data):
            self._sends(value, component_type(endpoint, place))
        data = endpoint.insert_empty_state(*data)
        return [self._uploaded(value) if isinstance(value, (dict, list)) else value for value in data]

    def _sends(self, value: Any, kind: str) -> None:
        """Tell whoever watches of the texts in a value that is about to be entered; what is chosen from a list is none."""
        if kind in _CHOSEN:
            return
        if text := "\n".join(_texts(value)):
            self._scanner.watcher.sent(text)

    def _uploaded(self, value: Any) -> Any:
        """A value with the local files in it uploaded, as `gradio_client.handle_file` describes them."""

        def upload(file: dict[str, Any]) -> dict[str, Any]:
            path = file["path"]
            return (
                file
                if path.startswith(("http://", "https://")) or not Path(path).is_file()
                else self._upload([path])[0]
            )

        return traverse(value, upload, is_file_obj_with_meta)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value; of a file, which was told of when it was uploaded, none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _texts(element)
    elif isinstance(value, dict) and not files.is_file(value):
        for element in value.values():
            yield from _texts(element)


def _choice_of(component: Component, choices: Sequence[Any], wanted: Any) -> tuple[int, Any]:
    """Where a choice stands in the list of a dropdown, radio or checkbox group, and its value.

    Args:
        choices: pairs of what is shown and its value.
        wanted: either of the two.

    Raises:
        PageMisuse: it is not there.
    """
    for place, choice in enumerate(choices):
        shown, value = choice if isinstance(choice, (list, tuple)) else (choice, choice)
        if wanted in (shown, value):
            return place, value
    offered = ", ".join(repr(c[0] if isinstance(c, (list, tuple)) else c) for c in choices[:20])
    raise PageMisuse(f"{component} offers no {wanted!r}.", f"It offers {offered or 'nothing'}.")
