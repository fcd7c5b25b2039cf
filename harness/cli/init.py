"""`gradsoak init`: a scenario folder for an app of the user's own."""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harness import scaffold
from harness.app_under_test import Target, inspect_interpreter
from harness.child_process import uninterrupted
from harness.cli import options
from harness.cli.option_groups import takes_groups
from harness.errors import TargetError, UsageError

# So long after its connections broke an app may still be seen to run.
_LAST_MOMENTS_S = 1.0


@takes_groups
def init(
    folder: Annotated[
        Path, typer.Argument(help="The scenario folder to make; it must not hold anything yet.")
    ],
    app: Annotated[Path, typer.Option("--app", help="The app's file.")],
    launch: options.LaunchOptions,
    given: options.AppOptions,
) -> None:
    """Write a scenario folder for your own app: start it, try what there is to do on its page, and propose a workload.

    The trial clicks every button and fills in every field a few times, as a visitor would, in an app that is started for it and
    stopped afterwards.
    """
    params = given.params()
    _check_names(params)
    _check(folder, app)
    interpreter = inspect_interpreter(launch.python)
    accounts = given.accounts()
    ready_timeout_s = launch.ready_timeout_s()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="gradsoak-init-") as private:
        console.print(f"Starting {app}")
        target = Target(app.resolve(), interpreter, Path(private) / "target.log", params, accounts)
        try:
            url = target.wait_ready(ready_timeout_s)
            console.print("Trying what there is to do on its page")
            draft = scaffold.draft(
                url,
                accounts if target.asks_login else [],
                app=Path(os.path.relpath(app.resolve(), folder.resolve())),
                params=params,
                title=folder.resolve().name.replace("_", " ").replace("-", " ").capitalize(),
            )
            target.check_alive("during the trial")
        except TargetError as error:
            error = _end_of(target) or error
            # The log goes away with the temporary folder; its end stands in the message.
            raise TargetError(
                error.message, f"Does it run by itself? {interpreter.path} {app}", error.exit_code
            ) from error
        finally:
            with uninterrupted():
                target.stop()
    scaffold.write(draft, folder)
    _report(draft, folder, len(accounts) if target.asks_login else None)


def _end_of(target: Target) -> TargetError | None:
    """How the app has ended, which says more than what a page then meets with; None if it runs.

    Its connections break a moment before its end can be seen.
    """
    until = time.monotonic() + _LAST_MOMENTS_S
    while True:
        try:
            target.check_alive("during the trial")
        except TargetError as ended:
            return ended
        if time.monotonic() >= until:
            return None
        time.sleep(0.02)


def _check_names(params: Mapping[str, str]) -> None:
    for name in params:
        if not name.isidentifier():
            raise UsageError(
                f"--param {name} is not possible: the app's environment cannot have a variable of that name.",
                "Use letters, digits and underscores, as in LIST_ITEMS.",
            )


def _check(folder: Path, app: Path) -> None:
    if app.is_dir():
        raise UsageError(f"{app} is a folder.", f"Name the app's file: --app {app / 'app.py'}")
    if not app.is_file():
        raise UsageError(
            f"{app} does not exist.", "Name the app's file with --app, for example --app app.py."
        )
    if app.suffix != ".py":
        raise UsageError(
            f"{app} is no Python file.", "Name the file that makes the Blocks, for example --app app.py."
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file.", "Name a new folder.")
    try:
        full = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}.", "Name another folder.") from error
    if full:
        raise UsageError(
            f"{folder} is not empty.",
            "Name a new folder; gradsoak never overwrites a scenario. The app stays where it is.",
        )


def _report(draft: scaffold.Draft, folder: Path, logins: int | None) -> None:
    """Say what is proposed.

    Args:
        draft: what was written.
        folder: to where.
        logins: how many were given, None if the app asks for none.
    """
    console = Console(highlight=False, soft_wrap=True)
    findings, gestures = draft.findings, draft.operations
    if not gestures:
        console.print(
            f"{'Whatever' if findings.failed else 'The app has no events that'} a person could set off"
            f"{' failed' if findings.failed else ''}: the workload only opens the page.",
            style="yellow",
        )
    for gesture in gestures:
        touched = [
            f"{v.name} ({v.model})" for v in findings.variables if gesture.slug in (*v.effects, *v.readers)
        ]
        console.print(
            Text.assemble(
                (gesture.slug, "bold"), f"  {', '.join(touched) or 'nothing that could be checked'}"
            )
        )
    for text in findings.unmodelled:
        console.print(Text(f"not checked: {text}"))
    for slug, error in findings.failed.items():
        console.print(Text(f"left out: {slug} failed with: {error}", style="yellow"))
    for text in draft.left_out:
        console.print(Text(f"left out: {text}", style="yellow"))
    if findings.alarms:
        console.print()
        console.print("ATTENTION: the trial saw one session's values in another one.", style="bold red")
        for text in findings.alarms:
            console.print(Text(text, style="red"))
        console.print("A run will say so, too, unless workload.py declares that these are shared on purpose.")
        if logins == 1:
            console.print(
                "Both sessions had the one login that was given: what belongs to an account looks just like that. "
                "Give --auth twice, with two accounts."
            )
        console.print()
    console.print(Text(f"Wrote {folder}: read workload.py, and adjust what it says the app means. Then:"))
    login = " --auth USER:PASSWORD" if logins else ""
    console.print(Text(f"  gradsoak run {_as_path(folder)}{login}", style="bold"))


def _as_path(folder: Path) -> str:
    """A path, for a shell, that is not taken for the name of a bundled scenario."""
    text = str(folder)
    return shlex.quote(text if "/" in text else f"./{text}")
