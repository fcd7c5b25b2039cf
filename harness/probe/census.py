"""What the app holds, by type, and by access path: the length of every container that can be reached from the user's modules and from Gradio.

The way goes along references from known roots. Asking the garbage collector for all objects instead (`gc.get_objects()`)
would break the app now and then: it takes references to tuples that another thread is still building, and CPython then
refuses to resize them (`SystemError`).
"""

from __future__ import annotations

import time

from . import object_types, state_sizes
from .app_roots import gradio_roots, handlers, user_modules
from .path_walk import Walk


class CensusTaker:
    """Takes one census after another, all with the same shapes of paths.

    Which keys of a dict belong to the path is decided when the path is first seen, so that paths do not change under way.

    What it keeps from one to the next are texts and numbers alone, so that the objects that it counts are the app's: the
    garbage collector knows of none of ours that the first census has not seen already.

    Attributes:
        first_types: objects by type at the first census; empty before it, or where they cannot be counted.
        first_lengths: the entries of every container at the first census, by access path.
    """

    def __init__(self) -> None:
        self._records: dict[str, str] = {}
        self._taken = False
        self._rehearsal: CensusTaker | None = None
        self.first_types: dict[str, int] = {}
        self.first_lengths: dict[str, int] = {}

    def rehearse(self) -> None:
        """Take the memory now that the first census will need for good, so that it is not taken for something that the app needs."""
        if not self._taken and self._rehearsal is None:
            self._rehearsal = CensusTaker()
            self._rehearsal.take()

    def take(self) -> dict[str, object]:
        """Count the objects by type, then walk from all roots, the user's first: what both reach is the user's."""
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
        """Everything that can be reached from the user's modules and from Gradio.

        Args:
            keep: whether the walk shall remember which objects it has found where. It must be dropped soon.
        """
        modules = user_modules()
        walk = Walk(self._records, set(modules), keep)
        for label, module in modules.values():
            walk.module(label, module)
        walk.run()
        # Afterwards: what a name leads to is told by that name.
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
