"""Follow-up runs, which explain another run: baseline run, memray pass and what-if runs.

Each is a run with its own folder, inside the folder of the main run. The main run is sealed before: a follow-up run that fails
does not change its result.
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
from harness.run_dir import ATTRIBUTION, BASELINE, WHAT_IF, RunDir
from harness.runs import what_if
from harness.runs.progress import Progress
from harness.runs.run_options import RunOptions, launch_environment
from harness.runs.single_run import execute
from harness.runs.what_if import WhatIf

# A traced app is several times slower. With these figures each line that allocates shows, and the pass takes half a minute.
_TRACED_SESSIONS = 8
_TRACED_BATCHES = 3
_TRACED_REQUESTS = 24
_TRACED_WARMUP_S = 2.0
_TRACED_BATCH_S = 3.0
_TRACED_SETTLE_S = 4.0

_BASELINE_SCENARIO = Path(__file__).resolve().parent.parent / "baseline_app"


class FollowUpRun(msgspec.Struct, frozen=True, kw_only=True):
    """A follow-up run to execute.

    Attributes:
        folder: its folder, relative to the folder of the main run.
        label: its name in the progress display, for example `baseline`.
    """

    folder: str
    label: str
    options: RunOptions


def baseline_run(options: RunOptions, run_dir: RunDir) -> FollowUpRun | None:
    """The baseline run: a stateless app with the same components and as many functions, with the same staircase.

    Args:
        options: the options of the main run.
        run_dir: the folder of the main run, which has ended.

    Returns:
        None if the profile has no baseline run, or if the app's interpreter is unknown because gradsoak did not start the app.
    """
    if not options.profile.control or options.interpreter is None:
        return None
    found = scenario.load(_BASELINE_SCENARIO)
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
        folder=BASELINE,
        label="baseline",
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
    """The memray pass: the same app, traced, with few sessions and requests. It finds allocation sites; its times and sizes mean nothing.

    Returns:
        None if gradsoak did not start the app, because then it cannot be traced.
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


def execute_follow_up(
    run: FollowUpRun, run_dir: RunDir, on_progress: Callable[[Progress], None]
) -> HarnessError | None:
    """Execute a follow-up run.

    Args:
        run: what to execute.
        run_dir: the folder of the main run.
        on_progress: called several times a second.

    Returns:
        The error that ended it early; None if it was completed.

    Raises:
        KeyboardInterrupt: the user interrupted it; its folder is sealed as interrupted.
    """
    try:
        return execute(run.options, RunDir.create(run_dir.path / run.folder), on_progress)
    except HarnessError as error:
        return error
    except Exception as error:  # its seal records the error; the main run does not depend on it
        return HarnessError(f"{type(error).__name__}: {error}")


def plan_what_ifs(options: RunOptions, settings: Sequence[str]) -> tuple[RunOptions, list[FollowUpRun]]:
    """The what-if runs, and the options that the main run needs for the comparison.

    Args:
        options: the options of the main run.
        settings: the values of `--what-if`.

    Returns:
        The options of the main run, with an idle phase as long as the slowest setting needs; and one what-if run for each setting.
        A what-if run has the seed, profile and parameters of the main run, apart from its setting.

    Raises:
        UsageError: a setting is impossible, or the run cannot be repeated.
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
    options = msgspec.structs.replace(options, profile=what_if.with_idle_phase(options.profile, what_ifs))
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


def evaluate_follow_up(run: FollowUpRun, run_dir: RunDir) -> HarnessError | None:
    """Evaluate a follow-up run that was executed, and draw its own report.

    Returns:
        The error that prevented this; None if the report was drawn.
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
    ) as error:  # the records of a run that ended early may be odd; the main run does not depend on them
        return HarnessError(f"{type(error).__name__}: {error}")
    return None
