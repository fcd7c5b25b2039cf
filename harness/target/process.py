"""Starting, watching and stopping the app under test."""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from harness.errors import TargetError, UsageError
from harness.processes import Child, describe_exit
from harness.target.interpreter import Interpreter
from harness.target.probe import ProbeClient

_PROBE_MAIN = Path(__file__).resolve().parent.parent / "probe" / "__main__.py"
_POLL_S = 0.05
_LOG_LINES = 15


class Target:
    """The app in its own process.

    Args:
        app: path of the app's file.
        interpreter: the Python that runs it.
        log: file for its output.
        params: adjustable values, passed as environment variables.
    """

    def __init__(
        self, app: Path, interpreter: Interpreter, log: Path, params: Mapping[str, str] | None = None
    ) -> None:
        if not app.is_file():
            raise UsageError(
                f"{app} does not exist.", "A scenario folder holds app.py, workload.py and scenario.toml."
            )
        self._log = log
        # A Unix socket's path may have 107 characters, so the private folder is not inside the run folder.
        self._private = Path(tempfile.mkdtemp(prefix="gradsoak-"))
        socket_path = self._private / "probe.sock"
        self.probe = ProbeClient(socket_path)
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_TEMP_DIR": str(self._private / "files"),
            **(params or {}),
        }
        # Ours, if the harness itself was started with one; the app's interpreter must not see it.
        environment.pop("PYTHONPATH", None)
        try:
            self._child = Child(
                [interpreter.path, str(_PROBE_MAIN), str(socket_path), str(app)],
                cwd=app.parent,
                env=environment,
                log=log,
            )
        except OSError as error:
            shutil.rmtree(self._private, ignore_errors=True)
            raise TargetError(
                f"Cannot start {interpreter.path}: {error.strerror}.", "Check --python."
            ) from error
        self.url = ""

    @property
    def pid(self) -> int:
        """Process id of the app."""
        return self._child.pid

    def wait_ready(self, timeout_s: float, tick: Callable[[], None] = lambda: None) -> str:
        """Wait until the app answers a real request, and return its URL.

        Args:
            timeout_s: longest wait.
            tick: called many times a second meanwhile.

        Raises:
            TargetError: it ended, asks for a login, or did not answer in time; the message holds the end of its log.
        """
        deadline = time.monotonic() + timeout_s
        last = "it never opened a port"
        while time.monotonic() < deadline:
            self.check_alive("before it was ready")
            if self.probe.connect():
                try:
                    port = self.probe.hello(timeout_s=2.0).get("port")
                except TargetError:
                    # It has ended, which the next turn finds out, or it is so busy that even the probe must wait.
                    self._child.wait(_POLL_S)
                    continue
                if port is not None:
                    status = _request_status(int(port))
                    if status == 200:
                        self.url = f"http://127.0.0.1:{port}/"
                        return self.url
                    if status == 401:
                        raise TargetError(
                            "The app asks for a login (auth=), which gradsoak cannot give.",
                            "Start it without auth= for the measurement, for example behind an environment variable.",
                        )
                    last = "its port does not answer" if status is None else f"GET /config answers {status}"
            tick()
            time.sleep(_POLL_S)
        raise TargetError(
            f"The app was not ready after {timeout_s:g} s: {last}.{self._log_tail()}",
            "If it needs longer to load, give --ready-timeout; if it never launches, name its Blocks `demo` or call launch().",
        )

    def check_alive(self, when: str) -> None:
        """Raise if the app has ended.

        Raises:
            TargetError: with the way it ended and the end of its log.
        """
        status = self._child.exit_status()
        if status is not None:
            raise TargetError(
                f"The app {describe_exit(status)} {when}.{self._log_tail()}",
                f"The whole log is in {self._log}.",
            )

    def stop(self, grace_s: float = 5.0, seen: Iterable[tuple[int, float]] = ()) -> None:
        """End the app: SIGTERM, then SIGKILL after the grace period; nothing that it started stays.

        Args:
            grace_s: seconds between the two.
            seen: its descendants noticed earlier, see `harness.processes.Child.stop`.
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


def _request_status(port: int) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/config")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
