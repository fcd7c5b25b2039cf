"""The ledger: where each megabyte of the app went. Its entries add up to what the machine had to find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.records import Plateau

# In the order in which they are shown.
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
# All sessions held, after the last batch of requests; or all closed, at the last plateau.
BreakdownMoment = Literal["held", "closed"]


class BreakdownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger.

    Attributes:
        moment: at which plateau.
        item: what the bytes are for. `interpreter`: Python, the libraries and the app as they were at plateau 0. `framework`: Gradio's own
            for its sessions. `state`: the State of sessions that are open. `retained-after-close`: what sessions left behind.
            `leaked-per-request`. `allocator-retention`: what `malloc_trim` gave back. `fragmentation`: what allocators keep though
            nobody uses it, and could not give back, and what lies in no heap that the probe knows. `unexplained`: live bytes that none of these accounts for; may be negative.
        bytes: of this moment.
        each_bytes, count, unit: what it was multiplied from: so much for each of so many sessions, or requests; None for what is not.
        basis: how it is known, in one sentence.
    """

    moment: BreakdownMoment
    item: BreakdownItem
    bytes: int
    each_bytes: float | None = None
    count: int | None = None
    unit: Literal["session", "request"] | None = None
    basis: str


class UnitCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Live bytes, as slopes; None for what nobody knows.

    Attributes:
        session: of an open session, with its State.
        closed: that a session leaves behind.
        request: of a request in a session that stays open.
        leaked: that each request leaves behind for good.
        left: that each session does, in containers that were counted; what it leaves in all is known less exactly, as `closed`.
        kept: that the framework keeps of each request, up to a bound of its own, whatever becomes of its session.
        floor_session, floor_closed, floor_request: the framework's own part of the first three.
        state: of the values in gr.State of one session, counted object by object.
        keeps_state: whether what closed sessions leave behind is their State, which Gradio has not let go of yet: as long as they are
            open it is State like any other.
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
    """Both moments, as far as the run came to them; empty without a probe."""
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
                "what every request leaves behind, of all that grew and was kept",
            ).of(costs.leaked, requests, "request")
        )
    explained = sum(line.bytes for line in lines[1:])
    lines.append(
        _Draft(
            "allocator-retention",
            now.returned_bytes or 0,
            "resident memory that malloc_trim gave back at this plateau"
            if now.returned_bytes is not None
            else "nobody could ask the allocator to give memory back",
        )
    )
    loose = (now.process.rss_bytes - live) - (start.process.rss_bytes - before)
    lines.append(
        _Draft(
            "fragmentation",
            loose,
            "resident beyond the live heap, and not to be given back: what allocators keep, and what child processes or libraries that do "
            "not use malloc have; above plateau 0",
        )
    )
    lines.append(
        _Draft(
            "unexplained",
            live - before - explained,
            "live bytes above plateau 0 that nothing above accounts for",
        )
    )
    return [line.entry(moment) for line in lines]


def _requests(earlier: Plateau, later: Plateau) -> int:
    return max(0, (later.requests or 0) - (earlier.requests or 0))


def _beyond_stairs(plateaus: Sequence[Plateau], now: Plateau) -> int:
    """Requests after the last step of the staircase: those before are part of what an open session costs."""
    return _requests([p for p in plateaus if p.label == "staircase"][-1], now)


def _beyond_rounds(plateaus: Sequence[Plateau], requests: int, begun: int) -> int:
    """Requests beyond those that are part of what a session that came and went leaves behind."""
    rounds = [p for p in plateaus if p.label in ("after-close", "second-round")]
    came = (rounds[-1].sessions or 0) - (rounds[0].sessions or 0)
    each = _requests(rounds[0], rounds[-1]) / came if came else 0.0
    return max(0, requests - round(each * begun))


def _interpreter(start: Plateau) -> _Draft:
    return _Draft(
        "interpreter",
        start.process.rss_bytes,
        "RSS at plateau 0, after the warm-up: Python, the libraries, the app, and what they have cached",
    )


def _held(sessions: int, begun: int, requests: int, costs: UnitCosts) -> list[_Draft]:
    if costs.session is None:
        return []
    kept = 0.0 if costs.keeps_state else _kept(costs)
    if costs.floor_session is not None:
        own = costs.floor_session
        framework = _Draft(
            "framework", own * sessions, "what a state-free app costs under the same staircase"
        )
    elif costs.state is not None:
        # What closed sessions leave has a line of its own, and is taken from the framework's, not from the State that was counted.
        own = max(0.0, costs.session - costs.state - kept)
        framework = _Draft(
            "framework",
            own * sessions,
            "what an open session costs beyond its State and what it leaves behind; no state-free app was measured",
        )
    else:
        own = 0.0
        framework = _Draft(
            "framework", 0.0, "not known: no state-free app was measured, so it stands with the State"
        )
    # Less than nothing is what the two apps differ by, and no State.
    state = max(0.0, costs.session - own - kept)
    # In sessions that stay open their State may grow with each request; what is a leak has a line of its own.
    grown = max(0.0, (costs.request or 0.0) - costs.leaked - max(costs.kept, costs.floor_request or 0.0))
    counted = "" if costs.state is None else f"; counted object by object it is {costs.state:,.0f} B"
    lines = [
        framework.of(own, sessions, "session"),
        _Draft("state", state * sessions, f"what an open session costs beyond the framework{counted}").of(
            state, sessions, "session"
        ),
    ]
    if grown and requests:
        lines.append(
            _Draft("state", grown * requests, "what requests in them have added since").of(
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
                "what closed sessions of a state-free app leave behind",
            ).of(costs.floor_closed, begun, "session")
        )
    kept = _kept(costs)
    if costs.closed is not None or kept:
        lines.append(_retained(kept, begun, costs))
    return [*lines, *_kept_of_requests(costs, requests)]


def _kept(costs: UnitCosts) -> float:
    """Bytes that a closed session leaves behind beyond the framework's own."""
    if costs.closed is None:
        return costs.left
    return max(costs.left, costs.closed - (costs.floor_closed or 0.0))


def _retained(kept: float, begun: int, costs: UnitCosts) -> _Draft:
    basis = (
        "what sessions leave behind beyond the framework’s own"
        if costs.floor_closed is not None
        else "what sessions leave behind, the framework’s own included: what that is was not measured"
    )
    return _Draft("retained-after-close", kept * begun, basis).of(kept, begun, "session")


def _kept_of_requests(costs: UnitCosts, requests: int) -> list[_Draft]:
    if not costs.kept or not requests:
        return []
    basis = "what Gradio keeps of each request, up to a bound, as of its last 10,000 events"
    return [_Draft("framework", costs.kept * requests, basis).of(costs.kept, requests, "request")]


class _Draft:
    """A line under construction."""

    def __init__(self, item: BreakdownItem, amount: float, basis: str) -> None:
        self._item, self.bytes, self._basis = item, round(amount), basis
        self._each: float | None = None
        self._count: int | None = None
        self._unit: Literal["session", "request"] | None = None

    def of(self, each: float, count: int, unit: Literal["session", "request"]) -> _Draft:
        """What it was multiplied from."""
        self._each, self._count, self._unit = each, count, unit
        return self

    def entry(self, moment: BreakdownMoment) -> BreakdownEntry:
        """The finished line."""
        return BreakdownEntry(
            moment=moment,
            item=self._item,
            bytes=self.bytes,
            each_bytes=self._each,
            count=self._count,
            unit=self._unit,
            basis=f"{self._basis[0].upper()}{self._basis[1:]}.",
        )
