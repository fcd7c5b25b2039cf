"""What grew: the records in `derived/analysis.json`, and the words of their verdicts."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.analysis.theil_sen import Slope

PER_REQUEST: Literal["leak-per-request"] = "leak-per-request"
PER_SESSION: Literal["leak-per-session"] = "leak-per-session"
LEAKS = (PER_REQUEST, PER_SESSION)
# `Growth.path` of bytes that no container accounts for, and `Growth.kind` of objects counted by type.
LIVE_HEAP = "live heap"
TYPE = "type"
# Kinds whose length is counted in bytes.
BYTES = {"bytearray", "BytesIO", "StringIO", "ndarray", "bytes", "str", "array", "memoryview"}

GrowthVerdict = Literal[
    "leak-per-request",
    "leak-per-session",
    "bounded",
    "retained-until-ttl",
    "framework-floor",
    "transient",
    "declared",
    "inconclusive",
]
ORDER: tuple[GrowthVerdict, ...] = (
    "leak-per-request",
    "leak-per-session",
    "inconclusive",
    "bounded",
    "declared",
    "transient",
    "retained-until-ttl",
    "framework-floor",
)


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """A container, or everything at one access path, that held more at some later plateau than at plateau 0.

    Attributes:
        path: how it is reached; `live heap` for bytes that no container accounts for; of objects counted by type, its name.
        kind: its type; `type` for the latter.
        owner: `app` or `gradio`.
        per_request: entries (of a buffer: bytes) per request over the batches; None without batches.
        per_action: the one action whose every operation adds the same, if not all do.
        per_session: entries per session that came and went; None without a second round.
        exact: whether every batch, or round, grew by the very same whole number for each request, or session.
        length: entries at the last plateau.
        cap: entries that it may hold at most, None without a known limit.
        pinned_bytes: what it and everything below occupy at the last plateau, roughly.
        bytes_per_request, bytes_per_session: how these grow.
        within: the container inside which it stands, if the verdict is about that one.
        verdict: `leak-per-request`, `leak-per-session`, `bounded`, `retained-until-ttl` (Gradio lets go of it later),
            `framework-floor` (Gradio's own cost of a session), `transient` (it went when the sessions closed), `declared` (the
            workload says that this state is meant to stay), or `inconclusive`.
        reason: why, in one sentence.
        retainer_path: why it is still there: from a root to it, and on to what it holds; empty if nobody asked.
        allocated_at: where what it holds was allocated, as `file.py:12 in function`, the most of it first; empty without a memray pass.
    """

    path: str
    kind: str
    owner: Literal["app", "gradio"]
    verdict: GrowthVerdict
    per_request: float | None
    per_action: str | None = None
    per_session: float | None
    exact: bool
    length: int
    cap: int | None
    pinned_bytes: int
    bytes_per_request: float | None = None
    bytes_per_session: float | None = None
    within: str | None = None
    reason: str
    retainer_path: list[str] = []
    allocated_at: list[str] = []


class GrowthBasis(msgspec.Struct, frozen=True, kw_only=True):
    """What the judgement on growth rests on.

    Attributes:
        batches, requests: of the requests phase; 0 where nothing can be said of requests.
        rounds, sessions: of the second round, likewise.
        paths: access paths that were counted.
        live_bytes_per_request: of the live heap over the batches, with everything that is no leak.
        unnamed_bytes_per_request: of that what no container accounts for.
        not_judged: check → why nothing can be said; empty where something can.
        not_applicable: those of these checks that this run was not asked, or could not be.
    """

    batches: int = 0
    requests: int = 0
    rounds: int = 0
    sessions: int = 0
    paths: int = 0
    live_bytes_per_request: Slope | None = None
    unnamed_bytes_per_request: Slope | None = None
    not_judged: dict[str, str] = {}
    not_applicable: list[str] = []


def rank(growth: Growth) -> tuple[int, bool, int, str, str]:
    """Where it stands among all that grew: the worst first, and of leaks the one that pins most."""
    weight = growth.pinned_bytes if growth.verdict in (PER_REQUEST, PER_SESSION) else 0
    return ORDER.index(growth.verdict), growth.within is not None, -weight, growth.owner, growth.path


def inside(path: str, outer: str) -> bool:
    """Whether an access path leads through another."""
    return len(path) > len(outer) and path.startswith(outer) and path[len(outer)] in ".["
