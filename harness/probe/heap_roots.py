"""The roots of a walk over the heap: modules, Gradio's own objects, tasks, and local variables of running frames."""

from __future__ import annotations

import gc
import re
import sys
import threading
import types
from collections.abc import Iterator

from . import PACKAGE, interpreter_stats, object_types
from .app_roots import gradio_roots, handlers, user_modules
from .introspection import copy, is_kind

_NUMBERS = re.compile(r"\d+")
_TASK_PARTS = ("_coro", "_context", "_fut_waiter", "_callbacks", "_result", "_exception")
_OPTIMIZED = 1  # inspect.CO_OPTIMIZED: the frame of a function
_LOCALS_NAMES = {"locals", "vars", "eval", "exec", "dir"}


class Locals(dict):  # type: ignore[type-arg]
    """The local variables of a running frame: name → value."""


def roots() -> Iterator[list[tuple[str, object]]]:
    """Groups of labelled roots: the app's modules, Gradio's own objects, all other modules, threads and tasks."""
    users = user_modules()
    yield [
        *((f"{label}: module", part) for label, module in users.values() for part in (vars(module), module)),
        *((f"{label}: {object_types.type_name(type(thing))}", thing) for label, thing in handlers(users)),
    ]
    gradios = list(gradio_roots())
    order = ("gradio.Queue", "gradio.StateHolder", "gradio.App", "gradio.Blocks")
    gradios.sort(key=lambda row: order.index(row[0]))
    yield [(f"{label}: {object_types.type_name(type(thing))}", thing) for label, thing in gradios]
    others = [
        (name, module)
        for name, module in list(sys.modules.items())
        if is_kind(module, types.ModuleType) and name not in users and not name.startswith(PACKAGE)
    ]
    yield [(f"{name}: module", part) for name, module in others for part in (vars(module), module)]
    yield [*tasks(), *frames()]


def own_objects() -> Iterator[object]:
    """Objects of the probe itself. What they hold is not part of the app."""
    yield threading.current_thread()
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE):
            yield module
            yield vars(module)


def tasks() -> Iterator[tuple[str, object]]:
    """Label and task of every asyncio task that the interpreter shows."""
    for task in interpreter_stats.all_tasks() or ():
        coroutine = dict(task_parts(task)).get("_coro")
        name = getattr(coroutine, "__qualname__", "?") if is_suspended(coroutine) else "?"
        yield f"task {name}: {object_types.type_name(type(task))}", task


def task_parts(thing: object) -> Iterator[tuple[str, object]]:
    """Name and object of each part that an asyncio task holds in C; empty for other objects."""
    kind = interpreter_stats.task_kind()
    if kind is not None and is_kind(thing, kind):
        for name in _TASK_PARTS:
            member = vars(kind).get(name)
            if is_kind(member, types.GetSetDescriptorType):
                yield name, member.__get__(thing, kind)


def frames() -> Iterator[tuple[str, object]]:
    """Label and local variables of every running frame, except those of the probe's thread."""
    names = {thread.ident: _NUMBERS.sub("*", thread.name) for thread in threading.enumerate()}
    us = threading.get_ident()
    for thread, frame in sys._current_frames().items():
        place: types.FrameType | None = frame
        while place is not None and thread != us:
            # The variables of a module are its attributes.
            if place.f_code.co_flags & _OPTIMIZED:
                yield f"thread {names.get(thread, '?')}: {place.f_code.co_name}", _locals(place)
            place = place.f_back


def _locals(frame: types.FrameType) -> Locals:
    """The local variables of a running frame, which is left unchanged.

    From Python 3.13 on, `f_locals` is a view. Before 3.13 it is a dictionary that stays with the frame, and reading it updates the
    one that the app may have from `locals()`. So functions that use `locals()` are skipped, and the dictionary is cleared again.
    Up to 3.10, the garbage collector finds the variables, without their names.
    """
    if sys.version_info >= (3, 13):
        return Locals(copy(frame.f_locals))
    if sys.version_info < (3, 11):
        return Locals(
            (str(n), part)
            for n, part in enumerate(gc.get_referents(frame))
            if not is_kind(part, types.FrameType)
        )
    if not _LOCALS_NAMES.isdisjoint(frame.f_code.co_names):
        return Locals()
    snapshot = frame.f_locals
    found = Locals(snapshot)
    if sys.getrefcount(snapshot) <= 3:  # references of the frame, of this function, and of the call
        snapshot.clear()
    return found


def is_suspended(thing: object) -> bool:
    """Whether an object is a coroutine or generator: the garbage collector knows its local variables without names."""
    return any(
        is_kind(thing, kind) for kind in (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)
    )
