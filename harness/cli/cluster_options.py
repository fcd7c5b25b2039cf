"""`gradsoak run` on many cores and many machines: what its options mean, and the side of a worker."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import typer

from harness import profiles
from harness.addresses import require_loopback
from harness.cli import terminal_summary
from harness.errors import ExitCode, UsageError
from harness.load.cluster.client import (
    DEFAULT_PORT,
    Distribution,
    WorkerOutcome,
    WorkerPlan,
    check_port,
    work,
)
from harness.records import Profile
from harness.run_dir import HISTORY
from harness.scenario import Scenario

LOOPBACK = "127.0.0.1"
JOIN_TIMEOUT = "60s"


def plan(
    *,
    workers: int | None,
    master: bool,
    bind_host: str | None,
    port: int | None,
    shards: str | None,
    join_timeout: str | None,
    allow_remote: bool,
) -> Distribution | None:
    """How the load is to be divided; None if a single process makes it.

    Raises:
        UsageError: the options do not fit together.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers make no load.", "Give --workers a number from 1 on.")
    if not master and workers is None:
        options = {
            "--master-bind-host": bind_host,
            "--master-port": port,
            "--shards": shards,
            "--join-timeout": join_timeout,
        }
        stray = next((name for name, value in options.items() if value is not None), None)
        if stray is not None:
            raise UsageError(
                f"{stray} says nothing without a master.", "Add --workers, --master or --worker."
            )
        return None
    if shards not in (None, "folder", "return"):
        raise UsageError(f"--shards {shards} does not exist.", "Choose folder or return.")
    if port is not None:
        check_port(port)
    _may_listen(bind_host or LOOPBACK, allow_remote)
    return Distribution(
        workers=workers or 1,
        local=not master,
        bind_host=bind_host or LOOPBACK,
        bind_port=port if port is not None else DEFAULT_PORT if master else 0,
        shard="return" if shards == "return" else "folder",
        join_timeout_s=profiles.parse_duration(join_timeout or JOIN_TIMEOUT),
    )


def check_cap(distribution: Distribution | None, profile: Profile) -> None:
    """Refuse to leave workers without any session that they may use under the open model: they would drop all their arrivals.

    Raises:
        UsageError: there are more workers than sessions that may be in use at once.
    """
    if distribution is None or profile.arrival_rate is None or distribution.workers <= profile.max_in_flight:
        return
    raise UsageError(
        f"{distribution.workers} workers cannot share {profile.max_in_flight} "
        f"session{'' if profile.max_in_flight == 1 else 's'} in flight: some would have none, and drop all their arrivals.",
        f"Give --max-in-flight {distribution.workers} or more, or fewer --workers.",
    )


def _may_listen(host: str, allow_remote: bool) -> None:
    """Refuse to let others connect, unless that was allowed.

    Raises:
        UsageError: the address is not this machine's alone.
    """
    if not allow_remote and host in ("0.0.0.0", "::", "*"):
        raise UsageError(
            f"--master-bind-host {host} lets every machine that reaches this one take part in the run.",
            "Add --allow-remote if the network is yours.",
        )
    require_loopback(host, "The address at which workers connect", allow_remote)


def waiting(distribution: Distribution | None, target: str) -> str | None:
    """What to do on the other machines, None if nothing."""
    if distribution is None or distribution.local:
        return None
    return (
        f"waiting for {distribution.workers} worker{'' if distribution.workers == 1 else 's'} at "
        f"{distribution.bind_host}:{distribution.bind_port}, started with: "
        f"gradsoak run {target} --worker --master-host HOST --master-port {distribution.bind_port}"
    )


def be_worker(
    scenario: Scenario,
    *,
    master_host: str | None,
    port: int | None,
    join_timeout: str | None,
    shared: Path | None,
    allow_remote: bool,
    json: bool,
) -> None:
    """Work for a master elsewhere, and say how it ended.

    Raises:
        UsageError: the options do not fit together.
        typer.Exit: always.
    """
    host = master_host or LOOPBACK
    chosen = DEFAULT_PORT if port is None else port
    check_port(chosen)
    require_loopback(host, "The address of the master", allow_remote)
    if shared is not None and not shared.is_dir():
        raise UsageError(
            f"{shared} is not a folder.", "Name the folder in which the master makes its run folder."
        )

    def admitted(worker: int, run_id: str) -> None:
        sys.stderr.write(f"{scenario.name}  worker {worker} of the run {run_id}\n")
        sys.stderr.flush()

    sys.stderr.write(f"{scenario.name}  looking for a master at {host}:{chosen}\n")
    sys.stderr.flush()
    outcome = work(
        WorkerPlan(
            workload=scenario.workload,
            cwd=scenario.folder,
            master_host=host,
            master_port=chosen,
            join_timeout_s=profiles.parse_duration(join_timeout or JOIN_TIMEOUT),
            shared=shared,
        ),
        admitted,
    )
    if json:
        terminal_summary.print_json(_as_json(outcome))
    if outcome.error is not None:
        terminal_summary.print_error(outcome.error)
    else:
        sys.stderr.write(
            f"{scenario.name}  the master has everything that worker {outcome.worker} recorded\n"
        )
    if outcome.kept is not None:
        sys.stderr.write(
            f"What this worker recorded is kept in {outcome.kept}. To hand it in, copy it into the master's run folder "
            f"as {outcome.run_id}/{HISTORY}/{outcome.worker}.jsonl, and run `gradsoak report` on that folder.\n"
        )
    sys.stderr.flush()
    if outcome.error is None:
        raise typer.Exit(int(ExitCode.PASS))
    usage = outcome.error.exit_code == ExitCode.USAGE
    raise typer.Exit(int(ExitCode.USAGE if usage else ExitCode.UNKNOWN))


def _as_json(outcome: WorkerOutcome) -> str:
    """`{"worker", "run_id", "kept"}`, and `error` if it ended before its time."""
    result: dict[str, object] = {
        "worker": outcome.worker,
        "run_id": outcome.run_id,
        "kept": None if outcome.kept is None else str(outcome.kept),
    }
    if outcome.error is not None:
        result["error"] = {"message": outcome.error.message, "hint": outcome.error.hint}
    return msgspec.json.encode(result).decode()
