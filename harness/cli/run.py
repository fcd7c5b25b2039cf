"""`gradsoak run`: one scenario."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness import evaluate, scenario
from harness.app_under_test import RunningApp, inspect_interpreter, inspect_url, locate
from harness.cli import cluster_run, options, terminal_summary
from harness.cli.grouped_parameters import takes_groups
from harness.cli.progress_display import ProgressDisplay
from harness.errors import HarnessError, UsageError, run_exit_code
from harness.run_dir import RunDir
from harness.runs import followups
from harness.runs.run_options import RunOptions, command_line, new_run_id, random_seed
from harness.runs.single_run import execute


@takes_groups
def run(
    target: Annotated[
        str, typer.Argument(help="A bundled scenario's name, or the path of a scenario folder.")
    ],
    profile: options.ProfileOptions,
    follow_ups: options.FollowUpOptions,
    launch: options.LaunchOptions,
    app: options.AppOptions,
    running: options.RunningAppOptions,
    cluster: options.ClusterOptions,
    driver: options.DriverName = "page",
    seed: options.Seed = None,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Run one scenario under load, and report on isolation, memory and speed."""
    found = scenario.find(target, needs_app=running.url is None and not cluster.worker)
    if cluster.worker:
        cluster_run.be_worker(found, cluster, allow_remote=running.allow_remote, json=json)
    divided = cluster_run.plan(cluster, allow_remote=running.allow_remote)
    accounts = app.accounts()
    ready_timeout_s = launch.ready_timeout_s()
    resolved = profile.resolve(found)
    cluster_run.check_cap(divided, resolved)
    params = scenario.override_params(found, app.params())
    external = _running_app(running, launch, accounts, memray=follow_ups.memray)
    run_options = RunOptions(
        scenario=found,
        profile=resolved,
        params=params,
        seed=random_seed() if seed is None else seed,
        interpreter=None if external else inspect_interpreter(launch.python),
        ready_timeout_s=ready_timeout_s,
        argv=command_line(),
        driver=options.driver(driver),
        cluster=divided,
        external=external,
        auth=accounts,
    )
    run_options, what_ifs = followups.plan_what_ifs(run_options, follow_ups.what_if or [])
    run_dir = RunDir.create(out or Path("reports") / "runs" / new_run_id(found.name))
    error: HarnessError | None = None
    interrupted = False
    with ProgressDisplay(found.name) as display:
        if (text := cluster_run.waiting(divided, target)) is not None:
            display.note(text)
        try:
            error = execute(run_options, run_dir, display.show)
        except KeyboardInterrupt:
            interrupted = True
        if error is None and not interrupted:
            interrupted = _follow_up(run_options, what_ifs, run_dir, display, memray=follow_ups.memray)
        display.note("checking and drawing the report")
        evaluation = evaluate.evaluate_run(run_dir)
        evaluate.render(run_dir, evaluation)
    if json:
        terminal_summary.print_json(terminal_summary.as_json(run_dir.path, evaluation, error))
    else:
        terminal_summary.print_summary(run_dir.path, evaluation, error)
    if error is not None:
        terminal_summary.print_error(error)
    if interrupted:
        terminal_summary.print_interrupted()
    # An anomaly that an interrupted run has proven stays proven.
    raise typer.Exit(int(run_exit_code(evaluation.checks.verdict, error)))


def _running_app(
    running: options.RunningAppOptions,
    launch: options.LaunchOptions,
    accounts: Sequence[tuple[str, str]],
    *,
    memray: bool,
) -> RunningApp | None:
    """The app at `--url`; None if the scenario's own is started.

    Raises:
        UsageError: options do not fit together, or there is no Gradio app at that address.
    """
    if running.url is None:
        if running.pid is not None:
            raise UsageError("--pid has no meaning without --url.", "gradsoak starts the scenario's own app.")
        return None
    if launch.python is not None:
        raise UsageError(
            "--python has no meaning with --url: the app runs already.", "Leave one of them out."
        )
    if memray:
        raise UsageError(
            "--memray has no meaning with --url: gradsoak cannot put a tracker into an app that it did not start.",
            "Leave one of them out.",
        )
    facts = inspect_url(
        running.url,
        accounts=accounts,
        allow_remote=running.allow_remote,
        patience_s=launch.ready_timeout_s(default=0.0),
    )
    return locate(facts, running.pid)


def _follow_up(
    run_options: RunOptions,
    what_ifs: Sequence[followups.FollowUpRun],
    run_dir: RunDir,
    display: ProgressDisplay,
    *,
    memray: bool = False,
) -> bool:
    """Make the follow-up runs of a run; whether the user interrupted them."""
    wanted = [
        followups.baseline_run(run_options, run_dir),
        followups.attribution_run(run_options) if memray else None,
        *what_ifs,
    ]
    for run in filter(None, wanted):
        display.begin(run.label)
        try:
            error = followups.execute_follow_up(run, run_dir, display.show)
            if run in what_ifs:
                display.note("checking and drawing its own report")
                error = followups.evaluate_follow_up(run, run_dir) or error
        except KeyboardInterrupt:
            return True
        if error is not None:
            display.note(f"ended early: {error.message}")
    display.begin("")
    return False
