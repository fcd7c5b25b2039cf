"""Starts, monitors, restarts and stops the app under test."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.app_under_test.interpreter import Interpreter
from harness.app_under_test.preflight import Account, inspect_url
from harness.app_under_test.probe_client import ProbeClient
from harness.child_process import Child, describe_exit, uninterrupted
from harness.errors import TargetError, UsageError
from harness.records import Census, GradioLimits, ProbeSample, Retainer

_PROBE_MAIN = Path(__file__).resolve().parent.parent / "probe" / "__main__.py"
_POLL_S = 0.05
_LOG_LINES = 15
# Environment variable of the app with the path of its own folder, which lasts for the run, restarts included.
DATA_FOLDER = "GRADSOAK_DATA"
# Seconds that `docker stop` gives a program to end by itself.
_RESTART_GRACE_S = 10.0
T = TypeVar("T")


class Target:
    """The app in its own process.

    Args:
        app: path of the app's file.
        interpreter: the Python that runs it.
        log: file for its output.
        params: parameters of the scenario, passed as environment variables.
        accounts: user names and passwords, for an app that asks for a login.
        environment: variables set by the harness; they override the parameters.
    """

    def __init__(
        self,
        app: Path,
        interpreter: Interpreter,
        log: Path,
        params: Mapping[str, str] | None = None,
        accounts: Sequence[Account] = (),
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not app.is_file():
            raise UsageError(
                f"{app} does not exist.", "A scenario folder holds app.py, workload.py and scenario.toml."
            )
        self._log = log
        self._accounts = accounts
        # A Unix socket's path may have 107 characters, so the private folder is not inside the run folder.
        self._private = Path(tempfile.mkdtemp(prefix="gradsoak-"))
        self._socket_path = self._private / "probe.sock"
        self.probe = ProbeClient(self._socket_path)
        data = self._private / "data"
        data.mkdir()
        self._environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_TEMP_DIR": str(self._private / "files"),
            **(params or {}),
            **(environment or {}),
            DATA_FOLDER: str(data),
        }
        # These belong to the harness. The app's interpreter must not see them.
        self._environment.pop("PYTHONPATH", None)
        self._environment.pop("GRADSOAK_AUTH", None)
        self._app = app
        self._interpreter = interpreter
        try:
            self._child = self._launch()
        except BaseException:
            shutil.rmtree(self._private, ignore_errors=True)
            raise
        self.url = ""
        self.asks_login = False
        self._states: int | None = None

    def _launch(self, port: int | None = None) -> Child:
        """Start the app, on the given port or on any free one."""
        arguments = [str(_PROBE_MAIN), str(self._socket_path), str(self._app)]
        try:
            return Child(
                [self._interpreter.path, *arguments, *([] if port is None else [str(port)])],
                cwd=self._app.parent,
                env=self._environment,
                log=self._log,
            )
        except OSError as error:
            raise TargetError(
                f"Cannot start {self._interpreter.path}: {error.strerror}.", "Check --python."
            ) from error

    @property
    def pid(self) -> int:
        """Process id of the app."""
        return self._child.pid

    def wait_ready(self, timeout_s: float, tick: Callable[[], None] = lambda: None) -> str:
        """Wait until the app answers a real request, and return its URL.

        Args:
            timeout_s: longest wait.
            tick: called many times a second while waiting.

        Raises:
            TargetError: the app ended, or did not answer in time; the message includes the end of its log.
            UsageError: the app needs a login that is missing, or uses an unsupported protocol.
        """
        deadline = time.monotonic() + timeout_s
        last = "it never opened a port"
        while time.monotonic() < deadline:
            self.check_alive("before it was ready")
            if self.probe.connect():
                try:
                    port = self.probe.hello(timeout_s=2.0).get("port")
                except TargetError:
                    # The app has ended, which the next iteration reports, or is too busy for the probe to answer.
                    self._child.wait(_POLL_S)
                    continue
                if port is not None:
                    status = _request_status(int(port))
                    if status in (200, 401):
                        facts = inspect_url(f"http://127.0.0.1:{port}/", accounts=self._accounts)
                        self.url, self.asks_login, self._states = facts.url, facts.asks_login, facts.states
                        return self.url
                    last = "its port does not answer" if status is None else f"GET /config answers {status}"
            tick()
            time.sleep(_POLL_S)
        raise TargetError(
            f"The app was not ready after {timeout_s:g} s: {last}.{self._log_tail()}",
            "If it needs longer to load, give --ready-timeout; if it never launches, name its Blocks `demo` or call launch().",
        )

    def restart(
        self,
        timeout_s: float,
        tick: Callable[[], None] = lambda: None,
        *,
        grace_s: float = _RESTART_GRACE_S,
        seen: Iterable[tuple[int, float]] = (),
    ) -> str:
        """Stop the app as an operator would, SIGTERM first, and start it again on the same port.

        Its environment, its private folder and its log stay the same.

        Args:
            timeout_s: longest wait until the app answers again.
            tick: called many times a second while waiting.
            grace_s: seconds for the app to end by itself.
            seen: descendants of the app seen earlier; see `harness.child_process.Child.stop`.

        Returns:
            How the app ended, in words.

        Raises:
            TargetError: the app did not start again.
        """
        port = urlsplit(self.url).port
        assert port is not None  # it was ready before
        self.probe.close()
        self._child.stop(grace_s, seen)
        status = self._child.exit_status()
        assert status is not None
        self._socket_path.unlink(missing_ok=True)
        with _reserved(port):
            with uninterrupted():  # interrupted here, the new process would never be stopped
                self._child = self._launch(port)
            try:
                self.wait_ready(timeout_s, tick)
            except TargetError as error:
                raise TargetError(f"After its restart: {error.message}", error.hint) from error
        return describe_exit(status)

    def describe(self) -> dict[str, Any]:
        """Address, replaced launch arguments, number of objects that got each setting, and number of gr.State."""
        hello = self.probe.hello()
        return {
            "pid": self.pid,
            "url": self.url,
            "overridden": hello.get("overridden", {}),
            "settings": hello.get("settings", {}),
            "states": self._states,
        }

    def settle(self) -> ProbeSample:
        """Collect garbage and trim memory inside the app, then measure."""
        return self._asked(self.probe.settle)

    def measure(self) -> ProbeSample:
        """Measure inside the app without settling."""
        return self._asked(self.probe.measure)

    def census(self, plateau: int) -> Census | None:
        """Take a census of the app's objects; None if the probe could not."""
        return self._asked(lambda: self.probe.census(plateau))

    def start_trace(self, file: Path, frames: int, lent: dict[str, Any]) -> dict[str, Any]:
        """Start tracing allocations; see `ProbeClient.start_trace`."""
        return self._asked(lambda: self.probe.start_trace(file, frames, lent))

    def stop_trace(self) -> dict[str, Any]:
        """Stop memray; see `ProbeClient.stop_trace`."""
        return self._asked(self.probe.stop_trace)

    def traced_entries(self, paths: Sequence[str]) -> dict[str, Any]:
        """The lines that allocated new entries of some containers; see `ProbeClient.traced_entries`."""
        return self._asked(lambda: self.probe.traced_entries(paths))

    def end_trace(self) -> None:
        """Stop tracing."""
        self._asked(self.probe.end_trace)

    def retainers(self) -> list[Retainer]:
        """What holds the growth since the first census. Keeps the app busy for some seconds."""
        return self._asked(self.probe.retainers)

    def limits(self) -> GradioLimits:
        """Gradio's settings for sessions."""
        return self._asked(self.probe.limits)

    def news(self) -> list[str]:
        """Always empty: the end of the process is reported by `check_alive`."""
        return []

    def _asked(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except TargetError:
            self._child.wait(0.2)  # wait until the process is reaped, so that the error says how it ended
            self.check_alive("while it was measured")
            raise

    def check_alive(self, when: str) -> None:
        """Raise if the app has ended.

        Raises:
            TargetError: how it ended, and the end of its log.
        """
        status = self._child.exit_status()
        if status is not None:
            raise TargetError(
                f"The app {describe_exit(status)} {when}.{self._log_tail()}",
                f"The whole log is in {self._log}.",
            )

    def stop(self, grace_s: float = 5.0, seen: Iterable[tuple[int, float]] = ()) -> None:
        """End the app and all processes that it started: SIGTERM, then SIGKILL after the grace period.

        Args:
            grace_s: seconds between the two.
            seen: descendants of the app seen earlier; see `harness.child_process.Child.stop`.
        """
        self.probe.close()
        self._child.stop(grace_s, seen)
        shutil.rmtree(self._private, ignore_errors=True)

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").rstrip().splitlines()[-_LOG_LINES:]
        return (
            " The end of its log:\n" + "\n".join(f"    {line}" for line in lines)
            if lines
            else " Its log is empty."
        )


@contextlib.contextmanager
def _reserved(port: int) -> Iterator[None]:
    """Keep a port of 127.0.0.1 from being used for an outgoing connection until the app listens there again.

    On Linux, two sockets that both allow reuse may be bound to one address while neither listens, and Gradio's socket allows
    reuse. On other systems, the port is not reserved.
    """
    with socket.socket() as keeper:
        if sys.platform == "linux":
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # the port is taken: the app will report it
                keeper.bind(("127.0.0.1", port))
        yield


def _request_status(port: int) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/config")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
