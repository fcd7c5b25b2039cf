"""A worker for a master on another machine: `gradsoak run --worker`."""

from __future__ import annotations

import queue
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.child_process import describe_exit, uninterrupted
from harness.errors import ExitCode, HarnessError
from harness.load.commands import Admitted, Broken, ClusterWorkerConfig, Report, Returned
from harness.load.generator_link import GeneratorLink, error_from

_TICK_S = 0.1


class RemoteWorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `gradsoak run --worker`.

    Attributes:
        shared: the folder of runs that this machine shares with the master's; None to return the shard.
    """

    workload: Path
    cwd: Path
    master_host: str
    master_port: int
    join_timeout_s: float
    shared: Path | None


class RemoteWorkerOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker ended.

    Attributes:
        worker: its number, None if the master did not accept it.
        run_id: name of the run.
        kept: path of its shard, if the master does not have it.
        error: why it ended before the end of the run, None if it did not.
    """

    worker: int | None
    run_id: str
    kept: Path | None
    error: HarnessError | None


def work_for(plan: RemoteWorkerPlan, on_admitted: Callable[[int, str], None]) -> RemoteWorkerOutcome:
    """Work for a master on another machine until the run ends, or until Ctrl-C.

    Args:
        plan: where the master is, and what the worker needs.
        on_admitted: called with the worker's number and the run's name when the master has accepted the worker.
    """
    folder = Path(tempfile.mkdtemp(prefix="gradsoak-worker-"))
    log = folder / "worker.log"
    reports: queue.Queue[Report | None] = queue.Queue()
    link = GeneratorLink("harness.load.cluster.worker", log=log, cwd=plan.cwd, on_report=reports.put)
    admitted: Admitted | None = None
    returned = False
    error: HarnessError | None = None
    try:
        link.send(
            ClusterWorkerConfig(
                master_host=plan.master_host,
                master_port=plan.master_port,
                workload=str(plan.workload),
                worker=None,
                shard="return" if plan.shared is None else "shared",
                shard_folder=str(folder if plan.shared is None else plan.shared.resolve()),
                join_timeout_s=plan.join_timeout_s,
            )
        )
        while (report := _get(reports)) is not None:
            if isinstance(report, Admitted):
                admitted = report
                on_admitted(report.worker, report.run_id)
            elif isinstance(report, Returned):
                returned = True
            elif isinstance(report, Broken):
                error = error or error_from(report)
        status = link.child.wait(10.0)
        if not returned and error is None:
            how = "closed its connection" if status is None else describe_exit(status)
            error = HarnessError(f"The worker process {how}." + link.log_tail(), "")
    except KeyboardInterrupt:
        error = HarnessError("The worker was interrupted.", exit_code=ExitCode.UNKNOWN)
    finally:
        with uninterrupted():
            link.stop(grace_s=3.0)
    ours = Path(admitted.shard) if admitted is not None and admitted.shard else None
    kept = ours if ours is not None and not returned and ours.is_file() else None
    if kept is None:
        for file in (*folder.iterdir(),):
            file.unlink(missing_ok=True)
        folder.rmdir()
    return RemoteWorkerOutcome(
        worker=admitted.worker if admitted is not None else None,
        run_id=admitted.run_id if admitted is not None else "",
        kept=kept,
        error=error,
    )


def _get(reports: queue.Queue[Report | None]) -> Report | None:
    while True:  # a wait without a timeout would delay Ctrl-C
        try:
            return reports.get(timeout=_TICK_S)
        except queue.Empty:
            continue
