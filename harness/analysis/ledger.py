"""The ledger: where each megabyte of the app went. Its entries add up to what the machine had to find."""

from __future__ import annotations

from typing import Literal

import msgspec

# In the order in which they are shown.
Item = Literal[
    "interpreter",
    "framework",
    "state",
    "retained-after-close",
    "leaked-per-request",
    "allocator-retention",
    "fragmentation",
    "unexplained",
]
# All sessions held, after the last batch of requests; or all closed, at the last plateau.
Moment = Literal["held", "closed"]


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger.

    Attributes:
        moment: at which plateau.
        item: what the bytes are for. `interpreter`: Python, the libraries and the app as they were at plateau 0. `framework`: Gradio's own
            for its sessions. `state`: the State of sessions that are open. `retained-after-close`: what sessions left behind.
            `leaked-per-request`. `allocator-retention`: what `malloc_trim` gave back. `fragmentation`: what allocators keep though
            nobody uses it, and could not give back. `unexplained`: live bytes that none of these accounts for; may be negative.
        bytes: of this moment.
        each_bytes, count, unit: what it was multiplied from: so much for each of so many sessions, or requests; None for what is not.
        basis: how it is known, in one sentence.
    """

    moment: Moment
    item: Item
    bytes: int
    each_bytes: float | None = None
    count: int | None = None
    unit: Literal["session", "request"] | None = None
    basis: str
