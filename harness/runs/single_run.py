"""One run from start to seal: warm-up, staircase, request batches, timed load, drain, second round, restart.

All observations are on disk before `harness.evaluate` draws conclusions from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from harness.child_process import uninterrupted
from harness.errors import HarnessError, StorageError, TargetError, UsageError
from harness.load.commands import Drive, Hold, Release, Return
from harness.records import (
    EXPLAIN_PHASE,
    IDLE_PHASE,
    REQUESTS_PHASE,
    RESTART_PHASE,
    RETURN_PHASE,
    SECOND_ROUND_PHASE,
    GradioLimits,
)
from harness.run_dir import RunDir
from harness.runs import memray_pass
from harness.runs.active_run import ActiveRun
from harness.runs.plateaus import PlateauRecorder
from harness.runs.progress import Progress
from harness.runs.run_options import RunOptions
from harness.runs.warm_up import warm_up


def execute(
    options: RunOptions, run_dir: RunDir, on_progress: Callable[[Progress], None]
) -> HarnessError | None:
    """Execute a run and seal its folder.

    Args:
        options: what to run.
        run_dir: a new run folder.
        on_progress: called several times a second, in this thread.

    Returns:
        The error that ended the run early; None if it was completed. What was observed before the error is on disk.

    Raises:
        HarnessError: the run did not begin, because its manifest could not be written, or the folder could not be sealed.
        KeyboardInterrupt: the user interrupted the run; the folder is sealed as interrupted.
    """
    with uninterrupted():
        run = ActiveRun(options, run_dir, on_progress)
        plateaus = PlateauRecorder(run)
    ended, reason = "completed", ""
    early: HarnessError | None = None
    try:
        _observe(run, plateaus)
    except KeyboardInterrupt:
        ended, reason = "interrupted", "The run was interrupted."
        raise
    except HarnessError as error:
        kinds = {TargetError: "target_failed", StorageError: "storage_failed", UsageError: "misused"}
        ended, reason, early = kinds.get(type(error), "load_failed"), error.message, error
    except BaseException as error:
        ended, reason = "internal_error", f"{type(error).__name__}: {error}"
        raise
    finally:
        # A second Ctrl-C must not leave processes or an unsealed run.
        with uninterrupted():
            _finish(run, plateaus, ended, reason)
    return early


def _observe(run: ActiveRun, plateaus: PlateauRecorder) -> None:
    run.start()
    if run.options.profile.warmup_s > 0:
        warm_up(run, plateaus)
    if run.options.purpose == "attribution":
        memray_pass.trace(run, plateaus)
    else:
        _experiment(run, plateaus)
    run.quit_load()


def _finish(run: ActiveRun, plateaus: PlateauRecorder, ended: str, reason: str) -> None:
    run.stop(ended, reason)
    plateaus.close()
    try:
        run.run_dir.seal(ended, reason)
    except StorageError:
        # A run without a seal counts as incomplete. If it ended early, it is.
        if ended == "completed":
            raise


def _experiment(run: ActiveRun, plateaus: PlateauRecorder) -> None:
    """The phases of a run in their order."""
    held = _staircase(run, plateaus)
    limits = run.target.limits()
    if limits is not None:
        run.event("limits", **msgspec.to_builtins(limits))
    _request_batches(run, plateaus, held)
    _idle(run, plateaus, held)
    if run.options.profile.duration_s > 0:
        _timed_load(run)
    run.enter("drain")
    run.perform(Release(phase="drain"))
    run.enter("after-close")
    plateaus.wait_until_freed(limits)
    plateaus.measure("after-close", 0)
    _second_round(run, plateaus, limits)
    if plateaus.needs_explanation():
        run.enter(EXPLAIN_PHASE)
        plateaus.explain()
    if run.options.scenario.restart and run.options.external is None:
        # Last, because a new process has neither the sessions nor the memory of the old one.
        _restart(run)


def _staircase(run: ActiveRun, plateaus: PlateauRecorder) -> int:
    """Open sessions step by step and measure a plateau after each step. Returns how many sessions are held."""
    plan = run.options.profile.staircase
    run.enter("staircase")
    plateaus.measure_idle("staircase")
    held = 0
    for level in range(1, plan.levels + 1):
        wanted = level * plan.sessions_per_level
        held = run.perform(Hold(sessions=wanted, phase="staircase")).held
        if held < wanted:
            run.warn(
                f"{wanted - held} of {wanted} sessions of the staircase could not be opened or given their state"
            )
        run.perform_actions(plan.requests_per_level, "staircase")
        plateaus.measure("staircase", held)
    return held


def _request_batches(run: ActiveRun, plateaus: PlateauRecorder, held: int) -> None:
    """Let the held sessions act, with a plateau after each batch. This shows growth that requests alone cause."""
    plan = run.options.profile.staircase
    if not plan.request_batches or not held:
        return
    run.enter(REQUESTS_PHASE)
    for _ in range(plan.request_batches):
        run.perform_actions(plan.requests_per_batch, REQUESTS_PHASE)
        plateaus.measure("requests", held)


def _idle(run: ActiveRun, plateaus: PlateauRecorder, held: int) -> None:
    """Leave the held sessions idle. This shows what Gradio frees without their action."""
    idle_s = run.options.profile.staircase.idle_s
    if idle_s > 0 and held:
        run.enter(IDLE_PHASE)
        run.pause(idle_s)
        plateaus.measure("idle", held)


def _timed_load(run: ActiveRun) -> None:
    """The load phase, from which latencies and throughput are computed."""
    profile = run.options.profile
    run.enter("load", users=profile.users if profile.model == "closed" else 0)
    driven = run.perform(
        Drive(
            users=profile.users,
            spawn_rate=profile.spawn_rate,
            duration_s=profile.duration_s,
            phase="load",
            arrival_rate=profile.arrival_rate,
        )
    )
    if driven.arrivals is not None:
        run.event("arrivals", **msgspec.to_builtins(driven.arrivals))


def _second_round(run: ActiveRun, plateaus: PlateauRecorder, limits: GradioLimits | None) -> None:
    """Open and close new sessions, with a plateau after each batch. This shows what a closed session retains."""
    plan = run.options.profile.staircase
    if not plan.rounds:
        return
    run.enter(SECOND_ROUND_PHASE)
    for _ in range(plan.rounds):
        opened = run.perform(Hold(sessions=plan.sessions_per_level, phase=SECOND_ROUND_PHASE))
        if not opened.held:
            run.warn("No session of the second round could be opened and given its state")
            return
        run.perform(Release(phase=SECOND_ROUND_PHASE))
        plateaus.wait_until_freed(limits)
        plateaus.measure("second-round", 0)


def _restart(run: ActiveRun) -> None:
    """Stop and start the app, then let users of the load phase return. This shows whether acknowledged writes survive."""
    profile = run.options.profile
    run.enter(RESTART_PHASE)
    began, old_pid = time.monotonic(), run.target.pid
    stopped = run.target.restart(run.options.ready_timeout_s, run.show, seen=run.sampler.members("target"))
    run.event(
        "target_restart",
        old_pid=old_pid,
        new_pid=run.target.pid,
        stopped=stopped,
        duration_s=round(time.monotonic() - began, 3),
    )
    if stopped.endswith("SIGKILL"):
        run.warn(
            "The app did not end within 10 s of SIGTERM and was killed: it may have lost what it writes at its end"
        )
    if run.target.pid is not None:
        run.sampler.follow("target", run.target.pid)
    run.enter(RETURN_PHASE)
    users = profile.users if profile.model == "closed" else profile.max_in_flight
    run.perform(Return(users=users, phase=RETURN_PHASE))
