"""`gradsoak init`: propose a scenario folder for the user's own app."""

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
from harness.cli.grouped_parameters import takes_groups
from harness.errors import TargetError, UsageError

# Longest time between an app's connections breaking and its end becoming visible.
_LAST_MOMENTS_S = 1.0


@takes_groups
def init(
    folder: Annotated[Path, typer.Argument(help="The scenario folder to write: a new or empty folder.")],
    app: Annotated[Path, typer.Option("--app", help="The app's file.")],
    launch: options.LaunchOptions,
    given: options.AppOptions,
) -> None:
    """Write a scenario folder for your own app: start the app, try the actions of its page, and propose a workload.

    The trial starts the app, clicks every button and fills in every field a few times, as a visitor would, and stops the app again.
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
            console.print("Trying the actions of its page")
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
            # The log is deleted with the temporary folder; the message has its last lines.
            raise TargetError(
                error.message, f"Does it run by itself? {interpreter.path} {app}", error.exit_code
            ) from error
        finally:
            with uninterrupted():
                target.stop()
    scaffold.write(draft, folder)
    _report(draft, folder, len(accounts) if target.asks_login else None)


def _end_of(target: Target) -> TargetError | None:
    """The error for an app that has exited; None if it still runs. It says more than the error of a page without an app.

    The app's connections break a moment before its exit is visible, so this waits a moment.
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
        raise UsageError(
            f"--app {app} is a folder.", f"Give the app's file, for example --app {app / 'app.py'}."
        )
    if not app.is_file():
        raise UsageError(f"--app {app} does not exist.", "Give the app's file, for example --app app.py.")
    if app.suffix != ".py":
        raise UsageError(
            f"--app {app} is not a Python file.",
            "Give the file that makes the Blocks, for example --app app.py.",
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
    """Print the proposal.

    Args:
        draft: the proposed scenario.
        folder: where it was written.
        logins: number of logins given; None if the app asks for none.
    """
    console = Console(highlight=False, soft_wrap=True)
    findings, gestures = draft.findings, draft.operations
    if not gestures:
        none = "Every action of the page failed" if findings.failed else "The page has no actions"
        console.print(f"{none}: the workload only opens the page.", style="yellow")
    for gesture in gestures:
        touched = [
            f"{v.name} ({v.model})" for v in findings.variables if gesture.slug in (*v.effects, *v.readers)
        ]
        console.print(
            Text.assemble((gesture.slug, "bold"), f"  {', '.join(touched) or 'no state that can be checked'}")
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
        console.print(
            "A run will report this, too, unless workload.py declares that these values are shared on purpose."
        )
        if logins == 1:
            console.print(
                "Both sessions used the same login, and data of an account looks the same. To tell them apart, give --auth twice, "
                "with two accounts."
            )
        console.print()
    console.print(Text(f"Wrote {folder}. Read workload.py, and adjust what it says about the app. Then:"))
    login = " --auth USER:PASSWORD" if logins else ""
    console.print(Text(f"  gradsoak run {_as_path(folder)}{login}", style="bold"))


def _as_path(folder: Path) -> str:
    """A folder's path as a shell word that `gradsoak run` does not take for the name of a bundled scenario."""
    text = str(folder)
    return shlex.quote(text if "/" in text else f"./{text}")
