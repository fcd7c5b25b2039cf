"""The harness's end of the probe's socket."""

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
    """Asks questions to the probe inside the app.

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
        """Open the socket; False if the probe does not listen yet."""
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
        """Facts about the app: pid, port (None before the launch), python, gradio, limits.

        Args:
            timeout_s: longest wait for the answer; default: that of the client.

        Raises:
            TargetError: no answer came in time.
        """
        return self._ask("hello", timeout_s)

    def limits(self) -> GradioLimits:
        """Gradio's settings for sessions."""
        return msgspec.convert(self.hello().get("limits", {}), GradioLimits)

    def measure(self) -> ProbeSample:
        """Measure sessions and live heap without settling."""
        return _sample(self._ask("measure"))

    def settle(self) -> ProbeSample:
        """Collect garbage, return free memory to the system, then measure."""
        return _sample(self._ask("settle"))

    def census(self, plateau: int) -> Census | None:
        """Take a census by access path and type; None if the probe could not.

        Args:
            plateau: number of the current plateau.
        """
        answer = self._ask("census")
        if "error" in answer:
            return None
        return msgspec.convert({"plateau": plateau, "time_ns": time.monotonic_ns(), **answer}, Census)

    def start_trace(self, file: Path, frames: int, lent: dict[str, Any]) -> dict[str, Any]:
        """Start tracing allocations, with memray into a file and with tracemalloc; see `harness/probe/allocation_tracing.py`.

        Args:
            file: where memray writes, absolute.
            frames: number of frames that tracemalloc keeps for an allocation.
            lent: a memray for an app whose interpreter has none.

        Returns:
            `memray`: its version; or `error`, and `missing` if there is no memray.
        """
        return self._ask("trace-start", file=str(file), frames=frames, lent=lent)

    def stop_trace(self) -> dict[str, Any]:
        """Stop memray; `error` if its file could not be written."""
        return self._ask("trace-stop")

    def traced_entries(self, paths: Sequence[str]) -> dict[str, Any]:
        """The lines that allocated new entries of the containers at these access paths: `entries`, or `error`."""
        return self._ask("trace-entries", paths=list(paths))

    def end_trace(self) -> None:
        """Stop tracemalloc as well."""
        self._ask("trace-end")

    def retainers(self) -> list[Retainer]:
        """What holds the growth since the first census; empty without a first census, or if the probe could not.

        It keeps the app busy for some seconds, so it is asked once, after all measurements.
        """
        return msgspec.convert(self._ask("retainers").get("retainers", []), list[Retainer])

    def close(self) -> None:
        """Close the socket."""
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
            self.close()  # a late answer must not be read as the answer to the next question
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
