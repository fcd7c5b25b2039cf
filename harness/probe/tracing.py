"""A window in which allocations are traced: by memray, and by Python's own `tracemalloc`.

memray sees every allocation of the process with the Python stack that made it, and knows at the end which were not given back.
`tracemalloc` knows the same of Python's objects only, but tells it of a single object: it is asked for the entries of the containers
that grew. It is started first and stopped last, so that memray, which does not look into what an allocator does, does not count
what `tracemalloc` needs itself.

Both slow the app down several times, so that nothing is ever timed while they are on.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import functools
import gc
import importlib
import importlib.abc
import importlib.machinery
import itertools
import sys
import sysconfig
import time
import tracemalloc
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from . import census, introspection

# Entries of one path that are looked at, the newest of each container first, and lines of which the answer tells.
MAX_ENTRIES = 50_000
MAX_STACKS = 200

_LRU = type(functools.lru_cache(lambda: None))

# CPython 3.11 puts two more words before an object whose `__dict__` it manages itself, as that of nearly every instance of a class
# written in Python, and `tracemalloc.get_object_traceback` of that version looks for these objects two words too late. Source:
# `_PyType_PreHeaderSize`, Include/internal/pycore_object.h, and `_tracemalloc__get_object_traceback`, Modules/_tracemalloc.c.
_MANAGED_DICT = 1 << 4
_MANAGED_HEADER = 4 * ctypes.sizeof(ctypes.c_void_p)


def _raw() -> Callable[[int, int], Any] | None:
    """Ask tracemalloc for an address instead of an object; None where that is not needed."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11):
        return None
    try:
        ask = ctypes.pythonapi._PyTraceMalloc_GetTraceback
    except AttributeError:
        return None
    ask.restype = ctypes.py_object
    ask.argtypes = [ctypes.c_uint, ctypes.c_size_t]
    return ask


_raw_trace = _raw()


class Tracing:
    """One window after another; each with `start`, `stop`, and `end`, in one thread.

    Args:
        taker: takes the censuses whose access paths `entries` is asked for.
    """

    def __init__(self, taker: census.CensusTaker) -> None:
        self._taker = taker
        self._tracker: Any = None
        self._ours = False

    def start(self, file: str, frames: int, lent: dict[str, Any]) -> dict[str, object]:
        """Start to trace.

        Args:
            file: where memray is to write.
            frames: how far out from an allocation tracemalloc looks.
            lent: where a memray can be had if this interpreter has none: see `load_memray`.

        Returns:
            `memray`: its version; or `error`: why nothing is traced, as the end of a sentence.
        """
        if self._tracker is not None:
            return {"error": "a tracker is on already"}
        try:
            memray = load_memray(lent)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}", "missing": True}
        # An app that traces itself goes on doing so.
        self._ours = not tracemalloc.is_tracing()
        if self._ours:
            tracemalloc.start(frames)
        try:
            # Aggregated: the file has a line for each way to an allocation, and none for each allocation.
            tracker = memray.Tracker(
                file,
                trace_python_allocators=True,
                file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
            )
            tracker.__enter__()
        except BaseException:
            self.end()
            raise
        self._tracker = tracker
        # Freed objects that Python keeps for whoever needs the next one go, too: they were allocated before the window, and whoever got
        # one of them would not be seen.
        gc.collect()
        return {"memray": str(getattr(memray, "__version__", ""))}

    def stop(self) -> dict[str, object]:
        """Stop memray, which writes its file; tracemalloc goes on, for `entries`."""
        tracker, self._tracker = self._tracker, None
        if tracker is None:
            return {"error": "no tracker is on"}
        began = time.perf_counter()
        tracker.__exit__(None, None, None)
        return {"pause_ms": (time.perf_counter() - began) * 1000}

    def entries(self, paths: Iterable[str]) -> dict[str, object]:
        """Which lines allocated what is new in some containers.

        Args:
            paths: access paths of the census.

        Returns:
            `entries`: dicts of `path`, `frames` (pairs of file and line, the innermost first), `count`, and `bytes` that these
            entries themselves occupy.
        """
        if not tracemalloc.is_tracing():
            return {"error": "allocations are not traced"}
        began = time.perf_counter()
        found = self._taker.walk(keep=True).found or {}
        answer: list[dict[str, object]] = []
        for path in sorted(set(paths)):
            answer += [{"path": path, **stack} for stack in _stacks(found.get(path, ()))]
        return {"entries": answer, "pause_ms": (time.perf_counter() - began) * 1000}

    def end(self) -> dict[str, object]:
        """Stop whatever still traces."""
        with contextlib.suppress(Exception):
            self.stop()
        if self._ours:
            tracemalloc.stop()
            self._ours = False
        return {}


# --- memray ---


def load_memray(lent: dict[str, Any]) -> types.ModuleType:
    """Import memray: the one that is lent if it was built for this interpreter, or else the interpreter's own.

    A file that memray wrote is read by the same memray without doubt, so the lent one comes first.

    Args:
        lent: `folder` that holds packages, the `abi` that they are built for, the `package` to lend, and those that it
            `needs` where the interpreter has none of its own. Nothing else in that folder can be imported from it.

    Raises:
        ImportError: there is none, or it cannot be imported.
    """
    if "memray" in sys.modules:
        return sys.modules["memray"]
    if not lent or lent.get("abi") != abi():
        return importlib.import_module("memray")
    first = _Lent(lent["folder"], [lent["package"]])
    last = _Lent(lent["folder"], lent["needs"])
    before = set(sys.modules)
    sys.meta_path.insert(0, first)
    sys.meta_path.append(last)
    try:
        return importlib.import_module("memray")
    except BaseException:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "memray":
                del sys.modules[name]
        raise
    finally:
        sys.meta_path.remove(first)
        sys.meta_path.remove(last)


def abi() -> str:
    """What an extension module must be built for to be loaded here: implementation, version, kind of build, system."""
    return f"{sys.implementation.cache_tag} {sysconfig.get_config_var('SOABI')}"


class _Lent(importlib.abc.MetaPathFinder):
    """Finds some packages in a folder, and no other of it."""

    def __init__(self, folder: str, names: Iterable[str]) -> None:
        self._folder = folder
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, [self._folder])


# --- entries ---


def _stacks(things: Iterable[Any]) -> list[dict[str, object]]:
    """New entries of some containers by the way to their allocation, the most first."""
    found: dict[tuple[tuple[str, int], ...], list[int]] = {}
    left = MAX_ENTRIES
    for thing in things:
        for parts in itertools.islice(_entries(thing), left):
            left -= 1
            frames, size = _allocated(parts)
            if frames:
                account = found.setdefault(frames, [0, 0])
                account[0] += 1
                account[1] += size
    most = sorted(found.items(), key=lambda item: (-item[1][0], -item[1][1]))
    return [
        {"frames": [list(frame) for frame in frames], "count": count, "bytes": size}
        for frames, (count, size) in most[:MAX_STACKS]
    ]


def _allocated(parts: Sequence[object]) -> tuple[tuple[tuple[str, int], ...], int]:
    """Where the first part of an entry that is new was allocated, the innermost frame first, and the bytes of all new parts."""
    where: tuple[tuple[str, int], ...] = ()
    size = 0
    for part in parts:
        trace = _trace_of(part)
        if trace:
            size += introspection.size_of(part)
            where = where or trace
    return where, size


def _trace_of(part: object) -> tuple[tuple[str, int], ...]:
    """Where an object was allocated, the innermost frame first; empty if it is older than the window, or was not allocated by itself, as
    small numbers are not."""
    trace = tracemalloc.get_object_traceback(part)
    if trace is not None:
        return tuple((frame.filename, frame.lineno) for frame in reversed(trace))
    if _raw_trace is not None and type(part).__flags__ & _MANAGED_DICT:
        found = _raw_trace(0, id(part) - _MANAGED_HEADER)
        return tuple((str(name), int(line)) for name, line in found or ())
    return ()


def _entries(thing: Any) -> Iterator[Sequence[object]]:
    """The entries of a container, each as its parts, what matters most first; of a text or a buffer, itself."""
    kind = type(thing)
    if issubclass(kind, dict):
        for key, value in _newest(lambda: reversed(dict.items(thing)), lambda: dict.items(thing)):
            yield value, key
    elif issubclass(kind, list):
        yield from ((part,) for part in _newest(lambda: list.__reversed__(thing)))
    elif issubclass(kind, collections.deque):
        yield from ((part,) for part in _newest(lambda: collections.deque.__reversed__(thing)))
    elif issubclass(kind, tuple):
        yield from ((part,) for part in _newest(lambda: tuple.__iter__(thing)))
    elif issubclass(kind, set):
        yield from ((part,) for part in _newest(lambda: set.__iter__(thing)))
    elif issubclass(kind, frozenset):
        yield from ((part,) for part in _newest(lambda: frozenset.__iter__(thing)))
    elif issubclass(kind, _LRU):
        for part in gc.get_referents(thing):
            if issubclass(type(part), (type, types.FunctionType)):
                continue
            yield from _entries(part) if type(part) is dict else ((part,),)
    else:
        yield (thing,)


def _newest(*ways: Callable[[], Iterable[Any]]) -> list[Any]:
    """A copy of the first entries that one of these ways leads to; other threads may be changing the container."""
    for way in ways:
        try:
            return introspection.retried(lambda way=way: list(itertools.islice(way(), MAX_ENTRIES)))  # type: ignore[misc]
        except TypeError:  # views of a dict cannot be reversed everywhere
            continue
    return []
