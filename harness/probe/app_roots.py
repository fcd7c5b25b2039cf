"""The roots of a census: the app's modules, the handlers that Gradio calls, and Gradio's own objects."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from . import PACKAGE, gradio_state, object_types
from .introspection import Attributes, copy, is_kind, module_of


def user_modules() -> dict[str, tuple[str, types.ModuleType]]:
    """Name → label and module, for the app's file and every module in its folder."""
    main = sys.modules.get("__main__")
    file = vars(main).get("__file__") if main is not None else None
    if main is None or not isinstance(file, str):
        return {}
    file = os.path.abspath(file)
    folder = os.path.dirname(file) + os.sep
    found = {"__main__": (os.path.splitext(os.path.basename(file))[0], main)}
    for name, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType) or module is main or name.startswith(PACKAGE):
            continue
        where = vars(module).get("__file__")
        if not isinstance(where, str) or not where.startswith(folder):
            continue
        inside = where[len(folder) :].split(os.sep)
        if "site-packages" not in inside and "dist-packages" not in inside:
            found[name] = (name, module)
    return found


def handlers(modules: dict[str, tuple[str, types.ModuleType]]) -> Iterator[tuple[str, object]]:
    """Label and object of each handler of the app that no module names.

    An app is often built within a function. Only its handlers then refer to what they share.

    Args:
        modules: the app's modules, as `user_modules` returns them.
    """
    attributes = Attributes()
    named = {id(value) for _, module in modules.values() for _, value in copy(vars(module))}
    labels = {name: label for name, (label, _) in modules.items()}
    for blocks in gradio_state.blocks():
        inside = dict(attributes.of(blocks))
        inside = dict(attributes.of(inside["default_config"])) if "default_config" in inside else inside
        functions = inside.get("fns")
        rows = (
            [row for _, row in copy(functions)]
            if is_kind(functions, dict)
            else list(functions)
            if type(functions) is list
            else []
        )
        for row in rows:
            found = _users_part(dict(attributes.of(row)).get("fn"), labels, attributes)
            if found is not None and id(found[1]) not in named:
                yield found


def _users_part(thing: Any, labels: dict[str, str], attributes: Attributes) -> tuple[str, object] | None:
    """The label and the part of a handler that belong to the app; None if it is not the app's."""
    kind = type(thing)
    if kind is functools.partial:
        found = _users_part(thing.func, labels, attributes)
        return None if found is None else (found[0], thing)
    if kind is types.FunctionType:
        inside = thing
        with contextlib.suppress(AttributeError):
            wrapped = object.__getattribute__(thing, "__wrapped__")
            inside = wrapped if type(wrapped) is types.FunctionType else thing
        label = labels.get(str(inside.__globals__.get("__name__")))
        return None if label is None else (f"{label}.{inside.__qualname__}", thing)
    if kind is types.MethodType:
        owner = thing.__self__
        if is_kind(owner, type) or module_of(type(owner)) in labels:
            return _users_part(owner, labels, attributes)
        # An object of Gradio that calls the app's function, as for `gr.render` or `gr.ChatInterface`.
        function = dict(attributes.of(owner)).get("fn")
        return _users_part(function, labels, attributes) if type(function) is types.FunctionType else None
    named, instance = (thing, "") if issubclass(kind, type) else (kind, "()")
    label = labels.get(module_of(named))
    return None if label is None else (f"{label}.{object_types.qualname(named)}{instance}", thing)


def gradio_roots() -> Iterator[tuple[str, object]]:
    """Label and object of each StateHolder, Queue, App and Blocks of Gradio."""
    attributes = Attributes()
    for holder in gradio_state.state_holders():
        yield "gradio.StateHolder", holder
        blocks = dict(attributes.of(holder)).get("blocks")
        if blocks is None:
            continue
        inside = dict(attributes.of(blocks))
        for label, name in (("gradio.Queue", "_queue"), ("gradio.App", "app")):
            if inside.get(name) is not None:
                yield label, inside[name]
        yield "gradio.Blocks", blocks
