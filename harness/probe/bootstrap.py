"""Runs the app's file the way `python app.py` does, and keeps its server on loopback."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import inspect
import os
import socket
import sys
import time
import traceback
import types
from collections.abc import Callable, Sequence

from .gradio_overrides import Settings

_PORT_TRIES = 5
# A required port may become free again after this pause.
_PORT_PAUSE_S = 0.5


class LaunchHook:
    """Makes `Blocks.launch` bind 127.0.0.1 on a port that the system picks.

    Gradio cannot report a port that it chooses itself (port 0). So a free port is picked just before the launch, and another
    one if a different process takes it first.

    Args:
        wanted: required port of the first launched app, for a restart; None to pick one.
        settings: settings of Gradio to change.

    Attributes:
        port: the port of the first launched app, None until then.
        overridden: launch arguments of the app that were replaced: name → what the app gave.
        settings: settings of Gradio to change.
    """

    def __init__(self, wanted: int | None = None, settings: Settings | None = None) -> None:
        self._wanted = wanted
        self.settings = settings or Settings({})
        self.port: int | None = None
        self.overridden: dict[str, object] = {}

    def install(self) -> None:
        """Wrap `Blocks.launch` as soon as the app imports it.

        Gradio is not imported here: the app may set environment variables first.
        """
        sys.meta_path.insert(0, AfterImport("gradio.blocks", self._wrap))

    def _wrap(self, module: types.ModuleType) -> None:
        blocks = getattr(module, "Blocks", None)
        original = getattr(blocks, "launch", None)
        if blocks is None or original is None:
            return
        signature = inspect.signature(original)
        hook = self

        @functools.wraps(original)
        def launch(*args: object, **kwargs: object) -> object:
            bound = signature.bind_partial(*args, **kwargs)
            wanted = {"server_name": "127.0.0.1", "share": False, "inbrowser": False}
            wanted.update(hook.settings.launch_arguments(signature.parameters))
            for name, value in wanted.items():
                if name in signature.parameters:
                    given = bound.arguments.get(name)
                    if given is not None and given != value:
                        hook.overridden[name] = repr(given)
                    bound.arguments[name] = value
            tries = _PORT_TRIES
            while True:
                first = hook.port is None
                port = hook._wanted if first and hook._wanted is not None else _free_port()
                bound.arguments["server_port"] = port
                if first:
                    hook.port = port
                try:
                    return original(*bound.args, **bound.kwargs)
                except OSError as error:
                    tries -= 1
                    if "empty port" not in str(error) or tries == 0:
                        raise
                    if first:
                        hook.port = None
                        if port == hook._wanted:
                            time.sleep(_PORT_PAUSE_S)

        blocks.launch = launch


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls back once, right after a named module was executed."""

    def __init__(self, name: str, callback: Callable[[types.ModuleType], None]) -> None:
        self._name = name
        self._callback = callback

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the module as usual, and wrap its execution."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        # Another AfterImport for the same module comes later in the list.
        finders = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
        found = (finder.find_spec(fullname, path, target) for finder in finders)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module
        callback = self._callback

        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            callback(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def run_app(app_path: str, hook: LaunchHook) -> None:
    """Execute the app's file as `__main__`; launch its Blocks if the file itself does not."""
    app_path = os.path.abspath(app_path)
    sys.argv = [app_path]
    sys.path.insert(0, os.path.dirname(app_path))
    main = types.ModuleType("__main__")
    main.__file__ = app_path
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    with open(app_path, encoding="utf-8") as stream:
        source = stream.read()
    try:
        exec(compile(source, app_path, "exec"), main.__dict__)
        if hook.port is None:
            _find_blocks(main, app_path).launch()  # type: ignore[attr-defined]
    except KeyboardInterrupt:
        sys.exit(0)
    except Exception as error:
        # Only the frames of the app: those of the probe do not help its author.
        trace = error.__traceback__
        while (
            trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == __file__
        ):
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)
        sys.exit(1)


def _find_blocks(main: types.ModuleType, app_path: str) -> object:
    blocks_module = sys.modules.get("gradio.blocks")
    kind = getattr(blocks_module, "Blocks", None)
    found = {n: v for n, v in vars(main).items() if kind is not None and isinstance(v, kind)}
    if "demo" in found:
        return found["demo"]
    if len({id(v) for v in found.values()}) == 1:
        return next(iter(found.values()))
    what = "no Gradio app" if not found else "several Gradio apps ({})".format(", ".join(sorted(found)))
    raise SystemExit(
        f"gradsoak: {app_path} defines {what}, and calls launch() on none. Name the one to test `demo`, or launch it."
    )


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
