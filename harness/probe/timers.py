"""Removes timers that have nothing left to do, and thereby what they keep in memory.

asyncio keeps a cancelled timer until its time, together with the context it was created in. In a server, that context keeps the
objects of a request whose connection has closed. They are garbage, but how much of it exists when memory is measured depends on
seconds.

The same applies to uvicorn's timer that closes an idle connection. If the client closed it first, the timer still waits five
seconds and then does nothing.

asyncio removes cancelled timers itself if there are more than a hundred timers and over half are cancelled. Here the same is done
while memory settles, in the loop's own thread. Source: `BaseEventLoop._run_once` in asyncio/base_events.py, CPython 3.9 to 3.14.
"""

from __future__ import annotations

import heapq
import sys
import threading
import types
from typing import Any

from . import interpreter_stats

# A loop that needs longer is busy, and its memory is not at rest anyway.
_WAIT_S = 0.25


def forget_idle() -> None:
    """Remove timers with nothing left to do from every event loop that has a task."""
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
        except RuntimeError:  # the loop is closed
            continue
        waiting.append(done)
    for done in waiting:
        done.wait(_WAIT_S)


def _loop_of(task: Any) -> Any:
    """The loop of a task; None for a task of another class, whose `get_loop` may be code of the app."""
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
    """Whether it is uvicorn's timer of a connection that has already closed."""
    callback: Any = timer._callback
    if type(callback) is not types.MethodType or type(callback.__func__) is not types.FunctionType:
        return False  # a callback of the app, about which nothing is known
    if callback.__func__.__name__ != "timeout_keep_alive_handler":
        return False
    if not str(callback.__func__.__module__).startswith("uvicorn.protocols."):
        return False
    try:
        transport = object.__getattribute__(callback.__self__, "transport")
        return object.__getattribute__(transport, "_closing") is True
    except AttributeError:  # another kind of transport
        return False
