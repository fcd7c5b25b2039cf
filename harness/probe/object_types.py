"""How many objects there are of each type, without anybody noticing.

`gc.get_objects()` gives a list that refers to every object, tuples that another thread is still building included. As long as
it exists, CPython refuses to resize those (`SystemError`), so it must be gone before any other thread gets a turn. Threads take
turns between two instructions of Python code: here list, count and release happen within one call of a C function, which
has no such place in it, with the garbage collector held off, since it may run somebody's finalizers in between.
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
    """Objects that the garbage collector knows of, by type, and for how many milliseconds nothing else ran; None where nobody can tell.

    Types are named as `type_name` does it. The probe's own are left out.
    """
    if not available():
        return None
    # What is young; all of it was collected when memory was brought to rest, and takes most of a pause.
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
    """Whether this interpreter can count in one piece: CPython, with its lock."""
    if sys.implementation.name != "cpython" or getattr(_count_elements, "__module__", None) != "_collections":
        return False
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is None or bool(enabled())


def _count_by_id(numbers: dict[int, int]) -> None:
    collecting = gc.isenabled()
    # An iterator that ends before its first element, having called the function: `gc.disable` returns what it waits for.
    first: Iterator[Any] = iter(gc.disable, None)
    everything = itertools.chain.from_iterable(itertools.islice(iter(gc.get_objects, None), 1))
    last: Iterator[Any] = iter(gc.enable if collecting else _nothing, None)
    try:
        _count_elements(numbers, map(id, map(type, itertools.chain(first, everything, last))))
    finally:
        if collecting:  # also if there was no memory left to finish
            gc.enable()


def _nothing() -> None:
    pass


def all_types() -> list[type]:
    """Every type there is, metaclasses included, without asking any of them."""
    found: dict[int, type] = {id(object): object}
    pending: list[type] = [object]
    while pending:
        # Not `kind.__subclasses__()`: a metaclass may have put its own code there, and `type` itself wants an argument.
        kind: type
        for kind in type.__subclasses__(pending.pop()):
            if id(kind) not in found:
                found[id(kind)] = kind
                pending.append(kind)
    return list(found.values())


def type_name(kind: type) -> str:
    """Module and qualified name, as `fastapi.requests.Request`; of a built-in type the name alone, of one in the app's own file with the file's name."""
    module, name = _module(kind), qualname(kind)
    if type(module) is not str or module == "builtins":
        return str(name)
    return f"{main_label() if module == '__main__' else module}.{name}"


def main_label() -> str:
    """What the app's own module is called: its file, without the ending."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.splitext(os.path.basename(file))[0] if isinstance(file, str) else "__main__"


def difference(first: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    """Types of which there are more or fewer than at first; 0 for those that are gone."""
    names: Iterable[str] = {**first, **now}
    return {name: now.get(name, 0) for name in names if now.get(name, 0) != first.get(name, 0)}
