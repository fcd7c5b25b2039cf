"""Proposes a scenario folder for a user's app, from its page and a short trial.

gradsoak does not know what an app means, so the proposal rests on observations: `gestures` finds what a user can do on the page,
`trial` does it in three sessions, `model_guess` compares the results with the models of gradsoak, and `scenario_text` writes a
workload that runs as it is. All but the trial is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.app_under_test import Account
from harness.errors import UsageError
from harness.run_dir import write_atomically
from harness.scaffold import scenario_text
from harness.scaffold.gestures import Gesture
from harness.scaffold.model_guess import TrialFindings, conclude
from harness.scaffold.trial import look_and_try
from harness.scenario import SETTINGS, WORKLOAD

__all__ = ["Draft", "draft", "write"]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A proposed scenario.

    Attributes:
        workload, settings: the texts of its files.
        operations: the gestures of the workload.
        findings: the results of the trial.
        left_out: what is not proposed and why, one sentence each.
    """

    workload: str
    settings: str
    operations: list[Gesture]
    findings: TrialFindings
    left_out: list[str]


def draft(
    url: str,
    accounts: Sequence[Account],
    *,
    app: Path,
    params: Mapping[str, str],
    title: str,
    on_step: Callable[[str], None] = lambda what: None,
) -> Draft:
    """Try an app that was started for this purpose, and propose a scenario.

    Args:
        url: root of the app.
        accounts: logins, if the app requires one.
        app: path of its file, relative to the scenario's folder.
        params: parameters that the app got as environment variables.
        title: of the scenario.
        on_step: called with each next step.

    Raises:
        TargetError: the page of the app cannot be opened.
    """
    page, acts, skipped = look_and_try(url, accounts, on_step)
    findings = conclude(page, acts)
    tried = {act.gesture for act in acts}
    page = msgspec.structs.replace(page, gestures=[g for g in page.gestures if g.slug in tried])
    return Draft(
        workload=scenario_text.workload(app.name, page, findings, skipped),
        settings=scenario_text.settings(title, app.as_posix(), params),
        operations=[g for g in page.gestures if g.slug not in findings.failed],
        findings=findings,
        left_out=[*page.left_out, *skipped],
    )


def write(made: Draft, folder: Path) -> None:
    """Write the scenario's files into a new or empty folder.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / WORKLOAD, made.workload.encode())
        write_atomically(folder / SETTINGS, made.settings.encode())
    except OSError as error:
        raise UsageError(
            f"Cannot write {folder}: {error.strerror or error}.", "Name a folder that you can write to."
        ) from error
