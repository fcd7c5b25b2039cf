"""GradioPage: one browser tab, which to Gradio is one session.

What a person does in it (`fill`, `click`, `value` …), what an API client does (`call`), and what the tab does by itself
(`open`, `reload`, `close`). The work is done in `harness.page.frontend` (the front end), `harness.page.protocol` (what
gradio_client knows of the app), `harness.page.event_queue` and `harness.page.transport`.
"""

from __future__ import annotations

import difflib
import logging
import mimetypes
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gradio_client.client import Endpoint
from gradio_client.utils import construct_args, is_file_obj_with_meta, traverse

from harness.page import files
from harness.page.blueprint import Component
from harness.page.browser import Browser
from harness.page.event_queue import EventQueue
from harness.page.frontend import HIDDEN_ERROR, Activity, Step, Tab, choice_of
from harness.page.heartbeat import Heartbeat
from harness.page.page_errors import LoginRequired, OperationFailed, OperationUnknown, PageMisuse
from harness.page.protocol import Protocol, fetch, protocol_of, there
from harness.page.response_watcher import NOBODY, Lookout, Watcher, state_described, state_held
from harness.page.transport import Transport

Act = Callable[[Tab, Activity], None]

_log = logging.getLogger("gradsoak.page")
# Of how many files a page remembers which component they belong to, and that they were fetched.
_REMEMBERED_FILES = 256
# Components in which a person enters no text of their own.
_CHOSEN = frozenset(
    {"checkbox", "checkboxgroup", "colorpicker", "datetime", "dropdown", "number", "radio", "slider"}
)


class Timing(msgspec.Struct):
    """When the last action reached its stages, monotonic nanoseconds; None for stages that it did not have.

    Attributes:
        accepted_ns: the server had queued its first event.
        started_ns: the server said that it had started to work on it.
        first_output_ns: a first partial output had arrived on the socket.
        completed_ns: its last result had arrived on the socket.
        event_ids: Gradio's names for its events.
    """

    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    completed_ns: int | None = None
    event_ids: list[str] = []

    def extend(self, later: Timing) -> None:
        """Take in an action that came later: together they began with the first and ended with the last."""
        self.accepted_ns = self.accepted_ns or later.accepted_ns
        self.started_ns = self.started_ns or later.started_ns
        self.first_output_ns = self.first_output_ns or later.first_output_ns
        self.completed_ns = later.completed_ns or self.completed_ns
        self.event_ids = self.event_ids + later.event_ids


class _Traces:
    """What actions have left behind; see `Timed`."""

    __slots__ = ("last", "partials", "span")

    def __init__(self) -> None:
        self.last = Timing()
        self.span = Timing()
        self.partials: list[Any] = []


class Timed:
    """What the actions of a page leave behind. Of actions that go on at the same time, each greenlet sees its own."""

    def __init__(self) -> None:
        self._common = _Traces()
        self._apart: dict[Any, _Traces] = {}

    @contextmanager
    def apart(self) -> Iterator[None]:
        """From now on, what this greenlet's actions leave behind is not mixed with that of others."""
        me = gevent.getcurrent()
        self._apart[me] = _Traces()
        try:
            yield
        finally:
            del self._apart[me]

    @property
    def last(self) -> Timing:
        """The stages of the action that ended last."""
        return self._traces.last

    @property
    def span(self) -> Timing:
        """The stages of all actions since it was last replaced, taken as one."""
        return self._traces.span

    @span.setter
    def span(self, span: Timing) -> None:
        self._traces.span = span

    @property
    def partials(self) -> list[Any]:
        """Every partial output of the `call` that ended last, in the form of its result."""
        return self._traces.partials

    @property
    def _traces(self) -> _Traces:
        # Nearly always there is nobody else.
        return self._apart.get(gevent.getcurrent(), self._common) if self._apart else self._common

    def _time(self, timing: Timing) -> None:
        traces = self._traces
        traces.last = timing
        traces.span.extend(timing)


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


class GradioPage(Timed):
    """One session: opened, acted in, closed.

    Args:
        url: root of the app.
        timeout_s: longest wait for everything that one action sets off.
        auth: name and password, for an app that asks for a login.
        browser: what the person's browser keeps; give the same one to their next page.
        watcher: looks at everything that the server sends.

    Attributes:
        notices: what a simulated page cannot do for this app, by name; shared by all pages of the app.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 30.0,
        *,
        auth: tuple[str, str] | None = None,
        browser: Browser | None = None,
        watcher: Watcher = NOBODY,
    ) -> None:
        super().__init__()
        self._url = url
        self._timeout_s = timeout_s
        self._auth = auth
        self._browser = browser or Browser()
        self._lookout = Lookout(watcher)
        self._transport = Transport(url, timeout_s, self._browser.cookies, self._lookout)
        self._protocol: Protocol | None = None
        self._queue: EventQueue | None = None
        self._tab: Tab | None = None
        self._heartbeat: Heartbeat | None = None
        self._session_hash = ""
        # Paths of files that components have shown or offered, the latest, and of those that were fetched; most pages have none.
        self._offered: dict[str, list[Component]] | None = None
        self._fetched: set[str] | None = None

    # --- the tab itself ---

    @property
    def session_hash(self) -> str:
        """Gradio's name for this session."""
        self._opened()
        return self._session_hash

    @property
    def connected(self) -> bool:
        """Whether the server still holds the heartbeat, by which it knows that the tab is open."""
        return self._heartbeat is not None

    @property
    def notices(self) -> list[str]:
        """What a simulated page cannot do for this app."""
        return list(self._opened_protocol().notices)

    @property
    def config(self) -> Mapping[str, Any]:
        """What the app says its page is made of; `harness.page.blueprint.Blueprint.of` makes sense of it."""
        config: Mapping[str, Any] = self._opened_protocol().config
        return config

    def open(self) -> None:
        """Load the app's page as a browser does: configuration, heartbeat, and whatever the app does on `load`.

        Raises:
            OperationFailed, OperationUnknown: the app could not be loaded, or one of its `load` events failed.
        """
        protocol = self._protocol = self._enter()
        self._session_hash = str(uuid.uuid4())
        self._lookout.components(protocol.state_held, "the app's config")
        prefix = protocol.api_prefix.lstrip("/")
        self._queue = EventQueue(
            self._transport,
            prefix,
            self._session_hash,
            diffed=protocol.protocol != "sse_v1",
            on_strange=self._notice,
            lookout=self._lookout,
        )
        self._tab = Tab(
            protocol.blueprint,
            self._queue,
            self._transport,
            prefix=prefix,
            session_hash=self._session_hash,
            storage=self._browser.storage,
            notice=self._notice,
            lookout=self._lookout,
            show=self._show,
        )
        if protocol.wants_heartbeat:
            status, socket = self._transport.lasting_stream(f"{prefix}heartbeat/{self._session_hash}")
            if socket is not None and status == 200:
                self._heartbeat = Heartbeat(socket, self._heartbeat_lost)
            else:
                if socket is not None:
                    socket.close()
                if status != 404:  # before 4.21 Gradio had no heartbeat
                    raise OperationFailed("rejected", f"the heartbeat answered {status}")
        for what in protocol.beyond:
            self._notice(what)
        activity = Activity()
        try:
            self._tab.load(activity)
            self._tab.settle(activity, self._timeout_s)
        finally:
            self._time_of(activity)
        self._conclude(activity, may_fail=False)

    def _enter(self) -> Protocol:
        """Load the app's configuration, logging in if this browser is not logged in yet."""
        if self._auth is not None and not self._browser.cookies:
            self._log_in(*self._auth)
        try:
            return protocol_of(self._url, self._transport)
        except LoginRequired:
            if self._auth is None:
                raise
        self._log_in(*self._auth)
        return protocol_of(self._url, self._transport)

    def look_around(self) -> None:
        """Look at what the app says of itself now: its configuration, and the description of its endpoints.

        A page fetches the one when it is opened, and the other never.

        Raises:
            OperationFailed, OperationUnknown: it does not say.
        """
        config = msgspec.json.decode(fetch(self._transport, "config"))
        self._lookout.components(state_held(config["components"]), "the app's config")
        info = msgspec.json.decode(fetch(self._transport, f"{self._prefix()}info"))
        self._lookout.components(state_described(info), "the app's info")
        self._time(Timing(completed_ns=time.monotonic_ns()))

    def reload(self) -> None:
        """Load the page again: a new session, in the same browser."""
        self.close()
        self.open()

    def close(self) -> None:
        """Close the tab: every connection ends, and with the heartbeat the session."""
        if self._tab is not None:
            self._tab.close()
        if self._queue is not None:
            self._queue.close()
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None
        self._transport.close()
        self._tab = self._queue = None

    def rest(self) -> None:
        """Close the connections that nobody waits for, as happens to a tab that is left alone for some seconds; the heartbeat stays."""
        self._transport.close_idle()

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

        def act(tab: Tab, activity: Activity) -> None:
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

        def act(tab: Tab, activity: Activity) -> None:
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
        place, value = choice_of(component, tab.prop(component, "choices") or [], choice)
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

        def act(tab: Tab, activity: Activity) -> None:
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
        self._lookout.file(path, name, content, (self._offered or {}).get(path, ()))
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
        endpoint = self._endpoint(api_name)
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

    def _act(self, act: Act, *, may_fail: bool = False) -> Activity:
        tab, activity = self._opened(), Activity(self._visible_to_us)
        try:
            act(tab, activity)
            tab.settle(activity, self._timeout_s)
        finally:
            self._time_of(activity)
        return self._conclude(activity, may_fail)

    def _act_apart(self, act: Act, *, may_fail: bool) -> Pending:
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

    def _conclude(self, activity: Activity, may_fail: bool) -> Activity:
        self._show(activity)
        if activity.failures and not may_fail:
            raise activity.failures[0]
        return activity

    def _time_of(self, activity: Activity) -> None:
        self._time(
            Timing(
                accepted_ns=activity.accepted_ns,
                started_ns=activity.started_ns,
                first_output_ns=activity.first_output_ns,
                completed_ns=activity.completed_ns or time.monotonic_ns(),
                event_ids=activity.event_ids,
            )
        )

    def _show(self, activity: Activity) -> None:
        """Fetch the pictures and the like that an action has let the page show, as a browser does; its times are settled by then."""
        if not activity.files or self._tab is None:
            return
        self._offered = self._offered or {}
        self._fetched = self._fetched or set()
        shown: dict[str, list[Component]] = {}
        for address, components in activity.files.items():
            if not files.is_of(self._url, address):
                continue
            path = files.path_below(self._url, address)
            self._offered[path] = components
            if path not in self._fetched and any(self._shows(component) for component in components):
                shown[path] = components
        for path in [*self._offered][:-_REMEMBERED_FILES]:
            del self._offered[path]
            self._fetched.discard(path)
        with gevent.Timeout(self._timeout_s, False):
            for path, components in [*shown.items()][: files.MAX_FILES]:
                self._fetched.add(path)
                self._fetch_shown(path, components)

    def _shows(self, component: Component) -> bool:
        """Whether a component shows its files without being asked to, and is seen itself."""
        return component.type not in files.ON_CLICK and self._opened().visible(component)

    def _fetch_shown(self, path: str, components: Sequence[Component]) -> None:
        """A picture that is not there is an empty frame to a person, and no failure of what they did."""
        try:
            status, content, name = self._transport.get_file(path, files.MAX_FILE_BYTES)
        except (OperationFailed, OperationUnknown) as error:
            self._notice(f"a file that {components[0]} shows could not be fetched: {error}")
            return
        self._lookout.file(path, name, content, components)
        if status not in (200, 206):
            self._notice(f"a file that {components[0]} shows could not be fetched: the answer was {status}")

    def _opened(self) -> Tab:
        if self._tab is None:
            raise RuntimeError("the page is not open")
        return self._tab

    def _opened_protocol(self) -> Protocol:
        self._opened()
        assert self._protocol is not None
        return self._protocol

    def _prefix(self) -> str:
        return str(self._opened_protocol().api_prefix.lstrip("/"))

    def _log_in(self, username: str, password: str) -> None:
        status, _ = self._transport.post_form("login", {"username": username, "password": password})
        if status in (400, 401, 403):
            raise OperationFailed("rejected", f"the app does not accept the login of {username!r} ({status})")
        if status != 200:
            raise OperationFailed("rejected", f"POST login answered {status}")

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

    def _event(self, name: str | int, event: str, event_data: Any) -> Act:
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

    def _open_tab(self, tab: Tab, tabs: Component, choice: Any, activity: Activity) -> None:
        items = [
            c
            for c in tab.blueprint.components.values()
            if c.type == "tabitem" and next(iter(tab.blueprint.ancestors(c.id)), None) is tabs
        ]
        place, chosen = choice_of(tabs, [(c.name, c.id) for c in items], choice)
        data = {"index": place, "value": items[place].name}
        tab.dispatch(tabs.id, "change", activity)
        tab.dispatch(tabs.id, "select", activity, data)
        tab.dispatch(chosen, "select", activity, data)

    def _upload(self, files: Sequence[str | Path | tuple[str, bytes]]) -> list[dict[str, Any]]:
        parts = []
        for file in files:
            name, content = file if isinstance(file, tuple) else (Path(file).name, Path(file).read_bytes())
            self._lookout.watcher.sent(name.encode() + b"\n" + content)
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

    def _endpoint(self, api_name: str) -> Endpoint:
        protocol = self._opened_protocol()
        endpoint = protocol.by_api_name.get(api_name)
        if endpoint is None:
            names = sorted(protocol.by_api_name)
            near = difflib.get_close_matches(api_name, names, n=3, cutoff=0.5)
            offered = [
                _signature(protocol.by_api_name[name]) for name in sorted(names, key=lambda n: n not in near)
            ]
            raise PageMisuse(
                f"The app has no endpoint {api_name!r}.",
                (f"Did you mean {' or '.join(near)}? " if near else "")
                + f"It has {', '.join(offered) or 'none'}.",
            )
        return endpoint

    def _arguments(self, endpoint: Endpoint, args: Sequence[Any]) -> list[Any]:
        info = endpoint.parameters_info
        if info is None:  # a private endpoint: the app does not describe it
            wanted = [
                f"input {n}" for n, kind in enumerate(endpoint.input_component_types) if not kind.is_state
            ]
        else:
            wanted = [_parameter(n, parameter) for n, parameter in enumerate(info)]
        try:
            if len(args) == len(wanted):
                data: Sequence[Any] = args  # what construct_args would give, at a tenth of the time of a call
            elif info is None or len(args) > len(wanted):
                raise ValueError(f"{len(args)} arguments")  # construct_args lets too many pass
            else:
                data = construct_args(info, tuple(args), {})
        except (TypeError, ValueError) as error:
            listed = f" ({', '.join(wanted)})" if wanted else ""
            raise PageMisuse(
                f"{endpoint.api_name} takes {_arguments(len(wanted))}{listed}, {len(args)} were given.",
                "State is not an argument: the server holds it.",
            ) from error
        for number, value in enumerate(data):
            parameter = info[number] if info is not None and number < len(info) else {}
            self._sends(value, str(parameter.get("component") or "").lower())
        data = endpoint.insert_empty_state(*data)
        return [self._uploaded(value) if isinstance(value, (dict, list)) else value for value in data]

    def _sends(self, value: Any, kind: str) -> None:
        """Tell whoever watches of the texts in a value that is about to be entered; what is chosen from a list is none."""
        if kind in _CHOSEN:
            return
        if text := "\n".join(_texts(value)):
            self._lookout.watcher.sent(text)

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

    def _heartbeat_lost(self) -> None:
        self._heartbeat = None
        self._notice(
            "the server ended the heartbeat of a session that was open: to it, that visitor has left"
        )

    def _notice(self, text: str) -> None:
        notices = self._opened_protocol().notices if self._protocol is not None else {}
        if text not in notices:
            notices[text] = None
            _log.warning("%s", text)


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


def _arguments(number: int) -> str:
    return "1 argument" if number == 1 else f"{number or 'no'} arguments"


def _signature(endpoint: Endpoint) -> str:
    """An endpoint as a workload calls it: `/click(label, n=…)`; a private one, of which nothing is told, by its name."""
    if endpoint.parameters_info is None:
        return str(endpoint.api_name)
    names = [
        f"{_parameter(n, parameter)}{'=…' if parameter.get('parameter_has_default') else ''}"
        for n, parameter in enumerate(endpoint.parameters_info)
    ]
    return f"{endpoint.api_name}({', '.join(names)})"


def _parameter(number: int, info: Mapping[str, Any]) -> str:
    """Name of a parameter; before 4.22 Gradio told none."""
    return str(info.get("parameter_name") or f"input {number}")
