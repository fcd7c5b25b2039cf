"""Records of a memray pass: which lines of code allocated what stayed, and which containers hold it."""

from __future__ import annotations

from typing import Literal

import msgspec


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of code in an allocation's call stack.

    Attributes:
        file: path, relative to the app's folder, to the folder of installed packages, or to the standard library.
        line: line number in that file.
        function: name of the function that holds the line; empty if it is unknown.
        owner: whose code it is: `app`, `gradio` or `other`.
    """

    file: str
    line: int
    function: str = ""
    owner: Literal["app", "gradio", "other"] = "other"


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """Memory that one line of code allocated while memray recorded, and that was not freed before memray stopped.

    Attributes:
        site: the allocating line: the innermost frame of the app; without one, the innermost of Gradio; without that, of all.
        stack: the call stack that allocated most of these bytes, innermost frame first.
        bytes: bytes allocated, over all call stacks.
        allocations: number of allocations, over all call stacks.
    """

    site: Frame
    stack: list[Frame]
    bytes: int
    allocations: int


class HeldEntries(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one container that one line of code allocated while memray recorded.

    Attributes:
        path: the container's access path in the census.
        site: the allocating line, chosen as in `Allocation`.
        entries: number of these entries.
        bytes: bytes of the entries themselves, without the objects they refer to.
    """

    path: str
    site: Frame
    entries: int
    bytes: int


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A line of code whose allocations were not freed by the end of the window.

    Attributes:
        where: `file.py:12 in function`: the innermost line of the app's; without one, of Gradio's; without that, of any file.
        stack: the stack of most of its allocations, innermost line first, in the same form.
        bytes: not freed, according to memray. Python reuses freed dicts, lists, tuples and floats without a new allocation, so these
            may belong to another line (see docs/methods/memory.md).
        allocations: number of allocations with these bytes.
        held_by: access paths of the containers whose new entries were allocated here.
        held_entries: number of these entries, according to tracemalloc.
        held_bytes: own size of these entries.
    """

    where: str
    stack: list[str]
    bytes: int
    allocations: int
    held_by: list[str] = []
    held_entries: int = 0
    held_bytes: int = 0


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a memray pass.

    Attributes:
        sites: by bytes according to either tool, most first.
        total_bytes: bytes not freed, including sites that are not listed.
        allocated_at: access path of a container that grew → lines that allocated its new entries, most entries first.
        sessions: sessions begun in the window.
        requests: requests begun in the window.
        flame_graph: path within the run folder; None if drawing it failed.
        not_measured: why there is no result, one sentence; None if there is one.
    """

    sites: list[Site] = []
    total_bytes: int = 0
    allocated_at: dict[str, list[str]] = {}
    sessions: int = 0
    requests: int = 0
    flame_graph: str | None = None
    not_measured: str | None = None
