"""Takes a census: the app's objects by type, and the length of every container reachable from its modules and from Gradio.

The walk follows references from known roots. `gc.get_objects()` would sometimes break the app: it takes references to tuples
that another thread is still building, and CPython then refuses to resize them (`SystemError`).
"""

from __future__ import annotations

import time

from . import object_types, state_sizes
from .app_roots import gradio_roots, handlers, user_modules
from .path_walk import Walk


class CensusTaker:
    """Takes one census after another, with access paths that do not change.

    The first census that sees a dict decides which of its keys belong to the path.

    Between two censuses it keeps only texts and numbers. So all counted objects are the app's: the garbage collector knows no
    object of the probe that did not exist at the first census.

    Attributes:
        first_types: objects by type at the first census; empty before it, or if this interpreter cannot count them.
        first_lengths: the entries of every container at the first census, by access path.
    """

    def __init__(self) -> None:
        self._records: dict[str, str] = {}
        self._taken = False
        self._rehearsal: CensusTaker | None = None
        self.first_types: dict[str, int] = {}
        self.first_lengths: dict[str, int] = {}

    def rehearse(self) -> None:
        """Allocate now what the first census keeps for good, so that it is not counted as growth of the app."""
        if not self._taken and self._rehearsal is None:
            self._rehearsal = CensusTaker()
            self._rehearsal.take()

    def take(self) -> dict[str, object]:
        """Count objects by type, then walk from all roots, the app's first: what both reach is the app's."""
        began = time.perf_counter()
        counted = self._count_types()
        walk = self.walk()
        found = walk.result()
        if not self._taken:
            for path in walk.listed():
                self.first_lengths[path.text] = path.length
        self._taken = True
        self._rehearsal = None
        return {
            **found,
            **counted,
            "state": state_sizes.state(),
            "pause_ms": (time.perf_counter() - began) * 1000,
        }

    def walk(self, keep: bool = False) -> Walk:
        """Walk over everything reachable from the app's modules and from Gradio.

        Args:
            keep: the walk keeps the containers that it finds. The caller must drop it soon.
        """
        modules = user_modules()
        walk = Walk(self._records, set(modules), keep)
        for label, module in modules.values():
            walk.module(label, module)
        walk.run()
        # After the modules: a handler that a module names has that name.
        for label, thing in handlers(modules):
            walk.handler(label, thing)
        walk.run()
        for label, thing in gradio_roots():
            walk.account(label, thing)
        walk.run()
        return walk

    def _count_types(self) -> dict[str, object]:
        counted = object_types.count()
        if counted is None:
            return {"objects": None, "types": {}, "types_pause_ms": None}
        counts, pause_ms = counted
        objects = sum(counts.values())
        if self._taken:
            counts = object_types.difference(self.first_types, counts)
        else:
            self.first_types.update(counts)
        return {"objects": objects, "types": counts, "types_pause_ms": pause_ms}
