"""The `gradsoak` command and its verbs."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import __version__
from harness.cli import bench, check, init, report, run, scenarios

EXIT_CODES = """
Exit codes:

0 pass · 1 anomaly, leak or regression · 2 usage · 3 unknown or inconclusive · 4 the target failed · 70 our own fault
"""

app = typer.Typer(
    name="gradsoak",
    help=(
        "Load-test a Gradio app that keeps state: did anyone see anyone else's state, what does a session cost, "
        "how fast is it?"
    ),
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"gradsoak {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the verb."""


app.command("run", epilog=EXIT_CODES)(run.run)
app.command("bench", epilog=EXIT_CODES)(bench.bench)
app.command("check", epilog=EXIT_CODES)(check.check)
app.command("report", epilog=EXIT_CODES)(report.report)
app.command("init", epilog=EXIT_CODES)(init.init)
app.command("scenarios")(scenarios.scenarios)
