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
    """A line of code that allocated what was still there at the end of the window.

    Attributes:
        where: `file.py:12 in function`: the innermost line that is the app's, or else Gradio's, or else anybody's.
        stack: the way to it, the innermost first, in the same form.
        bytes, allocations: that were not given back, as memray saw it. Python keeps some small objects for whoever needs the next one
            (see docs/methods/memory.md), so that of dicts, lists, tuples and floats this may be another line's.
        held_by: access paths of the containers whose new entries were allocated there.
        held_entries, held_bytes: these entries, and what they themselves occupy, as the objects tell.
    """

    where: str
    stack: list[str]
    bytes: int
    allocations: int
    held_by: list[str] = []
    held_entries: int = 0
    held_bytes: int = 0


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """A memray pass.

    Attributes:
        sites: the most bytes first, whoever saw them.
        total_bytes: of all sites, those that are not listed included.
        allocated_at: access path of a container that grew → the lines that allocated its new entries, the most first.
        sessions, requests: that came in the window.
        flame_graph: path within the run folder, None if it could not be drawn.
        not_measured: why there is nothing, in a sentence; None if there is.
    """

    sites: list[Site] = []
    total_bytes: int = 0
    allocated_at: dict[str, list[str]] = {}
    sessions: int = 0
    requests: int = 0
    flame_graph: str | None = None
    not_measured: str | None = None
