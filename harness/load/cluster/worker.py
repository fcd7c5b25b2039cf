"""One of several load generator processes, `python -m harness.load.cluster.worker FD`: a worker below a Locust master.

Started by the harness on its own machine, or by `gradsoak run --worker` on another one.
"""

# Importing Locust patches sockets, threads and time for gevent. It must come before anything that uses them.
import locust  # noqa: I001

import hashlib
import os
import platform
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.queue
import msgspec
from locust import User
from locust.env import Environment
from locust.runners import Runner

from harness import __version__
from harness.errors import HarnessError, StorageError, UsageError
from harness.load.cluster.clock_offset import clock_identity
from harness.load.commands import (
    Admitted,
    Broken,
    Command,
    Done,
    ClusterWorkerConfig,
    Quit,
    Ready,
    Report,
    Returned,
    StatusReport,
    Steady,
)
from harness.load.cluster.messages import (
    MESSAGE,
    Bye,
    Failed,
    FromMaster,
    FromWorker,
    Join,
    Loaded,
    Order,
    Ping,
    Pong,
    Refuse,
    State,
    Welcome,
)
from harness.load.cluster.shard_transfer import Answer, ChunkAnswer, Piece, ShardAnswer, send_shard
from harness.load.control_channel import first_line
from harness.load.generator_process import GeneratorProcess
from harness.records import LoadStatus
from harness.run_dir import HISTORY, MANIFEST

_AGAIN_S = 1.0
_ANSWER_S = 3.0
_REACH_S = 10.0
# The master answers every heartbeat, one per second. After this long without an answer it counts as ended.
_MASTER_SILENT_S = 20.0
_BYE_S = 5.0


class ClusterWorker:
    """A worker's connection to its master.

    Args:
        config: where the master is, and where the shard is written.
        parent: the connection to the process that started this one.

    Raises:
        UsageError: no master answered in time.
    """

    def __init__(self, config: ClusterWorkerConfig, parent: socket.socket) -> None:
        self._config = config
        self._parent = parent
        self._from_master = msgspec.msgpack.Decoder(FromMaster)
        self._orders: gevent.queue.Queue[Order | None] = gevent.queue.Queue()
        self._answers: gevent.queue.Queue[Answer] = gevent.queue.Queue()
        self._entrance: gevent.queue.Queue[Welcome | Refuse | Bye] = gevent.queue.Queue()
        self._bye = gevent.event.Event()
        self._generator: GeneratorProcess | None = None
        self._order = 0
        self._steady = False
        self._done: Done | None = None
        self._status: LoadStatus | None = None
        self._quitting = False
        self._shard_sha256: str | None = None
        self._ending = False
        self._heartbeat_at = time.monotonic()
        workload = Path(config.workload)
        self._join = Join(
            worker=config.worker,
            pid=os.getpid(),
            host=platform.node(),
            clock=clock_identity(),
            version=__version__,
            workload_sha256=hashlib.sha256(workload.read_bytes()).hexdigest(),
            shard="return" if config.shard == "return" else "folder",
        )
        self._environment = Environment(user_classes=[])
        self._environment.events.heartbeat_received.add_listener(self._on_heartbeat)
        self._runner = self._connect()
        self._runner.register_message(MESSAGE, self._receive)

    # --- the master ---

    def work(self) -> None:
        """Join, carry out the master's orders, return the shard.

        Raises:
            UsageError: the master refused this worker or ended, or the app or the shared folder cannot be reached.
        """
        welcome = self._enter()
        config = msgspec.structs.replace(welcome.config, workload=self._config.workload)
        shard = self._shard_path(welcome)
        samples: Path | None = None
        if shard is not None:
            shared = self._config.shard == "shared"
            name = Path(config.samples).name
            samples = shard.parent.parent / "samples" / name if shared else shard.with_suffix(".samples")
            config = msgspec.structs.replace(config, history=str(shard), samples=str(samples))
        _reach(config.url)
        self.report_to_parent(
            Admitted(
                worker=config.worker,
                run_id=welcome.run_id,
                shard=str(shard) if self._config.shard == "return" else "",
            )
        )
        self._generator = GeneratorProcess(config, self, self._take_runner)
        gevent.spawn(self._watch_master)
        self._generator.serve()
        self._ending = True
        if shard is not None and samples is not None and self._config.shard == "return":
            if not self._return(shard, samples):
                raise SystemExit(1)
            samples.unlink(missing_ok=True)
        self.report_to_parent(Returned())
        self._done = Done()
        deadline = time.monotonic() + _BYE_S
        while not self._bye.is_set() and time.monotonic() < deadline:
            self._send_state()
            self._bye.wait(_AGAIN_S)

    def fail(self, cause: str, message: str, hint: str = "") -> None:
        """Report to the master and to the parent process that this worker cannot go on."""
        if hasattr(self, "_runner"):
            self._send_to_master(Failed(cause=cause, message=message, hint=hint))
            gevent.sleep(0.2)  # until Locust has sent the message
        self.report_to_parent(Broken(cause=cause, message=message, hint=hint))

    def report_to_parent(self, report: Report) -> None:
        """Send a report to the parent process. If it has ended, this process ends too."""
        try:
            self._parent.sendall(msgspec.json.encode(report) + b"\n")
        except OSError:
            os._exit(0)

    def _connect(self) -> Any:
        host, port = self._config.master_host, self._config.master_port
        deadline = time.monotonic() + self._config.join_timeout_s
        unreachable = UsageError(
            f"No master answered at {host}:{port} within {self._config.join_timeout_s:g} s.",
            "Check --master-host and --master-port, and that `gradsoak run … --master` runs there; "
            "wait longer with --join-timeout.",
        )
        while True:  # in a cluster, a host name may come into existence later
            try:
                socket.getaddrinfo(host, port)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise unreachable from None
                gevent.sleep(_AGAIN_S)
        with gevent.Timeout(max(0.1, deadline - time.monotonic()), unreachable):
            return self._environment.create_worker_runner(host, port)

    def _enter(self) -> Welcome:
        # The master accepts connections before it knows the app's URL, so this wait has no timeout.
        while True:
            self._send_to_master(self._join)
            try:
                answer = self._entrance.get(timeout=_AGAIN_S)
            except gevent.queue.Empty:
                if time.monotonic() - self._heartbeat_at > _MASTER_SILENT_S:
                    raise UsageError(
                        f"The master at {self._config.master_host}:{self._config.master_port} stopped answering.",
                        "Read its output, and start it again.",
                    ) from None
                continue
            if isinstance(answer, Welcome):
                return answer
            if isinstance(answer, Refuse):
                raise UsageError(answer.message, answer.hint)
            raise UsageError(
                f"The master ended before the run had begun. {answer.reason}".rstrip(), "Read its output."
            )

    def _shard_path(self, welcome: Welcome) -> Path | None:
        """Where the shard is written; None if the master's configuration says where."""
        folder = Path(self._config.shard_folder)
        name = f"{welcome.config.worker}.jsonl"
        if self._config.shard == "return":
            return folder / f"{welcome.run_id}-{name}"
        if self._config.shard == "folder":
            return None
        run = folder / welcome.run_id
        try:
            tag = msgspec.json.decode((run / MANIFEST).read_bytes())["run_tag"]
        except (OSError, msgspec.DecodeError, KeyError, TypeError):
            tag = None
        if tag != welcome.config.run_tag:
            raise UsageError(
                f"{folder} does not hold the master's run {welcome.run_id}.",
                "Name the shared folder in which the master makes its run folder, or leave out --shared-dir: "
                "then the shard is returned over the network.",
            )
        return run / HISTORY / name

    def _receive(self, environment: Environment, msg: Any) -> None:
        # Locust ignores exceptions of a handler.
        try:
            self._take(self._from_master.decode(msg.data["body"]))
        except Exception:
            traceback.print_exc()
            os._exit(1)

    def _take(self, message: FromMaster) -> None:
        if isinstance(message, Ping):
            self._send_to_master(Pong(sent_ns=message.sent_ns, worker_ns=time.monotonic_ns()))
        elif isinstance(message, Order):
            if message.number > self._order:
                self._order, self._steady, self._done = message.number, False, None
                self._orders.put(message)
            self._send_state()
        elif isinstance(message, ChunkAnswer | ShardAnswer):
            self._answers.put(message)
        elif isinstance(message, Bye):
            self._bye.set()
            if self._generator is None:
                self._entrance.put(message)
            elif not self._ending:
                gevent.spawn(self._end_early, message.reason or "The master ended the run.")
        elif self._generator is None:
            self._entrance.put(message)

    def _send_to_master(self, message: FromWorker) -> None:
        self._runner.send_message(MESSAGE, {"body": msgspec.msgpack.encode(message)})

    def _send_state(self) -> None:
        self._send_to_master(
            State(
                order=self._order,
                steady=self._steady,
                done=self._done,
                status=self._status,
                sessions=self._generator.sessions if self._generator is not None else 0,
                shard_sha256=self._shard_sha256,
            )
        )

    def _on_heartbeat(self, **_: Any) -> None:
        self._heartbeat_at = time.monotonic()

    def _watch_master(self) -> None:
        while time.monotonic() - self._heartbeat_at < _MASTER_SILENT_S:
            gevent.sleep(_AGAIN_S)
        self._end_early(f"The master did not answer for {_MASTER_SILENT_S:g} s.")

    def _end_early(self, reason: str) -> None:
        """Stop during the run. The records stay where they are."""
        if self._ending:
            return
        self._ending = True
        assert self._generator is not None
        self._generator.abandon()
        self.report_to_parent(Broken(cause="internal", message=reason))
        os._exit(1)

    def stopped(self) -> None:
        """End this process, since its parent asks for that."""
        if self._ending:
            os._exit(1)
        self._ending = True
        self._send_to_master(Failed(cause="stopped", message="was stopped by its user"))
        if self._generator is not None:
            self._generator.abandon()
        gevent.sleep(0.2)
        os._exit(1)

    def _return(self, shard: Path, samples: Path) -> bool:
        # The checksum is sent first, so that a shard that is copied by hand later can be recognised.
        self._shard_sha256 = hashlib.sha256(shard.read_bytes()).hexdigest()
        self._send_state()

        def exchange(piece: Piece, fits: Callable[[Answer], bool]) -> Answer | None:
            self._send_to_master(piece)
            deadline = time.monotonic() + _ANSWER_S
            while (left := deadline - time.monotonic()) > 0:
                try:
                    answer: Answer = self._answers.get(timeout=left)
                except gevent.queue.Empty:
                    return None
                if fits(answer):
                    return answer
            return None

        problem = send_shard(shard, exchange) or send_shard(samples, exchange, file="samples")
        if problem is not None:
            self.fail("shard", f"It could not be returned: {problem}.")
        return problem is None

    # --- the channel of the `GeneratorProcess` ---

    def commands(self) -> Iterator[Command]:
        """The master's orders, until `quit`."""
        while True:
            order = self._orders.get()
            if order is None or isinstance(order.command, Quit):
                self._quitting = True
                return
            yield order.command

    def send(self, report: Report) -> None:
        """Pass a report on to the master."""
        if isinstance(report, Ready):
            self._send_to_master(Loaded(state=report.state, actions=report.actions))
            return
        if isinstance(report, Broken):
            self.fail(report.cause, report.message, report.hint)
            return
        if isinstance(report, Done):
            if self._quitting:
                return  # sent after the shard has been returned
            self._done = report
        elif isinstance(report, Steady):
            self._steady = True
        elif isinstance(report, StatusReport):
            self._status = report.status
        self._send_state()

    def _take_runner(self, user_classes: list[type[User]], url: str) -> Runner:
        self._environment.user_classes = user_classes
        self._environment.host = url
        return self._runner


def _reach(url: str) -> None:
    """Check that the app can be reached from this machine.

    Raises:
        UsageError: it cannot be reached.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", port), timeout=_REACH_S).close()
    except OSError as error:
        raise UsageError(
            f"The app at {url} cannot be reached from the worker on {platform.node()}: {error.strerror or error}.",
            "An app that gradsoak starts listens on the master's machine only. Start the app where all workers can reach it, "
            "and give the master its address with --url.",
        ) from error


def main() -> None:
    """Run a worker; its configuration comes as one line on the socket to its parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = socket.socket(fileno=int(sys.argv[1]))
    config = msgspec.json.decode(first_line(parent), type=ClusterWorkerConfig)

    def broken(cause: str, message: str, hint: str = "") -> None:
        if worker is not None:
            worker.fail(cause, message, hint)
        else:
            parent.sendall(msgspec.json.encode(Broken(cause=cause, message=message, hint=hint)) + b"\n")
        sys.stdout.flush()
        os._exit(1)

    worker: ClusterWorker | None = None
    try:
        worker = ClusterWorker(config, parent)
        gevent.signal_handler(signal.SIGTERM, worker.stopped)
        worker.work()
    except SystemExit:
        os._exit(1)
    except UsageError as error:
        broken("workload", error.message, error.hint)
    except StorageError as error:
        broken("storage", error.message, error.hint)
    except HarnessError as error:
        broken("internal", error.message, error.hint)
    except Exception as error:
        traceback.print_exc()
        broken("internal", f"{type(error).__name__}: {error}")
    # Locust's greenlets and sockets have nothing left to do, and do not end by themselves.
    os._exit(0)


if __name__ == "__main__":
    assert locust  # imported for its side effect
    main()
