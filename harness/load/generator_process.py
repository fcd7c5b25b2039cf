"""The load generator process, `python -m harness.load.generator_process FD`, started by `harness.load.generator_client`.

Locust's runner starts the users; commands from the harness decide what they do.
"""

# Importing Locust patches sockets, threads and time for gevent. It must come before anything that uses them.
import locust  # noqa: I001

import math
import os
import signal
import socket
import sys
import time
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
from harness.load.arrivals import ArrivalCounts, dispatch, schedule, share_of_cap
from harness.load.commands import (
    Act,
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
from harness.load.returning_users import Share
from harness.load.recorder import Recorder
from harness.load.gradio_user import DRIVERS, Director, GradioUser, ScenarioUser
from harness.load.self_monitor import Watch
from harness.run_dir import JsonLinesWriter
from harness.workload import load_workload

_UNSEARCHED = "the workload declares secrets, but with --driver stock no response is searched: that none of them was seen says nothing"
_STATUS_S = 0.5
_POLL_S = 0.02
# How fast holders appear; how many of them are at work at once is `Director.turns`.
_HOLD_SPAWN_RATE = 500.0


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


def local_runner(user_class: type[User], url: str) -> Runner:
    """The Locust runner of a process that works alone."""
    return Environment(user_classes=[user_class], host=url).create_local_runner()


class Worker:
    """Carries out the harness's commands.

    Args:
        config: what to do it with.
        channel: where they come from.
        make_runner: makes the Locust runner that starts users of a class, given the root of the app.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        channel: Channel,
        make_runner: Callable[[type[User], str], Runner] = local_runner,
    ) -> None:
        self._channel = channel
        self._recorder = Recorder(JsonLinesWriter(Path(config.history)), on_broken=self._storage_broke)
        workload = load_workload(Path(config.workload))
        self._director = Director(
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
        self._watch = Watch(JsonLinesWriter(Path(config.samples)), on_broken=self._storage_broke)
        self._timeout_s = config.profile.operation_timeout_s
        self._blind = not issubclass(DRIVERS[config.driver], GradioPage)
        self._user_class = type(
            workload.__name__,
            (ScenarioUser,),
            {
                "abstract": False,
                "director": self._director,
                "host": config.url,
                "timeout_s": self._timeout_s,
                "page_class": DRIVERS[config.driver],
            },
        )
        self._runner = make_runner(self._user_class, config.url)
        self.send(Ready(state=workload.variables, actions=list(workload.actions())))

    def serve(self) -> None:
        """Take commands until `quit`, or until the harness is gone."""
        gevent.spawn(self._report_status)
        gevent.spawn(self._watch.run)
        for command in self._channel.commands():
            self._do(command)
        self._send_status()  # what was noticed last
        self._watch.close()
        self._recorder.close()
        self.send(Done())

    def send(self, report: Report) -> None:
        """Report to whoever gives the commands."""
        self._channel.send(report)

    @property
    def sessions(self) -> int:
        """Sessions opened so far."""
        return self._director.sessions

    def abandon(self) -> None:
        """Stop all users where they are, and close the shard: what is under way stays without a completion."""
        self._runner.user_greenlets.kill(block=True, timeout=2.0)
        self._watch.close()
        self._recorder.close()

    def _do(self, command: Command) -> None:
        director = self._director
        if not isinstance(command, Quit):
            self._recorder.phase = command.phase
        if isinstance(command, Hold):
            wanted = max(0, command.sessions - director.holding)
            director.role = "hold"
            director.hold_failures = 0
            director.releasing.clear()
            director.unanswered = 0
            goal = director.holding + wanted
            self._start(wanted, _HOLD_SPAWN_RATE)
            while director.holding + director.hold_failures < goal:
                gevent.sleep(_POLL_S)
            self._done(failed=director.hold_failures)
        elif isinstance(command, Act):
            director.act(command.requests, command.duration_s)
            self._done()
        elif isinstance(command, Drive):
            arrivals = self._drive(command)
            self._done(arrivals=arrivals)
        elif isinstance(command, Release):
            director.releasing.set()
            self._wait_for_users(set())
            self._done()
        elif isinstance(command, Return):
            self._return(command.people)
            self._done()

    def _done(self, failed: int = 0, arrivals: ArrivalCounts | None = None) -> None:
        director = self._director
        self.send(
            Done(
                held=director.holding,
                failed=failed,
                arrivals=arrivals,
                requests=self._recorder.requests,
                sessions=director.sessions,
            )
        )

    def _drive(self, command: Drive) -> ArrivalCounts | None:
        director = self._director
        held = set(director.present)
        deadline = time.monotonic() + command.duration_s
        director.leaving.clear()
        director.reloads = Share(director.profile.reload_share)
        if command.arrival_rate is not None:
            return self._drive_open(command, command.arrival_rate, held)
        director.role = "visit"
        if self._start(command.users, command.spawn_rate, deadline):
            self.send(Steady(users=command.users))
        gevent.sleep(max(0.0, deadline - time.monotonic()))
        director.leaving.set()
        self._wait_for_users(held)
        return None

    def _drive_open(self, command: Drive, rate: float, held: set[GradioUser]) -> ArrivalCounts:
        """People arrive at the rate, whatever the server does."""
        director, profile = self._director, self._director.profile
        cap = share_of_cap(profile.max_in_flight, command.place, command.workers)
        director.role = "answer"

        def start(intended_ns: int) -> bool:
            if director.idle:
                director.idle.popleft().answer(intended_ns)
                return True
            if director.in_use >= cap:
                return False
            director.in_use += 1
            # The user's greenlet begins when this one waits next, so it finds the arrival there.
            (user,) = self._runner.spawn_users({self._user_class.__name__: 1})
            user.arrival_ns = intended_ns
            return True

        due = schedule(
            rate,
            profile.arrivals,
            seed=str(director.seed),
            duration_s=command.duration_s,
            worker=command.place,
            workers=command.workers,
        )
        begin_ns = time.monotonic_ns()
        self._recorder.from_intended = True
        self.send(Steady(users=0))
        counts = dispatch(
            due,
            begin_ns,
            clock=time.monotonic_ns,
            sleep=gevent.sleep,
            start=start,
            on_arrival=self._watch.count,
        )
        gevent.sleep(max(0.0, command.duration_s - (time.monotonic_ns() - begin_ns) / 1e9))
        director.leaving.set()
        self._watch.sample()
        while director.idle:
            director.idle.popleft().answer(None)
        self._wait_for_users(held)
        self._recorder.from_intended = False
        return counts

    def _return(self, people: int) -> None:
        """Let people of the load phase come back, and wait until they have left again."""
        director = self._director
        held = set(director.present)
        director.leaving.clear()
        director.role = "return"
        self._start(director.people.call(people), _HOLD_SPAWN_RATE)
        self._wait_for_users(held)
        director.leaving.set()

    def _start(self, users: int, spawn_rate: float, deadline: float = math.inf) -> bool:
        """Start users one by one; False if the time was over before all had started.

        Not by `runner.start`, whose target counts users that have left by themselves as still there.
        """
        for number in range(users):
            if number:
                gevent.sleep(min(1.0 / spawn_rate, max(0.0, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                return False
            self._runner.spawn_users({self._user_class.__name__: 1})
        return True

    def _wait_for_users(self, remaining: set[GradioUser]) -> None:
        """Let everybody else finish what they do; when nobody does so for longer than an operation may take, cut them off."""
        director = self._director
        before, deadline = 0, math.inf
        while (waiting := len(director.present - remaining)) and time.monotonic() < deadline:
            if waiting != before:
                before, deadline = waiting, time.monotonic() + self._timeout_s + 5.0
            gevent.sleep(_POLL_S)
        for user in director.present - remaining:
            user.stop(force=True)

    def _report_status(self) -> None:
        while True:
            gevent.sleep(_STATUS_S)
            self._send_status()

    def _send_status(self) -> None:
        director = self._director
        visitors = len(director.present) - director.holding
        said = [*notices(), *([_UNSEARCHED] if self._blind and director.registry.has_secrets else [])]
        self.send(Status(status=self._recorder.status(visitors, director.open_sessions, said)))

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
        Worker(config, SocketChannel(control)).serve()


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
