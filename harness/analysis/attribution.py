"""Where what stays was allocated: what a memray pass found, joined with what the census counted."""

from __future__ import annotations

import msgspec


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A line of code that allocated what was still there at the end of the window.

    Attributes:
        where: `file.py:12 in function`: the innermost line that is the app's, or else Gradio's, or else anybody's.
        stack: the way to it, the innermost first, in the same form.
        bytes, allocations: that were not given back.
        held_by: access paths of the containers whose new entries were allocated there.
    """

    where: str
    stack: list[str]
    bytes: int
    allocations: int
    held_by: list[str] = []


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """A memray pass.

    Attributes:
        sites: the most bytes first.
        total_bytes: of all sites, those that are not listed included.
        sessions, requests: that came in the window.
        flame_graph: path within the run folder, None if it could not be drawn.
        not_measured: why there is nothing, in a sentence; None if there is.
    """

    sites: list[Site] = []
    total_bytes: int = 0
    sessions: int = 0
    requests: int = 0
    flame_graph: str | None = None
    not_measured: str | None = None
