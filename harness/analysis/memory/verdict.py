"""What becomes of the app's memory, in a word, a sentence, and, if that is not decided, what to run to decide it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from harness.analysis.memory.breakdown import LedgerEntry
from harness.analysis.memory.container_growth import (
    BYTES,
    CAME,
    PER_REQUEST,
    PER_SESSION,
    TYPE,
    UNNAMED_BYTES_PER_REQUEST,
    Growth,
    GrowthBasis,
)
from harness.analysis.memory.session_cost import MemoryFigures, MemoryVerdict, batches, live_bytes, uss_bytes
from harness.analysis.theil_sen import Line
from harness.records import GradioLimits, Plateau

# State that lives no longer than this after its session has closed was waited for.
SHORT_TTL_S = 10.0
# What a closed session leaves behind is worth a word from here on; the tables of Gradio's own grow in leaps of a few KB.
KEPT_BYTES = 4096
# Without a control nobody knows how much of that is Gradio's own; a page of 200 components costs it 350 KB. Above this it is not.
UNKNOWN_FLOOR_BYTES = 1_000_000
# Gradio's account of each session, until its capacity is reached: the values of its components among it.
SESSION_DATA = "gradio.StateHolder.session_data"
# What allocators keep is worth a word if it is so much, and the larger part of what the sessions had added.
RETENTION_BYTES = 10_000_000
RETENTION_SHARE = 0.5


class Outcome(NamedTuple):
    """The verdict on memory."""

    verdict: MemoryVerdict
    reason: str
    next_step: str | None = None


def memory_verdict(
    memory: MemoryFigures,
    growth: Sequence[Growth],
    basis: GrowthBasis,
    plateaus: Sequence[Plateau],
    limits: GradioLimits,
    scenario: str,
) -> Outcome:
    """Judge: a leak that is proven first, then what is not decided, then what only looks like a leak.

    Args:
        memory: what was measured.
        growth, basis: what grew, and what that rests on.
        plateaus: of the run.
        limits: what the app said of itself.
        scenario: how the user names it, for the next command.
    """
    told = [g for g in growth if g.within is None]
    for verdict, unit in ((PER_REQUEST, "request"), (PER_SESSION, "session")):
        leaks = [g for g in told if g.verdict == verdict]
        if leaks:
            return Outcome(verdict, _leak(leaks, unit))
    if len(basis.not_judged) == 2:
        return Outcome(
            "inconclusive",
            " ".join(dict.fromkeys(_why(reason) for reason in basis.not_judged.values())),
            None if basis.not_applicable else f"gradsoak run {scenario} --profile staircase",
        )
    doubtful = [g for g in told if g.verdict == "inconclusive"]
    if doubtful:
        first = doubtful[0]
        return Outcome(
            "inconclusive",
            f"{first.path} may leak, or not: {_lower(first.reason)}",
            f"gradsoak run {scenario} --profile soak",
        )
    kept = _kept(memory)
    last = plateaus[-1] if plateaus else None
    ttl_s = limits.state_ttl_when_closed_s
    states = last.probe.states if last is not None else None
    floor_unknown, state = memory.floor_per_closed_session.live is None, memory.state_bytes_per_session or 0.0
    if kept is not None and kept > KEPT_BYTES:
        if states and ttl_s is not None and ttl_s > SHORT_TTL_S:
            return Outcome(
                "retained-until-ttl",
                f"A closed session keeps {_size(kept)} beyond the framework's own: its State, which Gradio lets go of {ttl_s:,.0f} s "
                f"after it was written last; {states:,} values were still there.",
            )
        if _left_by(memory) - _accounted(told) <= KEPT_BYTES:
            capacity = limits.state_session_capacity
            bound = f" of at most {capacity:,} sessions" if capacity is not None else ""
            return Outcome(
                "bounded",
                f"A closed session leaves {_size(kept)} behind beyond the framework's own, in {SESSION_DATA}: what its page held last, "
                f"which Gradio keeps{bound}.",
            )
        return Outcome(
            "inconclusive",
            f"A closed session leaves {_size(kept)} behind beyond the framework's own, and no container that was counted grew with it.",
            f"gradsoak run {scenario} --profile soak --memray",
        )
    if floor_unknown and states and ttl_s is not None and ttl_s > SHORT_TTL_S and state > KEPT_BYTES:
        return Outcome(
            "retained-until-ttl",
            f"Gradio keeps the State of a closed session, {_size(state)}, until {ttl_s:,.0f} s after it was written last; {states:,} values "
            "were still there.",
        )
    left = memory.bytes_per_closed_session.live
    if floor_unknown and left is not None and left.low > UNKNOWN_FLOOR_BYTES:
        return Outcome(
            "inconclusive",
            f"A closed session leaves {_size(left.estimate)} behind, and no container that was counted grew with it; how much of that is "
            "the framework's own is not known.",
            f"gradsoak run {scenario} --profile staircase",
        )
    beyond = _beyond_heap(memory, plateaus)
    if beyond is not None:
        return Outcome(
            "inconclusive",
            f"Resident memory grew by {_size(beyond)} per request beyond the live heap, in every batch and on under load: memory of "
            "child processes, or of a library that does not allocate with malloc.",
            f"gradsoak run {scenario} --profile soak",
        )
    retained = _retention(memory.ledger, _of_children(plateaus))
    if retained is not None:
        return Outcome(
            "allocator-retention",
            f"The app's objects went, but not its memory: when all sessions had closed, {_size(retained)} were resident that no object "
            "used, and the allocator had not given back.",
        )
    bounded = [g for g in told if g.verdict == "bounded" and g.cap is not None]
    if bounded:
        named = ", ".join(f"{g.path} (at most {g.cap:,})" for g in bounded[:3])
        return Outcome("bounded", f"What grew has a bound: {named}.")
    if basis.not_judged:
        name, why = next(iter(basis.not_judged.items()))
        return Outcome(
            "inconclusive",
            f"Whether there is a {name.replace('-', ' ')} is not known. {_why(why)}",
            f"gradsoak run {scenario} --profile staircase",
        )
    stopped = [g for g in told if g.verdict == "bounded" and g.owner == "app"]
    if stopped:
        named = ", ".join(g.path for g in stopped[:3])
        return Outcome("bounded", f"What grew stopped growing: {named}.")
    return Outcome(
        "flat",
        f"Nothing grew with {basis.requests:,} requests or {basis.sessions:,} sessions that came and went, but what Gradio itself keeps "
        "of them.",
    )


def _why(reason: str) -> str:
    """What stands there as the reason of a check that does not apply."""
    return reason.removeprefix("Does not apply: ")


def _leak(leaks: Sequence[Growth], unit: str) -> str:
    first = leaks[0]
    rate = first.per_request if unit == "request" else first.per_session
    pins = first.bytes_per_request if unit == "request" else first.bytes_per_session
    what = "objects" if first.kind == TYPE else "bytes" if first.kind in BYTES else "entries"
    bytes_text = f", {_size(max(0.0, pins))} each time," if pins else ""
    more = f" And {len(leaks) - 1} more." if len(leaks) > 1 else ""
    action = f"`{first.per_action}`" if unit == "request" and first.per_action else unit
    return f"{first.path} grows by {rate or 0:,.2f} {what} per {action}{bytes_text} and nothing of it is let go.{more}"


def _kept(memory: MemoryFigures) -> float | None:
    """Bytes that a closed session surely leaves behind beyond the framework's own; None if nobody knows."""
    line, floor = memory.bytes_per_closed_session.live, memory.floor_per_closed_session.live
    if line is None:
        return None
    return _apart(line, floor) if floor is not None else None


def _left_by(memory: MemoryFigures) -> float:
    """Bytes that a closed session surely leaves behind, the framework's own included."""
    line = memory.bytes_per_closed_session.live
    return line.low if line is not None else 0.0


def _accounted(growth: Sequence[Growth]) -> float:
    """Bytes that Gradio's own accounts of each session were counted to hold, for each that came and went."""
    own = {g.path: g.bytes_per_session or 0.0 for g in growth if g.verdict == "framework-floor"}
    if SESSION_DATA not in own:
        return 0.0
    # What stands inside another one is in that one's figure.
    return sum(
        size for path, size in own.items() if not any(path.startswith((f"{p}[", f"{p}.")) for p in own)
    )


def _apart(line: Line, floor: Line) -> float:
    """By how much one slope surely lies above another; 0 if their intervals overlap."""
    return line.estimate - floor.estimate if line.low > floor.high else 0.0


def _beyond_heap(memory: MemoryFigures, plateaus: Sequence[Plateau]) -> float | None:
    """Bytes per request by which resident memory surely grew beyond the live heap, on under load; None if it did not."""
    uss, live = memory.bytes_per_request.uss, memory.bytes_per_request.live
    if uss is None or live is None or uss.low - live.high < UNNAMED_BYTES_PER_REQUEST:
        return None
    after = next((p for p in plateaus if p.label == "after-close"), None)
    held = [*batches(plateaus), *([after] if after is not None else [])]
    levels = [level for p in held if (level := _beyond(p)) is not None]
    if after is None or len(levels) != len(held) or not all(b > a for a, b in pairwise(levels)):
        return None
    foretold = (uss.low - live.high) * ((after.requests or 0) - (held[-2].requests or 0))
    return uss.estimate - live.estimate if levels[-1] - levels[-2] >= CAME * foretold else None


def _beyond(plateau: Plateau) -> int | None:
    uss, live = uss_bytes(plateau), live_bytes(plateau)
    return None if uss is None or live is None else uss - live


def _of_children(plateaus: Sequence[Plateau]) -> float:
    """Bytes by which the app's child processes are larger at the last plateau than at plateau 0, as far as that is known."""
    ends = [next((p for p in plateaus if p.label == "staircase"), None), plateaus[-1] if plateaus else None]
    others = [p.process.rss_bytes - p.probe.rss_bytes for p in ends if p is not None and p.probe.rss_bytes]
    return max(0, others[1] - others[0]) if len(others) == len(ends) else 0


def _retention(entries: Sequence[LedgerEntry], elsewhere: float) -> float | None:
    """Bytes that the allocator kept, child processes aside (`elsewhere`), if they are worth a word."""
    closed: dict[str, int] = {}
    for entry in entries:
        if entry.moment == "closed":
            closed[entry.item] = closed.get(entry.item, 0) + entry.bytes
    held = sum(e.bytes for e in entries if e.moment == "held" and e.item != "interpreter")
    kept = closed.get("allocator-retention", 0) + closed.get("fragmentation", 0) - elsewhere
    return kept if kept >= RETENTION_BYTES and kept >= RETENTION_SHARE * held else None


def _size(value: float) -> str:
    """Bytes for a sentence, to three digits; the report's own words for them are a room above this one."""
    for unit in ("B", "KB", "MB"):
        if abs(value) < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
