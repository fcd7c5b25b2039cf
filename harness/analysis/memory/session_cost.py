"""Memory cost of an open session, a closed session and a request, as slopes over plateaus.

The cost of an open session is the slope over the staircase: plateaus between which sessions open. The cost of a request is the slope
over batches of requests in the open sessions. The cost of a closed session is the slope over rounds of sessions that open and close.

A leak per request would raise the costs of sessions, because sessions make requests. So the leaked bytes are subtracted first.

The baseline run has the same plateaus with a stateless app. Its slopes are Gradio's own share. See docs/methods/memory.md.
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
    """A cost in bytes, in two measures. Each is None if there are too few plateaus or if the system does not report the measure.

    Attributes:
        live: slope of the live heap: the bytes that objects occupy.
        uss: slope of the unique set size of the process tree. It includes free memory that allocators keep.
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
    """What measuring costs the app. All of it happens outside of the timed load.

    Attributes:
        censuses: number of censuses.
        pause_ms: median pause of the app for one census.
        max_pause_ms: longest pause of the app for one census.
        objects: objects visited or counted in the last census.
        pause_ms_per_million_objects: median pause per million objects visited or counted; None without objects.
        total_s: sum of all pauses and of the time in which memory settled at plateaus.
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
        not_measured: which figures are missing and why, in a sentence or two; None if none is missing.
        verdict: `flat`, `bounded` (memory grew up to a limit, or stopped growing), `leak-per-request`, `leak-per-session`,
            `retained-until-ttl`, `allocator-retention` (the objects were freed, but the process kept their memory), or `inconclusive`.
        reason: the reason for the verdict, in a sentence or two.
        next_step: the command to run next if the verdict is `inconclusive`; otherwise None.
        bytes_per_open_session: cost of an open session, with its state.
        leaked_bytes_per_request: bytes that each request leaks. They are not included in the costs of sessions.
        bytes_per_closed_session: bytes that remain after a session has opened and closed.
        bytes_per_request: bytes that a request adds while its session is open.
        floor_per_open_session: Gradio's own share of `bytes_per_open_session`, from the baseline run. If the sessions of the baseline
            run make fewer requests, the share is adjusted.
        floor_per_closed_session: Gradio's own share of `bytes_per_closed_session`, likewise.
        floor_per_request: Gradio's own share of `bytes_per_request`.
        no_floor: why Gradio's own share is unknown, one sentence; None if it is known.
        state_bytes_per_session: size of the gr.State values of one session, counted object by object; None if unknown.
        ledger: the breakdown of resident memory into entries; see `harness.analysis.memory.breakdown`.
        measuring: what measuring costs the app; None without a probe.
        after_close_live_bytes: live heap after all sessions have closed, minus live heap at plateau 0. By default, Gradio keeps the
            State of a closed session for an hour, and this figure includes it.
        after_close_uss_bytes: the same difference of the unique set size.
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
    """Return the plateaus for the cost of an open session: plateau 0, and one after each step of the staircase."""
    return [p for p in plateaus if p.label == "staircase"]


def batches(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """Return the plateaus for the cost of a request: the last one of the staircase, and one after each batch of requests."""
    stairs, found = staircase(plateaus), [p for p in plateaus if p.label == "requests"]
    return [stairs[-1], *found] if stairs and found else []


def rounds(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """Return the plateaus for the cost of a closed session: one after all sessions have closed, and one after each round."""
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
    """Return bytes per open session, with the bytes that its requests leak; None if a plateau has no value."""
    return _line(staircase(plateaus), measure, lambda p: p.open_sessions)


def per_request(plateaus: Sequence[Plateau], measure: Measure) -> Slope | None:
    """Return bytes per request in open sessions; None if a plateau has no value."""
    return _line(batches(plateaus), measure, lambda p: p.requests)


def per_open_session(plateaus: Sequence[Plateau], measure: Measure, leaked: float) -> Slope | None:
    """Return bytes per open session, without the bytes that its requests leak; None if a plateau has no value.

    Args:
        plateaus: plateaus of the run.
        measure: returns the memory at a plateau, bytes.
        leaked: bytes that each request leaks.
    """
    return _line(staircase(plateaus), _without(measure, leaked), lambda p: p.open_sessions)


def per_closed_session(plateaus: Sequence[Plateau], measure: Measure, leaked: float) -> Slope | None:
    """Return bytes per session that opened and closed. The arguments are those of `per_open_session`."""
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
    """Return the slope of `measure` against `over`; None if a plateau has no value, or if the app was restarted between plateaus."""
    if len({p.pid for p in plateaus}) > 1:
        return None
    values = [value for p in plateaus if (value := measure(p)) is not None]
    at = [value for p in plateaus if (value := over(p)) is not None]
    if len(values) != len(plateaus) or len(at) != len(plateaus):
        return None
    return theil_sen(at, values)


def not_measured(external: ExternalApp | None) -> str | None:
    """Return which figures are missing and why; None if gradsoak started the app, because then no figure is missing."""
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
        leaked_per_request: bytes that each request leaks.
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
        external: the running app, if gradsoak did not start it.
        census: censuses of the run.
        baseline: plateaus of the baseline run; empty without one.
        no_control: why there is no baseline run, one sentence.
        leaked_per_request: bytes that each request leaks.
        leaked_by_gradio: bytes that each request leaks in the baseline run.
        kept_per_request: bytes that Gradio keeps for each request, up to a limit. Used to adjust Gradio's own share if the sessions of
            both runs make different numbers of requests.
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
    """Return Gradio's own share of a session, adjusted to the number of requests per session in this run."""
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
    """Return the mean size of the gr.State values of one session, bytes, at the last plateau with open sessions.

    The probe counts object by object. An object that several sessions share counts once. None if the probe cannot see the values, or
    if its count was incomplete.
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
    """Return what measuring costs the app; None without a census."""
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
