"""Traces allocations during a window, with memray and with Python's own `tracemalloc`.

memray records every allocation of the process with its Python stack, and which of them were not freed at the end.
`tracemalloc` covers only Python's objects, but knows the stack of a single object: it is used for the entries of containers that
grew. It starts before memray and stops after it, so that memray does not count the memory that `tracemalloc` needs.

Both slow the app down several times. Nothing is timed while they are on.
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
import os
import sys
import sysconfig
import threading
import time
import tracemalloc
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from . import census, introspection

# Maximum entries of one path, the newest of each container first, and maximum stacks in the answer.
MAX_ENTRIES = 50_000
MAX_STACKS = 200

_LRU = type(functools.lru_cache(lambda: None))

# CPython 3.11 puts two more words before an object whose `__dict__` it manages, as for most instances of classes written in
# Python. In that version, `tracemalloc.get_object_traceback` searches for these objects two words too late. Source:
# `_PyType_PreHeaderSize`, Include/internal/pycore_object.h, and `_tracemalloc__get_object_traceback`, Modules/_tracemalloc.c.
_MANAGED_DICT = 1 << 4
_MANAGED_HEADER = 4 * ctypes.sizeof(ctypes.c_void_p)


def _raw() -> Callable[[int, int], Any] | None:
    """A function that asks tracemalloc for an address instead of an object; None if that is not needed."""
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
    """Traces one window after another, each with `start`, `stop` and `end`, in one thread.

    Args:
        taker: the taker of the censuses whose access paths `entries` gets.
    """

    def __init__(self, taker: census.CensusTaker) -> None:
        self._taker = taker
        self._tracker: Any = None
        self._ours = False

    def start(self, file: str, frames: int, lent: dict[str, Any]) -> dict[str, object]:
        """Start to trace.

        Args:
            file: file that memray writes.
            frames: number of frames that tracemalloc keeps for an allocation.
            lent: a memray for an interpreter that has none; see `load_memray`.

        Returns:
            `memray`: its version; or `error`: why nothing is traced, as the end of a sentence.
        """
        if self._tracker is not None:
            return {"error": "a tracker is on already"}
        try:
            memray = load_memray(lent)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}", "missing": True}
        # If the app itself uses tracemalloc, it stays on.
        self._ours = not tracemalloc.is_tracing()
        if self._ours:
            tracemalloc.start(frames)
        try:
            # Aggregated: the file has one record for each stack rather than for each allocation.
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
        # This also empties Python's free lists. Their objects were allocated before the window, so a new use of one would not be
        # traced.
        gc.collect()
        return {"memray": str(getattr(memray, "__version__", ""))}

    def stop(self) -> dict[str, object]:
        """Stop memray, which writes its file. tracemalloc stays on for `entries`."""
        tracker, self._tracker = self._tracker, None
        if tracker is None:
            return {"error": "no tracker is on"}
        began = time.perf_counter()
        tracker.__exit__(None, None, None)
        return {"pause_ms": (time.perf_counter() - began) * 1000}

    def entries(self, paths: Iterable[str]) -> dict[str, object]:
        """The lines that allocated the new entries of some containers.

        Args:
            paths: access paths of the census.

        Returns:
            `entries`: dicts of `path`, `frames` (pairs of file and line, the innermost first), `count`, and `bytes` of these
            entries themselves.
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
        """Stop memray and tracemalloc, if they are on."""
        with contextlib.suppress(Exception):
            self.stop()
        if self._ours:
            tracemalloc.stop()
            self._ours = False
        return {}


# --- memray ---


def load_memray(lent: dict[str, Any]) -> types.ModuleType:
    """Import memray: the lent one if it was built for this interpreter, else the interpreter's own.

    The lent one comes first because the harness reads the file with the same memray. Files in the app's folder hide neither
    memray nor the modules that it imports.

    Args:
        lent: `folder` with packages, the `abi` they are built for, the `package` to lend, and the packages that it `needs` if
            the interpreter has none of its own. Nothing else can be imported from the folder.

    Raises:
        ImportError: there is none, or it cannot be imported.
    """
    if "memray" in sys.modules:
        return sys.modules["memray"]
    finders: list[importlib.abc.MetaPathFinder] = [_OutsideAppFolder()]
    if lent and lent.get("abi") == abi():
        package, needs = _Lent(lent["folder"], [lent["package"]]), _Lent(lent["folder"], lent["needs"])
        finders = [package, *finders, needs]
    before = set(sys.modules)
    sys.meta_path[:0] = finders
    try:
        return importlib.import_module("memray")
    except BaseException:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "memray":
                del sys.modules[name]
        raise
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)


def abi() -> str:
    """The ABI of extension modules for this interpreter: implementation, version, build and system."""
    return f"{sys.implementation.cache_tag} {sysconfig.get_config_var('SOABI')}"


class _Lent(importlib.abc.MetaPathFinder):
    """Finds the named packages in a folder, and no others. Other threads import as before."""

    def __init__(self, folder: str, names: Iterable[str]) -> None:
        self._thread = threading.get_ident()
        self._folder = folder
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names or threading.get_ident() != self._thread:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, [self._folder])


class _OutsideAppFolder(importlib.abc.MetaPathFinder):
    """Finds top-level modules that are not in the app's folder. Other threads import as before.

    Python searches the app's folder first, where a user may have a file memray.py.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        app = getattr(sys.modules["__main__"], "__file__", None)
        self._folder = os.path.dirname(os.path.abspath(app)) if app else None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or threading.get_ident() != self._thread:
            return None
        entries = [entry for entry in sys.path if os.path.abspath(entry or ".") != self._folder]
        return importlib.machinery.PathFinder.find_spec(fullname, entries)


# --- entries ---


def _stacks(things: Iterable[Any]) -> list[dict[str, object]]:
    """New entries of some containers by the stack of their allocation, most entries first."""
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
    """Stack of the first new part of an entry, innermost frame first, and the bytes of all its new parts."""
    where: tuple[tuple[str, int], ...] = ()
    size = 0
    for part in parts:
        trace = _trace_of(part)
        if trace:
            size += introspection.size_of(part)
            where = where or trace
    return where, size


def _trace_of(part: object) -> tuple[tuple[str, int], ...]:
    """Stack of an object's allocation, innermost frame first.

    Empty if the object is older than the window, or has no allocation of its own, like a small number.
    """
    trace = tracemalloc.get_object_traceback(part)
    if trace is not None:
        return tuple((frame.filename, frame.lineno) for frame in reversed(trace))
    if _raw_trace is not None and type(part).__flags__ & _MANAGED_DICT:
        found = _raw_trace(0, id(part) - _MANAGED_HEADER)
        return tuple((str(name), int(line)) for name, line in found or ())
    return ()


def _entries(thing: Any) -> Iterator[Sequence[object]]:
    """The entries of a container, each as its parts, the value before the key. A text or buffer is its own entry."""
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
    """A copy of the first entries of the first way that works. Other threads may change the container."""
    for way in ways:
        try:
            return introspection.retried(lambda way=way: list(itertools.islice(way(), MAX_ENTRIES)))  # type: ignore[misc]
        except TypeError:  # old Pythons cannot reverse the views of a dict
            continue
    return []
