"""The probe's socket: a Unix socket with one JSON object per line in each direction.

Questions: `hello` (process, port, versions), `measure` (sessions and live heap), `settle` (collect garbage, return free memory to
the system, then measure), `census` (objects by access path and by type), `retainers` (what holds the growth since the first
census), and `trace-start`, `trace-stop`, `trace-entries`, `trace-end` (see `allocation_tracing.py`). The answer to an unknown question is an
error. No question can stop the app.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import socket
import threading
import time

from . import allocation_tracing, census, gradio_state, heap, interpreter_stats, retainers, timers
from .bootstrap import LaunchHook

_census = census.CensusTaker()
_tracing = allocation_tracing.Tracing(_census)


def start(path: str, hook: LaunchHook) -> None:
    """Listen on the Unix socket `path` (mode 0600), in a daemon thread."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(4)
    threading.Thread(target=_accept, args=(listener, hook), name="gradsoak-probe", daemon=True).start()


def _accept(listener: socket.socket, hook: LaunchHook) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        # The harness is the only client. Connections are served in turn, so that the probe has only one thread.
        with connection, connection.makefile("rwb") as stream:
            try:
                for line in stream:
                    stream.write(json.dumps(_answer(line, hook)).encode() + b"\n")
                    stream.flush()
            except OSError:
                continue


def _answer(line: bytes, hook: LaunchHook) -> dict[str, object]:
    try:
        asked = json.loads(line)
        question = asked.get("ask")
        if question == "hello":
            return {
                "pid": os.getpid(),
                "port": hook.port,
                "python": platform.python_version(),
                "gradio": gradio_state.version(),
                "limits": gradio_state.limits(),
                "overridden": hook.overridden,
                "settings": hook.settings.applied,
            }
        if question == "measure":
            return _measure(0)
        if question == "settle":
            return _settle()
        if question == "census":
            return _census.take()
        if question == "trace-start":
            return _tracing.start(asked["file"], asked["frames"], asked["lent"])
        if question == "trace-stop":
            return _tracing.stop()
        if question == "trace-entries":
            return _tracing.entries(asked["paths"])
        if question == "trace-end":
            return _tracing.end()
        if question == "retainers":
            answer = retainers.explain(_census)
            heap.trim()  # the walk needed much memory for a moment
            return answer
        return {"error": f"unknown question {question!r}"}
    except Exception as error:  # an unexpected app must not stop the probe, nor the probe the app
        return {"error": f"{type(error).__name__}: {error}"}


def _settle() -> dict[str, object]:
    _census.rehearse()
    started = time.monotonic()
    timers.forget_idle()
    unreachable = gc.collect()
    before = interpreter_stats.rss_bytes()
    trimmed = heap.trim()
    after = interpreter_stats.rss_bytes()
    returned = None if before is None or after is None else max(0, before - after)
    return {
        **_measure(returned),
        "rss_bytes": before,
        "pause_s": time.monotonic() - started,
        "unreachable": unreachable,
        "trimmed": trimmed,
    }


def _measure(returned: int | None) -> dict[str, object]:
    """All figures that are read at once.

    Args:
        returned: bytes returned to the system just before; 0 if that was not requested.
    """
    return {
        **gradio_state.counts(),
        "state_types": gradio_state.state_types(),
        "queue": gradio_state.queue(),
        **heap.measure(),
        **interpreter_stats.counts(),
        "rss_bytes": interpreter_stats.rss_bytes(),
        "returned_bytes": returned if heap.can_trim() else None,
    }
