"""A bench: run several scenarios one after the other, and write one page about all of them."""

from __future__ import annotations

import os
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness import __version__, evaluate, scenario
from harness.analysis import Analysis
from harness.analysis.theil_sen import Slope
from harness.errors import ExitCode, HarnessError, UsageError, run_exit_code
from harness.records import (
    PAGE_ACTIONS,
    SCHEMA_VERSION,
    Bench,
    BenchRow,
    Interval,
    Suite,
    Verdict,
    not_applying,
)
from harness.run_dir import RunDir, write_atomically
from harness.runs import followups
from harness.runs.progress import Progress
from harness.runs.run_options import RunOptions
from harness.runs.single_run import execute
from harness.scenario import Expectation, Scenario

BENCH = "bench.json"
INDEX = "index.html"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The scenarios of a bench.

    Attributes:
        suite, left_out: see `harness.records.Bench`.
    """

    scenarios: list[Scenario]
    suite: Suite
    left_out: int = 0


def select(targets: Sequence[str], *, everything: bool) -> Selection:
    """Select the named scenarios; without names, the bundled ones or only the core ones of them.

    Args:
        targets: names and paths.
        everything: all bundled scenarios instead of the core ones. Not used with `targets`.

    Raises:
        UsageError: a scenario does not exist, or two have the same name.
    """
    if targets:
        named = [scenario.find(target) for target in targets]
        check_names(named)
        return Selection(scenarios=named, suite="named")
    bundled = scenario.bundled()
    if everything:
        return Selection(scenarios=bundled, suite="all")
    core = [s for s in bundled if s.core]
    return Selection(scenarios=core, suite="core", left_out=len(bundled) - len(core))


def check_names(scenarios: Sequence[Scenario]) -> None:
    """Check that the names differ, because each run's folder has the name of its scenario.

    Raises:
        UsageError: two scenarios have the same name.
    """
    names = [scenario.name for scenario in scenarios]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"Two of the scenarios are called {twice[0]}.", "Name each once; folders need different names."
        )


def new_bench_id() -> str:
    """A new bench identifier, which sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def create_folder(path: Path) -> Path:
    """Create the folder of a new bench.

    Raises:
        UsageError: the folder is not empty, or cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise UsageError(
                f"{path} is not empty.",
                "Choose another folder with --out; gradsoak never overwrites a bench.",
            )
    except OSError as error:
        raise UsageError(
            f"Cannot create the bench folder {path}: {error.strerror or error}.",
            "Choose a folder that you can write to with --out.",
        ) from error
    return path


def execute_all(
    plans: Sequence[RunOptions],
    folder: Path,
    selection: Selection,
    on_begin: Callable[[RunOptions], None],
    on_progress: Callable[[Progress], None],
    on_row: Callable[[BenchRow], None],
) -> Bench:
    """Run the scenarios one after the other. The page is written after each run, so an early end keeps the finished rows.

    Args:
        plans: the options of each run, at least one.
        folder: the bench folder.
        selection: the selection that the plans belong to.
        on_begin: called before each run.
        on_progress: called several times a second during a run.
        on_row: called with the result of each run.

    Returns:
        The bench. If the user interrupted it, `ended` says so and it has the rows until then.
    """
    began = time.monotonic()
    interpreter = plans[0].interpreter
    assert interpreter is not None  # a bench always starts its apps
    bench = Bench(
        schema_version=SCHEMA_VERSION,
        bench_id=folder.name,
        gradsoak_version=__version__,
        gradio_version=interpreter.gradio_version,
        python_version=interpreter.version,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        profile=plans[0].profile.name,
        suite=selection.suite,
        left_out=selection.left_out,
        started_wall_ns=time.time_ns(),
        duration_s=0.0,
        ended="completed",
        rows=[],
    )
    for options in plans:
        on_begin(options)
        row, interrupted = _execute_one(options, folder, on_progress)
        bench = msgspec.structs.replace(
            bench,
            rows=[*bench.rows, row],
            duration_s=time.monotonic() - began,
            ended="interrupted" if interrupted else "completed",
        )
        _write(bench, folder)
        on_row(row)
        if interrupted:
            break
    return bench


def exit_code(bench: Bench) -> ExitCode:
    """0 if every scenario had the result that it declares; otherwise the most serious code of those that had not."""
    missed = [row for row in bench.rows if not row.met]
    if not missed:
        return ExitCode.PASS if bench.ended == "completed" else ExitCode.UNKNOWN
    if any(row.verdict in ("pass", "fail") for row in missed):
        return ExitCode.ANOMALY
    # The error that ended a run early says more than an unknown verdict.
    return next((ExitCode(row.exit_code) for row in missed if row.error), ExitCode.UNKNOWN)


def verdict(bench: Bench, code: ExitCode) -> Verdict:
    """The verdict of the bench, for programs. It corresponds to the exit code."""
    if code == ExitCode.PASS:
        return "pass"
    if code == ExitCode.ANOMALY:
        return "fail"
    missed = [row for row in bench.rows if not row.met]
    only_inconclusive = bench.ended == "completed" and all(row.verdict == "inconclusive" for row in missed)
    return "inconclusive" if code == ExitCode.UNKNOWN and only_inconclusive else "unknown"


def _execute_one(
    options: RunOptions, folder: Path, on_progress: Callable[[Progress], None]
) -> tuple[BenchRow, bool]:
    began = time.monotonic()
    run_dir = RunDir.create(folder / options.scenario.name)
    error: HarnessError | None = None
    interrupted = False
    try:
        error = execute(options, run_dir, on_progress)
        baseline = followups.baseline_run(options, run_dir) if error is None else None
        if baseline is not None:
            followups.execute_follow_up(baseline, run_dir, on_progress)
    except KeyboardInterrupt:
        interrupted = True
    evaluation = evaluate.evaluate_run(run_dir)
    evaluate.render(run_dir, evaluation)
    return _row(options, evaluation, error, time.monotonic() - began), interrupted


def _row(
    options: RunOptions, evaluation: evaluate.Evaluation, error: HarnessError | None, duration_s: float
) -> BenchRow:
    scenario, checks, analysis = options.scenario, evaluation.checks, evaluation.analysis
    anomalies = {check.name: check.anomalies_total for check in checks.checks if check.anomalies_total}
    # Different checks can find the same kind of anomaly.
    kinds = {*anomalies, *(anomaly.kind for check in checks.checks for anomaly in check.anomalies)}
    expected = scenario.expect or Expectation()
    slowest = _slowest(analysis)
    latency = analysis.latency_ms[slowest] if slowest else None
    memory = analysis.memory.bytes_per_open_session
    return BenchRow(
        scenario=scenario.name,
        title=scenario.title,
        description=scenario.description,
        patterns=scenario.patterns,
        run=scenario.name,
        verdict=checks.verdict,
        expected=str(expected),
        met=error is None and expected.met_by(checks.verdict, kinds),
        error=error.message if error else None,
        exit_code=int(run_exit_code(checks.verdict, error)),
        reason=checks.reason,
        checks={check.name: check.verdict for check in checks.checks},
        does_not_apply=not_applying(checks.checks),
        anomalies=anomalies,
        guarantees=checks.guarantees,
        operations=analysis.operations.total,
        sessions=analysis.sessions,
        live_bytes_per_session=_interval(memory.live),
        uss_bytes_per_session=_interval(memory.uss),
        slowest_action=slowest,
        p50_ms=latency.p50 if latency else None,
        p95_ms=latency.p95 if latency else None,
        latency_doubtful=latency is not None and analysis.generator.bottleneck is not False,
        throughput_per_s=analysis.throughput_per_s,
        server_rss_high_water_bytes=analysis.server.rss_high_water_bytes,
        duration_s=duration_s,
        warnings=analysis.warnings,
    )


def _slowest(analysis: Analysis) -> str | None:
    actions = {name: figure for name, figure in analysis.latency_ms.items() if name not in PAGE_ACTIONS}
    return max(actions, key=lambda name: actions[name].slow) if actions else None


def _interval(line: Slope | None) -> Interval | None:
    return None if line is None else Interval(estimate=line.estimate, low=line.low, high=line.high)


def _write(bench: Bench, folder: Path) -> None:
    from harness.report.bench_page import render_bench

    write_atomically(folder / BENCH, msgspec.json.format(msgspec.json.encode(bench), indent=2) + b"\n")
    write_atomically(folder / INDEX, render_bench(bench).encode())
