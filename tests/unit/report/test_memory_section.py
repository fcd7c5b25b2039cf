"""The section on memory: figures with units, holders of what grew, and reasons for missing figures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis import Analysis, analyse
from harness.analysis.memory.session_cost import MemoryFigures, PerSession
from harness.recorded_run import RecordedRun
from harness.records import Attribution, Checks, RunEvent
from harness.report import breakdown_table
from harness.report.memory_section import chain, finding, section
from harness.report.page_templates import breakable
from harness.report.run_page import render_run
from tests.unit.report import memories
from tests.unit.report.builders import line, manifest
from tests.unit.report.test_run_page import EVIL, Page, flat

NOTHING = PerSession(live=None, uss=None)


def shown(data: RecordedRun, analysis: Analysis, checks: Checks, **changes: Any) -> Page:
    return Page(render_run(data, checks, msgspec.structs.replace(analysis, **changes), []))


@pytest.fixture
def rich(full: RecordedRun) -> tuple[RecordedRun, Analysis]:
    return memories.rich(full)


def memory_text(page: Page) -> str:
    return flat(page.text).split(" Memory ", 1)[1].split(" Speed ")[0]


def test_the_verdict_comes_first_and_says_what_to_run_if_it_is_none(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    data, analysis = rich
    text = memory_text(shown(data, analysis, passed))
    assert text.startswith(
        "✗\ufe0e Leak per request gradio.Queue.event_ids_to_events grows by 1.00 entries per request"
    )
    assert "To decide" not in text
    unsure = memories.figures(
        verdict="inconclusive", reason="Two plateaus never came to rest.", next_step="Run `--profile soak`."
    )
    page = shown(data, analysis, passed, memory=unsure)
    assert memory_text(page).startswith(
        "≈ Inconclusive Two plateaus never came to rest. To decide: Run `--profile soak`."
    )
    assert ("div", "class", "finding inconclusive") in page.attributes


@pytest.mark.parametrize(
    ("verdict", "style"),
    [
        ("flat", "pass"),
        ("bounded", "pass"),
        ("retained-until-ttl", "pass"),
        ("allocator-retention", "inconclusive"),
        ("inconclusive", "inconclusive"),
        ("leak-per-request", "fail"),
        ("leak-per-session", "fail"),
    ],
)
def test_only_leaks_are_red(verdict: str, style: str) -> None:
    found = finding(memories.figures(verdict=verdict))
    assert found is not None
    assert found.style == style


def test_without_a_verdict_there_is_no_finding(full: RecordedRun, passed: Checks) -> None:
    figures = MemoryFigures(
        bytes_per_open_session=NOTHING, after_close_live_bytes=None, after_close_uss_bytes=None
    )
    text = memory_text(shown(full, analyse(full), passed, memory=figures))
    assert finding(figures) is None
    assert "Inconclusive" not in text


def test_every_cost_has_its_interval_its_floor_and_what_remains(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    text = memory_text(shown(*rich, passed))
    for row in (
        "Live heap per open session 183 KB181–186 KB 71.0 KB70.2–71.9 KB 112 KB109–116 KB",
        "USS per open session 240 KB198–291 KB 80.0 KB61.0–99.0 KB 160 KB99.0–230 KB",
        "Live heap per closed session 24.4 KB23.9–25.0 KB 23.8 KB23.1–24.4 KB 575 B−500 to 1,910 B",
        "USS per closed session 31.0 KB−4.00 to 66.0 KB – –",
        "Live heap per request 8.30 KB8.20–8.41 KB – –",
        "State of a session 103 KB – –",
    ):
        assert row in text


def test_without_a_baseline_app_there_is_a_reason_in_place_of_its_columns(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    data, analysis = rich
    bare = memories.figures(
        floor_per_open_session=NOTHING,
        floor_per_closed_session=NOTHING,
        no_floor="The profile has no baseline run.",
    )
    text = memory_text(shown(data, analysis, passed, memory=bare))
    assert "Gradio’s own share is unknown: the profile has no baseline run." in text
    assert "above the floor" not in text
    assert "Live heap per request 8.30 KB8.20–8.41 KB Memory that one more request adds" in text


def test_a_cost_that_is_not_known_is_no_row_but_a_sentence(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    data, analysis = rich
    basis = msgspec.structs.replace(
        analysis.growth_basis,
        not_judged={"leak-per-session": "Does not apply: the profile asks for no rounds of sessions."},
    )
    less = memories.figures(bytes_per_closed_session=NOTHING, bytes_per_request=NOTHING)
    text = memory_text(shown(data, analysis, passed, memory=less, growth_basis=basis))
    assert "The cost per closed session was not measured: the profile asks for no rounds of sessions." in text
    assert "The cost per request was not measured: this needs at least five plateaus, with requests" in text
    assert "heap per closed session 24" not in text


def test_how_long_gradio_kept_state_here_is_what_the_app_said(rich: tuple[RecordedRun, Analysis]) -> None:
    data, analysis = rich
    limits = RunEvent(time_ns=0, wall_ns=0, kind="limits", detail={"state_ttl_when_closed_s": 1.0})
    assert "for one hour" in section(data, analysis).kept
    assert (
        "State of a closed session for 1.0 s"
        in section(msgspec.structs.replace(data, events=[limits]), analysis).kept
    )


def test_growth_is_shown_with_its_holder_and_its_allocation_site(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    page = shown(*rich, passed)
    text = memory_text(page)
    assert "gradio.Queue.event_ids_to_events dict leak per request +1.00 0 6.06 MB8.30 KB per request" in text
    assert (
        "Held by gradio.Queue: gradio.queueing.Queue → .event_ids_to_events: dict → [*]: gradio.queueing.Event → .request: "
        "fastapi.requests.Request → .scope: dict → ['app']: gradio.routes.App"
    ) in text
    assert "Allocated at queueing.py:310 in push, routes.py:1188 in queue_join_helper" in text
    # A container without an explanation has neither.
    bounded = text[text.index("app.remember") : text.index("2 types with")]
    assert "Held by" not in bounded
    assert "Allocated at" not in bounded


def test_pinned_bytes_are_shown_for_what_adds_entries(full: RecordedRun) -> None:
    data, analysis = memories.rich(full)
    both = memories.growth(bytes_per_session=589.0)
    for growth, pins in (
        (both, "8.30 KB per request"),
        (msgspec.structs.replace(both, per_session=1.0), "8.30 KB per request, 589 B per session"),
        (msgspec.structs.replace(both, per_request=None), ""),
    ):
        (grown,) = section(data, msgspec.structs.replace(analysis, growth=[growth])).grown
        assert grown.pins == pins


def test_types_with_more_objects_are_listed_unless_their_growth_is(
    rich: tuple[RecordedRun, Analysis],
) -> None:
    data, analysis = rich
    found = section(data, analysis).types
    assert [(t.name, t.before, t.now, t.others) for t in found] == [
        ("gradio.queueing.Event", 0, 730, "1 other path"),
        ("builtins.cell", 10, 12, ""),
    ]
    named = msgspec.structs.replace(
        analysis, growth=[*analysis.growth, memories.growth("gradio.queueing.Event", kind="type")]
    )
    assert [t.name for t in section(data, named).types] == ["builtins.cell"]


def test_where_it_was_allocated_leads_to_the_flame_graph_in_the_run_folder(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    data, analysis = rich
    page = shown(data, analysis, passed)
    text = memory_text(page)
    assert "a window of 120 requests and 8 sessions" in text
    assert "Of this memory, 771 KB was still in use" in text
    assert "queueing.py:310 in push called from" in text
    assert "620 KB 1,290 gradio.Queue.event_ids_to_events, app.HISTORY[*]['messages'][*]" in text
    links = [value for tag, name, value in page.attributes if tag == "a" and name == "href"]
    assert "../attribution/derived/flame%20graph.html" in links
    failed = Attribution(not_measured="memray is not installed in the app’s interpreter.")
    text = memory_text(shown(data, analysis, passed, attribution=failed))
    assert "Where it was allocated memray is not installed in the app’s interpreter." in text
    assert "Flame graph" not in text
    assert "Where it was allocated" not in memory_text(shown(data, analysis, passed, attribution=None))


def test_advice_is_shown_with_its_evidence_and_its_gain_or_the_command_to_measure_it(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    page = shown(*rich, passed)
    text = memory_text(page)
    assert (
        "Measured with time_to_live=60: live heap per closed session 127 KB → 24.3 KB (−81%); a clear difference."
        in text
    )
    assert (
        "Measured, not clear with MALLOC_ARENA_MAX=2: RSS with all sessions closed 176 MB → 171 MB (−3%)"
        in text
    )
    assert "To measure the gain, run gradsoak run counters --profile staircase --what-if" in text
    assert "Also tried: state_session_capacity=100." in text
    links = [value for tag, name, value in page.attributes if tag == "a" and name == "href"]
    for setting in ("time_to_live=60", "MALLOC_ARENA_MAX=2", "state_session_capacity=100"):
        assert links.count(f"../what-if/{setting}/derived/report.html") == 1


def test_the_cost_of_measuring_is_shown(rich: tuple[RecordedRun, Analysis], passed: Checks) -> None:
    text = memory_text(shown(*rich, passed))
    for part in (
        "16 censuses",
        "48.2 ms each (median; at most 91.7 ms)",
        "218 ms per million objects",
        "14.3 s",
    ):
        assert part in text
    assert "None of this time was in the timed window" in text


def test_plateaus_have_only_columns_with_something_in_them(
    rich: tuple[RecordedRun, Analysis], full: RecordedRun
) -> None:
    table = section(*rich).plateaus
    assert table.counts == ["open", "sessions", "requests"]
    assert table.sizes == ["live heap", "USS", "PSS", "RSS", "cgroup", "given back"]
    assert "cgroup:" in table.notes
    bare = section(full, analyse(full)).plateaus
    assert bare.counts == ["open"]
    assert bare.sizes == ["live heap", "USS", "RSS"]
    assert "PSS" not in bare.notes


def test_nothing_is_empty_where_nothing_is_known(empty: RecordedRun, passed: Checks) -> None:
    text = memory_text(shown(empty, analyse(empty), passed))
    for heading in (
        "Where the memory went",
        "Where it was allocated",
        "What would help",
        "What measuring cost",
    ):
        assert heading not in text


def test_names_from_the_app_are_escaped(full: RecordedRun, passed: Checks) -> None:
    data, analysis = memories.rich(full)
    evil = memories.growth(
        EVIL, kind=EVIL, retainer_path=[f"{EVIL}: {EVIL}"], allocated_at=[EVIL], reason=EVIL
    )
    advice = msgspec.structs.replace(memories.ADVICE[2], text=EVIL, evidence=EVIL, command=EVIL, setting=EVIL)
    html = Page(
        render_run(
            data,
            passed,
            msgspec.structs.replace(
                analysis,
                growth=[evil],
                advice=[advice],
                memory=memories.figures(reason=EVIL, verdict="inconclusive", next_step=EVIL, no_floor=EVIL),
            ),
            [],
        )
    )
    assert "script" not in html.tags
    assert html.text.count(EVIL) >= 10


def test_a_path_breaks_where_a_name_ends_and_loses_nothing() -> None:
    assert str(breakable("gradio.Queue.event_ids[*]['a<b']")) == (
        "gradio.<wbr>Queue.<wbr>event_<wbr>ids[*]<wbr>[&#39;a&lt;b&#39;]"
    )
    assert str(breakable(".event_ids")) == ".event_<wbr>ids"
    for path in ("", "x", "._/]", "a..b", "app.py:12 in <lambda>"):
        assert breakable(path).replace("<wbr>", "").unescape() == path


def test_a_step_is_a_name_and_a_type() -> None:
    assert chain(["app: module", ".f", "['a: b']: dict", "['c: d']"]) == [
        ("app", "module"),
        (".f", ""),
        ("['a: b']", "dict"),
        ("['c: d']", ""),
    ]


def test_the_purpose_of_a_run_and_the_environment_of_its_app_are_shown(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    data, analysis = rich
    beside = msgspec.structs.replace(
        data,
        manifest=manifest(
            purpose="what-if", what_if="time_to_live=60", environment={"GRADIO_IS_E2E_TEST": "1"}
        ),
    )
    text = flat(shown(beside, analysis, passed).text)
    assert "with one setting changed. Setting: time_to_live=60." in text
    assert "Environment of the app GRADIO_IS_E2E_TEST=1" in text
    assert "beside another" not in flat(shown(data, analysis, passed).text)


# --- the breakdown ---


def test_the_rows_of_the_breakdown_add_up_to_the_total(
    rich: tuple[RecordedRun, Analysis], passed: Checks
) -> None:
    entries = rich[1].memory.ledger
    rows, totals = breakdown_table.rows(entries), breakdown_table.totals(entries)
    assert totals == {"held": sum(memories.HELD.values()), "closed": sum(memories.CLOSED.values())}
    for moment, total in totals.items():
        assert sum(cell.bytes for row in rows if (cell := row.cells[moment]) is not None) == total
    text = memory_text(shown(*rich, passed))
    assert (
        "State of sessionsThe values in gr.State, counted object by object. +4.10103 KB × 40 sessions 0"
        in text
    )
    assert "unexplainedRSS less everything above. −1.30 0.00" in text
    assert "RSSSum of all items: resident memory of the app’s processes. 166.43 176.36" in text


def test_an_item_that_is_known_differently_at_each_moment_says_both() -> None:
    first, second = memories.breakdown({"state": 5}, {"state": 7})
    second = msgspec.structs.replace(second, basis="It was counted again.")
    (row,) = breakdown_table.rows([first, second])
    assert row.basis == [
        ("all sessions open", "The values in gr.State, counted object by object."),
        ("all sessions closed", "It was counted again."),
    ]


def test_a_moment_without_an_item_is_no_zero() -> None:
    rows = breakdown_table.rows(memories.breakdown({"interpreter": 5}, {"interpreter": 5, "unexplained": 1}))
    assert [row.name for row in rows] == ["interpreter, imports", "unexplained"]
    assert rows[1].cells["held"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (4_096, "0.00"),
        (-1_302_528, "−1.30"),
        (3_120_000, "+3.12"),
        (1_240_100_000, "+1,240.10"),
    ],
)
def test_megabytes_have_two_decimals_so_that_they_can_be_added(value: int, text: str) -> None:
    assert breakdown_table.megabytes(value, signed=True) == text


def test_an_interval_above_the_floor_is_as_wide_as_both_together(full: RecordedRun) -> None:
    data, analysis = memories.rich(full)
    figures = memories.figures(
        bytes_per_open_session=PerSession(live=line(100, 90, 120), uss=None),
        floor_per_open_session=PerSession(live=line(30, 25, 32), uss=None),
    )
    cost = section(data, msgspec.structs.replace(analysis, memory=figures)).costs[0]
    assert cost.above is not None
    assert (cost.above.low, cost.above.estimate, cost.above.high) == (58, 70, 95)
