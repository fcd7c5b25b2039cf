"""What the interpreter itself tells: resident memory, garbage collections, threads, asyncio tasks."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any


def rss_bytes() -> int | None:
    """Resident memory of this process; None where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def counts() -> dict[str, Any]:
    """Garbage collections so far and what was made since, threads and tasks."""
    return {
        "gc_counts": list(gc.get_count()),
        "gc_collections": [generation["collections"] for generation in gc.get_stats()],
        "threads": _threads(),
        "tasks": tasks(),
    }


def _threads() -> int:
    ours = threading.current_thread().name == "gradsoak-probe"
    return threading.active_count() - ours


def tasks() -> int | None:
    """Tasks of all event loops that are not done; None where the interpreter keeps them out of sight."""
    known = all_tasks()
    if known is None:
        return None
    return sum(1 for task in known if not _done(task))


def _asyncio_tasks() -> Any:
    """The module, if the app has imported it: importing it here would import `ssl`, which some apps patch first."""
    return sys.modules.get("asyncio.tasks")


def all_tasks() -> list[Any] | None:
    """Tasks that asyncio knows of, finished ones included that somebody still holds.

    Its weak sets are read as they stand: their own iteration, and that of `asyncio.all_tasks`, wants the loop's own thread.
    """
    module = _asyncio_tasks()
    if module is None:
        return []
    if sys.version_info >= (3, 14):
        return None  # tasks are chained in C, loop by loop
    scheduled = getattr(module, "_scheduled_tasks", None)
    if scheduled is None:
        scheduled = getattr(module, "_all_tasks", None)
    references = getattr(scheduled, "data", None)
    if not isinstance(references, set):
        return None
    # Copying a set compares nothing, so no other thread gets a turn.
    found = [task for task in (reference() for reference in list(references)) if task is not None]
    eager = getattr(module, "_eager_tasks", None)
    return found + list(eager) if isinstance(eager, set) else found


def task_kind() -> Any:
    """The class of most tasks, None if asyncio was not imported."""
    return getattr(_asyncio_tasks(), "_CTask", None)


def _done(task: Any) -> bool:
    """Asked of asyncio's own classes, since a task of the app's may have a `done` of its own."""
    for kind in (getattr(_asyncio_tasks(), "_CTask", None), getattr(_asyncio_tasks(), "_PyTask", None)):
        if kind is not None and issubclass(type(task), kind):
            return bool(kind.done(task))
    return False
