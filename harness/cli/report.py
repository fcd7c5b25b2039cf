"""`gradsoak report`: from the files of a run to its verdict and report, again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness import rebuild
from harness.cli import options, summary
from harness.errors import run_exit_code
from harness.results import RunDir


def report(
    run_dir: Annotated[Path, typer.Argument(help="A run folder.")],
    json: options.Json = False,
) -> None:
    """Check, analyse and draw an existing run again, from its files alone."""
    folder = RunDir.open(run_dir)
    derived = rebuild.conclude(folder)
    rebuild.render(folder, derived)
    if json:
        summary.print_json(summary.as_json(folder.path, derived, None))
    else:
        summary.print_summary(folder.path, derived)
    raise typer.Exit(int(run_exit_code(derived.checks.verdict, None)))
