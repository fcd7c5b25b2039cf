"""`gradsoak run` with several load generator processes: what its options mean, and the worker's side."""

from __future__ import annotations

import sys

import msgspec
import typer

from harness import profiles, units
from harness.addresses import require_loopback
from harness.cli import terminal_summary
from harness.cli.options import ClusterOptions
from harness.errors import ExitCode, UsageError
from harness.load.cluster.client import (
    DEFAULT_PORT,
    Distribution,
    check_port,
)
from harness.load.cluster.remote_worker import RemoteWorkerOutcome, RemoteWorkerPlan, work_for
from harness.records import Profile
from harness.run_dir import HISTORY
from harness.scenario import Scenario

LOOPBACK = "127.0.0.1"
JOIN_TIMEOUT = "60s"


def plan(options: ClusterOptions, *, allow_remote: bool) -> Distribution | None:
    """How the load is divided; None if a single process makes it.

    Raises:
        UsageError: the options do not fit together, or one has an impossible value.
    """
    _refuse_worker_options(options)
    if options.workers is not None and options.workers < 1:
        raise UsageError(
            f"--workers {options.workers} is not possible: some process must make the load.",
            "Give --workers a number from 1 on.",
        )
    if not options.master and options.workers is None:
        _refuse_master_options(options)
        return None
    if options.shards not in (None, "folder", "return"):
        raise UsageError(f"--shards {options.shards} is not possible.", "Give --shards folder or return.")
    if options.master_port is not None:
        check_port(options.master_port)
    host = options.master_bind_host or LOOPBACK
    _may_listen(host, allow_remote)
    return Distribution(
        workers=options.workers or 1,
        local=not options.master,
        bind_host=host,
        bind_port=_port(options.master_port, options.master),
        shard="return" if options.shards == "return" else "folder",
        join_timeout_s=profiles.parse_duration(options.join_timeout or JOIN_TIMEOUT, "--join-timeout"),
    )


def _port(given: int | None, master: bool) -> int:
    """The port at which to listen; 0 for any free one, which only workers of this machine learn."""
    if given is not None:
        return given
    return DEFAULT_PORT if master else 0


def _refuse_worker_options(options: ClusterOptions) -> None:
    given = {"--master-host": options.master_host, "--shared-dir": options.shared_dir}
    stray = next((name for name, value in given.items() if value is not None), None)
    if stray is not None:
        raise UsageError(f"{stray} is for workers.", f"Add --worker, or leave out {stray}.")


def _refuse_master_options(options: ClusterOptions) -> None:
    given = {
        "--master-bind-host": options.master_bind_host,
        "--master-port": options.master_port,
        "--shards": options.shards,
        "--join-timeout": options.join_timeout,
    }
    stray = next((name for name, value in given.items() if value is not None), None)
    if stray is not None:
        raise UsageError(f"{stray} has no meaning without a master.", "Add --workers, --master or --worker.")


def check_cap(distribution: Distribution | None, profile: Profile) -> None:
    """Make sure that each worker may use at least one session under the open model; without one it would drop all its arrivals.

    Raises:
        UsageError: there are more workers than sessions that may be in use at once.
    """
    if distribution is None or profile.arrival_rate is None or distribution.workers <= profile.max_in_flight:
        return
    raise UsageError(
        f"{distribution.workers} workers cannot share {units.plural(profile.max_in_flight, 'session')} in flight: "
        "some would have none, and drop all their arrivals.",
        f"Give --max-in-flight {distribution.workers} or more, or fewer --workers.",
    )


def _may_listen(host: str, allow_remote: bool) -> None:
    """Make sure that only this machine can connect, unless the user allowed others.

    Raises:
        UsageError: other machines could connect.
    """
    if not allow_remote and host in ("0.0.0.0", "::", "*"):
        raise UsageError(
            f"--master-bind-host {host} lets every machine that reaches this one take part in the run.",
            "Add --allow-remote if the network is yours.",
        )
    require_loopback(host, "The address at which workers connect", allow_remote)


def waiting(distribution: Distribution | None, target: str) -> str | None:
    """What to start on other machines, as a text for the user; None if nothing."""
    if distribution is None or distribution.local:
        return None
    return (
        f"waiting for {units.plural(distribution.workers, 'worker')} at "
        f"{distribution.bind_host}:{distribution.bind_port}, started with: "
        f"gradsoak run {target} --worker --master-host HOST --master-port {distribution.bind_port}"
    )


def be_worker(scenario: Scenario, options: ClusterOptions, *, allow_remote: bool, json: bool) -> None:
    """Work for a master elsewhere, and print how it ended.

    Raises:
        UsageError: the options do not fit together, or one has an impossible value.
        typer.Exit: always.
    """
    if options.master:
        raise UsageError("A process is either the master or a worker.", "Leave out --master or --worker.")
    host = options.master_host or LOOPBACK
    port = DEFAULT_PORT if options.master_port is None else options.master_port
    check_port(port)
    require_loopback(host, "The address of the master", allow_remote)
    if options.shared_dir is not None and not options.shared_dir.is_dir():
        raise UsageError(
            f"--shared-dir {options.shared_dir} is not a folder.",
            "Name the folder in which the master makes its run folder.",
        )

    def admitted(worker: int, run_id: str) -> None:
        _say(scenario, f"worker {worker} of the run {run_id}")

    _say(scenario, f"looking for a master at {host}:{port}")
    outcome = work_for(
        RemoteWorkerPlan(
            workload=scenario.workload,
            cwd=scenario.folder,
            master_host=host,
            master_port=port,
            join_timeout_s=profiles.parse_duration(options.join_timeout or JOIN_TIMEOUT, "--join-timeout"),
            shared=options.shared_dir,
        ),
        admitted,
    )
    if json:
        terminal_summary.print_json(_as_json(outcome))
    if outcome.error is not None:
        terminal_summary.print_error(outcome.error)
    else:
        _say(scenario, f"the master has all records of worker {outcome.worker}")
    if outcome.kept is not None:
        sys.stderr.write(
            f"The records of this worker are kept in {outcome.kept}. To add them to the run, copy that file into the master's run "
            f"folder as {outcome.run_id}/{HISTORY}/{outcome.worker}.jsonl, and run `gradsoak report` on that folder.\n"
        )
        sys.stderr.flush()
    if outcome.error is None:
        raise typer.Exit(int(ExitCode.PASS))
    usage = outcome.error.exit_code == ExitCode.USAGE
    raise typer.Exit(int(ExitCode.USAGE if usage else ExitCode.UNKNOWN))


def _say(scenario: Scenario, text: str) -> None:
    sys.stderr.write(f"{scenario.name}  {text}\n")
    sys.stderr.flush()


def _as_json(outcome: RemoteWorkerOutcome) -> str:
    """`{"worker", "run_id", "kept"}`, and `error` if the worker ended early."""
    result: dict[str, object] = {
        "worker": outcome.worker,
        "run_id": outcome.run_id,
        "kept": None if outcome.kept is None else str(outcome.kept),
    }
    if outcome.error is not None:
        result["error"] = {"message": outcome.error.message, "hint": outcome.error.hint}
    return msgspec.json.encode(result).decode()
