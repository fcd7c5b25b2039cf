"""Counts objects by type, without an effect on the app.

`gc.get_objects()` returns a list that refers to every object, including tuples that another thread is still building. While the
list exists, CPython refuses to resize those tuples (`SystemError`). So the list must be gone before another thread runs. Threads
switch only between two instructions of Python code: here the list is made, counted and released within one call of a C function.
The garbage collector is off meanwhile, because it could run finalizers.
"""

from __future__ import annotations

import collections
import gc
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from . import PACKAGE

_count_elements: Any = getattr(collections, "_count_elements", None)
_module = type.__dict__["__module__"].__get__
qualname: Any = type.__dict__["__qualname__"].__get__


def count() -> tuple[dict[str, int], float] | None:
    """Number of objects known to the garbage collector by type, and the pause in milliseconds; None if they cannot be counted.

    The keys are as from `type_name`. Types of the probe are left out.
    """
    if not available():
        return None
    # Young objects only. Settling has collected all generations just before, which takes most of a pause.
    gc.collect(1)
    numbers: dict[int, int] = {}
    began = time.perf_counter()
    _count_by_id(numbers)
    pause_ms = (time.perf_counter() - began) * 1000
    counts: dict[str, int] = {}
    for kind in all_types():
        number = numbers.get(id(kind))
        if number is not None:
            name = type_name(kind)
            if not name.startswith(PACKAGE):
                counts[name] = counts.get(name, 0) + number
    return counts, pause_ms


def available() -> bool:
    """Whether this interpreter can count without interruption: CPython with its global lock."""
    if sys.implementation.name != "cpython" or getattr(_count_elements, "__module__", None) != "_collections":
        return False
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is None or bool(enabled())


def _count_by_id(numbers: dict[int, int]) -> None:
    collecting = gc.isenabled()
    # An iterator that calls the function and then ends without an element, because `gc.disable` returns the sentinel None.
    first: Iterator[Any] = iter(gc.disable, None)
    everything = itertools.chain.from_iterable(itertools.islice(iter(gc.get_objects, None), 1))
    last: Iterator[Any] = iter(gc.enable if collecting else _nothing, None)
    try:
        _count_elements(numbers, map(id, map(type, itertools.chain(first, everything, last))))
    finally:
        if collecting:  # also after a MemoryError
            gc.enable()


def _nothing() -> None:
    pass


def all_types() -> list[type]:
    """All types, metaclasses included, without running code of any of them."""
    found: dict[int, type] = {id(object): object}
    pending: list[type] = [object]
    while pending:
        # Not `kind.__subclasses__()`: a metaclass may override it, and for `type` itself it needs an argument.
        kind: type
        for kind in type.__subclasses__(pending.pop()):
            if id(kind) not in found:
                found[id(kind)] = kind
                pending.append(kind)
    return list(found.values())


def type_name(kind: type) -> str:
    """Module and qualified name: `fastapi.requests.Request`. A built-in type has no module; in the app's file, the module is the file's name."""
    module, name = _module(kind), qualname(kind)
    if type(module) is not str or module == "builtins":
        return str(name)
    return f"{main_label() if module == '__main__' else module}.{name}"


def main_label() -> str:
    """Label of the app's own module: its file name without the suffix."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.splitext(os.path.basename(file))[0] if isinstance(file, str) else "__main__"


def difference(first: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    """The counts that differ from the first ones; 0 for types without objects."""
    names: Iterable[str] = {**first, **now}
    return {name: now.get(name, 0) for name in names if now.get(name, 0) != first.get(name, 0)}
