"""What a verb prints at its end: a short table, or one JSON object with `--json`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import units
from harness.analysis import Analysis
from harness.errors import HarnessError
from harness.evaluate import Evaluation
from harness.records import Check, Guarantee, not_applying
from harness.report.memory_section import finding, in_one_line, news
from harness.run_dir import REPORT

# The `--json` object of a run without a result.
NO_RESULT: dict[str, Any] = {"run_dir": None, "verdict": "unknown", "checks": {}, "figures": {}}

STYLES = {"pass": "bold green", "fail": "bold red", "unknown": "bold yellow", "inconclusive": "bold yellow"}


def as_json(
    run_dir: Path, evaluation: Evaluation, error: HarnessError | None, *, anomalies: bool = False
) -> str:
    """`{"run_dir", "verdict", "checks", "does_not_apply", "workers", "promises", "figures"}`, and `error` if there is one.

    Args:
        run_dir: the run folder.
        evaluation: the run's verdicts and figures.
        error: why the run ended early, or why the conclusions could not be written; None if neither is so.
        anomalies: whether to add `anomalies` (check → the anomalies that are kept) and `anomalies_total` (check → their number).
    """
    result: dict[str, Any] = {
        "run_dir": str(run_dir),
        "verdict": evaluation.checks.verdict,
        "checks": {check.name: check.verdict for check in evaluation.checks.checks},
        "does_not_apply": not_applying(evaluation.checks.checks),
        "workers": msgspec.to_builtins(evaluation.checks.workers),
        "promises": {guarantee.name: guarantee.status for guarantee in evaluation.checks.guarantees},
        "figures": msgspec.to_builtins(evaluation.analysis),
    }
    if anomalies:
        found = [check for check in evaluation.checks.checks if check.anomalies_total]
        result["anomalies"] = {check.name: msgspec.to_builtins(check.anomalies) for check in found}
        result["anomalies_total"] = {check.name: check.anomalies_total for check in found}
    if error is not None:
        result["error"] = {"message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
    return msgspec.json.encode(result).decode()


_printed: list[str] = []


def json_was_printed() -> bool:
    """Whether the JSON object has been printed."""
    return bool(_printed)


def print_json(text: str) -> None:
    """Print the JSON object on standard output."""
    _printed.append(text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_summary(
    run_dir: Path, evaluation: Evaluation, error: HarnessError | None = None, *, explained: int = 0
) -> None:
    """Print the verdict with its reason, and the most important figures.

    Args:
        run_dir: the run folder.
        evaluation: the run's verdicts and figures.
        error: why the run ended early. It is printed after the table, so the table leaves out its reason.
        explained: number of anomalies of each kind to explain; 0 explains one anomaly in all, as an example.
    """
    console = Console(highlight=False)
    checks, analysis = evaluation.checks, evaluation.analysis
    manifest = evaluation.run.manifest
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("verdict", Text(checks.verdict.upper(), style=STYLES[checks.verdict]))
    if error is None:
        table.add_row("because", Text(checks.reason))
    if manifest.expect is not None:
        expected = manifest.expect["verdict"] + (
            f" ({manifest.expect['kind']})" if "kind" in manifest.expect else ""
        )
        table.add_row("expected", expected)
    for check in checks.checks:
        table.add_row(check.name, check_in_words(check))
    for worker in checks.workers:
        table.add_row(
            f"worker {worker.worker}",
            Text.assemble(
                (worker.verdict, STYLES[worker.verdict]),
                f"  {worker.sessions} sessions" if worker.verdict == "pass" else f"  {worker.reason}",
            ),
        )
    if checks.guarantees:
        table.add_row("guarantees", guarantees_in_words(checks.guarantees))
    memory = analysis.memory.bytes_per_open_session
    if manifest.external is None:
        table.add_row(
            "one session costs",
            f"{units.bytes_with_interval(memory.live)} live,  {units.bytes_with_interval(memory.uss)} USS",
        )
    elif manifest.external.pid is not None:
        table.add_row("one session costs", f"{units.bytes_with_interval(memory.uss)} USS")
    if analysis.memory.not_measured:
        table.add_row("memory", Text(analysis.memory.not_measured))
    for name, text in memory_in_words(analysis):
        table.add_row(name, text)
    for action, latency in analysis.latency_ms.items():
        percentiles = "   ".join(
            f"{name} {value:.1f}"
            for name in ("p50", "p95", "p99")
            if (value := getattr(latency, name)) is not None
        )
        mark = "" if analysis.generator.bottleneck is False else "   doubtful"
        table.add_row(f"{action} (ms)", Text.assemble(f"{percentiles}   n {latency.count}", (mark, "yellow")))
        split = analysis.stages_ms[action].mean if action in analysis.stages_ms else None
        if split is not None:
            parts = ("page_wait", "generator_delay", "accept", "queue_wait", "service")
            table.add_row(
                "",
                Text(
                    "mean "
                    + " + ".join(
                        f"{part.replace('_', ' ')} {getattr(split, part):.1f}"
                        for part in parts
                        if analysis.model == "open" or part not in parts[:2]
                    ),
                    style="dim",
                ),
            )
    if analysis.arrivals is not None:
        table.add_row(
            "arrivals",
            f"{analysis.arrivals.total} at {analysis.arrivals.rate:g}/s: {analysis.arrivals.started} started, "
            f"{analysis.arrivals.dropped} dropped",
        )
    if analysis.throughput_per_s is not None:
        table.add_row("throughput", f"{analysis.throughput_per_s:.1f} actions/s")
    for warning in analysis.warnings:
        table.add_row("warning", Text(warning, style="yellow"))
    first = next((a for check in checks.checks for a in check.anomalies), None)
    console.print()
    console.print(Text(f"{manifest.scenario}: {manifest.title}", style="bold"))
    console.print(table)
    if explained:
        for check in checks.checks:
            _explain(console, check, explained)
        console.print()
    elif first is not None:
        console.print(Text.assemble(("for example  ", "dim"), first.explanation))
    # The report may be missing, for example on a full disk.
    if (run_dir / REPORT).is_file():
        console.print(Text.assemble(("report  ", "dim"), str(run_dir / REPORT)), soft_wrap=True)


def _explain(console: Console, check: Check, most: int) -> None:
    """Print the first anomalies of each kind that a check found, and the number of the others."""
    kinds = dict.fromkeys(anomaly.kind for anomaly in check.anomalies)
    shown = 0
    for kind in kinds:
        found = [anomaly for anomaly in check.anomalies if anomaly.kind == kind]
        # A check that finds several kinds of anomalies has a name of its own.
        name = kind if kind == check.name else f"{check.name}: {kind}"
        console.print()
        console.print(Text(name, style=STYLES["fail"]))
        for anomaly in found[:most]:
            shown += 1
            where = " in ".join(filter(None, (" → ".join(anomaly.sessions), anomaly.variable)))
            console.print(f"{where}, {units.plural(anomaly.occurrences, 'occurrence')}", markup=False)
            for line in Text(anomaly.explanation).wrap(console, max(20, console.width - 2)):
                line.rstrip()
                console.print(Text("  ") + line)
    left_out = check.anomalies_total - shown
    if kinds and left_out > 0:
        console.print(Text(f"and {units.count(left_out)} more, see the report.", style="dim"))


def memory_in_words(analysis: Analysis) -> list[tuple[str, Text]]:
    """The rows about memory: verdict with costs, next step, Gradio's own share, what grows and what holds it, first advice.

    A row is left out if its content is unknown.
    """
    rows: list[tuple[str, Text]] = []
    verdict = finding(analysis.memory)
    if verdict is not None:
        memory = analysis.memory
        units_of = ("open session", "closed session", "request")
        slopes = (memory.bytes_per_open_session, memory.bytes_per_closed_session, memory.bytes_per_request)
        costs = [
            f"{units.bytes_with_interval(each.live)} per {of}"
            for of, each in zip(units_of, slopes, strict=True)
            if each.live is not None
        ]
        detail = f"  live heap: {', '.join(costs)}" if costs else f"  {verdict.reason}"
        rows.append(("memory", Text.assemble((verdict.word, STYLES[verdict.style]), detail)))
        if verdict.next_step is not None:
            rows.append(("to decide", Text(verdict.next_step)))
        grounds = (memory.floor_per_open_session, memory.floor_per_closed_session, memory.floor_per_request)
        floors = [
            f"{units.byte_size(each.live.estimate)} per {of}"
            for of, each in zip(units_of, grounds, strict=True)
            if each.live is not None
        ]
        if floors:
            rows.append(("Gradio's own", Text(f"a stateless app takes {', '.join(floors)}")))
    grown = [g for g in news(analysis) if g.verdict in ("leak-per-request", "leak-per-session")]
    if grown:
        first = grown[0]
        text = Text(first.path, style="bold")
        rates = [
            f"{rate:+,.2f} per {of}"
            for rate, of in ((first.per_request, "request"), (first.per_session, "session"))
            if rate
        ]
        text.append(f" {', '.join(rates)}" if rates else "", style="not bold")
        if first.retainer_path:
            text.append(f", held by {in_one_line(first.retainer_path)}", style="not bold")
        if first.allocated_at:
            text.append(f", allocated at {first.allocated_at[0]}", style="not bold")
        if len(grown) > 1:
            text.append(f"; and {units.count(len(grown) - 1)} more", style="not bold")
        rows.append(("grows", text))
    if analysis.advice:
        rows.append(("advice", Text(analysis.advice[0].text)))
    return rows


def check_in_words(check: Check) -> Text:
    """The verdict of a check with the number of its anomalies; if the check does not apply, the reason."""
    why_not = check.why_not()
    if why_not is not None:
        return Text(f"– does not apply  {why_not}", style="dim")
    found = f"  {check.anomalies_total} anomalies" if check.anomalies_total else ""
    return Text.assemble((check.verdict, STYLES[check.verdict]), found)


def guarantees_in_words(guarantees: Sequence[Guarantee]) -> Text:
    """The number of guarantees kept, the names of those broken or unknown, and the number of those that do not apply."""
    of = {
        status: [p.name for p in guarantees if p.status == status]
        for status in ("kept", "broken", "unknown", "does-not-apply")
    }
    parts = [Text(f"{len(of['kept'])} kept", style=STYLES["pass"] if of["kept"] else "")]
    if of["broken"]:
        parts.append(Text(f"broken: {', '.join(of['broken'])}", style=STYLES["fail"]))
    if of["unknown"]:
        parts.append(Text(f"unknown: {', '.join(of['unknown'])}", style=STYLES["unknown"]))
    if of["does-not-apply"]:
        verb = "does" if len(of["does-not-apply"]) == 1 else "do"
        parts.append(Text(f"{len(of['does-not-apply'])} {verb} not apply"))
    return Text("; ").join(parts)


def print_error(error: HarnessError) -> None:
    """Print an error and its hint on standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print("Error:", style="bold red", end=" ")
    console.print(error.message, markup=False)
    if error.hint:
        console.print(error.hint, markup=False)


def print_interrupted() -> None:
    """Print that the user interrupted the command, and that the record is kept."""
    Console(stderr=True, highlight=False).print(
        "Interrupted. Everything recorded until then is kept.", style="bold"
    )
