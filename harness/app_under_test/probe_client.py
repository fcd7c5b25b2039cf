"""Our end of the probe's socket."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import TargetError
from harness.records import Census, GradioLimits, ProbeSample, Retainer


class ProbeClient:
    """Asks the probe inside the target.

    Args:
        path: the Unix socket.
        timeout_s: longest wait for one answer; settling a large heap takes seconds.
    """

    def __init__(self, path: Path, timeout_s: float = 120.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._stream: Any = None

    def connect(self) -> bool:
        """Open the socket; False if nobody listens yet."""
        if self._socket is not None:
            return True
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout_s)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return False
        self._socket = connection
        self._stream = connection.makefile("rwb")
        return True

    def hello(self, timeout_s: float | None = None) -> dict[str, Any]:
        """Who is there: pid, port (None before the launch), python, gradio, limits.

        Args:
            timeout_s: longest wait for the answer, default: the client's own.

        Raises:
            TargetError: nobody answers in time.
        """
        return self._ask("hello", timeout_s)

    def limits(self) -> GradioLimits:
        """Gradio's settings for sessions."""
        return msgspec.convert(self.hello().get("limits", {}), GradioLimits)

    def measure(self) -> ProbeSample:
        """Sessions and live heap, as they are."""
        return _sample(self._ask("measure"))

    def settle(self) -> ProbeSample:
        """Collect garbage, give free memory back to the system, then measure."""
        return _sample(self._ask("settle"))

    def census(self, plateau: int) -> Census | None:
        """What the app holds, by access path; None if the probe could not tell.

        Args:
            plateau: number of the plateau at which it is taken.
        """
        answer = self._ask("census")
        if "error" in answer:
            return None
        return msgspec.convert({"plateau": plateau, "time_ns": time.monotonic_ns(), **answer}, Census)

    def start_trace(self, file: Path, frames: int, lent: dict[str, Any]) -> dict[str, Any]:
        """Begin to trace allocations, by memray into a file and by tracemalloc; see `harness/probe/tracing.py`.

        Args:
            file: where memray writes, absolute.
            frames: how far out from an allocation tracemalloc looks.
            lent: a memray for an app whose interpreter has none.

        Returns:
            `memray`: its version; or `error`, and `missing` if there is no memray.
        """
        return self._ask("trace-start", file=str(file), frames=frames, lent=lent)

    def stop_trace(self) -> dict[str, Any]:
        """Stop memray; `error` if its file could not be written."""
        return self._ask("trace-stop")

    def traced_entries(self, paths: Sequence[str]) -> dict[str, Any]:
        """Which lines allocated what is new in the containers at these access paths: `entries`, or `error`."""
        return self._ask("trace-entries", paths=list(paths))

    def end_trace(self) -> None:
        """Stop tracemalloc, too."""
        self._ask("trace-end")

    def retainers(self) -> list[Retainer]:
        """Why what has grown since the first census is still there; empty if there was none, or if the probe could not tell.

        It keeps the app busy for some seconds: to be asked once, when nothing is measured any more.
        """
        return msgspec.convert(self._ask("retainers").get("retainers", []), list[Retainer])

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._socket.close()
            self._socket = None

    def _ask(self, question: str, timeout_s: float | None = None, **more: Any) -> dict[str, Any]:
        if not self.connect():
            raise TargetError(
                "The probe inside the app does not answer.", "The app may have ended; see logs/target.log."
            )
        assert self._socket is not None
        self._socket.settimeout(timeout_s or self._timeout_s)
        try:
            self._stream.write(msgspec.json.encode({"ask": question, **more}) + b"\n")
            self._stream.flush()
            line = self._stream.readline()
            if not line:
                raise OSError("connection closed")
            answer: dict[str, Any] = msgspec.json.decode(line)
        except (OSError, msgspec.DecodeError) as error:
            self.close()  # an answer that comes late must not be taken for the answer to the next question
            raise TargetError(
                f"The probe inside the app stopped answering: {error}.",
                "The app may have ended or hang; see logs/target.log.",
            ) from error
        return answer


def _sample(answer: dict[str, Any]) -> ProbeSample:
    fields = {
        name: answer.get(name) for name in ProbeSample.__struct_fields__ if name not in ("time_ns", "wall_ns")
    }
    return ProbeSample(time_ns=time.monotonic_ns(), wall_ns=time.time_ns(), **fields)
