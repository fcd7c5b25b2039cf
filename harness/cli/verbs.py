"""The `gradsoak` command and its verbs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from harness import __version__
from harness.cli import bench, init, report, run, scenarios, terminal_summary
from harness.errors import UsageError
from harness.run_dir import MANIFEST

EXIT_CODES = """
Exit codes:

0 pass · 1 anomaly or leak · 2 usage · 3 unknown or inconclusive · 4 the target failed · 70 our own fault
"""


class Verbs(TyperGroup):
    """The verbs, with an error for a word that is none of them."""

    # `Any`, since typer brings its own copy of click or uses click itself, depending on its release.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb that the command line begins with.

        Raises:
            UsageError: there is no such verb. If a run folder follows, the hint is the command that evaluates it.
        """
        word, *rest = args
        verbs = self.list_commands(ctx)
        if word in verbs or word.startswith("-"):
            return super().resolve_command(ctx, args)
        folder = next((text for text in rest if (Path(text) / MANIFEST).is_file()), None)
        if folder is not None:
            raise UsageError(
                f"gradsoak has no verb {word!r}.",
                f"To evaluate this run again: gradsoak report {folder}, with --explain for the proof of each anomaly.",
            )
        near = difflib.get_close_matches(word, verbs, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"gradsoak has no verb {word!r}.", f"{meant}Verbs: {', '.join(verbs)}.")


app = typer.Typer(
    name="gradsoak",
    cls=Verbs,
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


# Each verb is the function of that name in its module.
_MODULES = {"run": run, "bench": bench, "report": report, "init": init, "scenarios": scenarios}

for _verb, _module in _MODULES.items():
    app.command(_verb, epilog=EXIT_CODES)(getattr(_module, _verb))


def no_result(arguments: Sequence[str]) -> dict[str, Any]:
    """What `--json` prints beside an error, when there is no result.

    A verb whose object differs from that of `gradsoak run` has a function `no_result` in its module.

    Args:
        arguments: the command line, without the program's name.
    """
    module = _MODULES.get(arguments[0]) if arguments else None
    own: Callable[[Sequence[str]], dict[str, Any]] | None = getattr(module, "no_result", None)
    if own is not None:
        return own(arguments)
    return dict(terminal_summary.NO_RESULT)
