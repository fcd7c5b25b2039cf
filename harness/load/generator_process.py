"""The load generator process, `python -m harness.load.generator_process FD`, started by `harness.load.generator_client`.

Locust's runner starts the users; commands from the harness decide what they do.
"""

# Importing Locust patches sockets, threads and time for gevent. It must come before anything that uses them.
import locust  # noqa: I001

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import gevent
import gevent.lock
import msgspec
from locust import User
from locust.env import Environment
from locust.runners import Runner

from harness.errors import HarnessError, StorageError, UsageError
from harness.load.arrivals import ArrivalCounts
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
    Status,
    Steady,
)
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

_UNSEARCHED = "the workload declares secrets, but with --driver stock no response is searched: that none of them was seen says nothing"
_STATUS_S = 0.5


class Channel(Protocol):
    """Where commands come from, and reports go to."""

    def commands(self) -> Iterator[Command]:
        """The commands, until `quit` or until whoever gives them is gone."""

    def send(self, report: Report) -> None:
        """Report."""


class SocketChannel:
    """The harness itself, at the other end of a socket pair.

    Args:
        control: our end.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._sending = gevent.lock.RLock()  # two greenlets send; a line must not be cut by another
        self._encoder = msgspec.json.Encoder()

    def commands(self) -> Iterator[Command]:
        """One command per line, until `quit` or the end of the connection."""
        decoder = msgspec.json.Decoder(Command)
        with self._control.makefile("rb") as lines:
            for line in lines:
                command = decoder.decode(line)
                if isinstance(command, Quit):
                    return
                yield command

    def send(self, report: Report) -> None:
        """Tell the harness; if it is gone, so are we."""
        try:
            with self._sending:
                self._control.sendall(self._encoder.encode(report) + b"\n")
        except OSError:
            os._exit(0)


def local_runner(user_classes: list[type[User]], url: str) -> Runner:
    """The Locust runner of a process that works alone."""
    return Environment(user_classes=user_classes, host=url).create_local_runner()


class GeneratorProcess:
    """Carries out the harness's commands.

    Args:
        config: what to do it with.
        channel: where they come from.
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
        """Take commands until `quit`, or until the harness is gone."""
        gevent.spawn(self._report_status)
        gevent.spawn(self._monitor.run)
        for command in self._channel.commands():
            self._do(command)
        self._send_status()  # what was noticed last
        self._monitor.close()
        self._recorder.close()
        self.send(Done())

    def send(self, report: Report) -> None:
        """Report to whoever gives the commands."""
        self._channel.send(report)

    @property
    def sessions(self) -> int:
        """Sessions opened so far."""
        return self._context.sessions

    def abandon(self) -> None:
        """Stop all users where they are, and close the shard: what is under way stays without a completion."""
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
            users.return_users(command.people)
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
        self.send(Status(status=status))

    def _misused(self, workload: Path, error: PageMisuse) -> None:
        """The workload and the app do not fit together: no session would do better than the first."""
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(workload)]
        where = f"{workload.name}:{lines[-1]}: " if lines else ""
        self.send(Broken(cause="workload", message=where + error.message, hint=error.hint))
        os._exit(1)

    def _storage_broke(self, error: StorageError) -> None:
        self.send(Broken(cause="storage", message=error.message, hint=error.hint))
        os._exit(1)


def main() -> None:
    """Run the generator; its configuration comes as one line on the control socket."""
    # Ctrl-C in a terminal is the harness's business; it will tell us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    config = msgspec.json.decode(first_line(control), type=GeneratorConfig)
    with failures_told(control):
        GeneratorProcess(config, SocketChannel(control)).serve()


@contextmanager
def failures_told(control: socket.socket) -> Iterator[None]:
    """Whatever ends the process before its time is told to whoever started it."""

    def broken(cause: str, message: str, hint: str = "") -> None:
        control.sendall(msgspec.json.encode(Broken(cause=cause, message=message, hint=hint)) + b"\n")

    try:
        yield
    except UsageError as error:
        broken("workload", error.message, error.hint)
        raise SystemExit(1) from error
    except HarnessError as error:
        broken("storage", error.message, error.hint)
        raise SystemExit(1) from error
    except Exception as error:
        traceback.print_exc()
        broken("internal", f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error


def first_line(control: socket.socket) -> bytes:
    """The line that a process is configured with. Ends the process if whoever started it is gone."""
    line = b""
    while not line.endswith(b"\n"):
        byte = control.recv(1)
        if not byte:
            raise SystemExit(0)
        line += byte
    return line


if __name__ == "__main__":
    assert locust  # imported for its side effect
    main()
