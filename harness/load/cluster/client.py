"""The harness's end of several load generator processes below one Locust master. Knows nothing of Locust.

It has the same methods as `harness.load.generator_client.LoadGenerator`, which is the end of a single process.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from harness.child_process import describe_exit
from harness.errors import ExitCode, HarnessError, UsageError
from harness.load.commands import (
    Broken,
    ClusterWorkerConfig,
    Configure,
    GeneratorConfig,
    Lost,
    MasterConfig,
    Ready,
    Report,
)
from harness.load.generator_client import LoadGenerator
from harness.load.generator_link import GeneratorLink, error_from
from harness.run_dir import GENERATOR_SAMPLES

DEFAULT_PORT = 5557  # Locust's own
_LOOPBACK = "127.0.0.1"
_BIND_TIMEOUT_S = 60.0
_UNRETURNED = ".unreturned"


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How the load is divided among several load generator processes.

    Attributes:
        workers: number of workers.
        local: whether the harness starts them; otherwise they are started elsewhere.
        bind_host, bind_port: where they connect; port 0 means any free port.
        shard: with `folder`, local workers write into the run folder; with `return`, they send their shards as remote workers do.
        join_timeout_s: longest wait for all workers.
    """

    workers: int
    local: bool = True
    bind_host: str = _LOOPBACK
    bind_port: int = 0
    shard: Literal["folder", "return"] = "folder"
    join_timeout_s: float = 60.0


class _LocalWorker:
    """A worker process that the harness has started."""

    def __init__(self, number: int, log: Path, cwd: Path) -> None:
        self.number = number
        self.reports: queue.Queue[Report | None] = queue.Queue()
        self.link = GeneratorLink("harness.load.cluster.worker", log=log, cwd=cwd, on_report=self.reports.put)
        self.ended = False


class DistributedGenerator(LoadGenerator):
    """A master and its workers.

    Args:
        distribution: how many workers, and where they run.
        workload: path of the scenario's `workload.py`.
        log: file for the output of all processes.
        cwd: their working folder.
        on_event: called with the kind and the details of each event for the run's log.
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
        self._link.send(
            MasterConfig(
                bind_host=distribution.bind_host,
                bind_port=distribution.bind_port,
                workers=distribution.workers,
                workload=str(workload),
            )
        )

    @property
    def pids(self) -> list[int]:
        """Process ids of the master and the local workers."""
        return [self.pid, *(worker.link.child.pid for worker in self._workers)]

    @property
    def watched(self) -> bool:
        """Whether all workers run on this machine."""
        return self._distribution.local

    def configure(self, config: GeneratorConfig, tick: Callable[[], None]) -> Ready:
        """Wait until all workers have joined and loaded the workload.

        Raises:
            HarnessError: a worker could not load it, or not all joined in time.
        """
        port = self.wait_bound(tick, _BIND_TIMEOUT_S)
        history = Path(config.history)
        self._history = history.parent
        if self._distribution.local and self._distribution.shard == "return":
            # In the run folder, so that the shards survive even if the harness is killed.
            self._unreturned.mkdir(exist_ok=True)
        for worker in self._workers:
            worker.link.send(
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
        self._link.send(
            Configure(config=config, run_id=history.parent.parent.name, history_folder=str(history.parent))
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
        """Read the reports of the local workers, and check that their processes still run.

        Raises:
            HarnessError: a worker failed before the run had begun.
        """
        super().poll()
        for worker in self._workers:
            while not worker.reports.empty():
                report = worker.reports.get_nowait()
                # After the run has begun, the worker reports to the master as well, which decides what that means for the run.
                if isinstance(report, Broken) and not self._ready:
                    raise error_from(report)
            status = worker.link.child.exit_status()
            if status is not None and not worker.ended:
                worker.ended = True
                if not self._quitting:
                    if not self._ready:
                        raise self.ended(
                            f"Worker {worker.number} {describe_exit(status)} before the run had begun."
                        )
                    self._link.send(Lost(worker=worker.number, reason=describe_exit(status)))

    def quit(self, tick: Callable[[], None]) -> None:
        """Let the workers return their shards, close their history and end."""
        super().quit(tick)
        for worker in self._workers:
            worker.link.child.wait(10.0)

    def stop(self) -> None:
        """End all processes at once. The records they have written stay."""
        try:
            super().stop()
        finally:
            for worker in self._workers:
                worker.link.stop(grace_s=2.0)
        rescue(self._history)

    @property
    def _unreturned(self) -> Path:
        return self._history / _UNRETURNED


def rescue(history: Path) -> None:
    """Move shards that workers on this machine could not return to their place in the run folder.

    Args:
        history: the folder of the run's shards. A shard that was returned is not replaced.
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


def check_port(port: int) -> None:
    """Check a port number.

    Raises:
        UsageError: it is not from 1 to 65535.
    """
    if not 0 < port < 65536:
        raise UsageError(f"{port} is not a port.", "Give --master-port a number from 1 to 65535.")
