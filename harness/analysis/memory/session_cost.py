"""Memory cost of an open session, a closed session and a request, as slopes over plateaus.

The cost of a request is measured over the batches in open sessions. The costs of sessions are measured over the staircase and the
second round, after subtracting what each request leaves behind for good. The same slopes of the baseline run are Gradio's own
share; the rest is the app's. See docs/methods/memory.md.
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
    """A cost in bytes, measured two ways; None if there are too few plateaus, or if the platform does not report it.

    Attributes:
        live: from bytes that objects occupy.
        uss: from the unique set size of the process tree, which includes memory that allocators keep.
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
    """The cost of measuring, for the app. Nothing is counted during timed phases.

    Attributes:
        censuses: number of censuses.
        pause_ms: median pause of the app for one census.
        max_pause_ms: longest pause of the app for one census.
        objects: objects visited or counted in the last census.
        pause_ms_per_million_objects: median pause per million objects visited or counted; None if there were none.
        total_s: all pauses and the settling at plateaus.
    """

    censuses: int
    pause_ms: float
    max_pause_ms: float
    objects: int
    pause_ms_per_million_objects: float | None
    total_s: float


class MemoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Memory figures of the app.

    Attributes:
        not_measured: which figures could not be measured, and why, in a sentence or two; None if all could.
        verdict: `flat`, `bounded` (it grew up to a limit, or stopped), `leak-per-request`, `leak-per-session`,
            `retained-until-ttl`, `allocator-retention` (objects were released, their memory was not), or `inconclusive`.
        reason: the reason for the verdict, in a sentence or two.
        next_step: the command that decides an `inconclusive` verdict; else None.
        bytes_per_open_session: cost of one more open session, with its state.
        leaked_bytes_per_request: what each request leaves behind for good; subtracted from the costs of sessions.
        bytes_per_closed_session: what a session leaves behind that opened and closed.
        bytes_per_request: what one more request leaves behind in an open session.
        floor_per_open_session: Gradio's own share of `bytes_per_open_session`: cost of an open session of the baseline app, which has
            as many components and no state. Adjusted to as many requests per session.
        floor_per_closed_session: the same for a closed session.
        floor_per_request: cost of a request of the baseline app.
        no_floor: why there is no such share, one sentence; None if there is.
        state_bytes_per_session: size of the values in gr.State of one session, counted object by object; None if unknown.
        ledger: the breakdown, where each megabyte went; see `harness.analysis.memory.breakdown`.
        measuring: the cost of measuring; None without a probe.
        after_close_live_bytes: growth of live bytes since plateau 0 after all sessions have closed. By default, Gradio keeps the State
            of a closed session for an hour, so most of it is expected to be there.
        after_close_uss_bytes: growth of the unique set size at the same plateau.
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
    """Return the plateaus behind the cost of an open session: plateau 0 and one after each staircase step."""
    return [p for p in plateaus if p.label == "staircase"]


def batches(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """Return the plateaus behind the cost of a request: the last staircase step and one after each batch."""
    stairs, found = staircase(plateaus), [p for p in plateaus if p.label == "requests"]
    return [stairs[-1], *found] if stairs and found else []


def rounds(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """Return the plateaus behind the cost of a closed session: all sessions closed, then one after each round of new ones."""
    after = next((p for p in plateaus if p.label == "after-close"), None)
    found = [p for p in plateaus if p.label == "second-round"]
    return [after, *found] if after is not None and found else []


def live_bytes(plateau: Plateau) -> int | None:
    """Return the live heap at a plateau; None if unknown."""
    return plateau.probe.live_bytes


def uss_bytes(plateau: Plateau) -> int | None:
    """Return the unique set size at a plateau; None if unknown."""
    return plateau.process.uss_bytes


def loadgen_rss_bytes(plateau: Plateau) -> int | None:
    """Return the resident memory of the load generator at a plateau; None if unknown."""
    return plateau.loadgen_rss_bytes


def per_session(plateaus: Sequence[Plateau], measure: Measure) -> Slope | None:
    """Return the slope of a measure over open sessions, their requests included; None if a plateau lacks it."""
    return _line(staircase(plateaus), measure, lambda p: p.open_sessions)


def per_request(plateaus: Sequence[Plateau], measure: Measure) -> Slope | None:
    """Return the slope of a measure over requests in open sessions; None if a plateau lacks it."""
    return _line(batches(plateaus), measure, lambda p: p.requests)


def per_open_session(plateaus: Sequence[Plateau], measure: Measure, leaked: float) -> Slope | None:
    """Return the slope of a measure over open sessions, without what their requests leave behind for good.

    Args:
        plateaus: plateaus of the run.
        measure: the measure at a plateau.
        leaked: what each request leaves behind for good, in units of the measure.
    """
    return _line(staircase(plateaus), _without(measure, leaked), lambda p: p.open_sessions)


def per_closed_session(plateaus: Sequence[Plateau], measure: Measure, leaked: float) -> Slope | None:
    """Return the slope of a measure over sessions that opened and closed; arguments as for `per_open_session`."""
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
    """A slope; None if a plateau lacks one of the two values, or belongs to another process than the first plateau."""
    if len({p.pid for p in plateaus}) > 1:
        return None
    values = [value for p in plateaus if (value := measure(p)) is not None]
    at = [value for p in plateaus if (value := over(p)) is not None]
    if len(values) != len(plateaus) or len(at) != len(plateaus):
        return None
    return theil_sen(at, values)


def not_measured(external: ExternalApp | None) -> str | None:
    """Return which figures are missing for an app that gradsoak did not start, and why; None for an app that it started."""
    if external is None:
        return None
    if external.pid is None:
        return f"Memory was not measured: gradsoak did not start the app, and {external.not_sampled}."
    return (
        "The live heap was not measured: gradsoak did not start the app, so it has no probe. "
        f"USS, RSS and CPU are those of process {external.pid} ({external.process}) and its children."
    )


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes per open session, per closed session and per request."""

    open_session: PerSession
    closed_session: PerSession
    request: PerSession


def costs(plateaus: Sequence[Plateau], leaked_per_request: float = 0.0) -> Costs:
    """Return the costs measured in a run.

    Args:
        plateaus: plateaus of the run.
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
    baseline: Sequence[Plateau] = (),
    no_control: str | None = None,
    leaked_per_request: float = 0.0,
    leaked_by_gradio: float = 0.0,
    kept_per_request: float = 0.0,
) -> MemoryFigures:
    """Return the memory figures of a run, without breakdown and verdict; see `harness.analysis.memory.summary`.

    Args:
        plateaus: plateaus of the run.
        external: the app, if gradsoak did not start it.
        census: censuses of the run.
        baseline: plateaus of the baseline run, which has the same staircase.
        no_control: why there are none, one sentence.
        leaked_per_request: bytes that each request leaves behind for good.
        leaked_by_gradio: the part of them that Gradio leaks, also in the baseline app.
        kept_per_request: bytes that Gradio keeps of each request up to a limit. If sessions of this app make more requests than those
            of the baseline app, Gradio's share of a session is raised by that much.
    """
    found, floor = costs(plateaus, leaked_per_request), costs(baseline, leaked_by_gradio)
    return MemoryFigures(
        bytes_per_open_session=found.open_session,
        leaked_bytes_per_request=leaked_per_request,
        bytes_per_closed_session=found.closed_session,
        bytes_per_request=found.request,
        floor_per_open_session=_raised(
            floor.open_session, kept_per_request, staircase(plateaus), staircase(baseline), _open_sessions
        ),
        floor_per_closed_session=_raised(
            floor.closed_session, kept_per_request, rounds(plateaus), rounds(baseline), _sessions
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
    floor: PerSession, kept: float, own: Sequence[Plateau], baseline: Sequence[Plateau], over: Measure
) -> PerSession:
    """Gradio's share of a session, adjusted from the baseline app's requests per session to this app's."""
    many, few = _requests_each(own, over), _requests_each(baseline, over)
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
    """Return the size of the values in gr.State of one session, bytes, at the last plateau with open sessions.

    Counted object by object; an object shared between sessions counts once. None if the values are not visible, or if the count was
    incomplete.
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
    """Return the cost of measuring; None without a census."""
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
