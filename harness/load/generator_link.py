"""Starts a process that makes load, and exchanges messages with it over a socket pair. Knows nothing of Locust."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.child_process import Child
from harness.errors import HarnessError, StorageError, UsageError
from harness.load.commands import Broken, Report

_LOG_LINES_SHOWN = 8


class GeneratorLink:
    """A process that makes load, and the harness's end of the socket to it.

    Args:
        module: what the process runs.
        log: file for its output.
        cwd: its working folder.
        on_report: called for each report, in a thread of this link; with None once no more can come.

    Attributes:
        child: the process.
    """

    def __init__(
        self, module: str, *, log: Path, cwd: Path, on_report: Callable[[Report | None], None]
    ) -> None:
        self._log = log
        self._on_report = on_report
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self.child = Child(
                    # -P: Locust and this package must not be imported from the user's working folder.
                    [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                    cwd=cwd,
                    env=generator_environment(),
                    log=log,
                    pass_fds=[theirs.fileno()],
                )
            except BaseException:
                self._control.close()
                raise
        threading.Thread(target=self._read, name="generator-reports", daemon=True).start()

    def send(self, message: msgspec.Struct) -> None:
        """Send a configuration or a command. If the process has ended, waiting for its answer reports that and why."""
        try:
            self._control.sendall(msgspec.json.encode(message) + b"\n")
        except OSError:
            return

    def log_tail(self) -> str:
        """The last lines of its output, each indented on a line of its own; empty if there are none."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.is_file() else []
        return "".join(f"\n    {line}" for line in lines[-_LOG_LINES_SHOWN:])

    def stop(self, grace_s: float) -> None:
        """End the process. The records it has written stay.

        Args:
            grace_s: how long it may take before it is killed.
        """
        try:
            self.child.stop(grace_s=grace_s)
        finally:
            self._control.close()

    def _read(self) -> None:
        decoder = msgspec.json.Decoder(Report)
        try:
            with self._control.makefile("rb") as lines:
                for line in lines:
                    self._on_report(decoder.decode(line))
        except (OSError, ValueError):
            pass
        self._on_report(None)


def generator_environment() -> dict[str, str]:
    """The environment of every process that makes load."""
    environment = {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    environment.pop("GRADSOAK_AUTH", None)  # logins are part of the configuration
    if trusted := os.environ.get("SSL_CERT_FILE"):
        environment["SSL_CERT_FILE"] = os.path.abspath(trusted)  # the process has another working folder
    return environment


def error_from(report: Broken) -> HarnessError:
    """The error that a process's last report stands for."""
    kinds: dict[str, type[HarnessError]] = {"workload": UsageError, "storage": StorageError}
    return kinds.get(report.cause, HarnessError)(report.message, report.hint)
