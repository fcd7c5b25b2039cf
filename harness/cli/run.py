"""`gradsoak run`: one scenario."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness import evaluate, profiles, scenario
from harness.app_under_test import RunningApp, inspect_interpreter, inspect_url, locate
from harness.cli import cluster_options, options, terminal_summary
from harness.cli.progress_display import ProgressDisplay
from harness.errors import HarnessError, UsageError, run_exit_code
from harness.run_dir import RunDir
from harness.runs import followups
from harness.runs.plan import RunOptions, command_line, new_run_id, random_seed
from harness.runs.single_run import execute


def run(
    target: Annotated[
        str, typer.Argument(help="A bundled scenario's name, or the path of a scenario folder.")
    ],
    profile: options.ProfileName = "quick",
    users: options.Users = None,
    spawn_rate: options.SpawnRate = None,
    duration: options.Duration = None,
    think: options.Think = None,
    rate: options.Rate = None,
    arrivals: options.Arrivals = None,
    max_in_flight: options.MaxInFlight = None,
    levels: options.Levels = None,
    sessions_per_level: options.SessionsPerLevel = None,
    what_if: options.WhatIf = None,
    real_ttl: options.RealTtl = False,
    no_control: options.NoControl = False,
    memray: options.Memray = False,
    seed: options.Seed = None,
    python: options.Python = None,
    param: options.Param = None,
    url: options.Url = None,
    pid: options.Pid = None,
    allow_remote: options.AllowRemote = False,
    driver: options.DriverName = "page",
    auth: options.Auth = None,
    ready_timeout: Annotated[
        str | None,
        typer.Option(
            "--ready-timeout",
            help="Longest wait for the app's first answer. Default: 60s, and none at all with --url.",
            show_default=False,
        ),
    ] = None,
    workers: options.Workers = None,
    master: options.Master = False,
    worker: options.Worker = False,
    master_host: options.MasterHost = None,
    master_port: options.MasterPort = None,
    master_bind_host: options.MasterBindHost = None,
    shards: options.Shards = None,
    shared_dir: options.SharedDir = None,
    join_timeout: options.JoinTimeout = None,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Run one scenario under load, and report on isolation, memory and speed."""
    found = scenario.find(target, needs_app=url is None and not worker)
    if worker:
        if master:
            raise UsageError("A process is either the master or a worker.", "Leave out --master or --worker.")
        cluster_options.be_worker(
            found,
            master_host=master_host,
            port=master_port,
            join_timeout=join_timeout,
            shared=shared_dir,
            allow_remote=allow_remote,
            json=json,
        )
    if master_host is not None or shared_dir is not None:
        stray = "--shared-dir" if master_host is None else "--master-host"
        raise UsageError(f"{stray} is for workers.", "Add --worker, or leave it out.")
    divided = cluster_options.plan(
        workers=workers,
        master=master,
        bind_host=master_bind_host,
        port=master_port,
        shards=shards,
        join_timeout=join_timeout,
        allow_remote=allow_remote,
    )
    accounts = options.accounts(auth)
    ready_timeout_s = None if ready_timeout is None else profiles.parse_duration(ready_timeout)
    overrides = options.profile_overrides(
        users=users,
        spawn_rate=spawn_rate,
        duration=duration,
        think=think,
        rate=rate,
        arrivals=arrivals,
        max_in_flight=max_in_flight,
        levels=levels,
        sessions_per_level=sessions_per_level,
        real_ttl=real_ttl,
        no_control=no_control,
    )
    resolved = profiles.resolve(profile, found.profiles, overrides)
    cluster_options.check_cap(divided, resolved)
    params = scenario.override_params(found, param or [])
    external: RunningApp | None = None
    if url is not None:
        if python is not None:
            raise UsageError(
                "--python has no meaning with --url: the app runs already.", "Leave one of them out."
            )
        if memray:
            raise UsageError(
                "--memray has no meaning with --url: no tracker can be put into an app that gradsoak did not start.",
                "Leave one of them out.",
            )
        facts = inspect_url(
            url, accounts=accounts, allow_remote=allow_remote, patience_s=ready_timeout_s or 0.0
        )
        external = locate(facts, pid)
    elif pid is not None:
        raise UsageError("--pid has no meaning without --url.", "gradsoak starts the scenario's own app.")
    run_options = RunOptions(
        scenario=found,
        profile=resolved,
        params=params,
        seed=random_seed() if seed is None else seed,
        interpreter=None if external else inspect_interpreter(python),
        ready_timeout_s=60.0 if ready_timeout_s is None else ready_timeout_s,
        argv=command_line(),
        driver=options.driver(driver),
        distribution=divided,
        external=external,
        auth=accounts,
    )
    run_options, what_ifs = followups.plan_what_ifs(run_options, what_if or [])
    run_dir = RunDir.create(out or Path("reports") / "runs" / new_run_id(found.name))
    error: HarnessError | None = None
    interrupted = False
    with ProgressDisplay(found.name) as display:
        if (text := cluster_options.waiting(divided, target)) is not None:
            display.note(text)
        try:
            error = execute(run_options, run_dir, display.show)
        except KeyboardInterrupt:
            interrupted = True
        if error is None and not interrupted:
            interrupted = _explain(run_options, what_ifs, run_dir, display, memray=memray)
        display.note("checking and drawing the report")
        derived = evaluate.conclude(run_dir)
        evaluate.render(run_dir, derived)
    if json:
        terminal_summary.print_json(terminal_summary.as_json(run_dir.path, derived, error))
    else:
        terminal_summary.print_summary(run_dir.path, derived, error)
    if error is not None:
        terminal_summary.print_error(error)
    if interrupted:
        terminal_summary.print_interrupted()
    # What an interrupted run has proven stays proven.
    raise typer.Exit(int(run_exit_code(derived.checks.verdict, error)))


def _explain(
    run_options: RunOptions,
    what_ifs: Sequence[followups.FollowUpRun],
    run_dir: RunDir,
    display: ProgressDisplay,
    *,
    memray: bool = False,
) -> bool:
    """Make the runs that explain this one; whether the user ended them."""
    wanted = [
        followups.control_run(run_options, run_dir),
        followups.attribution_run(run_options) if memray else None,
        *what_ifs,
    ]
    for run in filter(None, wanted):
        display.begin(run.label)
        try:
            error = followups.execute_beside(run, run_dir, display.show)
            if run in what_ifs:
                display.note("checking and drawing its own report")
                error = followups.conclude_beside(run, run_dir) or error
        except KeyboardInterrupt:
            return True
        if error is not None:
            display.note(f"ended early: {error.message}")
    display.begin("")
    return False
