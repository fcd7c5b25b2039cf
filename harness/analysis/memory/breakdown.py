"""The breakdown: where each megabyte of the app went. Its entries add up to resident memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.records import Plateau

# In the order in which the report shows them.
BreakdownItem = Literal[
    "interpreter",
    "framework",
    "state",
    "retained-after-close",
    "leaked-per-request",
    "allocator-retention",
    "fragmentation",
    "unexplained",
]
# `held`: all sessions open, after the last batch of requests. `closed`: all sessions closed, at the last plateau.
BreakdownMoment = Literal["held", "closed"]


class BreakdownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the breakdown.

    Attributes:
        moment: `held` or `closed`.
        item: what the bytes are used for:
            `interpreter`: Python, the libraries and the app at plateau 0.
            `framework`: Gradio's own share of its sessions and requests.
            `state`: State of open sessions.
            `retained-after-close`: what closed sessions left behind.
            `leaked-per-request`: what requests left behind for good.
            `allocator-retention`: free memory that `malloc_trim` returned at this plateau.
            `fragmentation`: free memory that allocators could not return, and memory outside the heaps that the probe measures.
            `unexplained`: live bytes that no other item accounts for; may be negative.
        bytes: size of the entry.
        each_bytes: bytes per session or request; None for an entry that is not calculated from these.
        count: number of these sessions or requests, by which `each_bytes` is multiplied.
        unit: whether `count` counts sessions or requests.
        basis: how the entry was measured, one sentence.
    """

    moment: BreakdownMoment
    item: BreakdownItem
    bytes: int
    each_bytes: float | None = None
    count: int | None = None
    unit: Literal["session", "request"] | None = None
    basis: str


class UnitCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Costs in live bytes, as slopes; None if unknown.

    Attributes:
        session: of an open session, with its State.
        closed: left behind by a closed session.
        request: left behind by a request in an open session.
        leaked: left behind by a request for good.
        left: left behind by a closed session in leaking containers; exact, while `closed` is an estimate of the whole.
        kept: kept by Gradio of each request, up to a limit, after its session has closed too.
        floor_session, floor_closed, floor_request: Gradio's own share of the first three.
        state: size of the values in gr.State of one session, counted object by object.
        keeps_state: whether closed sessions leave behind State that has not expired. While they are open, it counts as State.
    """

    session: float | None
    closed: float | None
    request: float | None
    leaked: float
    left: float = 0.0
    kept: float = 0.0
    floor_session: float | None
    floor_closed: float | None
    floor_request: float | None
    state: float | None
    keeps_state: bool = False


def breakdown(plateaus: Sequence[Plateau], costs: UnitCosts) -> list[BreakdownEntry]:
    """Return the entries of both moments that the run reached; empty without a probe.

    Args:
        plateaus: plateaus of the run.
        costs: its costs.
    """
    start = next((p for p in plateaus if p.label == "staircase"), None)
    if start is None or start.probe.live_bytes is None:
        return []
    same = [p for p in plateaus if p.pid == start.pid]
    held = [p for p in same if p.label in ("staircase", "requests") and p.open_sessions > 0]
    closed = [p for p in same if p.label in ("after-close", "second-round")]
    return [
        entry
        for moment, found in (("held", held), ("closed", closed))
        if found
        for entry in _at(moment, start, found[-1], costs, same)  # type: ignore[arg-type]
    ]


def _at(
    moment: BreakdownMoment, start: Plateau, now: Plateau, costs: UnitCosts, same: Sequence[Plateau]
) -> list[BreakdownEntry]:
    live, before = now.probe.live_bytes, start.probe.live_bytes
    if live is None or before is None:
        return []
    requests, begun = _requests(start, now), max(0, (now.sessions or 0) - (start.sessions or 0))
    lines = [
        _interpreter(start),
        *(
            _held(now.open_sessions, begun, _beyond_stairs(same, now), costs)
            if moment == "held"
            else _closed(begun, _beyond_rounds(same, requests, begun), costs)
        ),
    ]
    if costs.leaked > 0:
        lines.append(
            _Draft(
                "leaked-per-request",
                costs.leaked * requests,
                "memory that requests leaked",
            ).of(costs.leaked, requests, "request")
        )
    explained = sum(line.bytes for line in lines[1:])
    lines.append(
        _Draft(
            "allocator-retention",
            now.returned_bytes or 0,
            "free memory that the process returned at this plateau, when the probe called malloc_trim"
            if now.returned_bytes is not None
            else "unknown: the allocator has no call to return free memory",
        )
    )
    loose = (now.process.rss_bytes - live) - (start.process.rss_bytes - before)
    lines.append(
        _Draft(
            "fragmentation",
            loose,
            "growth since plateau 0 of resident memory outside the live heap: free memory that allocators could not return, and memory of "
            "child processes or of libraries that do not use malloc",
        )
    )
    lines.append(
        _Draft(
            "unexplained",
            live - before - explained,
            "growth of live bytes since plateau 0 that no item above explains",
        )
    )
    return [line.entry(moment) for line in lines]


def _requests(earlier: Plateau, later: Plateau) -> int:
    return max(0, (later.requests or 0) - (earlier.requests or 0))


def _beyond_stairs(plateaus: Sequence[Plateau], now: Plateau) -> int:
    """Requests after the last staircase step. Earlier ones are part of the cost of an open session."""
    return _requests([p for p in plateaus if p.label == "staircase"][-1], now)


def _beyond_rounds(plateaus: Sequence[Plateau], requests: int, begun: int) -> int:
    """Requests beyond those that are part of the cost of a closed session."""
    rounds = [p for p in plateaus if p.label in ("after-close", "second-round")]
    came = (rounds[-1].sessions or 0) - (rounds[0].sessions or 0)
    each = _requests(rounds[0], rounds[-1]) / came if came else 0.0
    return max(0, requests - round(each * begun))


def _interpreter(start: Plateau) -> _Draft:
    return _Draft(
        "interpreter",
        start.process.rss_bytes,
        "RSS at plateau 0, after the warm-up: Python, the libraries, the app, and their caches",
    )


def _held(sessions: int, begun: int, requests: int, costs: UnitCosts) -> list[_Draft]:
    if costs.session is None:
        return []
    kept = 0.0 if costs.keeps_state else _kept(costs)
    if costs.floor_session is not None:
        own = costs.floor_session
        framework = _Draft(
            "framework",
            own * sessions,
            "cost of an open session in the baseline run",
        )
    elif costs.state is not None:
        # What closed sessions leave has its own entry. It is subtracted from Gradio's share, since State was counted.
        own = max(0.0, costs.session - costs.state - kept)
        framework = _Draft(
            "framework",
            own * sessions,
            "cost of an open session without its State and without what remains after it closes, because there was no baseline run",
        )
    else:
        own = 0.0
        framework = _Draft(
            "framework", 0.0, "unknown without a baseline run, and included in the State of sessions"
        )
    # A negative value is a difference between the two apps, not State.
    state = max(0.0, costs.session - own - kept)
    # State of open sessions may grow with each request. Leaks have their own entry.
    grown = max(0.0, (costs.request or 0.0) - costs.leaked - max(costs.kept, costs.floor_request or 0.0))
    counted = "" if costs.state is None else f". Counted object by object, the State is {costs.state:,.0f} B"
    lines = [
        framework.of(own, sessions, "session"),
        _Draft("state", state * sessions, f"cost of an open session without Gradio’s own share{counted}").of(
            state, sessions, "session"
        ),
    ]
    if grown and requests:
        lines.append(
            _Draft("state", grown * requests, "memory that later requests added to open sessions").of(
                grown, requests, "request"
            )
        )
    if kept:
        lines.append(_retained(kept, begun, costs))
    return [*lines, *_kept_of_requests(costs, requests)]


def _closed(begun: int, requests: int, costs: UnitCosts) -> list[_Draft]:
    lines = []
    if costs.floor_closed is not None:
        lines.append(
            _Draft(
                "framework",
                costs.floor_closed * begun,
                "memory that remains after sessions of the baseline run have closed",
            ).of(costs.floor_closed, begun, "session")
        )
    kept = _kept(costs)
    if costs.closed is not None or kept:
        lines.append(_retained(kept, begun, costs))
    return [*lines, *_kept_of_requests(costs, requests)]


def _kept(costs: UnitCosts) -> float:
    """Bytes that a closed session leaves behind beyond Gradio's own share, where that is known."""
    if costs.closed is None:
        return costs.left
    return max(costs.left, costs.closed - (costs.floor_closed or 0.0))


def _retained(kept: float, begun: int, costs: UnitCosts) -> _Draft:
    basis = (
        "memory that remains after sessions have closed, without Gradio’s own share"
        if costs.floor_closed is not None
        else "memory that remains after sessions have closed, including Gradio’s own share, which is unknown"
    )
    return _Draft("retained-after-close", kept * begun, basis).of(kept, begun, "session")


def _kept_of_requests(costs: UnitCosts, requests: int) -> list[_Draft]:
    if not costs.kept or not requests:
        return []
    basis = "records that Gradio keeps for each request up to a limit, such as statistics of its last 10,000 events"
    return [_Draft("framework", costs.kept * requests, basis).of(costs.kept, requests, "request")]


class _Draft:
    """An entry under construction."""

    def __init__(self, item: BreakdownItem, amount: float, basis: str) -> None:
        self._item, self.bytes, self._basis = item, round(amount), basis
        self._each: float | None = None
        self._count: int | None = None
        self._unit: Literal["session", "request"] | None = None

    def of(self, each: float, count: int, unit: Literal["session", "request"]) -> _Draft:
        """Add its factors."""
        self._each, self._count, self._unit = each, count, unit
        return self

    def entry(self, moment: BreakdownMoment) -> BreakdownEntry:
        """Return the finished entry."""
        return BreakdownEntry(
            moment=moment,
            item=self._item,
            bytes=self.bytes,
            each_bytes=self._each,
            count=self._count,
            unit=self._unit,
            basis=f"{self._basis[0].upper()}{self._basis[1:]}.",
        )
