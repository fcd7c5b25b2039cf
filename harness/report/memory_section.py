"""What the page says about memory: figures, what grew, where it was allocated and what would help, made ready to be shown. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from harness import units
from harness.analysis import Analysis, RunData
from harness.analysis.data import FollowUp
from harness.analysis.memory.advice import Advice
from harness.analysis.memory.breakdown import BreakdownMoment
from harness.analysis.memory.gradio_containers import TEMPORARY_FILES
from harness.analysis.memory.growth import LIVE_HEAP, PER_REQUEST, PER_SESSION, Growth
from harness.analysis.memory.session_cost import MemoryFigures, MemoryVerdict, PerSession
from harness.records import Attribution, Plateau, Retainer
from harness.report import breakdown_table

# Ways in which memory can end as it should, and as it must not.
_WELL: tuple[MemoryVerdict, ...] = ("flat", "bounded", "retained-until-ttl")
_LEAKS: tuple[MemoryVerdict, ...] = ("leak-per-request", "leak-per-session")
_MAX_SITES = 20
_MAX_TYPES = 12
# From the report of a run to its folder, and from a run folder to its report.
_UP = ".."
_REPORT = "derived/report.html"
# Below this nobody would still find the State of a page that was closed a moment ago.
_SHORT_S = 60.0
# A step of a retainer path, whose keys may contain a colon too, and its type.
_STEP = re.compile(r"(.*): ([^\]'\"]+)", re.DOTALL)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page shows of memory, but for the plots.

    Attributes:
        finding: the verdict; None where nobody judged.
        costs: the table of bytes per session and request.
        floored: whether any of them is known of a state-free app too.
        absent: why figures are missing, one sentence each.
        kept: what becomes of closed sessions' State, in a sentence.
        entries: the rows of the ledger; empty without one.
        moments: its columns: moment → in words.
        totals: moment → their sum.
        grown: what grew, as far as it is news.
        types: kinds of objects that became more, and are no row of `grown`.
        attribution: what a memray pass found; None without one.
        advice: what would help.
        tried: runs that tried a setting and that no advice leads to: `(setting, link)`.
    """

    finding: Finding | None
    costs: list[Cost]
    floored: bool
    absent: list[str]
    kept: str
    entries: list[breakdown_table.Row]
    moments: dict[BreakdownMoment, str]
    totals: dict[BreakdownMoment, int]
    grown: list[Grown]
    types: list[GrownType]
    attribution: Allocated | None
    advice: list[Advised]
    tried: list[tuple[str, str]]
    plateaus: PlateauTable


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict on memory: its word, the class of its colour, and the one sentence."""

    word: str
    style: str
    reason: str
    next_step: str | None


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with the ends of its interval."""

    estimate: float
    low: float
    high: float


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one more session, or request, costs.

    Attributes:
        name: of the figure.
        figure: None where only a total is known, as of State's own size.
        size: bytes.
        floor: the same of the state-free app.
        above: what remains of it; its interval is as wide as those of both together.
        note: what it means.
    """

    name: str
    figure: Range | None
    size: float
    floor: Range | None = None
    above: Range | None = None
    note: str


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """A row of what grew: `verdict` is the class of its colour.

    Attributes:
        pins: how what it pins grows; empty if unknown.
        chain: what holds it, from a root on: `(step, type)`.
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
    """A kind of object that became more, and what holds the most of them; `others` says how many ways there are besides."""

    name: str
    before: int
    now: int
    pinned_bytes: int | None
    exact: bool
    chain: list[tuple[str, str]]
    held: int
    others: str


class Allocated(msgspec.Struct, frozen=True, kw_only=True):
    """A memray pass: `flame_graph` is a link from the page."""

    pass_: Attribution
    shown: Attribution
    left_out: int
    flame_graph: str | None


class Advised(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do: `gained` is what it was measured to gain, `link` leads to the run that did."""

    advice: Advice
    gained: str
    clear: bool
    link: str | None


class PlateauRow(msgspec.Struct, frozen=True, kw_only=True):
    """A plateau: figures stand in the order of the columns of its table."""

    label: str
    counts: list[int | None]
    sizes: list[int | None]
    settle_s: float
    quiet: bool


class PlateauTable(msgspec.Struct, frozen=True, kw_only=True):
    """All plateaus, with the columns that any of them has something in."""

    counts: list[str]
    sizes: list[str]
    rows: list[PlateauRow]
    notes: str


def section(data: RunData, analysis: Analysis) -> Section:
    """Make it ready.

    Args:
        data: what was recorded.
        analysis: its figures; what of them is absent is left out, or said why.
    """
    memory = analysis.memory
    # An app that gradsoak did not start has no probe inside, which alone could tell what is live.
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
        plateaus=_plateaus(data.plateaus),
    )


# --- the verdict and the figures ---


def finding(memory: MemoryFigures) -> Finding | None:
    """The verdict on memory in words; None where nobody judged."""
    if not memory.reason:
        return None
    style = "pass" if memory.verdict in _WELL else "fail" if memory.verdict in _LEAKS else "inconclusive"
    return Finding(
        word=memory.verdict.replace("-", " ").replace("ttl", "TTL"),
        style=style,
        reason=memory.reason,
        next_step=memory.next_step,
    )


_OPEN = (
    "Bytes in use by the app’s objects: what one more open page, with its state, adds to them. This is the figure to compare "
    "between versions."
)
_USS = "What the machine must find for it: memory that only the app’s processes use, with what its allocators keep for later."
_CLOSED = "What a session that came and went leaves behind."
_REQUEST = "What one more request leaves behind in a session that stays open."
_SAME = "The same, as the machine sees it."
_STATE = "What the values in its gr.State occupy, counted object by object, with everything that they hold."


def _costs(memory: MemoryFigures, *, probed: bool) -> list[Cost]:
    found = []
    for unit, figures, floors, live, uss in (
        ("open session", memory.bytes_per_open_session, memory.floor_per_open_session, _OPEN, _USS),
        ("closed session", memory.bytes_per_closed_session, memory.floor_per_closed_session, _CLOSED, _SAME),
        ("request", memory.bytes_per_request, memory.floor_per_request, _REQUEST, _SAME),
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


def _absent(data: RunData, analysis: Analysis) -> list[str]:
    memory, external = analysis.memory, data.manifest.external
    found = []
    if memory.bytes_per_open_session == PerSession(live=None, uss=None):
        never = "" if data.plateaus else ", and the run never came to one"
        found.append(f"No cost per session: that takes at least five plateaus of the staircase{never}.")
    if external is not None or not data.plateaus:
        return found
    for check, figures, of, takes in (
        (
            PER_SESSION,
            memory.bytes_per_closed_session,
            "closed session",
            "it takes at least five plateaus with sessions that came and went between them",
        ),
        (
            PER_REQUEST,
            memory.bytes_per_request,
            "request",
            "it takes at least five plateaus with requests in open sessions between them",
        ),
    ):
        if figures == PerSession(live=None, uss=None):
            why = analysis.growth_basis.not_judged.get(check, "").removeprefix("Does not apply: ").rstrip(".")
            found.append(f"No cost per {of}: {why[:1].lower() + why[1:] or takes}.")
    if memory.no_floor:
        found.append(f"No floor of the framework: {memory.no_floor[:1].lower()}{memory.no_floor[1:]}")
    return found


def kept_for_s(data: RunData) -> float | None:
    """Seconds for which the app said that it keeps the State of a closed session; None if nobody could read it."""
    detail = next((event.detail for event in data.events if event.kind == "limits"), {})
    seconds = detail.get("state_ttl_when_closed_s")
    return float(seconds) if isinstance(seconds, (int, float)) else None


def _kept(data: RunData) -> str:
    seconds = kept_for_s(data)
    if seconds is not None and seconds <= _SHORT_S:
        return f"Gradio kept the State of a closed session for {units.duration(seconds)} here, so it is not what is still there."
    return (
        "Gradio keeps the state of a closed session for an hour unless the app says otherwise, so most of it is expected to be "
        "there still."
    )


# --- what grew ---


def news(analysis: Analysis) -> list[Growth]:
    """Gradio's own account of its sessions is the same in every app; of its files, whoever wrote the app decides."""
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
        # A session makes requests too: without entries of its own, nothing of that is its.
        if value is not None and value > 0 and entries and growth.path != LIVE_HEAP
    ]
    return Grown(
        path=growth.path,
        kind=growth.kind,
        word=growth.verdict.replace("-", " "),
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
    """Steps of a retainer path, each with its type: `.tasks: dict` is `(".tasks", "dict")`; without a type that is empty."""
    found = [(step, _STEP.fullmatch(step)) for step in path]
    return [(step, "") if parts is None else (parts[1], parts[2]) for step, parts in found]


def in_one_line(path: Sequence[str]) -> str:
    """A retainer path for a terminal: `gradio.Queue: gradio.queueing.Queue → .event_ids_to_events: dict → [*]: Event`."""
    return " → ".join(path)


def _types(retainers: Sequence[Retainer], growth: Sequence[Growth]) -> list[GrownType]:
    told = {g.path for g in growth}
    found = [
        GrownType(
            name=r.target,
            before=r.before,
            now=r.now,
            pinned_bytes=r.pinned_bytes,
            exact=r.exact,
            chain=chain(r.holders[0].chain) if r.holders else [],
            held=r.holders[0].count if r.holders else 0,
            others=units.plural(len(r.holders) - 1, "other way") if len(r.holders) > 1 else "",
        )
        for r in retainers
        if r.of == "type" and r.now > r.before and r.target not in told
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
    """From the page of a run to a file in its folder."""
    return quote(posixpath.join(_UP, path), safe="/=+,@~")


# --- plateaus ---

# What the columns mean that do not say it themselves.
_COLUMNS = {
    "open": "Open: sessions that were held.",
    "sessions": "Sessions, requests: begun so far in the whole run.",
    "PSS": "PSS: what is shared between processes, divided among them.",
    "cgroup": (
        "cgroup: what the kernel charges to the control group of the app, with its page cache and everybody else in it."
    ),
    "given back": "Given back: resident memory that the allocator returned at that plateau when it was asked to.",
}


def _plateaus(plateaus: Sequence[Plateau]) -> PlateauTable:
    counts: dict[str, list[int | None]] = {
        "open": [p.open_sessions for p in plateaus],
        "sessions": [p.sessions for p in plateaus],
        "requests": [p.requests for p in plateaus],
    }
    sizes: dict[str, list[int | None]] = {
        "live heap": [p.probe.live_bytes for p in plateaus],
        "USS": [p.process.uss_bytes for p in plateaus],
        "PSS": [p.process.pss_bytes for p in plateaus],
        "RSS": [p.process.rss_bytes for p in plateaus],
        "cgroup": [p.cgroup.current_bytes if p.cgroup is not None else None for p in plateaus],
        "given back": [p.returned_bytes for p in plateaus],
    }
    told = {name: column for name, column in counts.items() if any(value is not None for value in column)}
    sized = {name: column for name, column in sizes.items() if any(value is not None for value in column)}
    return PlateauTable(
        counts=list(told),
        sizes=list(sized),
        rows=[
            PlateauRow(
                label=p.label,
                counts=[column[i] for column in told.values()],
                sizes=[column[i] for column in sized.values()],
                settle_s=p.settle_s,
                quiet=p.quiet,
            )
            for i, p in enumerate(plateaus)
        ],
        notes=" ".join(note for name, note in _COLUMNS.items() if name in told or name in sized),
    )
