"""Everything that can be said of an app's memory, made up: for the tests of what a person sees of it."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.analysis import Analysis, analyse
from harness.analysis.memory.advice import Advice
from harness.analysis.memory.breakdown import BreakdownEntry, BreakdownItem, BreakdownMoment
from harness.analysis.memory.growth_records import Growth, GrowthBasis
from harness.analysis.memory.session_cost import MeasuringCost, MemoryFigures, PerSession
from harness.analysis.memory.what_if_gain import Gain
from harness.recorded_run import FollowUp, RecordedRun
from harness.records import Attribution, CgroupSample, Holder, Plateau, Retainer, Site
from harness.report import waterfall
from harness.report.plot_declaration import PlotSource
from harness.report.plot_style import Plot
from harness.report.plots import drawn
from tests.unit.report.builders import empty_run, line, manifest, plateau

MB = 1_000_000
HELD: dict[BreakdownItem, int] = {
    "interpreter": 141_231_104,
    "framework": 2_840_000,
    "state": 4_104_192,
    "retained-after-close": 0,
    "leaked-per-request": 830_000,
    "allocator-retention": 12_517_376,
    "fragmentation": 6_213_632,
    "unexplained": -1_302_528,
}
CLOSED: dict[BreakdownItem, int] = {
    "interpreter": 141_231_104,
    "framework": 0,
    "state": 0,
    "retained-after-close": 3_120_000,
    "leaked-per-request": 6_060_000,
    "allocator-retention": 18_722_816,
    "fragmentation": 7_221_248,
    "unexplained": 4_096,
}
_EACH: dict[tuple[BreakdownMoment, BreakdownItem], tuple[float, int, Any]] = {
    ("held", "framework"): (71_000.0, 40, "session"),
    ("held", "state"): (102_604.8, 40, "session"),
    ("held", "leaked-per-request"): (8_300.0, 100, "request"),
    ("closed", "retained-after-close"): (24_375.0, 128, "session"),
    ("closed", "leaked-per-request"): (8_300.0, 730, "request"),
}
_BASIS: dict[BreakdownItem, str] = {
    "interpreter": "RSS at plateau 0, before the first session.",
    "framework": "Cost of a session of the baseline app, times the open sessions.",
    "state": "The values in gr.State, counted object by object.",
    "retained-after-close": "Live heap per session that came and went, times those sessions.",
    "leaked-per-request": "Live heap per request, times all requests so far.",
    "allocator-retention": "What malloc_trim gave back.",
    "fragmentation": "Free bytes that both allocators hold, and that malloc_trim could not give back.",
    "unexplained": "RSS less everything above.",
}
CHAIN = [
    "gradio.Queue: gradio.queueing.Queue",
    ".event_ids_to_events: dict",
    "[*]: gradio.queueing.Event",
    ".request: fastapi.requests.Request",
    ".scope: dict",
    "['app']: gradio.routes.App",
]


def breakdown(
    held: dict[BreakdownItem, int] | None = None, closed: dict[BreakdownItem, int] | None = None
) -> list[BreakdownEntry]:
    entries = []
    of: dict[BreakdownMoment, dict[BreakdownItem, int]] = {
        "held": HELD if held is None else held,
        "closed": CLOSED if closed is None else closed,
    }
    for moment, items in of.items():
        for item, size in items.items():
            each, count, unit = _EACH.get((moment, item), (None, None, None))
            entries.append(
                BreakdownEntry(
                    moment=moment,
                    item=item,
                    bytes=size,
                    each_bytes=each,
                    count=count,
                    unit=unit,
                    basis=_BASIS[item],
                )
            )
    return entries


def waterfall_of(entries: list[BreakdownEntry]) -> Plot | None:
    data = empty_run()
    analysis = msgspec.structs.replace(analyse(data), memory=figures(ledger=entries))
    plots = drawn(waterfall.PLOTS, PlotSource(data=data, analysis=analysis))
    return plots[0] if plots else None


def growth(path: str = "gradio.Queue.event_ids_to_events", **changes: Any) -> Growth:
    made = Growth(
        path=path,
        kind="dict",
        owner="gradio" if path.startswith("gradio.") else "app",
        verdict="leak-per-request",
        per_request=1.0,
        per_session=0.0,
        exact=True,
        length=730,
        cap=None,
        pinned_bytes=6_059_000,
        bytes_per_request=8_300.4,
        reason="It grew by exactly 1.00 entries per request, kept growing under load, and did not shrink after all sessions had closed.",
        retainer_path=CHAIN,
        allocated_at=["queueing.py:310 in push", "routes.py:1188 in queue_join_helper"],
    )
    return msgspec.structs.replace(made, **changes)


def figures(**changes: Any) -> MemoryFigures:
    made = MemoryFigures(
        verdict="leak-per-request",
        reason="gradio.Queue.event_ids_to_events grows by 1.00 entries per request, and nothing is released.",
        bytes_per_open_session=PerSession(
            live=line(183_420.0, 181_100.0, 185_900.0), uss=line(240_100.0, 198_000.0, 291_000.0)
        ),
        bytes_per_closed_session=PerSession(
            live=line(24_375.0, 23_900.0, 25_010.0), uss=line(31_000.0, -4_000.0, 66_000.0)
        ),
        bytes_per_request=PerSession(
            live=line(8_300.0, 8_201.0, 8_412.0), uss=line(9_100.0, 2_100.0, 17_400.0)
        ),
        floor_per_open_session=PerSession(
            live=line(71_000.0, 70_200.0, 71_900.0), uss=line(80_000.0, 61_000.0, 99_000.0)
        ),
        floor_per_closed_session=PerSession(live=line(23_800.0, 23_100.0, 24_400.0), uss=None),
        state_bytes_per_session=102_604.8,
        ledger=breakdown(),
        measuring=MeasuringCost(
            censuses=16,
            pause_ms=48.2,
            max_pause_ms=91.7,
            objects=221_480,
            pause_ms_per_million_objects=217.6,
            total_s=14.31,
        ),
        after_close_live_bytes=9_180_000,
        after_close_uss_bytes=33_000_000,
    )
    return msgspec.structs.replace(made, **changes)


ATTRIBUTION = Attribution(
    sites=[
        Site(
            where="queueing.py:310 in push",
            stack=[
                "queueing.py:310 in push",
                "routes.py:1188 in queue_join_helper",
                "applications.py:113 in __call__",
            ],
            bytes=620_144,
            allocations=1_290,
            held_by=["gradio.Queue.event_ids_to_events", "app.HISTORY[*]['messages'][*]"],
        ),
        Site(
            where="app.py:27 in answer",
            stack=["app.py:27 in answer"],
            bytes=40_100,
            allocations=3,
            held_by=[],
        ),
    ],
    total_bytes=771_301,
    sessions=8,
    requests=120,
    flame_graph="attribution/derived/flame graph.html",
)

ADVICE = [
    Advice(
        setting="time_to_live=60",
        text="Give each gr.State a time_to_live of a minute, so that State of closed sessions does not wait for an hour.",
        evidence="102 KB of State per session was still there 30 s after its page had closed.",
        gain=Gain(
            figure="live heap per closed session",
            before_bytes=126_900.0,
            after_bytes=24_300.0,
            clear=True,
            folder="what-if/time_to_live=60",
        ),
    ),
    Advice(
        setting="MALLOC_ARENA_MAX=2",
        text="Set MALLOC_ARENA_MAX=2, so that threads share arenas.",
        evidence="12.5 MB were free in the allocators of 41 threads.",
        gain=Gain(
            figure="RSS with all sessions closed",
            before_bytes=176_400_000.0,
            after_bytes=171_000_000.0,
            clear=False,
            folder="what-if/MALLOC_ARENA_MAX=2",
        ),
    ),
    Advice(
        setting=None,
        text="Keep large values outside of the app, and only their names in State.",
        evidence="The largest State of a session occupies 10.2 MB.",
        command="gradsoak run counters --profile staircase --what-if state_session_capacity=100",
    ),
]

RETAINERS = [
    Retainer(
        target="gradio.queueing.Event",
        of="type",
        before=0,
        now=730,
        holders=[Holder(chain=CHAIN[:3], count=730), Holder(chain=["app: module", ".LAST: Event"], count=1)],
        pinned_bytes=5_900_000,
    ),
    Retainer(
        target="gradio.Queue.event_ids_to_events",
        of="container",
        before=0,
        now=730,
        holders=[Holder(chain=CHAIN, count=730)],
        pinned_bytes=6_059_000,
    ),
    Retainer(
        target="builtins.cell", of="type", before=10, now=12, holders=[], pinned_bytes=None, exact=False
    ),
]


def plateaus() -> list[Plateau]:
    """As a quick run puts them down: five steps, five batches, after close, four rounds."""
    moments = [("staircase", 8 * n, 8 * n, 8 * n) for n in range(6)]
    moments += [("requests", 40, 40, 40 + 20 * n) for n in range(1, 6)]
    moments += [("after-close", 0, 96, 666)]
    moments += [("second-round", 0, 96 + 8 * n, 666 + 16 * n) for n in range(1, 5)]
    made = []
    for number, (label, held, sessions, requests) in enumerate(moments):
        live = 130 * MB + held * 183_420 + (sessions - held) * 24_375 + requests * 8_300
        taken = plateau(held, 9.0 + number, live, live + 27 * MB, label=label)
        made.append(
            msgspec.structs.replace(
                taken,
                process=msgspec.structs.replace(taken.process, pss_bytes=live + 29 * MB),
                requests=requests,
                sessions=sessions,
                returned_bytes=number * 400_000,
                cgroup=CgroupSample(path="/app", version=2, current_bytes=live + 60 * MB),
            )
        )
    return made


def follow_up(folder: str) -> FollowUp:
    return FollowUp(folder=folder, manifest=manifest(), seal=None, events=[], plateaus=[])


def rich(full: RecordedRun) -> tuple[RecordedRun, Analysis]:
    """A run in which everything of memory was measured, and its figures."""
    tried = ["MALLOC_ARENA_MAX=2", "state_session_capacity=100", "time_to_live=60"]
    data = msgspec.structs.replace(
        full,
        plateaus=plateaus(),
        retainers=RETAINERS,
        what_if={setting: follow_up(f"what-if/{setting}") for setting in tried},
    )
    grown = [
        growth(),
        growth(
            "app.SESSIONS[*]['a rather long key of a dict in a dict'].history[*]",
            kind="list",
            verdict="leak-per-session",
            per_request=None,
            per_session=2.0,
            pinned_bytes=812_000,
            bytes_per_request=None,
            bytes_per_session=6_300.0,
            allocated_at=[],
        ),
        growth(
            "app.remember",
            kind="lru_cache",
            verdict="bounded",
            cap=128,
            bytes_per_request=None,
            reason="It can hold at most 128 entries.",
            retainer_path=[],
            allocated_at=[],
        ),
    ]
    analysis = msgspec.structs.replace(
        analyse(data),
        memory=figures(),
        growth=grown,
        growth_basis=GrowthBasis(batches=5, requests=100, rounds=4, sessions=32, paths=412),
        attribution=ATTRIBUTION,
        advice=ADVICE,
    )
    return data, analysis
