"""Records of what grew, as they stand in `derived/analysis.json`, and the names of their verdicts."""

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
# Worst first.
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
    """One thing that held more at some later plateau than at plateau 0.

    It is a container (all containers at one access path count as one), the objects of a type, or live bytes that no container
    accounts for.

    Attributes:
        path: access path of the container, name of the type, or `live heap`.
        kind: type of the container; `type` for objects of a type, `bytes` for the live heap.
        owner: `app` or `gradio`.
        verdict: `leak-per-request`, `leak-per-session`, `bounded`, `retained-until-ttl` (Gradio releases it later),
            `framework-floor` (Gradio's own cost of a session), `transient` (released when the sessions closed), `declared` (the
            workload declares that this state outlives sessions), or `inconclusive`.
        per_request: entries (for a buffer: bytes) per request over the batches; None without batches.
        per_action: the action whose operations alone add entries, each the same number; None if there is no such action.
        per_session: entries per session that opened and closed; None without a second round.
        exact: whether every batch, or every round, added the same whole number per request or session.
        length: entries at the last plateau.
        cap: the most entries it can hold; None if unknown.
        pinned_bytes: estimated size of it and of everything reached only through it, at the last plateau.
        bytes_per_request: growth of that size per request; None if unknown.
        bytes_per_session: growth of that size per session that opened and closed; None if unknown.
        within: access path of the container around it whose verdict it shares; None if the verdict is its own.
        reason: the reason for the verdict, one sentence.
        retainer_path: chain of references from a root to it; empty if not recorded.
        allocated_at: lines that allocated its entries, as `file.py:12 in function`, most entries first; empty without a
            memray pass.
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
    """The evidence behind the growth verdicts.

    Attributes:
        batches: number of batches of requests after which the app's objects were counted.
        requests: number of requests in these batches.
        rounds: number of rounds of sessions after which the app's objects were counted.
        sessions: number of sessions in these rounds.
        paths: access paths that were counted.
        live_bytes_per_request: slope of the live heap over the batches; includes growth that is no leak.
        unnamed_bytes_per_request: the part of that slope that no container accounts for.
        not_judged: leak check → why it cannot be judged; empty if both can.
        not_applicable: those of these checks that the profile leaves out, or that are impossible for this app.
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
    """Return a sort key: by verdict, worst first, and leaks by what they pin, most first."""
    weight = growth.pinned_bytes if growth.verdict in LEAKS else 0
    return ORDER.index(growth.verdict), growth.within is not None, -weight, growth.owner, growth.path


def inside(path: str, outer: str) -> bool:
    """Whether an access path leads through another one."""
    return len(path) > len(outer) and path.startswith(outer) and path[len(outer)] in ".["
