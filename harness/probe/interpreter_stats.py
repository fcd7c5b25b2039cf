"""Figures of the interpreter: resident memory, garbage collections, threads, asyncio tasks."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any


def rss_bytes() -> int | None:
    """Resident memory of this process in bytes; None without /proc."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def counts() -> dict[str, Any]:
    """Garbage collections so far, objects allocated since, threads and tasks."""
    return {
        "gc_counts": list(gc.get_count()),
        "gc_collections": [generation["collections"] for generation in gc.get_stats()],
        "threads": _threads(),
        "tasks": tasks(),
    }


def _threads() -> int:
    is_probe = threading.current_thread().name == "gradsoak-probe"
    return threading.active_count() - is_probe


def tasks() -> int | None:
    """Number of unfinished tasks of all event loops; None if the interpreter does not show them."""
    known = all_tasks()
    if known is None:
        return None
    return sum(1 for task in known if not _done(task))


def _asyncio_tasks() -> Any:
    """`asyncio.tasks`, if the app has imported it. Importing it here would import `ssl`, which some apps patch first."""
    return sys.modules.get("asyncio.tasks")


def all_tasks() -> list[Any] | None:
    """The tasks that asyncio knows, including finished tasks that something still holds; None if they are hidden.

    Its weak sets are read directly: iterating over them, or calling `asyncio.all_tasks`, is safe only in the loop's own thread.
    """
    module = _asyncio_tasks()
    if module is None:
        return []
    if sys.version_info >= (3, 14):
        return None  # tasks are in lists in C, one for each loop
    scheduled = getattr(module, "_scheduled_tasks", None)
    if scheduled is None:
        scheduled = getattr(module, "_all_tasks", None)
    references = getattr(scheduled, "data", None)
    if not isinstance(references, set):
        return None
    # Copying a set compares no elements, so no other thread can run in between.
    found = [task for task in (reference() for reference in list(references)) if task is not None]
    eager = getattr(module, "_eager_tasks", None)
    return found + list(eager) if isinstance(eager, set) else found


def task_kind() -> Any:
    """The class of tasks written in C; None if asyncio was not imported."""
    return getattr(_asyncio_tasks(), "_CTask", None)


def _done(task: Any) -> bool:
    """Whether a task is done. Uses asyncio's own method, because a task class of the app may override `done`."""
    for kind in (getattr(_asyncio_tasks(), "_CTask", None), getattr(_asyncio_tasks(), "_PyTask", None)):
        if kind is not None and issubclass(type(task), kind):
            return bool(kind.done(task))
    return False
