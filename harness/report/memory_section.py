"""Memory on the page: figures, breakdown, growth, allocation sites and advice, ready to be shown. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from harness import units
from harness.analysis import Analysis
from harness.analysis.memory.advice import Advice
from harness.analysis.memory.breakdown import BreakdownMoment
from harness.analysis.memory.gradio_containers import TEMPORARY_FILES
from harness.analysis.memory.growth_records import LIVE_HEAP, PER_REQUEST, PER_SESSION, Growth
from harness.analysis.memory.session_cost import MemoryFigures, MemoryVerdict, PerSession
from harness.recorded_run import FollowUp, RecordedRun
from harness.records import Attribution, Retainer
from harness.report import breakdown_table
from harness.report.plateau_table import PlateauTable, plateau_table

# Verdicts for memory that returns, and for leaks.
_WELL: tuple[MemoryVerdict, ...] = ("flat", "bounded", "retained-until-ttl")
_LEAKS: tuple[MemoryVerdict, ...] = ("leak-per-request", "leak-per-session")
_MAX_SITES = 20
_MAX_TYPES = 12
# From the report of a run to its folder, and from a run folder to its report.
_UP = ".."
_REPORT = "derived/report.html"
# With a shorter time to live, the State of a closed page is gone before memory is measured.
_SHORT_S = 60.0
# Growth verdicts that the page shows in other words.
_GROWTH_WORDS = {"framework-floor": "Gradio’s own"}
# A step of a retainer path and its type. Keys in the step may contain a colon.
_STEP = re.compile(r"(.*): ([^\]'\"]+)", re.DOTALL)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page shows about memory, except the plots.

    Attributes:
        finding: the memory verdict; None if there is none.
        costs: the table of bytes per session and request.
        floored: whether the baseline app has any of these figures.
        absent: which figures are missing and why, one sentence each.
        kept: how long Gradio keeps the State of closed sessions, in a sentence.
        entries: rows of the breakdown; empty without a breakdown.
        moments: columns of the breakdown: moment → heading.
        totals: moment → sum of its column, bytes.
        grown: containers that grew, as far as they concern the app.
        types: types with more objects at the end that are not in `grown`.
        attribution: result of the memray pass; None without one.
        advice: what would help.
        tried: what-if runs that no advice links to: `(setting, link)`.
    """

    finding: MemoryFinding | None
    costs: list[Cost]
    floored: bool
    absent: list[str]
    kept: str
    entries: list[breakdown_table.BreakdownRow]
    moments: dict[BreakdownMoment, str]
    totals: dict[BreakdownMoment, int]
    grown: list[Grown]
    types: list[GrownType]
    attribution: Allocated | None
    advice: list[Advised]
    tried: list[tuple[str, str]]
    plateaus: PlateauTable


class MemoryFinding(msgspec.Struct, frozen=True, kw_only=True):
    """The memory verdict: its word, its CSS class, its reason, and the next step."""

    word: str
    style: str
    reason: str
    next_step: str | None


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with the ends of its interval, bytes."""

    estimate: float
    low: float
    high: float


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of one more session or request.

    Attributes:
        name: of the figure.
        figure: None if only a total is known, as for the size of State.
        size: bytes.
        floor: the same figure of the baseline app.
        above: figure minus floor; its interval is as wide as both intervals together.
        note: what the figure means.
    """

    name: str
    figure: Range | None
    size: float
    floor: Range | None = None
    above: Range | None = None
    note: str


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """A container that grew: `verdict` is the CSS class.

    Attributes:
        pins: growth of its pinned bytes; empty if unknown.
        chain: its retainer path, from a root on: `(step, type)`.
    """

    path: str
    kind: str
    word: str
    verdict: str
    per_request: str
    per_session: str
    pinned_bytes: int
    pins: str
    reason: str
    chain: list[tuple[str, str]]
    allocated_at: list[str]


class GrownType(msgspec.Struct, frozen=True, kw_only=True):
    """A type with more objects at the end. `chain` holds most of them; `others` counts the other retainer paths."""

    name: str
    before: int
    now: int
    pinned_bytes: int | None
    exact: bool
    chain: list[tuple[str, str]]
    held: int
    others: str


class Allocated(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a memray pass. `flame_graph` is a link relative to the page."""

    pass_: Attribution
    shown: Attribution
    left_out: int
    flame_graph: str | None


class Advised(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of advice. `gained` is its measured gain; `link` leads to the run that measured it."""

    advice: Advice
    gained: str
    clear: bool
    link: str | None


def section(data: RecordedRun, analysis: Analysis) -> Section:
    """The section on memory, ready to be shown.

    Args:
        data: the records of the run.
        analysis: its figures. Missing figures are left out or explained.
    """
    memory = analysis.memory
    # Only the probe measures live bytes, and an app that gradsoak did not start has no probe.
    costs = _costs(memory, probed=data.manifest.external is None)
    advice = [_advised(advice) for advice in analysis.advice]
    linked = {advised.link for advised in advice}
    tried = [(setting, _report_of(beside)) for setting, beside in sorted(data.what_if.items())]
    return Section(
        finding=finding(memory),
        costs=costs,
        floored=any(cost.floor is not None for cost in costs),
        absent=_absent(data, analysis),
        kept=_kept(data),
        entries=breakdown_table.rows(memory.ledger),
        moments={
            moment: breakdown_table.MOMENTS[moment] for moment in breakdown_table.moments(memory.ledger)
        },
        totals=breakdown_table.totals(memory.ledger),
        grown=[_grown(growth) for growth in news(analysis)],
        types=_types(data.retainers, analysis.growth),
        attribution=_allocated(analysis.attribution),
        advice=advice,
        tried=[(setting, link) for setting, link in tried if link not in linked],
        plateaus=plateau_table(data.plateaus),
    )


# --- the verdict and the figures ---


def finding(memory: MemoryFigures) -> MemoryFinding | None:
    """The memory verdict, ready to be shown; None if there is none."""
    if not memory.reason:
        return None
    style = "pass" if memory.verdict in _WELL else "fail" if memory.verdict in _LEAKS else "inconclusive"
    return MemoryFinding(
        word=memory.verdict.replace("-", " ").replace("ttl", "TTL"),
        style=style,
        reason=memory.reason,
        next_step=memory.next_step,
    )


_OPEN = "Bytes that one more open session adds to the app’s objects, with its state. Use this figure to compare versions of the app."
_USS = "Memory that the machine needs for one more open session, including free memory that the app’s process keeps."
_CLOSED = "Memory that remains after a session has opened and closed."
_REQUEST = "Memory that one more request adds while its session is open."
_STATE = "Size of the gr.State values of one session, counted object by object, with all objects that they refer to."


def _costs(memory: MemoryFigures, *, probed: bool) -> list[Cost]:
    found = []
    for unit, figures, floors, live, uss in (
        ("open session", memory.bytes_per_open_session, memory.floor_per_open_session, _OPEN, _USS),
        (
            "closed session",
            memory.bytes_per_closed_session,
            memory.floor_per_closed_session,
            _CLOSED,
            _CLOSED,
        ),
        ("request", memory.bytes_per_request, memory.floor_per_request, _REQUEST, _REQUEST),
    ):
        for measure, line, floor, note in (
            ("Live heap", figures.live, floors.live, live),
            ("USS", figures.uss, floors.uss, uss),
        ):
            if line is None or (measure != "USS" and not probed):
                continue
            ground = None if floor is None else _range(floor)
            found.append(
                Cost(
                    name=f"{measure} per {unit}",
                    figure=_range(line),
                    size=line.estimate,
                    floor=ground,
                    above=None if ground is None else _above(_range(line), ground),
                    note=note,
                )
            )
    if memory.state_bytes_per_session is not None:
        found.append(
            Cost(name="State of a session", figure=None, size=memory.state_bytes_per_session, note=_STATE)
        )
    return found


def _range(line: units.Estimated) -> Range:
    return Range(estimate=line.estimate, low=line.low, high=line.high)


def _above(figure: Range, floor: Range) -> Range:
    return Range(
        estimate=figure.estimate - floor.estimate, low=figure.low - floor.high, high=figure.high - floor.low
    )


def _absent(data: RecordedRun, analysis: Analysis) -> list[str]:
    memory, external = analysis.memory, data.manifest.external
    found = []
    if memory.bytes_per_open_session == PerSession(live=None, uss=None):
        never = "" if data.plateaus else ", and the run reached none"
        found.append(
            f"The cost per open session was not measured: this needs at least five plateaus of the staircase{never}."
        )
    if external is not None or not data.plateaus:
        return found
    for check, figures, of, takes in (
        (
            PER_SESSION,
            memory.bytes_per_closed_session,
            "closed session",
            "this needs at least five plateaus, with sessions that open and close between them",
        ),
        (
            PER_REQUEST,
            memory.bytes_per_request,
            "request",
            "this needs at least five plateaus, with requests in open sessions between them",
        ),
    ):
        if figures == PerSession(live=None, uss=None):
            why = analysis.growth_basis.not_judged.get(check, "").removeprefix("Does not apply: ").rstrip(".")
            found.append(f"The cost per {of} was not measured: {why[:1].lower() + why[1:] or takes}.")
    if memory.no_floor:
        found.append(f"Gradio’s own share is unknown: {memory.no_floor[:1].lower()}{memory.no_floor[1:]}")
    return found


def kept_for_s(data: RecordedRun) -> float | None:
    """How long the app keeps the State of a closed session, seconds; None if the probe could not read it."""
    detail = next((event.detail for event in data.events if event.kind == "limits"), {})
    seconds = detail.get("state_ttl_when_closed_s")
    return float(seconds) if isinstance(seconds, (int, float)) else None


def _kept(data: RecordedRun) -> str:
    seconds = kept_for_s(data)
    if seconds is not None and seconds <= _SHORT_S:
        return f"In this run, Gradio kept the State of a closed session for {units.duration(seconds)}, so the figure does not include State."
    return (
        "Gradio keeps the State of a closed session for one hour unless the app sets another time, so the figure includes most of "
        "the State."
    )


# --- what grew ---


def news(analysis: Analysis) -> list[Growth]:
    """The growth that concerns the app.

    Gradio's own records of its sessions grow in the same way in every app, so they are listed only if they leak or are
    inconclusive. Temporary files are always listed, because the app decides about them.
    """
    return [
        growth
        for growth in analysis.growth
        if growth.within is None
        and (
            growth.owner == "app"
            or growth.verdict in (*_LEAKS, "inconclusive")
            or growth.path.startswith(TEMPORARY_FILES)
        )
    ]


def _grown(growth: Growth) -> Grown:
    colour = "fail" if growth.verdict in _LEAKS else "unknown" if growth.verdict == "inconclusive" else "pass"
    pins = [
        f"{units.byte_size(value)} per {of}"
        for value, entries, of in (
            (growth.bytes_per_request, growth.per_request, "request"),
            (growth.bytes_per_session, growth.per_session, "session"),
        )
        # A session makes requests too. Without entries per session, the bytes belong to its requests.
        if value is not None and value > 0 and entries and growth.path != LIVE_HEAP
    ]
    return Grown(
        path=growth.path,
        kind=growth.kind,
        word=_GROWTH_WORDS.get(growth.verdict) or growth.verdict.replace("-", " "),
        verdict=colour,
        per_request=_rate(growth.per_request),
        per_session=_rate(growth.per_session),
        pinned_bytes=growth.pinned_bytes,
        pins=", ".join(pins),
        reason=growth.reason,
        chain=chain(growth.retainer_path),
        allocated_at=growth.allocated_at,
    )


def _rate(entries: float | None) -> str:
    return units.MISSING if entries is None else f"{entries:+,.2f}".replace("-", "−") if entries else "0"


def chain(path: Sequence[str]) -> list[tuple[str, str]]:
    """Steps of a retainer path, each with its type: `.tasks: dict` is `(".tasks", "dict")`. A missing type is empty."""
    found = [(step, _STEP.fullmatch(step)) for step in path]
    return [(step, "") if parts is None else (parts[1], parts[2]) for step, parts in found]


def in_one_line(path: Sequence[str]) -> str:
    """A retainer path for a terminal: `gradio.Queue: gradio.queueing.Queue → .event_ids_to_events: dict → [*]: Event`."""
    return " → ".join(path)


def _types(retainers: Sequence[Retainer], growth: Sequence[Growth]) -> list[GrownType]:
    listed = {g.path for g in growth}
    found = [
        GrownType(
            name=r.target,
            before=r.before,
            now=r.now,
            pinned_bytes=r.pinned_bytes,
            exact=r.exact,
            chain=chain(r.holders[0].chain) if r.holders else [],
            held=r.holders[0].count if r.holders else 0,
            others=units.plural(len(r.holders) - 1, "other path") if len(r.holders) > 1 else "",
        )
        for r in retainers
        if r.of == "type" and r.now > r.before and r.target not in listed
    ]
    return sorted(found, key=lambda t: (-(t.pinned_bytes or 0), -(t.now - t.before), t.name))[:_MAX_TYPES]


# --- where it was allocated, and what would help ---


def _allocated(attribution: Attribution | None) -> Allocated | None:
    if attribution is None:
        return None
    graph = attribution.flame_graph
    return Allocated(
        pass_=attribution,
        shown=msgspec.structs.replace(attribution, sites=attribution.sites[:_MAX_SITES]),
        left_out=max(0, len(attribution.sites) - _MAX_SITES),
        flame_graph=None if graph is None else _link(graph),
    )


def _advised(advice: Advice) -> Advised:
    gain = advice.gain
    if gain is None:
        return Advised(advice=advice, gained="", clear=False, link=None)
    change = gain.after_bytes - gain.before_bytes
    part = f" ({change / gain.before_bytes:+.0%})".replace("-", "−") if gain.before_bytes > 0 else ""
    return Advised(
        advice=advice,
        gained=f"{gain.figure} {units.byte_size(gain.before_bytes)} → {units.byte_size(gain.after_bytes)}{part}",
        clear=gain.clear,
        link=_link(posixpath.join(gain.folder, _REPORT)),
    )


def _report_of(beside: FollowUp) -> str:
    return _link(posixpath.join(beside.folder, _REPORT))


def _link(path: str) -> str:
    """Link from the page of a run to a file in its run folder."""
    return quote(posixpath.join(_UP, path), safe="/=+,@~")
