from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from harness.analysis import analyse, check_generator, check_growth
from harness.checkers import check_history, combine
from harness.checkers.anomaly_catalogue import CATALOGUE
from harness.history import InMemoryHistory
from harness.recorded_run import RecordedRun
from harness.records import (
    SCHEMA_VERSION,
    Check,
    Checks,
    ExternalApp,
    Guarantee,
    RunEvent,
    Seal,
    ShardSeal,
    StateVariable,
)
from harness.report.check_section import MAX_OPEN, MAX_SHOWN
from harness.report.plots import draw_all
from harness.report.raw_records import records_of
from harness.report.run_page import render_run
from harness.workload import append_only_list
from tests.builders import COMPLETED, HistoryBuilder
from tests.unit.analysis.memory.memory_runs import memory_run
from tests.unit.report.builders import anomaly, failing, generator_samples, manifest

EVIL = "<script>alert('x')</script>"
INLINE = {"a", "code", "span", "strong", "wbr"}
VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Reads a page; notes its tags, its attributes, its text, and whether they are nested well."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.titles: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in INLINE:
            self.text += " "
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data


def page(data: RecordedRun, checks: Checks, *, plots: bool = False, **changes: Any) -> Page:
    """Render and read a report; drawing takes most of the time, so only those tests draw that look at plots."""
    analysis = msgspec.structs.replace(analyse(data), **changes)
    return Page(render_run(data, checks, analysis, draw_all(data, analysis) if plots else []))


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_a_passed_run_answers_in_one_sentence(full: RecordedRun, passed: Checks) -> None:
    text = flat(page(full, passed).text)
    assert "✓\ufe0e PASS" in text
    assert "No session saw another session’s state in 200 successful operations by 3 sessions." in text
    assert "As expected. The scenario expects pass, and the run ended with it." in text
    assert "Warning" not in text
    assert "ended early" not in text


def test_a_failed_run_names_what_is_broken_and_shows_witnesses(full: RecordedRun) -> None:
    text = flat(page(full, failing([anomaly(1)])).text)
    assert "✗\ufe0e FAIL" in text
    assert "The app does not keep its sessions apart." in text
    assert "Not as expected. The scenario expects pass. The run ended with fail (cross-session-read)." in text
    for part in (
        "s0-1 → s0-2",
        "Operation A: session s0-1",
        "appended token-1",
        "read […, token-1]",
        "2 recorded operations",
        'A session s0-1, click, phase load, ok, 1.250000 to 1.500000 s. Records with "id":1 in history/0.jsonl.',
    ):
        assert part in text


def test_the_legend_of_timelines_is_shown_once_and_only_if_there_are_timelines(full: RecordedRun) -> None:
    legend = "a bar is an operation"
    assert flat(page(full, failing([anomaly(1), anomaly(2)])).text).count(legend) == 1
    assert legend not in page(full, failing([anomaly(1, witness=[])])).text


def test_an_unknown_run_says_why_once(full: RecordedRun) -> None:
    same = [
        Check(name=n, verdict="unknown", reason="Nothing was read.", evidence={})
        for n in ("garbage-read", "x")
    ]
    broken = Check(
        name="y", verdict="unknown", reason="The checker itself failed:\nTraceback: boom", evidence={}
    )
    checks = Checks(schema_version=SCHEMA_VERSION, verdict="unknown", reason="r", checks=[*same, broken])
    seal = Seal(ended="target_failed", reason="It was killed.", wall_ns=0, shards={})
    html = page(msgspec.structs.replace(full, seal=seal), checks)
    head = flat(html.text).split("Isolation")[0]
    assert "? UNKNOWN" in head
    assert head.count("Nothing was read.") == 1
    assert "boom" not in head
    assert "boom" in html.text
    assert "The run ended early The app stopped during the run. It was killed." in head


def test_a_run_that_recorded_nothing_is_still_reported(empty: RecordedRun) -> None:
    checks = Checks(
        schema_version=SCHEMA_VERSION, verdict="unknown", reason="Nothing was recorded.", checks=[]
    )
    text = flat(page(empty, checks, plots=True).text)
    assert "Nothing was recorded." in text
    assert "never sealed" in text
    assert "the run reached none" in text
    assert "Throughput was not measured" in text
    assert "There are no response times" in text


def test_half_a_run_is_reported(full: RecordedRun, passed: Checks) -> None:
    half = msgspec.structs.replace(
        full, plateaus=full.plateaus[:2], phases=full.phases[:3], loadgen=[], target=[]
    )
    assert "That takes" not in page(half, passed).text
    bare = msgspec.structs.replace(
        full, manifest=manifest(expect=None, state={}, argv=[], git_sha="abc", params={"A": "1"})
    )
    text = flat(page(bare, passed).text)
    assert "declared" not in text.split("Isolation")[0]
    assert "A=1" in text


def test_figures_are_for_people_and_exact_ones_are_in_titles(full: RecordedRun, passed: Checks) -> None:
    html = page(full, passed)
    slope = analyse(full).memory.bytes_per_open_session.live
    assert slope is not None
    titles = [value for _, name, value in html.attributes if name == "title"]
    assert f"{slope.estimate} bytes" in titles
    assert re.search(r"7\d\.\d KB", html.text)


def test_every_action_and_every_plot_appears(full: RecordedRun, passed: Checks) -> None:
    html = page(full, passed, plots=True)
    assert analyse(full).latency_ms.keys() >= {"click", "open"}
    for action in analyse(full).latency_ms:
        assert action in html.text
    drawn = len(draw_all(full, analyse(full)))
    assert drawn >= 6
    assert html.tags.count("svg") == html.tags.count("figcaption") == drawn


def test_the_parts_of_the_time_stand_in_a_table(full: RecordedRun, passed: Checks) -> None:
    text = flat(page(full, passed).text)
    assert "Closed model" in text
    assert "action generator late accept queue wait service first output" in text
    assert "doubtful" not in text


def test_a_generator_that_was_the_bottleneck_is_reported_next_to_the_figures_and_in_words(
    full: RecordedRun,
) -> None:
    data = msgspec.structs.replace(full, generator={"0": generator_samples(5, 25, cpu=0.95)})
    checks = combine([check_generator(analyse(data).generator)])
    text = flat(page(data, checks).text)
    assert checks.verdict == "inconclusive"
    assert "≈ INCONCLUSIVE" in text
    assert "These times are doubtful" in text
    assert "worker 0 used 95% of a core (limit 90%)" in text
    # What failed stays failed; the times are doubtful all the same.
    text = flat(page(data, failing([anomaly(1)])).text)
    assert "✗\ufe0e FAIL" in text
    assert "These times are doubtful" in text


def test_arrivals_that_were_dropped_are_not_hidden(full: RecordedRun, passed: Checks) -> None:
    profile = msgspec.structs.replace(full.manifest.profile, arrival_rate=10.0, max_in_flight=3)
    samples = generator_samples(5, 25)
    last = msgspec.structs.replace(samples[-1], arrivals=100, dropped=7)
    data = msgspec.structs.replace(
        full, manifest=manifest(profile=profile), generator={"0": [*samples[:-1], last]}
    )
    text = flat(page(data, passed).text)
    assert "Open model" in text
    assert "There were 100 arrivals. Of these, 93 acted in a session, and 7 were dropped" in text
    assert "7 of 100 arrivals were dropped" in text  # the warning
    assert "10 arrivals/s (poisson) for 12.0 s, with at most 3 sessions in use" in text


def test_warnings_and_how_it_was_measured(full: RecordedRun, passed: Checks) -> None:
    seal = Seal(
        ended="completed",
        reason="",
        wall_ns=0,
        shards={"history/0.jsonl": ShardSeal(lines=1976, bytes=393_714, sha256="0")},
    )
    limits = RunEvent(
        time_ns=0,
        wall_ns=0,
        kind="limits",
        detail={
            "state_session_capacity": 10_000,
            "state_ttl_when_closed_s": None,
            "heartbeat_interval_s": 15.0,
        },
    )
    data = msgspec.structs.replace(full, seal=seal, events=[limits])
    text = flat(page(data, passed, warnings=["The sampler came late.", "Second."]).text)
    assert "Warnings The sampler came late. Second." in text
    for part in (
        "gradsoak run 'my scenario'",
        "6.31.0",
        "3.11.7",
        "16.0 GB",
        "Seed 7",
        "1,976 lines, 394 KB",
        "10,000",
    ):
        assert part in text


def test_a_long_list_of_anomalies_is_folded_and_counted(full: RecordedRun) -> None:
    html = page(full, failing([anomaly(i) for i in range(200)], total=12_956))
    assert html.tags.count("article") == MAX_SHOWN
    text = flat(html.text)
    assert "cross-session-read: 12,956 anomalies" in text
    assert f"{MAX_SHOWN - MAX_OPEN} more" in text
    assert "12,906 more anomalies are not shown. derived/checks.json has the first 200" in text
    few = page(full, failing([anomaly(1)]))
    assert "more are not shown" not in few.text
    kept = page(full, failing([anomaly(i) for i in range(60)]))
    assert "10 more anomalies are not shown. derived/checks.json has all of them." in flat(kept.text)


def recorded_run(
    full: RecordedRun, builder: HistoryBuilder, **state: StateVariable
) -> tuple[RecordedRun, Checks]:
    """A run of such a history, with what the checkers say of it."""
    history = builder.build()
    return msgspec.structs.replace(full, recorded=InMemoryHistory(history)), check_history(
        history, state, COMPLETED
    )


def test_the_records_of_a_witness_stand_there_as_they_were_written(full: RecordedRun) -> None:
    builder = HistoryBuilder().append("a", "a1", ["a1"]).append("b", "b1", ["a1", "b1"])
    data, checks = recorded_run(full, builder, log=append_only_list())
    html = page(data, checks)
    for record in (r for o in data.history.operations for r in records_of(o, data.history.workers)):
        # The page writes a space after commas and colons, where a long line may break.
        written = json.dumps(msgspec.to_builtins(record), ensure_ascii=False)
        assert written in html.text
    assert ("details", "class", "recorded") in html.attributes
    assert "left out" not in html.text


def test_anomalies_are_grouped_by_kind_and_then_by_the_sessions_between_which_they_are(
    full: RecordedRun,
) -> None:
    pairs = [
        anomaly(
            number,
            sessions=[f"s0-{number // 2}", "s0-9"],
            variable=("clicks", "count")[number % 2],
            kind=("cross-session-read", "resurrected-state")[number // 14],
            occurrences=number + 1,
        )
        for number in range(16)
    ]
    (check,) = failing(pairs, total=16).checks
    html = page(full, combine([msgspec.structs.replace(check, name="canary")]))
    text = flat(html.text)
    assert html.tags.count("article") == 16
    _, _, shown = text.partition("canary: 16 anomalies")
    # Seven pairs of the one kind, five of them to be seen at once, and one of the other.
    first, _, second = shown.partition("resurrected-state")
    assert "2 more pairs of sessions" in first
    assert "s0-5 → s0-9 clicks 11×, count 12×" in first
    assert "s0-6 → s0-9 clicks 13×, count 14×" in first
    assert "more pairs" not in second
    assert "s0-7 → s0-9 in clicks (15 occurrences)" in second


def test_a_session_matrix_is_shown_if_state_crossed_between_several_pairs(full: RecordedRun) -> None:
    builder = HistoryBuilder().append("a", "a1").read("b", ["a1"]).read("c", ["a1"])
    data, checks = recorded_run(full, builder, log=append_only_list())
    analysis = analyse(data)
    plots = draw_all(data, analysis, checks.checks)
    html = Page(render_run(data, checks, analysis, plots))
    assert [plot.name for plot in plots if plot.section.startswith("check:")] == [
        "sessions-cross-session-read"
    ]
    # Each of the two anomalies has a picture of its witness besides.
    assert html.tags.count("svg") == len(plots) + 2
    assert "2 of the 6 possible pairs of 3 sessions" in flat(html.text)


def test_text_from_outside_is_escaped(full: RecordedRun) -> None:
    evil = anomaly(1, sessions=[EVIL, EVIL], variable=EVIL, kind=EVIL, explanation=EVIL)
    evil = msgspec.structs.replace(
        evil,
        witness=[
            msgspec.structs.replace(
                w,
                name=EVIL,
                session=EVIL,
                action=EVIL,
                effects={EVIL: {"op": EVIL, "value": EVIL}},
                reads={EVIL: [EVIL]},
            )
            for w in evil.witness
        ],
    )
    checks = failing([evil])
    check = msgspec.structs.replace(checks.checks[0], reason=f"{EVIL}\n{EVIL}", evidence={EVIL: 1}, name=EVIL)
    checks = msgspec.structs.replace(checks, checks=[check], reason=EVIL)
    operations = [msgspec.structs.replace(o, action=EVIL) for o in full.history.operations]
    data = msgspec.structs.replace(
        full,
        manifest=manifest(
            title=EVIL,
            scenario=EVIL,
            run_id=EVIL,
            argv=[EVIL],
            params={EVIL: EVIL},
            expect={"verdict": EVIL, "kind": EVIL},
            state={EVIL: StateVariable(model="list")},
        ),
        recorded=InMemoryHistory(msgspec.structs.replace(full.history, operations=operations)),
        seal=Seal(
            ended="interrupted", reason=EVIL, wall_ns=0, shards={EVIL: ShardSeal(lines=1, bytes=1, sha256="")}
        ),
        phases=[
            msgspec.structs.replace(span, name=span.name if span.name == "load" else EVIL)
            for span in full.phases
        ],
    )
    html = page(data, checks, plots=True, warnings=[EVIL])
    assert "script" not in html.tags
    assert html.text.count(EVIL) > 15


@pytest.mark.parametrize(
    "value", [None, True, 3, 1.5, "text", ["a", ["b"]], {"role": "user", "content": "hi"}, "x" * 5_000]
)
def test_any_value_can_be_shown_and_none_is_endless(full: RecordedRun, value: object) -> None:
    made = anomaly(1)
    witness = [
        msgspec.structs.replace(
            w, reads={"v": value}, effects={"v": {"op": "write", "value": value}, "w": value}
        )
        for w in made.witness
    ]
    html = page(full, failing([msgspec.structs.replace(made, witness=witness, explanation="y" * 9_000)]))
    assert "wrote " in html.text
    assert "x" * 500 not in html.text
    assert "y" * 2_000 not in html.text


def test_nothing_is_fetched_and_nothing_runs(full: RecordedRun) -> None:
    html = page(full, failing([anomaly(1)]), plots=True)
    assert not {"script", "iframe", "img", "object", "embed", "base", "form"} & set(html.tags)
    for tag, name, value in html.attributes:
        if name.startswith("xmlns"):
            continue
        assert "//" not in value, (tag, name, value)
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("#", "data:,"))
    analysis = analyse(full)
    raw = render_run(full, failing([]), analysis, [])
    assert "url(" not in raw
    assert "@import" not in raw
    assert "default-src 'none'" in raw


def test_the_page_is_the_same_every_time(full: RecordedRun, passed: Checks) -> None:
    analysis = analyse(full)
    once, again = (render_run(full, passed, analysis, draw_all(full, analysis)) for _ in range(2))
    assert once == again


def outside(full: RecordedRun, **changes: Any) -> RecordedRun:
    """The same run, of an app that gradsoak did not start."""
    app = ExternalApp(
        url="http://127.0.0.1:7860/", protocol="sse_v3", pid=4711, process="python3", not_sampled=""
    )
    app = msgspec.structs.replace(app, **changes)
    changed = msgspec.structs.replace(
        full.manifest, external=app, target_python=None, target_python_version=None, target_packages={}
    )
    return msgspec.structs.replace(full, manifest=changed)


def test_an_app_seen_from_outside_has_no_live_heap_and_one_sentence_says_why(
    full: RecordedRun, passed: Checks
) -> None:
    seen = page(outside(full), passed)
    assert seen.text.count("gradsoak did not start the app, so it has no probe") == 1
    assert "4711" in seen.text
    assert "http://127.0.0.1:7860/" in seen.text
    assert "Live heap per open session" not in seen.text
    assert "USS per open session" in seen.text
    assert "Python None" not in seen.text


def test_an_app_that_cannot_be_sampled_gets_one_sentence_and_no_plots_of_memory(
    full: RecordedRun, passed: Checks
) -> None:
    hidden = outside(full, pid=None, process=None, not_sampled="it runs on another machine")
    hidden = msgspec.structs.replace(hidden, target=[], plateaus=[])
    seen = page(hidden, passed, plots=True)
    assert (
        "Memory was not measured: gradsoak did not start the app, and it runs on another machine."
        in " ".join(seen.text.split())
    )
    assert "USS" not in seen.text
    assert "Highest RSS" not in seen.text
    assert "No sample of the app" not in seen.text
    drawn = draw_all(hidden, analyse(hidden))
    assert {"latency", "stages", "throughput"} <= {plot.name for plot in drawn}
    assert not any(plot.section.startswith("memory") for plot in drawn)
    figures = analyse(hidden).memory
    assert figures.not_measured is not None
    assert figures.bytes_per_open_session.live is None is figures.bytes_per_open_session.uss


def test_the_report_lists_the_guarantees_and_says_which_faults_were_declared(full: RecordedRun) -> None:
    guarantees = [
        Guarantee(name="invisible", status="does-not-apply", reason=f"No State, {EVIL}."),
        Guarantee(name="no-lost-update", status="broken", reason="It is gone.", broken_by=["lost-update"]),
    ]
    found = msgspec.structs.replace(failing([anomaly(0)]), guarantees=guarantees)
    for expect, word in (
        ({"verdict": "fail"}, "no-lost-update ✗\ufe0e broken (expected) It is gone."),
        ({"verdict": "pass"}, "no-lost-update ✗\ufe0e broken It is gone."),
    ):
        data = msgspec.structs.replace(full, manifest=manifest(expect=expect))
        html = Page(render_run(data, found, analyse(data), []))
        assert word in flat(html.text)
        assert f"invisible – does not apply No State, {EVIL}." in flat(html.text)
        assert ("section", "aria-labelledby", "guarantees") in html.attributes


def test_what_grew_is_named_with_what_it_pins_and_why(full: RecordedRun) -> None:
    leak = {"app.LOG": lambda t: t.requests, "app.LOG[*]": lambda t: 3 * t.requests}
    made = memory_run(
        {
            **leak,
            "gradio.StateHolder.session_data": lambda t: t.sessions,
            "gradio.Blocks.upload_file_set": lambda t: t.requests,
        },
        facts={"app.LOG": {"kind": "list"}},
    )
    data = msgspec.structs.replace(full, plateaus=made.plateaus, census=made.census, manifest=made.manifest)
    analysis = analyse(data)
    checks = combine(check_growth(analysis.growth, analysis.growth_basis))
    text = Page(render_run(data, checks, analysis, [])).text
    assert "The app does not free the memory that it uses." in text
    assert "What grew" in text
    assert "app.LOG list leak per request +1.00 0" in " ".join(text.split())
    assert "exactly 1.00 entries per request" in text
    assert "app.LOG[*]" not in text
    assert "StateHolder.session_data" not in text
    assert "gradio.Blocks.upload_file_set" in text
    assert "delete_cache" in text


def test_without_growth_the_page_says_how_many_containers_were_counted(
    full: RecordedRun, passed: Checks
) -> None:
    made = memory_run({"app.LOG": lambda _: 5})
    data = msgspec.structs.replace(full, plateaus=made.plateaus, census=made.census, manifest=made.manifest)
    assert (
        "1 container was counted. None of them grew."
        in Page(render_run(data, passed, analyse(data), [])).text
    )


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        (["cross-session-read"], "The app does not keep its sessions apart."),
        (["garbage-read", "misdelivered-response"], "The app does not keep its sessions apart."),
        (["lost-update", "visible-state"], "State left the server."),
        (["monotonic-writes"], "The app does not keep what its sessions write."),
        (["reset"], "The app loses state: it returns to the initial value."),
        (["duplicate-effect"], "A single request takes effect more than once."),
        (["cleared-state-returns"], "The app shows state again that was cleared."),
        (["resurrected-state"], "The app shows the state of an earlier session of the user."),
        (["non-atomic-chain"], "The app mixes up the steps of events that run at the same time."),
        (["garbage-read"], "The app shows values that no operation wrote."),
        (["leak-per-request", "leak-per-session"], "The app does not free the memory that it uses."),
        (["leak-per-request", "lost-update"], "The app does not keep what its sessions write."),
    ],
)
def test_a_failure_has_one_sentence_of_the_most_serious_kind(
    full: RecordedRun, kinds: list[str], sentence: str
) -> None:
    found = [check for kind in kinds for check in failing([anomaly(1, kind=kind)]).checks]
    named = [msgspec.structs.replace(check, name=kind) for check, kind in zip(found, kinds, strict=True)]
    text = flat(page(full, combine([passing("completeness"), *named])).text)
    assert sentence in text
    assert sum(other in text for other in {entry.headline for entry in CATALOGUE}) == 1


def passing(name: str) -> Check:
    return Check(name=name, verdict="pass", reason="Nothing.", evidence={"operations": 3})


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("cross-session-read", "The app does not keep its sessions apart."),
        ("resurrected-state", "The app shows the state of an earlier session of the user."),
    ],
)
def test_a_canary_is_called_by_the_kind_of_what_it_found(full: RecordedRun, kind: str, sentence: str) -> None:
    (check,) = failing([anomaly(1, kind=kind)]).checks
    text = flat(page(full, combine([msgspec.structs.replace(check, name="canary")])).text)
    assert sentence in text


def test_a_check_that_does_not_apply_has_not_passed(full: RecordedRun) -> None:
    idle = Check(
        name="cross-session-read",
        verdict="pass",
        reason="Does not apply: no response was searched.",
        evidence={"responses_searched": 0},
        applies=False,
    )
    text = flat(page(full, combine([passing("completeness"), idle])).text)
    assert "cross-session-read – does not apply No response was searched." in text
    assert "Does not apply:" not in text
    assert "No session saw another" not in text
    assert "No anomaly was found" in text
