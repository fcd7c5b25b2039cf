"""An app that is already running: reached over HTTP, monitored from outside, never stopped."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil

from harness.addresses import is_loopback
from harness.app_under_test.preflight import AppFacts, app_id
from harness.errors import TargetError, UsageError
from harness.records import Census, ExternalApp, GradioLimits, ProbeSample, Retainer

_WATCH_INTERVAL_S = 1.0
_WATCH_TIMEOUT_S = 5.0
# A run survives a restart of a few seconds. After this time, the app counts as gone.
_GONE_AFTER_S = 10.0


class ExternalTarget:
    """An app that gradsoak did not start.

    A thread asks it every second for its `app_id`, which Gradio draws anew at each start. So its end and its restart are
    detected, even if its process is unknown.

    Args:
        facts: the result of `inspect_url`.
        pid: root of its process tree; None if unknown.
        gone_after_s: the app counts as gone after it has accepted no connection for so many seconds.
    """

    def __init__(self, facts: AppFacts, pid: int | None, *, gone_after_s: float = _GONE_AFTER_S) -> None:
        self._facts = facts
        self._pid = pid
        self._gone_after_s = gone_after_s
        self._lock = threading.Lock()
        self._news: list[str] = []
        self._app_id = facts.app_id
        self._reported: set[str] = set()
        self._refused_since: float | None = None
        self._gone_s: float | None = None
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._run, name="target-watch", daemon=True)

    @property
    def pid(self) -> int | None:
        """Root of the process tree to sample; None if it is unknown or has ended."""
        return self._pid if self._pid is not None and psutil.pid_exists(self._pid) else None

    @property
    def asks_login(self) -> bool:
        """Whether the app requires a login."""
        return self._facts.asks_login

    def wait_ready(self, timeout_s: float, tick: Callable[[], None] = lambda: None) -> str:
        """Start monitoring, and return the URL. The preflight already found that the app answers."""
        if not self._watch.is_alive():
            self._watch.start()
        return self._facts.url

    def restart(
        self, timeout_s: float, tick: Callable[[], None], *, seen: Iterable[tuple[int, float]]
    ) -> str:
        """Refuse: gradsoak does not restart an app that it did not start.

        Raises:
            TargetError: always.
        """
        raise TargetError(
            "gradsoak did not start this app, so it does not restart it.",
            "Leave out --url: gradsoak then starts the app itself.",
        )

    def describe(self) -> dict[str, Any]:
        """Address, version, and number of gr.State."""
        return {
            "pid": self._pid,
            "url": self._facts.url,
            "gradio_version": self._facts.gradio_version,
            "states": self._facts.states,
        }

    def settle(self) -> ProbeSample | None:
        """Always None or empty: the app has no probe."""
        return None

    def measure(self) -> ProbeSample | None:
        """Always None or empty: the app has no probe."""
        return None

    def census(self, plateau: int) -> Census | None:
        """Always None or empty: the app has no probe."""
        return None

    def retainers(self) -> list[Retainer]:
        """Always None or empty: the app has no probe."""
        return []

    def limits(self) -> GradioLimits | None:
        """Always None: only a probe could read the limits."""
        return None

    def check_alive(self, when: str) -> None:
        """Raise if the app is gone.

        Raises:
            TargetError: for how long it has accepted no connection.
        """
        with self._lock:
            gone_s = self._gone_s
        if gone_s is not None:
            raise TargetError(
                f"The app at {self._facts.url.rstrip('/')} is gone {when}: it has accepted no connection for {gone_s:.0f} s.",
                "Read the log of the app; gradsoak did not start it, so it has no log of it.",
            )

    def news(self) -> list[str]:
        """What was detected since the last call: a restart, or a missing answer."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def stop(self, *, seen: Iterable[tuple[int, float]] = ()) -> None:
        """Stop monitoring. The app keeps running."""
        self._stop.set()
        if self._watch.is_alive():
            self._watch.join(1.0)  # do not wait for an app that hangs

    def look(self, now_s: float) -> None:
        """Ask the app once, and record the result. `now_s` is monotonic seconds."""
        try:
            found = app_id(self._facts, _WATCH_TIMEOUT_S)
        except TimeoutError:
            with self._lock:  # it is busy or hangs; the operations show the effect
                self._report(
                    "silent",
                    f"The app did not return its app_id within {_WATCH_TIMEOUT_S:g} s: it hung or was overloaded",
                )
            return
        except ConnectionError:
            with self._lock:
                self._refused_since = now_s if self._refused_since is None else self._refused_since
                if now_s - self._refused_since >= self._gone_after_s:
                    self._gone_s = now_s - self._refused_since
            return
        with self._lock:
            self._refused_since = self._gone_s = None
            changed = found is not None and self._app_id is not None and found != self._app_id
            if changed:
                self._report(
                    "restarted",
                    "The app_id of the app changed: it was restarted, or several replicas answer at this address. Sessions lose the "
                    "state that they had in the other process",
                )
            self._app_id = found if found is not None else self._app_id

    def _report(self, what: str, sentence: str) -> None:
        """Report each kind of news once: replicas would alternate without end."""
        if what not in self._reported:
            self._reported.add(what)
            self._news.append(sentence)

    def _run(self) -> None:
        while not self._stop.wait(_WATCH_INTERVAL_S):
            self.look(time.monotonic())


class RunningApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app that is already running: its facts, and the record for the manifest."""

    facts: AppFacts
    record: ExternalApp


def locate(facts: AppFacts, pid: int | None) -> RunningApp:
    """Find the process behind a URL, to sample it from outside.

    Args:
        facts: the result of `inspect_url`.
        pid: the process named by the user; None to find the process that listens.

    Raises:
        UsageError: the named process does not exist.
    """
    parts = urlsplit(facts.url)
    found, unknown = pid, ""
    if pid is not None:
        if not psutil.pid_exists(pid):
            raise UsageError(
                f"There is no process {pid}.", "Name the app's process with --pid, or leave it out."
            )
    else:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found, unknown = _listener(str(parts.hostname), port)
    return RunningApp(
        facts=facts,
        record=ExternalApp(
            url=facts.url,
            protocol=facts.protocol,
            pid=found,
            process=None if found is None else _name(found),
            not_sampled=unknown,
        ),
    )


def _listener(host: str, port: int) -> tuple[int | None, str]:
    """The process that listens on a port of this machine; or None, and the reason."""
    try:
        if not is_loopback(host):
            return None, "it runs on another machine"
    except OSError:
        return None, "its host has no address"
    listening = []
    for process in psutil.process_iter():
        try:
            if any(_answers(connection, port) for connection in process.net_connections(kind="tcp")):
                listening.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    if not listening:
        return None, f"the process that listens on port {port} could not be found (name it with --pid)"
    # Workers share the socket of the process that opened it.
    pids = {process.pid for process in listening}
    roots = [p for p in listening if not pids & {parent.pid for parent in _parents(p)}]
    root = roots[0]
    if not any(_is_python(process) for process in (root, *_children(root))):
        return (
            None,
            f"what listens on port {port} is {_name(root.pid)}, not Python (name the app's process with --pid)",
        )
    return root.pid, ""


def _answers(connection: Any, port: int) -> bool:
    """Whether a socket listens on a port at an address that clients on this machine reach."""
    if connection.status != psutil.CONN_LISTEN or connection.laddr.port != port:
        return False
    address = ipaddress.ip_address(connection.laddr.ip.partition("%")[0])
    return address.is_loopback or address.is_unspecified


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.parents())
    except psutil.Error:
        return []


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _is_python(process: psutil.Process) -> bool:
    try:
        return "python" in f"{process.name()} {process.exe()}".lower()
    except psutil.Error:
        return False


def _name(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return "unknown"
