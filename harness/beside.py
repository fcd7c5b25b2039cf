"""The runs that explain another one: each a run of its own, in a folder inside that one's.

The run itself has been sealed by then, and nothing that goes wrong here takes anything from it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from harness import scenario
from harness.errors import HarnessError
from harness.history import limits_of
from harness.plan import RunOptions
from harness.results import CONTROL, RunDir
from harness.run import Progress, execute

_CONTROL_SCENARIO = Path(__file__).resolve().parent / "control"


class BesideRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be made beside another.

    Attributes:
        folder: where, within the folder of the other.
        label: what the user is told meanwhile, as `control`.
    """

    folder: str
    label: str
    options: RunOptions


def control_run(options: RunOptions, run_dir: RunDir) -> BesideRun | None:
    """The control of a run that was made: a state-free app with the same components and as many functions, under the same staircase.

    None if the profile asks for none, or if the app was not started by gradsoak: nobody knows what interpreter it runs in.
    """
    if not options.profile.control or options.interpreter is None:
        return None
    found = scenario.load(_CONTROL_SCENARIO)
    limits = limits_of(run_dir.events())
    kinds = limits.component_types or {}
    page = {
        "COMPONENTS": ",".join(f"{name}:{number}" for name, number in sorted(kinds.items())) or None,
        "FUNCTIONS": None if limits.functions is None else str(limits.functions),
    }
    profile = msgspec.structs.replace(
        options.profile,
        duration_s=0.0,
        arrival_rate=None,
        control=False,
    )
    return BesideRun(
        folder=CONTROL,
        label="control",
        options=msgspec.structs.replace(
            options,
            scenario=found,
            profile=profile,
            params=found.params | {name: text for name, text in page.items() if text is not None},
            driver="page",
            distribution=None,
            auth=[],
            purpose="control",
            what_if=None,
        ),
    )


def execute_beside(
    run: BesideRun, run_dir: RunDir, on_progress: Callable[[Progress], None]
) -> HarnessError | None:
    """Make one of them.

    Args:
        run: what to make.
        run_dir: the run that it explains.
        on_progress: called several times a second.

    Returns:
        What ended it early, None if it was completed.

    Raises:
        KeyboardInterrupt: the user ended it; it is sealed as interrupted.
    """
    try:
        return execute(run.options, RunDir.create(run_dir.path / run.folder), on_progress)
    except HarnessError as error:
        return error
