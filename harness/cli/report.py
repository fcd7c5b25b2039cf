"""`gradsoak report`: verdict, figures and report of an existing run, made again from its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harness import evaluate
from harness.cli import options, terminal_summary
from harness.errors import ExitCode, HarnessError, StorageError, UsageError, run_exit_code
from harness.evaluate import Evaluation
from harness.run_dir import RunDir
from harness.run_reader import open_run

# Anomalies of each kind whose proof the terminal shows. The report shows more; `checks.json` and `--json` hold all that are kept.
EXPLAINED = 3


def report(
    run_dir: Annotated[Path, typer.Argument(help="A run folder.")],
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help=f"Print the proof of the first {EXPLAINED} anomalies of each kind; with --json, all that are kept.",
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Evaluate an existing run again, from its files alone: verdicts, figures, plots and report. The app is not needed."""
    evaluation, error = evaluate_again(run_dir)
    if json:
        terminal_summary.print_json(terminal_summary.as_json(run_dir, evaluation, error, anomalies=explain))
    else:
        terminal_summary.print_summary(run_dir, evaluation, explained=EXPLAINED if explain else 0)
    if error is not None:
        terminal_summary.print_error(error)
    raise typer.Exit(exit_code(evaluation, error))


def no_result(arguments: Sequence[str]) -> dict[str, Any]:
    """The `--json` object of a run that cannot be evaluated."""
    anomalies: dict[str, Any] = {"anomalies": {}, "anomalies_total": {}}
    return {**terminal_summary.NO_RESULT, **(anomalies if "--explain" in arguments else {})}


def evaluate_again(path: Path) -> tuple[Evaluation, HarnessError | None]:
    """Make verdicts, figures, plots and the report of a run again.

    Args:
        path: the run folder. Its raw files are only read.

    Returns:
        The conclusions; and an error if they could not all be written. Files of an earlier evaluation then stay as they were.

    Raises:
        UsageError: the folder holds no run, or its files cannot be read.
    """
    folder = RunDir.open(path)
    try:
        evaluation = evaluate.evaluate(open_run(folder))
    except OSError as error:
        raise UsageError(
            f"Cannot read {error.filename or path}: {error.strerror or error}.",
            "Give yourself the right to read the run folder, or copy it to where you have it.",
        ) from error
    try:
        evaluate.write(folder, evaluation)
        evaluate.render(folder, evaluation)
    except StorageError as error:
        return evaluation, StorageError(
            error.message, "Free some space, or copy the run folder to where it can be written to."
        )
    return evaluation, None


def exit_code(evaluation: Evaluation, error: HarnessError | None) -> int:
    """The exit status. A proven anomaly stays proven if it cannot be written to disk."""
    if evaluation.checks.verdict == "fail":
        return int(ExitCode.ANOMALY)
    return int(run_exit_code(evaluation.checks.verdict, error))
