"""Promises: what Gradio and the app promise of a session's state, and what became of each in a run."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

PromiseName = Literal[
    "session-specific",
    "reset-on-reload",
    "invisible",
    "any-python-object",
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "no-lost-update",
    "memory-returns",
]
PROMISES: tuple[PromiseName, ...] = get_args(PromiseName)

Standing = Literal["kept", "broken", "unknown", "does-not-apply"]


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one promise.

    Attributes:
        standing: `kept` (looked at, and nothing contradicts it), `broken` (with a witness), `unknown` (there was too little
            to look at), or `does-not-apply` (the app has nothing that it could be about).
        reason: why, in a sentence or two.
        broken_by: names of the checks that found anomalies.
        evidence: counts that it rests on.
    """

    name: PromiseName
    standing: Standing
    reason: str
    broken_by: list[str] = []
    evidence: dict[str, int] = {}
