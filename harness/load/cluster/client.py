"""Our end of several load generator processes below one Locust master. Knows nothing of Locust.

It answers to the same calls as `harness.load.generator_client.LoadGenerator`, which is the end of a single one.
"""

from __future__ import annotations

import queue
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.child_process import Child, describe_exit, uninterrupted
from harness.errors import ExitCode, HarnessError, UsageError
from harness.load.commands import (
    Admitted,
    Broken,
    ClusterWorkerConfig,
    Configure,
    GeneratorConfig,
    Lost,
    MasterConfig,
    Ready,
    Report,
    Returned,
)
from harness.load.generator_client import LoadGenerator, error_from, generator_environment
from harness.run_dir import GENERATOR_SAMPLES

DEFAULT_PORT = 5557  # Locust's own
_LOOPBACK = "127.0.0.1"
_TICK_S = 0.1
_BIND_TIMEOUT_S = 60.0
_UNRETURNED = ".unreturned"


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How the load is divided among several load generator processes.

    Attributes:
        workers: how many there are.
        local: whether the harness starts them; otherwise they come from elsewhere.
        bind_host, bind_port: where they connect; port 0 means any free one.
        shard: `folder` lets local workers write into the run folder, `return` lets them send their shards as remote ones do.
        join_timeout_s: longest wait for all of them.
    """

    workers: int
    local: bool = True
    bind_host: str = _LOOPBACK
    bind_port: int = 0
    shard: Literal["folder", "return"] = "folder"
    join_timeout_s: float = 60.0


class _LocalWorker:
    """A local worker process."""

    def __init__(self, number: int, log: Path, cwd: Path) -> None:
        self.number = number
        self.child, self.control = _start("harness.load.cluster.worker", log, cwd)
        self.reports: queue.Queue[Report | None] = queue.Queue()
        self.ended = False
        threading.Thread(
            target=_read, args=(self.control, self.reports), name=f"worker-{number}", daemon=True
        ).start()

    def tell(self, config: ClusterWorkerConfig) -> None:
        _send(self.control, config)


class DistributedGenerator(LoadGenerator):
    """A master and its workers.

    Args:
        distribution: how many, and where.
        workload: path of the scenario's `workload.py`.
        log: file for the output of all of them.
        cwd: their working folder.
        on_event: told what belongs to the events of the run, by kind and detail.
    """

    def __init__(
        self,
        distribution: Distribution,
        workload: Path,
        *,
        log: Path,
        cwd: Path,
        on_event: Callable[..., None],
    ) -> None:
        super().__init__(log, cwd, module="harness.load.cluster.master", on_event=on_event)
        self._distribution = distribution
        self._workload = workload
        self._workers: list[_LocalWorker] = []
        self._history = Path()
        try:
            count = distribution.workers if distribution.local else 0
            for number in range(1, count + 1):
                self._workers.append(_LocalWorker(number, log, cwd))
        except BaseException:
            self.stop()
            raise
        self._send_line(
            msgspec.json.encode(
                MasterConfig(
                    bind_host=distribution.bind_host,
                    bind_port=distribution.bind_port,
                    workers=distribution.workers,
                    workload=str(workload),
                )
            )
        )

    @property
    def pids(self) -> list[int]:
        """Process ids of the master and the local workers."""
        return [self.pid, *(worker.child.pid for worker in self._workers)]

    @property
    def watched(self) -> bool:
        """Whether all of them run on this machine."""
        return self._distribution.local

    def configure(self, config: GeneratorConfig, tick: Callable[[], None]) -> Ready:
        """Wait for the workers, and until they have loaded the workload.

        Raises:
            HarnessError: one could not, or they did not all come in time.
        """
        port = self.wait_bound(tick, _BIND_TIMEOUT_S)
        history = Path(config.history)
        self._history = history.parent
        if self._distribution.local and self._distribution.shard == "return":
            # FollowUp the place where they will arrive, so that not even a killed harness loses them.
            self._unreturned.mkdir(exist_ok=True)
        for worker in self._workers:
            worker.tell(
                ClusterWorkerConfig(
                    master_host=self._distribution.bind_host,
                    master_port=port,
                    workload=str(self._workload),
                    worker=worker.number,
                    shard=self._distribution.shard,
                    shard_folder=str(self._unreturned),
                    join_timeout_s=self._distribution.join_timeout_s,
                )
            )
        self._on_event(
            "waiting_for_workers",
            workers=self._distribution.workers,
            host=self._distribution.bind_host,
            port=port,
        )
        self._send_line(
            msgspec.json.encode(
                Configure(
                    config=config, run_id=history.parent.parent.name, history_folder=str(history.parent)
                )
            )
        )

        def late(joined: int) -> HarnessError:
            where = f"{self._distribution.bind_host}:{port}"
            return HarnessError(
                f"Only {joined} of {self._distribution.workers} workers connected to {where} within "
                f"{self._distribution.join_timeout_s:g} s.",
                f"Start them with `gradsoak run SCENARIO --worker --master-host HOST --master-port {port}`, "
                "expect fewer with --workers, or wait longer with --join-timeout."
                if not self._distribution.local
                else f"Their log: {self._log}",
                ExitCode.UNKNOWN,
            )

        return self.wait_ready(tick, self._distribution.join_timeout_s, late)

    def poll(self) -> None:
        """Look after the local workers: what they say, and whether they still run.

        Raises:
            HarnessError: one could not begin.
        """
        super().poll()
        for worker in self._workers:
            while not worker.reports.empty():
                report = worker.reports.get_nowait()
                # Once it is admitted, the master hears of it too, and decides what that means for the run.
                if isinstance(report, Broken) and not self._ready:
                    raise error_from(report)
            status = worker.child.exit_status()
            if status is not None and not worker.ended:
                worker.ended = True
                if not self._quitting:
                    if not self._ready:
                        raise self.ended(
                            f"Worker {worker.number} {describe_exit(status)} before the run had begun."
                        )
                    self._send_line(
                        msgspec.json.encode(Lost(worker=worker.number, reason=describe_exit(status)))
                    )

    def quit(self, tick: Callable[[], None]) -> None:
        """Let them return their shards, close their history and end."""
        super().quit(tick)
        for worker in self._workers:
            worker.child.wait(10.0)

    def stop(self) -> None:
        """End all processes, whatever they do. What they have recorded stays."""
        try:
            super().stop()
        finally:
            for worker in self._workers:
                worker.child.stop(grace_s=2.0)
                worker.control.close()
        rescue(self._history)

    @property
    def _unreturned(self) -> Path:
        return self._history / _UNRETURNED


def rescue(history: Path) -> None:
    """Put into place what workers on this machine recorded and could not return: it need not be lost.

    Args:
        history: the folder of the run's shards. What is in place already stays.
    """
    unreturned = history / _UNRETURNED
    if not unreturned.is_dir():
        return
    for file in (*unreturned.glob("*.jsonl"), *unreturned.glob("*.samples")):
        worker = file.stem.rpartition("-")[2]
        place = (
            history / f"{worker}.jsonl"
            if file.suffix == ".jsonl"
            else history.parent / f"{GENERATOR_SAMPLES}{worker}.jsonl"
        )
        if place.exists():
            file.unlink()
        else:
            file.replace(place)
    unreturned.rmdir()


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What `gradsoak run --worker` was asked to do.

    Attributes:
        shared: the folder of runs that this machine shares with the master's, None to return the shard.
    """

    workload: Path
    cwd: Path
    master_host: str
    master_port: int
    join_timeout_s: float
    shared: Path | None


class WorkerOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker ended.

    Attributes:
        worker: its number, None if the master never took it.
        run_id: name of the run.
        kept: its shard, if the master does not have it.
        error: why it ended before its time, None if it did not.
    """

    worker: int | None
    run_id: str
    kept: Path | None
    error: HarnessError | None


def work(plan: WorkerPlan, on_admitted: Callable[[int, str], None]) -> WorkerOutcome:
    """Be a worker for a master elsewhere, until the run is over or the user ends it with Ctrl-C.

    Args:
        plan: what for.
        on_admitted: told the worker's number and the run's name once the master has taken it.
    """
    folder = Path(tempfile.mkdtemp(prefix="gradsoak-worker-"))
    log = folder / "worker.log"
    child, control = _start("harness.load.cluster.worker", log, plan.cwd)
    admitted: Admitted | None = None
    returned = False
    error: HarnessError | None = None
    try:
        _send(
            control,
            ClusterWorkerConfig(
                master_host=plan.master_host,
                master_port=plan.master_port,
                workload=str(plan.workload),
                worker=None,
                shard="return" if plan.shared is None else "shared",
                shard_folder=str(folder if plan.shared is None else plan.shared.resolve()),
                join_timeout_s=plan.join_timeout_s,
            ),
        )
        reports: queue.Queue[Report | None] = queue.Queue()
        threading.Thread(target=_read, args=(control, reports), name="worker", daemon=True).start()
        while (report := _get(reports)) is not None:
            if isinstance(report, Admitted):
                admitted = report
                on_admitted(report.worker, report.run_id)
            elif isinstance(report, Returned):
                returned = True
            elif isinstance(report, Broken):
                error = error or error_from(report)
        status = child.wait(10.0)
        if not returned and error is None:
            how = "closed its connection" if status is None else describe_exit(status)
            error = HarnessError(f"The worker process {how}." + _tail(log), "")
    except KeyboardInterrupt:
        error = HarnessError("The worker was interrupted.", exit_code=ExitCode.UNKNOWN)
    finally:
        with uninterrupted():
            child.stop(grace_s=3.0)
        control.close()
    ours = Path(admitted.shard) if admitted is not None and admitted.shard else None
    kept = ours if ours is not None and not returned and ours.is_file() else None
    if kept is None:
        for file in (*folder.iterdir(),):
            file.unlink(missing_ok=True)
        folder.rmdir()
    return WorkerOutcome(
        worker=admitted.worker if admitted is not None else None,
        run_id=admitted.run_id if admitted is not None else "",
        kept=kept,
        error=error,
    )


def _get(reports: queue.Queue[Report | None]) -> Report | None:
    while True:  # an endless wait for a lock would hold back Ctrl-C
        try:
            return reports.get(timeout=_TICK_S)
        except queue.Empty:
            continue


def _start(module: str, log: Path, cwd: Path) -> tuple[Child, socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            child = Child(
                # -P: Locust and we must not import from whatever folder the user stands in.
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                cwd=cwd,
                env=generator_environment(),
                log=log,
                pass_fds=[theirs.fileno()],
            )
        except BaseException:
            ours.close()
            raise
    return child, ours


def _send(control: socket.socket, config: Any) -> None:
    try:
        control.sendall(msgspec.json.encode(config) + b"\n")
    except OSError:
        return  # its end is found out, with the reason, by whoever waits for it


def _read(control: socket.socket, reports: queue.Queue[Report | None]) -> None:
    decoder = msgspec.json.Decoder(Report)
    try:
        with control.makefile("rb") as lines:
            for line in lines:
                reports.put(decoder.decode(line))
    except (OSError, ValueError):
        pass
    reports.put(None)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-8:] if log.is_file() else []
    return "".join(f"\n    {line}" for line in lines)


def check_port(port: int) -> None:
    """Refuse what is no port.

    Raises:
        UsageError: it is not from 1 to 65535.
    """
    if not 0 < port < 65536:
        raise UsageError(f"{port} is not a port.", "Give --master-port a number from 1 to 65535.")
