"""What a pass under a memory tracker recorded: which code allocated what stayed, and which containers hold it."""

from __future__ import annotations

from typing import Literal

import msgspec


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of code on the way to an allocation.

    Attributes:
        file: as people know it: seen from the app's folder, from where packages are installed, or from the standard library.
        line: its number in that file.
        function: in which it stands; empty if nobody told.
        owner: whose file it is.
    """

    file: str
    line: int
    function: str = ""
    owner: Literal["app", "gradio", "other"] = "other"


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """What one line of code allocated while the tracker was on, and was not given back until it was stopped.

    Attributes:
        site: the line: the innermost that is the app's, or else Gradio's, or else anybody's.
        stack: the way to where most of it was allocated, the innermost frame first.
        bytes: in all, whatever the way.
        allocations: how many they were.
    """

    site: Frame
    stack: list[Frame]
    bytes: int
    allocations: int


class HeldEntries(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of a container that were allocated while the tracker was on, by the line that allocated them.

    Attributes:
        path: the container's access path in the census.
        site: the line, chosen as in `Allocation`.
        entries: how many.
        bytes: what these entries themselves occupy, without what they refer to.
    """

    path: str
    site: Frame
    entries: int
    bytes: int
