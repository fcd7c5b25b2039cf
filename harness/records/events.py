"""Events of a run, and the seal that says how it ended."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

# Kinds of events with which a memray pass ends.
TRACED = "traced"
NOT_TRACED = "not_traced"


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the run as a whole.

    Attributes:
        kind: `phase` (detail: name, users), `steady` (all users are there), `arrivals` (detail: total, started, dropped),
            `target_exit`, `loadgen_exit`,
            `target_restart` (detail: old_pid, new_pid, stopped, duration_s),
            `sampler_gap` (detail: process, gap_s), `warning`, `interrupted`, `error`.
    """

    time_ns: int
    wall_ns: int
    kind: str
    detail: dict[str, Any]


class ShardSeal(msgspec.Struct, frozen=True, kw_only=True):
    """Size and checksum of one raw file at the end of the run."""

    lines: int
    bytes: int
    sha256: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """Written last. A run folder without it is incomplete, and its verdict is `unknown`.

    Attributes:
        ended: how the run ended; `misused` if scenario or command line do not fit the app. Only `completed` can lead to a verdict of `pass`.
        reason: text for people, empty when completed.
        shards: path within the run folder → what it held.
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
