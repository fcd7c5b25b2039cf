"""What a session, a closed session and a request cost, from the plateaus; and what that makes of the app's memory.

Two things vary, and are told apart: requests, by the batches in sessions that are held, and sessions, by the staircase and the
second round, of which what requests leave behind for good is taken away. What a state-free app costs under the same staircase is Gradio's
own; the rest is the app's. See docs/methods/memory.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from harness.analysis.memory.breakdown import BreakdownEntry
from harness.analysis.theil_sen import Slope, theil_sen
from harness.records import Census, ExternalApp, Plateau

Measure = Callable[[Plateau], int | None]


class PerSession(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes per session, two ways; None where there are too few plateaus or the platform does not tell.

    Attributes:
        live: from bytes in use by objects.
        uss: from the process tree's unique set size, which includes what allocators keep.
    """

    live: Slope | None
    uss: Slope | None


MemoryVerdict = Literal[
    "flat",
    "bounded",
    "leak-per-request",
    "leak-per-session",
    "retained-until-ttl",
    "allocator-retention",
    "inconclusive",
]


class MeasuringCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the measuring itself cost the app. Nothing is counted during timed phases.

    Attributes:
        censuses: times that the app was counted.
        pause_ms, max_pause_ms: how long one took: the median, and the longest.
        objects: looked into or counted at the last one.
        pause_ms_per_million_objects: the median pause over what was counted in it.
        total_s: of all of them together, the settling at plateaus included.
    """

    censuses: int
    pause_ms: float
    max_pause_ms: float
    objects: int
    pause_ms_per_million_objects: float | None
    total_s: float


class MemoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of the app.

    Attributes:
        not_measured: what of it could not be measured, and why, in a sentence or two; None if all could.
        verdict: what becomes of the app's memory, in a word: `flat`, `bounded` (it grew up to a known cap), `leak-per-request`,
            `leak-per-session`, `retained-until-ttl`, `allocator-retention` (its objects went, its memory did not), or `inconclusive`.
        reason: why, in one sentence.
        next_step: what to run to decide, if it is `inconclusive`; else None.
        bytes_per_open_session: what one more open session, with its state, costs.
        leaked_bytes_per_request: what each request is known to leave behind for good; it is in no figure of a session.
        bytes_per_closed_session: what a session that came and went leaves behind.
        bytes_per_request: what one more request in a session that is open leaves behind.
        floor_per_open_session, floor_per_closed_session, floor_per_request: the same of a state-free app with as many components, and
            with as many requests per session: the framework's own.
        no_floor: why there is no floor, in a sentence; None if there is.
        state_bytes_per_session: what the values in gr.State of one session occupy, counted object by object; None if nobody could.
        ledger: where each megabyte went; see `harness.analysis.memory.breakdown`.
        measuring: what measuring cost the app; None without a probe.
        after_close_live_bytes: live bytes at the end, all tabs closed, above plateau 0. Gradio keeps a closed
            session's state for an hour by default, so most of it is expected to be there still.
        after_close_uss_bytes: unique set size at the same plateau, above plateau 0.
    """

    verdict: MemoryVerdict = "inconclusive"
    reason: str = ""
    next_step: str | None = None
    bytes_per_open_session: PerSession
    leaked_bytes_per_request: float = 0.0
    bytes_per_closed_session: PerSession = PerSession(live=None, uss=None)
    bytes_per_request: PerSession = PerSession(live=None, uss=None)
    floor_per_open_session: PerSession = PerSession(live=None, uss=None)
    floor_per_closed_session: PerSession = PerSession(live=None, uss=None)
    floor_per_request: PerSession = PerSession(live=None, uss=None)
    no_floor: str | None = None
    state_bytes_per_session: float | None = None
    ledger: list[BreakdownEntry] = []
    measuring: MeasuringCost | None = None
    after_close_live_bytes: int | None
    after_close_uss_bytes: int | None
    not_measured: str | None = None


def staircase(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """The plateaus that the cost of an open session rests on."""
    return [p for p in plateaus if p.label == "staircase"]


def batches(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """The plateaus that the cost of a request rests on: the last step of the staircase, and one after each batch."""
    stairs, found = staircase(plateaus), [p for p in plateaus if p.label == "requests"]
    return [stairs[-1], *found] if stairs and found else []


def rounds(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """The plateaus that the cost of a closed session rests on: all sessions closed, and again after each round of new ones."""
    after = next((p for p in plateaus if p.label == "after-close"), None)
    found = [p for p in plateaus if p.label == "second-round"]
    return [after, *found] if after is not None and found else []


def live_bytes(plateau: Plateau) -> int | None:
    """Live heap at a plateau."""
    return plateau.probe.live_bytes


def uss_bytes(plateau: Plateau) -> int | None:
    """Unique set size at a plateau."""
    return plateau.process.uss_bytes


def loadgen_rss_bytes(plateau: Plateau) -> int | None:
    """Resident memory of the load generator at a plateau."""
    return plateau.loadgen_rss_bytes


def per_session(plateaus: Sequence[Plateau], measure: Measure) -> Slope | None:
    """Slope of a measure over open sessions, as it comes; None if any plateau lacks it."""
    return _line(staircase(plateaus), measure, lambda p: p.open_sessions)


def per_request(plateaus: Sequence[Plateau], measure: Measure) -> Slope | None:
    """Slope of a measure over requests in sessions that stay open."""
    return _line(batches(plateaus), measure, lambda p: p.requests)


def per_open_session(plateaus: Sequence[Plateau], measure: Measure, leaked: float) -> Slope | None:
    """Slope of a measure over open sessions, with what their first requests have added to them.

    Args:
        leaked: what each request leaves behind for good, in units of the measure: that is not the sessions' own.
    """
    return _line(staircase(plateaus), _without(measure, leaked), lambda p: p.open_sessions)


def per_closed_session(plateaus: Sequence[Plateau], measure: Measure, leaked: float) -> Slope | None:
    """Slope of a measure over sessions that came and went; `leaked` as for `per_open_session`."""
    return _line(rounds(plateaus), _without(measure, leaked), lambda p: p.sessions)


def _without(measure: Measure, leaked: float) -> Callable[[Plateau], float | None]:
    def net(plateau: Plateau) -> float | None:
        value = measure(plateau)
        if value is None or (leaked and plateau.requests is None):
            return None
        return value - leaked * (plateau.requests or 0)

    return net


def _line(
    plateaus: Sequence[Plateau],
    measure: Callable[[Plateau], float | None],
    over: Callable[[Plateau], int | None],
) -> Slope | None:
    """A slope; None if any plateau lacks one of the two, or belongs to another process than the first."""
    if len({p.pid for p in plateaus}) > 1:
        return None
    values = [value for p in plateaus if (value := measure(p)) is not None]
    at = [value for p in plateaus if (value := over(p)) is not None]
    if len(values) != len(plateaus) or len(at) != len(plateaus):
        return None
    return theil_sen(at, values)


def not_measured(external: ExternalApp | None) -> str | None:
    """What cannot be known of an app that gradsoak did not start; None for one that it did."""
    if external is None:
        return None
    if external.pid is None:
        return f"Memory was not measured: the app was not started by gradsoak, and {external.not_sampled}."
    return (
        "The live heap was not measured: the app was not started by gradsoak, so there is no probe in it. "
        f"USS, RSS and CPU are those of process {external.pid} ({external.process}) with its children, seen from outside."
    )


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What one of each leaves in memory, two ways each."""

    open_session: PerSession
    closed_session: PerSession
    request: PerSession


def costs(plateaus: Sequence[Plateau], leaked_per_request: float = 0.0) -> Costs:
    """The slopes of a run.

    Args:
        plateaus: of the run.
        leaked_per_request: bytes that each request leaves behind for good; see `per_open_session`.
    """
    request = PerSession(live=per_request(plateaus, live_bytes), uss=per_request(plateaus, uss_bytes))
    return Costs(
        open_session=PerSession(
            live=per_open_session(plateaus, live_bytes, leaked_per_request),
            uss=per_open_session(plateaus, uss_bytes, leaked_per_request),
        ),
        closed_session=PerSession(
            live=per_closed_session(plateaus, live_bytes, leaked_per_request),
            uss=per_closed_session(plateaus, uss_bytes, leaked_per_request),
        ),
        request=request,
    )


def memory_figures(
    plateaus: Sequence[Plateau],
    external: ExternalApp | None = None,
    *,
    census: Sequence[Census] = (),
    control: Sequence[Plateau] = (),
    no_control: str | None = None,
    leaked_per_request: float = 0.0,
    leaked_by_gradio: float = 0.0,
    kept_per_request: float = 0.0,
) -> MemoryFigures:
    """What was measured, without what is concluded from it; see `harness.analysis.memory.verdict`.

    Args:
        plateaus: of the run.
        external: the app, if it ran already.
        census: what it held at them.
        control: plateaus of a state-free app under the same staircase.
        no_control: why there are none, in a sentence.
        leaked_per_request: bytes that each request is known to leave behind.
        leaked_by_gradio: those of them that Gradio does, in the state-free app as well.
        kept_per_request: bytes that Gradio keeps of each request up to a bound. Where sessions of this app make more requests than those
            of the state-free one, that is still the framework's own.
    """
    found, floor = costs(plateaus, leaked_per_request), costs(control, leaked_by_gradio)
    return MemoryFigures(
        bytes_per_open_session=found.open_session,
        leaked_bytes_per_request=leaked_per_request,
        bytes_per_closed_session=found.closed_session,
        bytes_per_request=found.request,
        floor_per_open_session=_raised(
            floor.open_session, kept_per_request, staircase(plateaus), staircase(control), _open_sessions
        ),
        floor_per_closed_session=_raised(
            floor.closed_session, kept_per_request, rounds(plateaus), rounds(control), _sessions
        ),
        floor_per_request=floor.request,
        no_floor=None if floor.open_session.live is not None else no_control,
        state_bytes_per_session=state_bytes_per_session(plateaus, census),
        measuring=measuring_cost(plateaus, census),
        after_close_live_bytes=_above_start(plateaus, live_bytes),
        after_close_uss_bytes=_above_start(plateaus, uss_bytes),
        not_measured=not_measured(external),
    )


def _open_sessions(plateau: Plateau) -> int | None:
    return plateau.open_sessions


def _sessions(plateau: Plateau) -> int | None:
    return plateau.sessions


def _raised(
    floor: PerSession, kept: float, own: Sequence[Plateau], control: Sequence[Plateau], over: Measure
) -> PerSession:
    """A floor as it would be if sessions of the state-free app made as many requests as those of the app do."""
    many, few = _requests_each(own, over), _requests_each(control, over)
    if not kept or many is None or few is None:
        return floor
    more = kept * (many - few)
    return PerSession(live=_shifted(floor.live, more), uss=_shifted(floor.uss, more))


def _requests_each(plateaus: Sequence[Plateau], over: Measure) -> float | None:
    if not plateaus:
        return None
    first, last = plateaus[0], plateaus[-1]
    sessions = (over(last) or 0) - (over(first) or 0)
    if first.requests is None or last.requests is None or sessions <= 0:
        return None
    return (last.requests - first.requests) / sessions


def _shifted(line: Slope | None, by: float) -> Slope | None:
    if line is None:
        return None
    return msgspec.structs.replace(line, estimate=line.estimate + by, low=line.low + by, high=line.high + by)


def state_bytes_per_session(plateaus: Sequence[Plateau], census: Sequence[Census]) -> float | None:
    """What the values in gr.State of one session occupy, once all are held: counted object by object, what is shared counted once.

    None where they cannot be seen, or where there are more than anybody counted.
    """
    held = [p for p in plateaus if p.label in ("staircase", "requests")]
    by_plateau = {c.plateau: c for c in census}
    last = next(
        (
            c
            for p in reversed(held)
            if (c := by_plateau.get(plateaus.index(p))) is not None and c.state is not None
        ),
        None,
    )
    if last is None or last.state is None or not last.state.complete or not last.state.sessions:
        return None
    return last.state.total_bytes / last.state.sessions


def measuring_cost(plateaus: Sequence[Plateau], census: Sequence[Census]) -> MeasuringCost | None:
    """What it cost the app to be measured; None if nobody counted anything in it."""
    if not census:
        return None
    pauses = [c.pause_ms for c in census]
    sizes = [c.visited + (c.objects or 0) for c in census]
    rates = [pause / size * 1e6 for pause, size in zip(pauses, sizes, strict=True) if size]
    return MeasuringCost(
        censuses=len(census),
        pause_ms=statistics.median(pauses),
        max_pause_ms=max(pauses),
        objects=sizes[-1],
        pause_ms_per_million_objects=statistics.median(rates) if rates else None,
        total_s=sum(p.settle_s for p in plateaus) + sum(pauses) / 1e3,
    )


def _above_start(plateaus: Sequence[Plateau], measure: Callable[[Plateau], int | None]) -> int | None:
    first = next((p for p in plateaus if p.label == "staircase"), None)
    last = next((p for p in plateaus if p.label == "after-close"), None)
    if first is None or last is None:
        return None
    before, after = measure(first), measure(last)
    return None if before is None or after is None else after - before
