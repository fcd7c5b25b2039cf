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
