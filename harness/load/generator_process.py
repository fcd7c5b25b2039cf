"""The load generator process, `python -m harness.load.generator_process FD`, started by `harness.load.generator_client`.

It carries out the commands of the harness with simulated users (`harness.load.users`), which Locust's runner starts.
"""

# Importing Locust patches sockets, threads and time for gevent. It must come before anything that uses them.
import locust  # noqa: I001

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import gevent
import gevent.lock
import msgspec
from locust import User
from locust.env import Environment
from locust.runners import Runner

from harness.errors import StorageError
from harness.load.arrival_schedule import ArrivalCounts
from harness.load.commands import (
    ActBatch,
    Broken,
    Command,
    Done,
    Drive,
    GeneratorConfig,
    Hold,
    Quit,
    Ready,
    Release,
    Report,
    Return,
    StatusReport,
    Steady,
)
from harness.load.control_channel import Channel, SocketChannel, failures_reported, first_line
from harness.page.gradio_page import GradioPage
from harness.page.page_errors import PageMisuse
from harness.page.protocol import notices
from harness.load.recorder import Recorder
from harness.load.gradio_user import DRIVERS
from harness.load.self_monitor import SelfMonitor
from harness.load.users.coordinator import UserCoordinator
from harness.load.users.run_context import RunContext
from harness.run_dir import JsonLinesWriter
from harness.workload import load_workload

_UNSEARCHED = "the workload declares secrets, but --driver stock does not search responses: a leaked secret would not be found"
_STATUS_S = 0.5


def local_runner(user_classes: list[type[User]], url: str) -> Runner:
    """The Locust runner of a process that works alone."""
    return Environment(user_classes=user_classes, host=url).create_local_runner()


class GeneratorProcess:
    """Carries out the harness's commands.

    Args:
        config: workload, app and files.
        channel: where commands come from, and reports go to.
        make_runner: makes the Locust runner, given the user classes and the root of the app.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        channel: Channel,
        make_runner: Callable[[list[type[User]], str], Runner] = local_runner,
    ) -> None:
        self._channel = channel
        self._recorder = Recorder(JsonLinesWriter(Path(config.history)), on_broken=self._storage_broke)
        workload = load_workload(Path(config.workload))
        self._context = RunContext(
            workload=workload,
            recorder=self._recorder,
            profile=config.profile,
            run_tag=config.run_tag,
            worker=config.worker,
            seed=config.seed,
            params=config.params,
            auth=config.auth,
            on_misuse=lambda error: self._misused(Path(config.workload), error),
        )
        self._monitor = SelfMonitor(JsonLinesWriter(Path(config.samples)), on_broken=self._storage_broke)
        self._blind = not issubclass(DRIVERS[config.driver], GradioPage)
        self._users = UserCoordinator(
            self._context,
            url=config.url,
            timeout_s=config.profile.operation_timeout_s,
            page_class=DRIVERS[config.driver],
            monitor=self._monitor,
            make_runner=make_runner,
        )
        self.send(Ready(state=workload.variables, actions=list(workload.actions())))

    def serve(self) -> None:
        """Carry out commands until `quit`, or until the harness has ended."""
        gevent.spawn(self._report_status)
        gevent.spawn(self._monitor.run)
        for command in self._channel.commands():
            self._do(command)
        self._send_status()  # the last notices
        self._monitor.close()
        self._recorder.close()
        self.send(Done())

    def send(self, report: Report) -> None:
        """Send a report to where the commands come from."""
        self._channel.send(report)

    @property
    def sessions(self) -> int:
        """Sessions opened so far."""
        return self._context.sessions

    def abandon(self) -> None:
        """Stop all users at once and close the shard; operations in progress stay without a completion."""
        self._users.stop()
        self._monitor.close()
        self._recorder.close()

    def _do(self, command: Command) -> None:
        users = self._users
        if not isinstance(command, Quit):
            self._recorder.phase = command.phase
        if isinstance(command, Hold):
            self._done(failed=users.hold(command.sessions))
        elif isinstance(command, ActBatch):
            users.act(command.requests, command.duration_s)
            self._done()
        elif isinstance(command, Drive):
            self._done(arrivals=users.drive(command, lambda count: self.send(Steady(users=count))))
        elif isinstance(command, Release):
            users.release()
            self._done()
        elif isinstance(command, Return):
            users.return_users(command.users)
            self._done()

    def _done(self, failed: int = 0, arrivals: ArrivalCounts | None = None) -> None:
        self.send(
            Done(
                held=self._users.held,
                failed=failed,
                arrivals=arrivals,
                requests=self._recorder.requests,
                sessions=self._context.sessions,
            )
        )

    def _report_status(self) -> None:
        while True:
            gevent.sleep(_STATUS_S)
            self._send_status()

    def _send_status(self) -> None:
        context = self._context
        notes = [*notices(), *([_UNSEARCHED] if self._blind and context.registry.has_secrets else [])]
        status = self._recorder.status(self._users.visitors, context.open_sessions, notes)
        self.send(StatusReport(status=status))

    def _misused(self, workload: Path, error: PageMisuse) -> None:
        """The workload does not fit the app: every session would fail in the same way."""
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(workload)]
        where = f"{workload.name}:{lines[-1]}: " if lines else ""
        self.send(Broken(cause="workload", message=where + error.message, hint=error.hint))
        os._exit(1)

    def _storage_broke(self, error: StorageError) -> None:
        self.send(Broken(cause="storage", message=error.message, hint=error.hint))
        os._exit(1)


def main() -> None:
    """Run the generator; its configuration comes as one line on the control socket."""
    # Ctrl-C in a terminal reaches the harness too, which then sends a command.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    config = msgspec.json.decode(first_line(control), type=GeneratorConfig)
    with failures_reported(control):
        GeneratorProcess(config, SocketChannel(control)).serve()


if __name__ == "__main__":
    assert locust  # imported for its side effect
    main()
