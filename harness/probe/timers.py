"""Timers that have nothing left to do, and what they keep.

asyncio leaves a cancelled timer where it stands until its time has come, and with it the context that it was made in: of a server,
whatever belonged to a request whose connection has closed since, for as long as the connection might have been kept alive. That is
garbage like any other, but which of it is still there when memory is measured is a matter of seconds.

The same goes for uvicorn's timer that closes a connection which nobody uses: where the visitor was faster, it waits five seconds
to find the connection closed, and does nothing.

asyncio clears cancelled ones away by itself once they are more than half of a hundred timers. Here the same is done when memory is brought to
rest, in the loop's own thread. Source: `BaseEventLoop._run_once` in asyncio/base_events.py, CPython 3.9 to 3.14.
"""

from __future__ import annotations

import heapq
import sys
import threading
import types
from typing import Any

from . import interpreter_stats

# A loop that does not get to it in this time is busy, and its memory is not at rest anyway.
_WAIT_S = 0.25


def forget_idle() -> None:
    """Clear timers that have nothing left to do away in every event loop that has a task."""
    module = sys.modules.get("asyncio.base_events")
    kind = getattr(module, "BaseEventLoop", None)
    if kind is None:
        return
    loops = {
        id(loop): loop
        for loop in map(_loop_of, interpreter_stats.all_tasks() or [])
        if isinstance(loop, kind)
    }
    waiting = []
    for loop in loops.values():
        done = threading.Event()
        try:
            loop.call_soon_threadsafe(_clear, loop, done)
        except RuntimeError:  # it has been closed
            continue
        waiting.append(done)
    for done in waiting:
        done.wait(_WAIT_S)


def _loop_of(task: Any) -> Any:
    """The loop of a task, without running anything of the app's: a task of a class of its own may have its own `get_loop`."""
    tasks = sys.modules["asyncio.tasks"]
    kind = getattr(tasks, "Task", None)
    return kind.get_loop(task) if kind is not None and type(task) is kind else None


def _clear(loop: Any, done: threading.Event) -> None:
    try:
        timers = getattr(loop, "_scheduled", None)
        if type(timers) is not list or not hasattr(loop, "_timer_cancelled_count"):
            return
        kept = []
        for timer in timers:
            if timer._cancelled or _waits_for_nothing(timer):
                timer._scheduled = False
            else:
                kept.append(timer)
        heapq.heapify(kept)
        loop._scheduled = kept
        loop._timer_cancelled_count = 0
    finally:
        done.set()


def _waits_for_nothing(timer: Any) -> bool:
    """Whether it is uvicorn's timer of a connection that has closed already."""
    callback: Any = timer._callback
    if type(callback) is not types.MethodType or type(callback.__func__) is not types.FunctionType:
        return False  # of the app's own making, which may be anything
    if callback.__func__.__name__ != "timeout_keep_alive_handler":
        return False
    if not str(callback.__func__.__module__).startswith("uvicorn.protocols."):
        return False
    try:
        transport = object.__getattribute__(callback.__self__, "transport")
        return object.__getattribute__(transport, "_closing") is True
    except AttributeError:  # another kind of transport
        return False
