"""How a page opens and closes, and what belongs to it while it is open."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.page.activity import Activity
from harness.page.browser import Browser
from harness.page.event_queue import EventQueue
from harness.page.frontend import Frontend
from harness.page.heartbeat import Heartbeat
from harness.page.page_errors import LoginRequired, OperationFailed
from harness.page.protocol import Protocol, fetch, protocol_of
from harness.page.response_watcher import NULL_WATCHER, ResponseScanner, Watcher, state_described, state_held
from harness.page.shown_files import ShownFiles
from harness.page.timing import Timed, Timing
from harness.page.transport import Transport

_log = logging.getLogger("gradsoak.page")


class OpenablePage(Timed):
    """A page that opens and closes; `harness.page.gradio_page.GradioPage` adds what a user does in it.

    Args:
        url: root of the app.
        timeout_s: longest wait for all events of one action.
        auth: name and password, for an app with a login.
        browser: the user's browser. Give the same one to the user's next page.
        watcher: searches everything that the server sends.

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
        watcher: Watcher = NULL_WATCHER,
    ) -> None:
        super().__init__()
        self._url = url
        self._timeout_s = timeout_s
        self._auth = auth
        self._browser = browser or Browser()
        self._scanner = ResponseScanner(watcher)
        self._transport = Transport(url, timeout_s, self._browser.cookies, self._scanner)
        self._files = ShownFiles(url, timeout_s, self._transport, self._scanner)
        self._protocol: Protocol | None = None
        self._queue: EventQueue | None = None
        self._frontend: Frontend | None = None
        self._heartbeat: Heartbeat | None = None
        self._session_hash = ""

    @property
    def session_hash(self) -> str:
        """Gradio's name for this session."""
        self._opened()
        return self._session_hash

    @property
    def connected(self) -> bool:
        """Whether the heartbeat is open, by which the server knows that the page is open."""
        return self._heartbeat is not None

    @property
    def notices(self) -> list[str]:
        """What a simulated page cannot do for this app."""
        return list(self._opened_protocol().notices)

    @property
    def config(self) -> Mapping[str, Any]:
        """The app's description of its page; `harness.page.blueprint.Blueprint.of` reads it."""
        config: Mapping[str, Any] = self._opened_protocol().config
        return config

    # --- opening ---

    def open(self) -> None:
        """Load the app's page as a browser does: configuration, heartbeat, and the events that the app runs on `load`.

        Raises:
            OperationFailed, OperationUnknown: the app could not be loaded, or one of its `load` events failed.
        """
        protocol = self._protocol = self._enter()
        self._session_hash = str(uuid.uuid4())
        self._scanner.components(protocol.state_held, "the app's config")
        prefix = protocol.api_prefix.lstrip("/")
        self._queue = EventQueue(
            self._transport,
            prefix,
            self._session_hash,
            diffed=protocol.protocol != "sse_v1",
            on_unknown_message=self._notice,
            scanner=self._scanner,
        )
        self._frontend = Frontend(
            protocol.blueprint,
            self._queue,
            self._transport,
            prefix=prefix,
            session_hash=self._session_hash,
            storage=self._browser.storage,
            notice=self._notice,
            scanner=self._scanner,
            show=self._show,
        )
        if protocol.wants_heartbeat:
            self._open_heartbeat(prefix)
        for feature in protocol.unsupported:
            self._notice(feature)
        activity = Activity()
        try:
            self._frontend.load(activity)
            self._frontend.settle(activity, self._timeout_s)
        finally:
            self._time_of(activity)
        self._conclude(activity, may_fail=False)

    def _open_heartbeat(self, prefix: str) -> None:
        status, socket = self._transport.lasting_stream(f"{prefix}heartbeat/{self._session_hash}")
        if socket is not None and status == 200:
            self._heartbeat = Heartbeat(socket, self._heartbeat_lost)
            return
        if socket is not None:
            socket.close()
        if status != 404:  # before 4.21 Gradio had no heartbeat
            raise OperationFailed("rejected", f"the heartbeat answered {status}")

    def _heartbeat_lost(self) -> None:
        self._heartbeat = None
        self._notice(
            "the server ended the heartbeat of a session that was open: to it, that visitor has left"
        )

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

    def _log_in(self, username: str, password: str) -> None:
        status, _ = self._transport.post_form("login", {"username": username, "password": password})
        if status in (400, 401, 403):
            raise OperationFailed("rejected", f"the app does not accept the login of {username!r} ({status})")
        if status != 200:
            raise OperationFailed("rejected", f"POST login answered {status}")

    def reload(self) -> None:
        """Load the page again: a new session in the same browser."""
        self.close()
        self.open()

    # --- closing ---

    def close(self) -> None:
        """Close the page: every connection ends. The end of the heartbeat tells the server that the session has ended."""
        if self._frontend is not None:
            self._frontend.close()
        if self._queue is not None:
            self._queue.close()
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None
        self._transport.close()
        self._frontend = self._queue = None

    def rest(self) -> None:
        """Close idle connections, as happens to a page that is not used for some seconds. The heartbeat stays open."""
        self._transport.close_idle()

    # --- while it is open ---

    def look_around(self) -> None:
        """Search the app's configuration and the description of its endpoints as they are now.

        An ordinary page fetches the configuration only when it opens, and the description never.

        Raises:
            OperationFailed, OperationUnknown: one of them could not be fetched.
        """
        config = msgspec.json.decode(fetch(self._transport, "config"))
        self._scanner.components(state_held(config["components"]), "the app's config")
        info = msgspec.json.decode(fetch(self._transport, f"{self._prefix()}info"))
        self._scanner.components(state_described(info), "the app's info")
        self._time(Timing(completed_ns=time.monotonic_ns()))

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
        if activity.files and self._frontend is not None:
            self._files.show(activity, self._frontend, self._notice)

    def _opened(self) -> Frontend:
        if self._frontend is None:
            raise RuntimeError("the page is not open")
        return self._frontend

    def _opened_protocol(self) -> Protocol:
        self._opened()
        assert self._protocol is not None
        return self._protocol

    def _prefix(self) -> str:
        return str(self._opened_protocol().api_prefix.lstrip("/"))

    def _notice(self, text: str) -> None:
        notices = self._opened_protocol().notices if self._protocol is not None else {}
        if text not in notices:
            notices[text] = None
            _log.warning("%s", text)
