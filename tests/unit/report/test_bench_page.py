from __future__ import annotations

import re

from harness.records import GUARANTEES, Guarantee, GuaranteeStatus
from harness.report.bench_page import render_bench
from tests.unit.report.builders import bench, bench_row
from tests.unit.report.test_run_page import EVIL, Page, flat


def test_every_scenario_has_a_row_that_leads_to_its_report() -> None:
    html = Page(
        render_bench(
            bench(
                bench_row(),
                bench_row(
                    scenario="counters_global",
                    title="Counters, shared by mistake",
                    run="runs/counters global",
                    verdict="fail",
                    expected="fail (cross-session-read)",
                    anomalies={"cross-session-read": 12_956, "garbage-read": 0},
                ),
            )
        )
    )
    links = [value for tag, name, value in html.attributes if tag == "a" and name == "href"]
    assert links == ["counters/derived/report.html", "runs/counters%20global/derived/report.html"]
    text = flat(html.text)
    assert "All 2 scenarios gave the declared result." in text
    for part in (
        "✓\ufe0e PASS",
        "✗\ufe0e FAIL",
        "✓\ufe0e met",
        "fail (cross-session-read)",
        "A click counter.",
        "71.5 KB",
        "69.4–77.6 KB",
        "60.4–90.6 KB",
        "13.9 ms / 43.4 ms",
        "50.8/s",
        "192 MB",
        "26.6 s",
    ):
        assert part in text
    assert re.search(r"12,956\s?cross-session-read", text)
    assert "garbage-read" not in text


def test_times_that_are_the_generators_own_are_called_doubtful() -> None:
    reason = "The load generator was the bottleneck: worker 0 used 97% of a core."
    row = bench_row(verdict="inconclusive", met=False, reason=reason, latency_doubtful=True)
    text = flat(Page(render_bench(bench(row))).text)
    assert "≈ INCONCLUSIVE" in text
    assert reason in text
    assert "≈ doubtful" in text
    assert "doubtful" not in flat(Page(render_bench(bench(bench_row()))).text)


def test_the_row_of_a_failed_run_shows_the_failure_and_dashes() -> None:
    row = bench_row(
        verdict="unknown",
        met=False,
        error="The app exited with code 1.",
        live_bytes_per_session=None,
        uss_bytes_per_session=None,
        slowest_action=None,
        p50_ms=None,
        p95_ms=None,
        throughput_per_s=None,
        server_rss_high_water_bytes=None,
        warnings=["The machine was overloaded."],
    )
    quiet = bench_row(verdict="unknown", met=False, reason="Nothing was read.")
    text = flat(Page(render_bench(bench(bench_row(), row, quiet))).text)
    assert "1 of 3 scenarios gave the declared result." in text
    assert "Ended early: The app exited with code 1." in text
    assert "Nothing was read." in text
    assert "✗\ufe0e not met" in text
    assert text.count("–") >= 5
    assert "Warnings Counters The machine was overloaded." in text


def test_one_none_and_interrupted() -> None:
    assert "The scenario gave the declared result." in render_bench(bench(bench_row()))
    assert "No scenario was run." in render_bench(bench())
    assert "The bench ended early" in render_bench(bench(bench_row(), ended="interrupted"))


def test_the_index_page_escapes_and_fetches_nothing() -> None:
    row = bench_row(
        scenario=EVIL,
        title=EVIL,
        description=EVIL,
        run="javascript:alert(1)",
        error=EVIL,
        expected=EVIL,
        anomalies={EVIL: 1},
        slowest_action=EVIL,
        warnings=[EVIL],
    )
    html = Page(render_bench(bench(row)))
    assert "script" not in html.tags
    assert html.text.count(EVIL) >= 8
    for _, name, value in html.attributes:
        if name in ("src", "href"):
            assert value.startswith(("javascript%3A", "data:,"))


def test_a_bench_of_the_core_says_how_to_run_the_others() -> None:
    text = flat(Page(render_bench(bench(bench_row(), suite="core", left_out=39))).text)
    assert "gradsoak bench --all also runs the other 39 bundled scenarios." in text
    assert "--all" not in render_bench(bench(bench_row(), suite="all"))


def guaranteed(status: GuaranteeStatus = "kept", **others: GuaranteeStatus) -> list[Guarantee]:
    changed = {name.replace("_", "-"): value for name, value in others.items()}
    return [
        Guarantee(name=name, status=changed.get(name, status), reason=f"Why {name}, {EVIL}.")
        for name in GUARANTEES
    ]


def marks(html: Page) -> list[str]:
    return [value for _, name, value in html.attributes if name == "class" and value.startswith("mark ")]


def test_the_matrix_has_a_mark_for_every_guarantee_and_broken_ones_lead_to_the_report() -> None:
    clean = bench_row(
        patterns=[1], guarantees=guaranteed(invisible="does-not-apply", memory_returns="unknown")
    )
    fault = bench_row(
        scenario="fault",
        run="a fault",
        verdict="fail",
        expected="fail (lost-update)",
        guarantees=guaranteed(no_lost_update="broken"),
    )
    missed = bench_row(
        scenario="missed", run="missed", met=False, verdict="fail", guarantees=guaranteed(invisible="broken")
    )
    html = Page(render_bench(bench(clean, fault, missed)))
    in_matrix = marks(html)[5:]  # after the legend
    assert in_matrix.count("mark kept") == 9 * 3 - 4 + 2
    assert in_matrix.count("mark does-not-apply") == in_matrix.count("mark unknown") == 1
    assert in_matrix.count("mark broken planted") == 1
    assert in_matrix.count("mark broken") == 2  # the guarantee, and that the row is not as declared
    leads = [value for tag, name, value in html.attributes if tag == "a" and name == "href" and "#" in value]
    assert leads.count("a%20fault/derived/report.html#guarantees") == 2
    assert leads.count("missed/derived/report.html#guarantees") == 3
    text = flat(html.text)
    assert (
        text.index("Patterns counters")
        < text.index("Planted faults and other scenarios fault")
        < text.index("missed")
    )


def test_the_reasons_of_the_matrix_can_be_read_without_a_mouse() -> None:
    html = Page(render_bench(bench(bench_row(guarantees=guaranteed(invisible="broken")))))
    text = flat(html.text)
    for name in GUARANTEES:
        assert f"Why {name}, {EVIL}." in text
    assert "details" in html.tags
    assert "script" not in html.tags


def test_a_bench_without_guarantees_has_no_matrix() -> None:
    assert "Guarantees" not in render_bench(bench(bench_row()))


def test_checks_that_do_not_apply_are_listed_with_their_reason() -> None:
    row = bench_row(does_not_apply={"reset": f"Nothing was read again, {EVIL}."})
    text = flat(Page(render_bench(bench(row))).text)
    assert f"– 1 check does not apply reset: Nothing was read again, {EVIL}." in text
    assert "not apply" not in flat(Page(render_bench(bench(bench_row()))).text)
