"""The harness's end of the load generator: starts its process and gives it commands. Knows nothing of Locust."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from pathlib import Path

from harness.child_process import describe_exit
from harness.errors import HarnessError
from harness.load.commands import (
    Bound,
    Broken,
    Command,
    Done,
    EventReport,
    GeneratorConfig,
    Quit,
    Ready,
    Report,
    StatusReport,
    Steady,
)
from harness.load.generator_link import GeneratorLink, error_from
from harness.records import LoadStatus

_TICK_S = 0.1
_START_TIMEOUT_S = 60.0


class LoadGenerator:
    """The load generator process. It imports its libraries at once, and starts to work when it is configured.

    Args:
        log: file for its output.
        cwd: its working folder.
        module: what the process runs.
        on_event: called with the kind and the details of each event for the run's log.

    Attributes:
        status: its last progress report, None before the first.
    """

    def __init__(
        self,
        log: Path,
        cwd: Path,
        *,
        module: str = "harness.load.generator_process",
        on_event: Callable[..., None] = lambda kind, **detail: None,
    ) -> None:
        self._log = log
        self._on_event = on_event
        self._events: queue.Queue[EventReport] = queue.Queue()
        self._bound_port: int | None = None
        self._ready = False
        self._quitting = False
        self._joined = 0
        self._reports: queue.Queue[Report | None] = queue.Queue()
        self.status: LoadStatus | None = None
        self._link = GeneratorLink(module, log=log, cwd=cwd, on_report=self._take)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._link.child.pid

    @property
    def pids(self) -> list[int]:
        """Ids of all processes that make load, on this machine."""
        return [self.pid]

    @property
    def watched(self) -> bool:
        """Whether all processes that make load run on this machine, so that they can be sampled."""
        return True

    def poll(self) -> None:
        """Pass on the events since the last call. To be called often, in one thread."""
        while not self._events.empty():
            event = self._events.get_nowait()
            self._joined += event.kind == "worker_joined"
            self._on_event(event.kind, **event.detail)

    def configure(self, config: GeneratorConfig, tick: Callable[[], None]) -> Ready:
        """Configure the generator, and wait until it has loaded the workload.

        Raises:
            HarnessError: it could not load the workload, or not in time.
        """
        self._link.send(config)
        return self.wait_ready(
            tick,
            _START_TIMEOUT_S,
            lambda _: HarnessError(
                f"The load generator was not ready after {_START_TIMEOUT_S:g} s.", f"Its log: {self._log}"
            ),
        )

    def wait_ready(
        self, tick: Callable[[], None], timeout_s: float, late: Callable[[int], HarnessError]
    ) -> Ready:
        """Wait until the workload is loaded.

        Args:
            tick: called about ten times per second meanwhile; an exception ends the wait.
            timeout_s: longest wait.
            late: returns the error for a timeout, given the number of workers that have joined.

        Raises:
            HarnessError: it could not be loaded, or not in time.
        """
        report = self._wait(Ready, tick, timeout_s=timeout_s, late=late)
        assert isinstance(report, Ready)
        self._ready = True
        return report

    def wait_bound(self, tick: Callable[[], None], timeout_s: float) -> int:
        """Wait until a master listens, and return its port.

        Raises:
            HarnessError: it cannot listen, or not in time.
        """
        report = self._wait(
            Bound,
            tick,
            timeout_s=timeout_s,
            late=lambda _: HarnessError(
                f"The master of the load generator did not listen after {timeout_s:g} s.",
                f"Its log: {self._log}",
            ),
        )
        assert isinstance(report, Bound)
        return report.port

    def perform(
        self, command: Command, tick: Callable[[], None], on_steady: Callable[[int], None] = lambda _: None
    ) -> Done:
        """Give a command and wait until it is complete.

        Args:
            command: the command.
            tick: called about ten times per second meanwhile; an exception ends the wait.
            on_steady: called with the number of users once all users of a drive have started.

        Raises:
            HarnessError: the generator failed or ended.
        """
        self._link.send(command)
        report = self._wait(Done, tick, on_steady=on_steady)
        assert isinstance(report, Done)
        return report

    def quit(self, tick: Callable[[], None]) -> None:
        """Let it close its history and end."""
        self._quitting = True
        self.perform(Quit(), tick)
        self._link.child.wait(10.0)

    def stop(self) -> None:
        """End the process at once. The records it has written stay."""
        self._link.stop(grace_s=2.0)

    def _wait(
        self,
        kind: type[Ready] | type[Done] | type[Bound],
        tick: Callable[[], None],
        *,
        timeout_s: float | None = None,
        late: Callable[[int], HarnessError] | None = None,
        on_steady: Callable[[int], None] = lambda _: None,
    ) -> Report:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            tick()
            self.poll()
            try:
                report = self._reports.get(timeout=_TICK_S)
            except queue.Empty:
                if deadline is not None and late is not None and time.monotonic() > deadline:
                    raise late(self._joined) from None
                continue
            if report is None:
                raise self.ended(self._how_it_ended())
            if isinstance(report, Broken):
                self.poll()
                raise error_from(report)
            if isinstance(report, Steady):
                on_steady(report.users)
            elif isinstance(report, kind):
                self.poll()
                return report

    def _take(self, report: Report | None) -> None:
        if isinstance(report, StatusReport):
            self.status = report.status
        elif isinstance(report, EventReport):
            self._events.put(report)
        else:
            self._reports.put(report)

    def _how_it_ended(self) -> str:
        status = self._link.child.wait(5.0)
        return f"The load generator {'closed its connection' if status is None else describe_exit(status)}."

    def ended(self, how: str) -> HarnessError:
        """The error for an unexpected end, with the last lines of the log."""
        return HarnessError(how + self._link.log_tail(), f"Its log: {self._log}")
