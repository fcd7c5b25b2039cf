"""Events of a run, and the seal that records how it ended."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

# The two kinds of event that end a memray pass.
TRACED = "traced"
NOT_TRACED = "not_traced"


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `events.jsonl`: an event of the run as a whole.

    Attributes:
        time_ns: when it happened, monotonic clock of the machine, nanoseconds.
        wall_ns: when it happened, nanoseconds since 1970.
        kind: kind of event, for example `phase`, `warning` or `target_exit`.
        detail: facts about the event; which ones depends on its kind.
    """

    time_ns: int
    wall_ns: int
    kind: str
    detail: dict[str, Any]


class ShardSeal(msgspec.Struct, frozen=True, kw_only=True):
    """Size and checksum of one raw file at the end of the run.

    Attributes:
        lines: number of lines.
        bytes: size, bytes.
        sha256: SHA-256 of the content, hexadecimal.
    """

    lines: int
    bytes: int
    sha256: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """`SEALED.json`, written last. Without it a run is incomplete, and its verdict is `unknown`.

    Attributes:
        ended: how the run ended. Only `completed` can lead to `pass`. `misused`: scenario or command line do not fit the app.
        reason: why it ended that way, in words; empty if it was completed.
        wall_ns: when the seal was written, nanoseconds since 1970.
        shards: path of each raw file, relative to the run folder → its size and checksum.
    """

    ended: Literal[
        "completed",
        "interrupted",
        "target_failed",
        "load_failed",
        "storage_failed",
        "misused",
        "internal_error",
    ]
    reason: str
    wall_ns: int
    shards: dict[str, ShardSeal]
