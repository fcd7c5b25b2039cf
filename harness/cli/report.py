"""`gradsoak report`: from the files of a run to its verdict and report, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import again, options, terminal_summary


def report(
    run_dir: Annotated[Path, typer.Argument(help="A run folder.")],
    json: options.Json = False,
) -> None:
    """Check, analyse and draw an existing run again, from its files alone, and print a summary.

    `gradsoak check` does the same, and explains each kind of anomaly on the terminal.
    """
    derived, error = again.redo(run_dir)
    if json:
        terminal_summary.print_json(terminal_summary.as_json(run_dir, derived, error))
    else:
        terminal_summary.print_summary(run_dir, derived)
    if error is not None:
        terminal_summary.print_error(error)
    raise typer.Exit(again.exit_code(derived, error))
