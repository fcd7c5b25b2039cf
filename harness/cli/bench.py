"""`gradsoak bench`: many scenarios, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import units
from harness.app_under_test import inspect_interpreter
from harness.cli import options, terminal_summary
from harness.cli.grouped_parameters import takes_groups
from harness.cli.progress_display import ProgressDisplay
from harness.errors import ExitCode, UsageError
from harness.records import Bench, BenchRow
from harness.runs import bench_suite as benches
from harness.runs.progress import Progress
from harness.runs.run_options import RunOptions, command_line, random_seed


@takes_groups
def bench(
    profile: options.ProfileOptions,
    launch: options.LaunchOptions,
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Scenarios to run, by name or path. Default: the core suite of the bundled ones.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Run all bundled scenarios. --profile full does so, too."),
    ] = False,
    seed: options.Seed = None,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Run many scenarios, including those with a planted fault, and write one page about all of them.

    The exit code is 0 if each scenario gave the outcome it declares: clean ones pass, planted faults are found.
    """
    if targets and everything:
        raise UsageError(
            "--all means all bundled scenarios, and the command line also names some.",
            "Leave out --all, or the names.",
        )
    selection = benches.select(targets or [], everything=everything or profile.name == "full")
    if selection.left_out:
        _print_selection(selection)
    interpreter = inspect_interpreter(launch.python)
    chosen_seed = random_seed() if seed is None else seed
    plans = [
        RunOptions(
            scenario=s,
            profile=profile.resolve(s),
            params=s.params,
            seed=chosen_seed,
            interpreter=interpreter,
            ready_timeout_s=launch.ready_timeout_s(),
            argv=command_line(),
        )
        for s in selection.scenarios
    ]
    folder = benches.create_folder(out or Path("reports") / "bench" / benches.new_bench_id())
    display: ProgressDisplay | None = None

    def begin(plan: RunOptions) -> None:
        nonlocal display
        display = ProgressDisplay(plan.scenario.name)
        display.__enter__()

    def progress(state: Progress) -> None:
        assert display is not None
        display.show(state)

    def row(done: BenchRow) -> None:
        assert display is not None
        display.__exit__(None, None, None)
        _print_row(done)

    try:
        result = benches.execute_all(plans, folder, selection, begin, progress, row)
    finally:
        if display is not None:
            display.__exit__(None, None, None)
    if result.ended == "interrupted":
        terminal_summary.print_interrupted()
    code = benches.exit_code(result)
    if json:
        terminal_summary.print_json(_as_json(result, folder, code))
    else:
        _print_table(result, folder)
    raise typer.Exit(int(code))


def no_result(arguments: Sequence[str]) -> dict[str, Any]:
    """The `--json` object of a bench without a result."""
    return {"bench_dir": None, "verdict": "unknown", "rows": []}


def _print_selection(selection: benches.Selection) -> None:
    chosen = len(selection.scenarios)
    Console(stderr=True, highlight=False).print(
        f"The core suite: {chosen} of {chosen + selection.left_out} scenarios. "
        "To run all of them: gradsoak bench --all, or --profile full for long runs.",
        soft_wrap=True,
    )


def _print_row(row: BenchRow) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(
        Text.assemble(
            (row.scenario, "bold"),
            "  ",
            (row.verdict, terminal_summary.STYLES[row.verdict]),
            f"  expected {row.expected}: ",
            ("as declared", "green") if row.met else ("NOT AS DECLARED", "bold red"),
            f"  {row.duration_s:.0f} s",
        )
    )
    if row.error:
        console.print(row.error, markup=False, style="red", soft_wrap=True)


def _print_table(bench: Bench, folder: Path) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("scenario", "verdict", "met", "live/session", "p50", "p95", "rate"):
        table.add_column(
            name, no_wrap=True, justify="left" if name in ("scenario", "verdict", "met") else "right"
        )
    for row in bench.rows:
        live = row.live_bytes_per_session
        table.add_row(
            row.scenario,
            Text(row.verdict, style=terminal_summary.STYLES[row.verdict]),
            Text("yes", style="green") if row.met else Text("NO", style="bold red"),
            units.byte_size(live.estimate if live else None),
            _doubted(row.p50_ms, row),
            _doubted(row.p95_ms, row),
            units.rate(row.throughput_per_s),
        )
    console = Console(highlight=False)
    if any(row.latency_doubtful for row in bench.rows):
        table.caption = "? doubtful: the load generator was or may have been the bottleneck"
        table.caption_justify = "left"
    met = sum(row.met for row in bench.rows)
    console.print()
    console.print(table)
    console.print(
        Text(f"{met} of {len(bench.rows)} scenarios gave what they declare, in {bench.duration_s:.0f} s.")
    )
    console.print(Text.assemble(("report  ", "dim"), str(folder / benches.INDEX)), soft_wrap=True)


def _doubted(value_ms: float | None, row: BenchRow) -> Text:
    text = Text(units.milliseconds(value_ms))
    return text.append("?", style="yellow") if row.latency_doubtful and value_ms is not None else text


def _as_json(bench: Bench, folder: Path, code: ExitCode) -> str:
    return msgspec.json.encode(
        {
            "bench_dir": str(folder),
            "verdict": benches.verdict(bench, code),
            "rows": msgspec.to_builtins(bench.rows),
        }
    ).decode()
