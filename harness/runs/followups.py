"""The runs that explain another one: each a run of its own, in a folder inside that one's.

The run itself has been sealed by then, and nothing that goes wrong here takes anything from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness import evaluate, scenario
from harness.app_under_test.allocators import find_jemalloc, starts_with
from harness.errors import HarnessError, UsageError
from harness.history import limits_of
from harness.run_dir import ATTRIBUTION, CONTROL, WHAT_IF, RunDir
from harness.runs import what_if
from harness.runs.plan import RunOptions, launch_environment
from harness.runs.single_run import Progress, execute
from harness.runs.what_if import WhatIf

# Under a tracker an app is several times slower: enough for every line to show, and little enough for half a minute.
_TRACED_SESSIONS = 8
_TRACED_BATCHES = 3
_TRACED_REQUESTS = 24
_TRACED_WARMUP_S = 2.0
_TRACED_BATCH_S = 3.0
_TRACED_SETTLE_S = 4.0

_CONTROL_SCENARIO = Path(__file__).resolve().parent.parent / "baseline_app"


class FollowUpRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be made beside another.

    Attributes:
        folder: where, within the folder of the other.
        label: what the user is told meanwhile, as `control`.
    """

    folder: str
    label: str
    options: RunOptions


def control_run(options: RunOptions, run_dir: RunDir) -> FollowUpRun | None:
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
        staircase=msgspec.structs.replace(options.profile.staircase, idle_s=0.0),
    )
    return FollowUpRun(
        folder=CONTROL,
        label="control",
        options=msgspec.structs.replace(
            options,
            scenario=found,
            profile=profile,
            params=found.params | {name: text for name, text in page.items() if text is not None},
            driver="page",
            cluster=None,
            auth=[],
            purpose="control",
            what_if=None,
        ),
    )


def attribution_run(options: RunOptions) -> FollowUpRun | None:
    """A pass of the same app under memray, with few sessions and requests: it names lines of code, and measures neither time nor memory.

    None if the app was not started by gradsoak: nobody can put a tracker into it.
    """
    if options.interpreter is None:
        return None
    plan = options.profile.staircase
    profile = msgspec.structs.replace(
        options.profile,
        duration_s=0.0,
        arrival_rate=None,
        warmup_s=min(options.profile.warmup_s, _TRACED_WARMUP_S),
        warm_until_flat=True,
        control=False,
        staircase=msgspec.structs.replace(
            plan,
            levels=1,
            sessions_per_level=min(plan.levels * plan.sessions_per_level, _TRACED_SESSIONS),
            request_batches=_TRACED_BATCHES,
            requests_per_batch=min(plan.requests_per_batch or _TRACED_REQUESTS, _TRACED_REQUESTS),
            requests_per_level=0,
            batch_timeout_s=min(plan.batch_timeout_s, _TRACED_BATCH_S),
            settle_timeout_s=min(plan.settle_timeout_s, _TRACED_SETTLE_S),
            rounds=0,
            idle_s=0.0,
        ),
    )
    return FollowUpRun(
        folder=ATTRIBUTION,
        label="memray",
        options=msgspec.structs.replace(
            options,
            profile=profile,
            driver="page",
            cluster=None,
            purpose="attribution",
            what_if=None,
        ),
    )


def execute_beside(
    run: FollowUpRun, run_dir: RunDir, on_progress: Callable[[Progress], None]
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
    except Exception as error:  # its seal says so; what it was to explain holds without it
        return HarnessError(f"{type(error).__name__}: {error}")


def plan_what_ifs(options: RunOptions, settings: Sequence[str]) -> tuple[RunOptions, list[FollowUpRun]]:
    """The runs that try another setting, and the run itself as they need it.

    Args:
        options: the run.
        settings: what to try, as the command line names it.

    Returns:
        The run, which leaves its sessions alone for as long as one of the settings needs to show itself; and the same
        experiment once with each setting: same seed, profile and parameters, but for the one that is tried.

    Raises:
        UsageError: a setting is impossible, or this run cannot be made again.
    """
    if not settings:
        return options, []
    interpreter = options.interpreter
    if options.external is not None or interpreter is None:
        raise UsageError(
            "--what-if starts the app anew with another setting, and gradsoak did not start this one.",
            "Leave out --url, and name the scenario whose app gradsoak can start.",
        )
    if options.cluster is not None and not options.cluster.local:
        raise UsageError(
            "--what-if makes the run again, and workers from elsewhere are gone by then.",
            "Leave out --master, or --what-if.",
        )
    what_ifs = what_if.parse(
        settings,
        params=options.params,
        environment={**os.environ, **launch_environment(options)},
        find_jemalloc=lambda named: find_jemalloc(named, lambda path: starts_with(interpreter.path, path)),
    )
    options = msgspec.structs.replace(options, profile=what_if.left_alone(options.profile, what_ifs))
    return options, [_what_if_run(options, tried) for tried in what_ifs]


def _what_if_run(options: RunOptions, tried: WhatIf) -> FollowUpRun:
    return FollowUpRun(
        folder=f"{WHAT_IF}/{tried.slug}",
        label=f"what-if {tried.label}",
        options=msgspec.structs.replace(
            options,
            profile=msgspec.structs.replace(options.profile, control=False),
            params={**options.params, **tried.params},
            environment={**options.environment, **tried.environment},
            purpose="what-if",
            what_if=tried.label,
        ),
    )


def conclude_beside(run: FollowUpRun, run_dir: RunDir) -> HarnessError | None:
    """Conclude from one of them that was made, and draw its own report.

    Returns:
        Why that could not be done, None if it was.
    """
    folder = run_dir.follow_up(run.folder)
    if folder is None:
        return None
    try:
        evaluate.render(folder, evaluate.evaluate_run(folder))
    except HarnessError as error:
        return error
    except (
        Exception
    ) as error:  # of a run that ended at an odd moment; what it was to explain holds without it
        return HarnessError(f"{type(error).__name__}: {error}")
    return None
