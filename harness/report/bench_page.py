"""The index page of a bench: one row per scenario, each with a link to its report. Pure."""

from __future__ import annotations

from urllib.parse import quote

from harness import units
from harness.records import GUARANTEES, Bench, BenchRow
from harness.report.guarantee_matrix import matrix
from harness.report.page_templates import render

REPORT = "derived/report.html"


def render_bench(bench: Bench) -> str:
    """Write the index page.

    Args:
        bench: results of the bench. Its paths are relative to the folder of the page.
    """
    met = sum(1 for row in bench.rows if row.met)
    return render(
        "bench.html.j2",
        bench=bench,
        met=met,
        answer=_answer(bench, met),
        rows=[(row, quote(f"{row.run}/{REPORT}"), _anomalies(row), _no_result(row)) for row in bench.rows],
        matrix=matrix(bench.rows, REPORT),
        guarantees=GUARANTEES,
        doubtful=any(row.latency_doubtful for row in bench.rows),
        warned=[row for row in bench.rows if row.warnings],
    )


def _answer(bench: Bench, met: int) -> str:
    total = len(bench.rows)
    if not total:
        return "No scenario was run."
    if met == total:
        return (
            "The scenario gave the declared result."
            if total == 1
            else f"All {total} scenarios gave the declared result."
        )
    return f"{met} of {units.plural(total, 'scenario')} gave the declared result."


def _anomalies(row: BenchRow) -> list[tuple[str, str]]:
    return [(kind, units.count(number)) for kind, number in sorted(row.anomalies.items()) if number]


def _no_result(row: BenchRow) -> str:
    """Why the run has no clear result. Empty for a failed run: the anomalies say it."""
    if row.error is not None:
        return f"Ended early: {row.error}"
    return row.reason if row.verdict in ("unknown", "inconclusive") else ""
