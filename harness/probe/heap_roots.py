"""Where a walk over the heap begins: modules, Gradio's own objects, tasks, and the local variables of running frames."""

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
    """What the local variables of a running frame stand for."""


def roots() -> Iterator[list[tuple[str, object]]]:
    """Where a walk begins, and what that is called: the user's modules, Gradio's own objects, all other modules, threads and tasks."""
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
    """What is there because of the probe: nobody is interested in what it holds."""
    yield threading.current_thread()
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGE):
            yield module
            yield vars(module)


def tasks() -> Iterator[tuple[str, object]]:
    """Label and task, of every asyncio task that exists."""
    for task in interpreter_stats.all_tasks() or ():
        coroutine = dict(task_parts(task)).get("_coro")
        name = getattr(coroutine, "__qualname__", "?") if is_suspended(coroutine) else "?"
        yield f"task {name}: {object_types.type_name(type(task))}", task


def task_parts(thing: object) -> Iterator[tuple[str, object]]:
    """Name and object, of what a task of asyncio holds in C; nothing for anything else."""
    kind = interpreter_stats.task_kind()
    if kind is not None and is_kind(thing, kind):
        for name in _TASK_PARTS:
            member = vars(kind).get(name)
            if is_kind(member, types.GetSetDescriptorType):
                yield name, member.__get__(thing, kind)


def frames() -> Iterator[tuple[str, object]]:
    """The local variables of every frame that runs, ours excepted."""
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
    """Local variables of a running frame, which stays as it was.

    From 3.13 on `f_locals` is a view. Before, it is a dictionary that stays with the frame, the very one that the app may have got
    from `locals()`, brought up to date: so functions that ask for that are left alone, and the dictionary is emptied again.
    Until 3.10 the collector finds the variables, without their names.
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
    if sys.getrefcount(snapshot) <= 3:  # the frame's, ours, and that of asking
        snapshot.clear()
    return found


def is_suspended(thing: object) -> bool:
    """Whether it is a coroutine or a generator, whose local variables the garbage collector knows without their names."""
    return any(
        is_kind(thing, kind) for kind in (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)
    )
