"""`gradsoak check`: from the files of a run to the proof of each anomaly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import again, options, terminal_summary

# Of each kind; the report shows more of them, and `checks.json` and `--json` all that are kept.
EXPLAINED = 3


def check(
    run_dir: Annotated[Path, typer.Argument(help="A run folder.")],
    json: options.Json = False,
) -> None:
    """Check an existing run again, from its files alone, and explain its anomalies.

    Verdicts, figures, plots and report are made anew, as `gradsoak report` does; but where that prints a summary, this also
    prints the proof of the first anomalies of each kind, and with --json all that are kept.
    """
    derived, error = again.redo(run_dir)
    if json:
        terminal_summary.print_json(terminal_summary.as_json(run_dir, derived, error, anomalies=True))
    else:
        terminal_summary.print_summary(run_dir, derived, explained=EXPLAINED)
    if error is not None:
        terminal_summary.print_error(error)
    raise typer.Exit(again.exit_code(derived, error))
