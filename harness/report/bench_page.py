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
        bench: what the bench found; paths in it are relative to the folder that the page will stand in.
    """
    met = sum(1 for row in bench.rows if row.met)
    return render(
        "bench.html.j2",
        bench=bench,
        met=met,
        answer=_answer(bench, met),
        rows=[(row, quote(f"{row.run}/{REPORT}"), _anomalies(row), _trouble(row)) for row in bench.rows],
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
            "The scenario gave what it declares."
            if total == 1
            else f"All {total} scenarios gave what they declare."
        )
    return f"{met} of {units.plural(total, 'scenario')} gave what {'it declares' if total == 1 else 'they declare'}."


def _anomalies(row: BenchRow) -> list[tuple[str, str]]:
    return [(kind, units.count(number)) for kind, number in sorted(row.anomalies.items()) if number]


def _trouble(row: BenchRow) -> str:
    """What kept the run from an answer; a failed check needs no such words, the anomalies are there."""
    if row.error is not None:
        return f"Ended early: {row.error}"
    return row.reason if row.verdict in ("unknown", "inconclusive") else ""
