"""The report of one run: a single self-contained HTML file. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import markupsafe
import msgspec

from harness import units
from harness.analysis import Analysis
from harness.checkers.anomaly_catalogue import headline
from harness.checkers.anomaly_names import CROSS_SESSION_READ, LEAK_PER_REQUEST, LEAK_PER_SESSION
from harness.history import History
from harness.recorded_run import RecordedRun
from harness.records import PAGE_ACTIONS, Checks, Seal
from harness.report.check_section import MAX_EXPLANATION, check_row, operations_of_witnesses
from harness.report.guarantee_matrix import ANCHOR, cells
from harness.report.memory_section import section
from harness.report.page_templates import render
from harness.report.plot_style import PALETTE, Plot
from harness.report.response_times import doubt, ranked
from harness.report.svg import inline
from harness.scenario import Expectation

_MAX_REASONS = 3

_OF_MEMORY = {LEAK_PER_REQUEST, LEAK_PER_SESSION}
_ENDED = {
    "interrupted": "The run was interrupted.",
    "target_failed": "The app stopped during the run.",
    "load_failed": "The load generator stopped during the run.",
    "storage_failed": "The records of the run could not be written.",
    "misused": "The scenario or the command line does not fit the app.",
    "internal_error": "gradsoak itself failed during the run.",
}


def render_run(
    data: RecordedRun,
    checks: Checks,
    analysis: Analysis,
    plots: Sequence[Plot],
    witnesses: History | None = None,
) -> str:
    """Render the report as HTML.

    Args:
        data: the records of the run.
        checks: the checks of its history.
        analysis: its figures.
        plots: what `draw_all` returned; the page shows each in its section.
        witnesses: all operations of the sessions that anomalies name, with their reads; None if `data.history` has the reads.
    """
    manifest = data.manifest
    recorded = operations_of_witnesses(data.history if witnesses is None else witnesses, checks)
    expected = _expected(manifest.expect, checks)
    return render(
        "run.html.j2",
        manifest=manifest,
        unseen=manifest.external is not None and manifest.external.pid is None,
        checks=checks,
        analysis=analysis,
        answer=_answer(checks, analysis),
        because=_because(checks),
        expected=expected,
        guarantees=cells(
            checks.guarantees, planted=expected is not None and expected.met and checks.verdict == "fail"
        ),
        guarantees_anchor=ANCHOR,
        ended_early=_ended_early(data.seal),
        checked=[
            check_row(check, recorded, data.history.workers, f"a{number}")
            for number, check in enumerate(checks.checks)
        ],
        memory=section(data, analysis),
        latency=[
            (action, figures, action in PAGE_ACTIONS) for action, figures in ranked(analysis.latency_ms)
        ],
        stages=[
            (action, analysis.stages_ms[action])
            for action, _ in ranked(analysis.latency_ms)
            if action in analysis.stages_ms
        ],
        doubt=doubt(analysis).strip(),
        generators=sorted(analysis.generator.workers.items()),
        plots=_figures(plots),
        limits=_limits(data),
        length_s=_length_s(data),
        command=shlex.join(manifest.argv),
        files=_files(data.seal),
    )


class _InlinePlot(msgspec.Struct, frozen=True, kw_only=True):
    svg: markupsafe.Markup
    caption: str


def _figures(plots: Sequence[Plot]) -> dict[str, list[_InlinePlot]]:
    """Section of the page → its plots."""
    found: dict[str, list[_InlinePlot]] = {}
    for plot in plots:
        found.setdefault(plot.section, []).append(_figure(plot))
    return found


def _figure(plot: Plot) -> _InlinePlot:
    # The only unescaped text in the page: an SVG that this package has just written.
    return _InlinePlot(svg=markupsafe.Markup(inline(plot.svg.decode(), PALETTE)), caption=plot.caption)


def _answer(checks: Checks, analysis: Analysis) -> str:
    if checks.verdict == "pass":
        seen = f"{units.plural(analysis.operations.ok, 'successful operation')} by {units.plural(analysis.sessions, 'session')}"
        if any(check.name == CROSS_SESSION_READ and check.applies for check in checks.checks):
            return f"No session saw another session’s state in {seen}."
        return f"No anomaly was found in {seen}."
    if checks.verdict == "inconclusive":
        if _deciding(checks) <= _OF_MEMORY:
            return "No anomaly was found, but the run does not show whether the app leaks memory."
        return (
            "No anomaly was found, but the load generator was the bottleneck. The times below may be those of the generator and not of "
            "the app, and the app may have received less load than intended."
        )
    if checks.verdict == "fail":
        return _broken(checks)
    return "This run does not show whether the app keeps its sessions apart."


def _broken(checks: Checks) -> str:
    """What is wrong with the app, in one sentence. Of several faults, the most serious."""
    kinds: set[str] = set()
    for check in checks.checks:
        if check.verdict == "fail":
            # One check can find anomalies of several kinds; its name need not be one of them.
            kinds |= {anomaly.kind for anomaly in check.anomalies} or {check.name}
    return headline(kinds)


def _deciding(checks: Checks) -> set[str]:
    """Names of the checks that decide the verdict."""
    return {check.name for check in checks.checks if check.verdict == checks.verdict}


def _because(checks: Checks) -> list[str]:
    """Why the run did not pass: the first line of each deciding check's reason, without repetition."""
    if checks.verdict == "pass":
        return []
    reasons = [check.reason for check in checks.checks if check.verdict == checks.verdict] or [checks.reason]
    firsts = [reason.partition("\n")[0] for reason in reasons]
    return [units.clip(reason, MAX_EXPLANATION) for reason in dict.fromkeys(firsts)][:_MAX_REASONS]


class _Expected(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    met: bool
    found: str


def _expected(expect: dict[str, str] | None, checks: Checks) -> _Expected | None:
    if not expect:
        return None
    kinds = {anomaly.kind for check in checks.checks for anomaly in check.anomalies}
    kinds |= {check.name for check in checks.checks if check.anomalies_total}
    expectation = Expectation(verdict=expect.get("verdict", "pass"), kind=expect.get("kind"))
    found = checks.verdict + (f" ({', '.join(sorted(kinds))})" if kinds else "")
    return _Expected(text=str(expectation), met=expectation.met_by(checks.verdict, kinds), found=found)


def _ended_early(seal: Seal | None) -> str | None:
    if seal is None:
        return "The run was never sealed, because the harness ended during the run."
    if seal.ended == "completed":
        return None
    return f"{_ENDED.get(seal.ended, '')} {seal.reason}".strip()


def _limits(data: RecordedRun) -> list[tuple[str, str]]:
    """How long and for how many sessions the app keeps state, as far as the probe could read it."""
    detail = next((event.detail for event in data.events if event.kind == "limits"), {})
    shown = []
    if detail.get("state_session_capacity") is not None:
        shown.append(
            ("keeps the state of at most", f"{units.count(detail['state_session_capacity'])} sessions")
        )
    if detail.get("state_ttl_when_closed_s") is not None:
        shown.append(
            ("keeps the state of a closed session for", units.duration(detail["state_ttl_when_closed_s"]))
        )
    if detail.get("heartbeat_interval_s") is not None:
        shown.append(("heartbeat interval of a page", units.duration(detail["heartbeat_interval_s"])))
    return shown


def _length_s(data: RecordedRun) -> float | None:
    times = [t for span in data.phases for t in (span.begin_ns, span.end_ns)]
    return (max(times) - min(times)) / 1e9 if times else None


def _files(seal: Seal | None) -> list[tuple[str, str]]:
    """The raw files and their contents. Without a seal, the lines and bytes are unknown."""
    if seal is not None and seal.shards:
        return [
            (path, f"{units.plural(shard.lines, 'line')}, {units.byte_size(shard.bytes)}")
            for path, shard in sorted(seal.shards.items())
        ]
    return [
        ("history/<worker>.jsonl", "operations"),
        ("samples/*.jsonl", "memory and CPU over time, plateaus"),
        ("events.jsonl", "phases and incidents"),
    ]
