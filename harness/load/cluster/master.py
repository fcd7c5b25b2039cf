"""The master of several load generator processes, `python -m harness.load.cluster.master FD`, started by `harness.load.cluster.client`.

It makes no load. It divides the harness's commands among its workers over Locust's connection, collects their answers,
detects lost workers, and writes returned shards into the run folder.
"""

# Importing Locust patches sockets, threads and time for gevent. It must come before anything that uses them.
import locust  # noqa: I001

import hashlib
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import gevent
import gevent.lock
import gevent.queue
import locust.runners
import msgspec
from locust.env import Environment

from harness import __version__
from harness.errors import StorageError, UsageError
from harness.load.cluster.connected_worker import ConnectedWorker
from harness.load.cluster.totals import add_answers, add_statuses
from harness.load.cluster.clock_offset import Exchange, clock_identity, estimate_offset
from harness.load.commands import (
    Bound,
    Broken,
    Command,
    Configure,
    Done,
    Drive,
    EventReport,
    Lost,
    MasterCommand,
    MasterConfig,
    Quit,
    Ready,
    Report,
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
from harness.load.cluster.shard_transfer import Chunk, ShardEnd, ShardReceiver
from harness.load.cluster.split import share
from harness.load.control_channel import failures_reported, first_line

# Locust counts a worker as missing after this many missed heartbeats, one per second. Enough for a slow machine under load.
_HEARTBEATS = 10
_TICK_S = 0.05
_STATUS_S = 0.5
_AGAIN_S = 2.0
_PINGS = 8
# A worker whose shard makes no progress for this long counts as lost.
_SHARD_TIMEOUT_S = 30.0


class Master:
    """Relays between the harness and the workers.

    Args:
        config: where workers connect, and how many there are.
        control: the connection to the harness.

    Raises:
        UsageError: the address cannot be bound.
    """

    def __init__(self, config: MasterConfig, control: socket.socket) -> None:
        self._config = config
        self._control = control
        self._sending = gevent.lock.RLock()
        self._encoder = msgspec.json.Encoder()
        self._from_worker = msgspec.msgpack.Decoder(FromWorker)
        self._commands: gevent.queue.Queue[Command] = gevent.queue.Queue()
        self._configured: Configure | None = None
        self._workers: dict[str, ConnectedWorker] = {}
        self._numbers = 0
        self._quitting = False
        self._workload_sha256 = hashlib.sha256(Path(config.workload).read_bytes()).hexdigest()
        self._runner = _bind(config)
        self._runner.register_message(MESSAGE, self._receive)
        self.send(Bound(port=self._runner.server.port))

    # --- the harness ---

    def serve(self) -> None:
        """Carry out commands until `quit`, or until the harness has ended."""
        gevent.spawn(self._read_commands)
        gevent.spawn(self._watch)
        self._gather()
        gevent.spawn(self._report_status)
        while True:
            command = self._commands.get()
            if isinstance(command, Quit):
                break
            self.send(self._perform(command))
        self._quit()
        self.send(Done())

    def send(self, report: Report) -> None:
        """Send a report to the harness. If the harness has ended, this process ends too."""
        try:
            with self._sending:
                self._control.sendall(self._encoder.encode(report) + b"\n")
        except OSError:
            self.dismiss("The harness has ended.")
            os._exit(0)

    def dismiss(self, reason: str) -> None:
        """End all workers.

        Args:
            reason: why during the run; empty at the end of the run.
        """
        for worker in self._alive():
            self._send_to(worker.client_id, Bye(reason=reason))
        gevent.sleep(0.2)  # until Locust has sent the messages

    def _read_commands(self) -> None:
        decoder = msgspec.json.Decoder(MasterCommand)
        with self._control.makefile("rb") as lines:
            for line in lines:
                command = decoder.decode(line)
                if isinstance(command, Configure):
                    self._configured = command
                elif isinstance(command, Lost):
                    for worker in self._workers.values():
                        if worker.number == command.worker:
                            self._lose(worker, command.reason)
                else:
                    self._commands.put(command)
        self.dismiss("The harness has ended.")
        os._exit(0)

    def _record_event(self, kind: str, **detail: Any) -> None:
        self.send(EventReport(kind=kind, detail=detail))

    def _fail(self, cause: str, message: str, hint: str = "") -> None:
        self.send(Broken(cause=cause, message=message, hint=hint))

    # --- messages of workers ---

    def _receive(self, environment: Environment, msg: Any) -> None:
        # Locust ignores exceptions of a handler, and the run would hang without an explanation.
        try:
            message = self._from_worker.decode(msg.data["body"])
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            # Any program that reaches the port can send anything; that must not end the run.
            print(f"A message from {msg.node_id} cannot be read: {error}", flush=True)  # noqa: T201
            return
        try:
            self._take(msg.node_id, message)
        except StorageError as error:
            self._fail("storage", error.message, error.hint)
        except Exception as error:
            traceback.print_exc()
            self._fail("internal", f"The master failed on a message: {type(error).__name__}: {error}")

    def _take(self, client_id: str, message: FromWorker) -> None:
        if isinstance(message, Join):
            self._admit(client_id, message)
            return
        worker = self._workers.get(client_id)
        if worker is None:
            return
        worker.heard_at = time.monotonic()
        if isinstance(message, Chunk | ShardEnd):
            self._take_piece(worker, message)
        elif worker.lost is not None:
            # Its operations count as unknown already, so it must not go on.
            self._send_to(client_id, Bye(reason=f"The master counts this worker as lost: it {worker.lost}."))
        elif isinstance(message, Pong):
            worker.exchanges.append(Exchange(message.sent_ns, message.worker_ns, time.monotonic_ns()))
        elif isinstance(message, Loaded):
            worker.loaded = message
        elif isinstance(message, State):
            worker.state = message
        elif isinstance(message, Failed):
            self._take_failure(worker, message)

    def _admit(self, client_id: str, join: Join) -> None:
        if client_id in self._workers:
            self._welcome(self._workers[client_id])
            return
        refusal: tuple[str, str] | None = None
        if join.version != __version__:
            refusal = (
                f"A worker on {join.host} has gradsoak {join.version}, the master has {__version__}.",
                "Install the same version on all machines.",
            )
        elif join.workload_sha256 != self._workload_sha256:
            refusal = (
                f"A worker on {join.host} has another workload than the master: its workload.py has SHA-256 "
                f"{join.workload_sha256[:12]}…, the master's {self._config.workload} has {self._workload_sha256[:12]}….",
                "Copy the scenario folder to the worker's machine, and start both again.",
            )
        if refusal is not None:
            self._send_to(client_id, Refuse(message=refusal[0], hint=refusal[1]))
            if not self._complete():
                self._fail("workload", *refusal)
            return
        if len(self._workers) >= self._config.workers:
            self._send_to(
                client_id,
                Refuse(
                    message=f"The master already has all of its {self._config.workers} workers.",
                    hint="Give the master a higher --workers, and start it again.",
                ),
            )
            return
        taken = {worker.number for worker in self._workers.values()}
        number = join.worker or next(n for n in range(1, self._config.workers + 1) if n not in taken)
        worker = self._workers[client_id] = ConnectedWorker(number, client_id, join)
        self._record_event(
            "worker_joined",
            worker=str(number),
            pid=join.pid,
            host=join.host,
            clock=join.clock,
            shard=join.shard,
        )
        self._welcome(worker)

    def _welcome(self, worker: ConnectedWorker) -> None:
        if self._configured is None or worker.lost is not None:
            return  # the worker asks again
        paths = self._paths(worker.number)
        config = msgspec.structs.replace(
            self._configured.config,
            worker=worker.number,
            history=str(paths["history"]),
            samples=str(paths["samples"]),
        )
        self._send_to(worker.client_id, Welcome(config=config, run_id=self._configured.run_id))

    def _take_failure(self, worker: ConnectedWorker, failure: Failed) -> None:
        if failure.cause == "shard":
            worker.finished, worker.shard_problem = True, failure.message
        elif worker.loaded is None or failure.cause == "workload":
            # The run has not begun, or all workers would make the same mistake: the run ends at once.
            self._fail(failure.cause, failure.message, failure.hint)
        else:
            self._lose(worker, failure.message[:1].lower() + failure.message[1:].rstrip("."))

    def _take_piece(self, worker: ConnectedWorker, piece: Chunk | ShardEnd) -> None:
        if piece.file not in worker.files:
            path = self._paths(worker.number).get(piece.file)
            if path is None:
                return
            worker.files[piece.file] = ShardReceiver(path)
        answer = worker.files[piece.file].take(piece)
        if answer is not None:
            self._send_to(worker.client_id, answer)

    def _paths(self, number: int) -> dict[str, Path]:
        """The paths of a worker's files in the run folder."""
        assert self._configured is not None
        config = self._configured.config
        samples = Path(config.samples)
        name = f"{samples.stem.rpartition('-')[0]}-{number}{samples.suffix}"
        return {
            "history": Path(self._configured.history_folder) / f"{number}.jsonl",
            "samples": samples.with_name(name),
        }

    # --- lost workers ---

    def _alive(self) -> list[ConnectedWorker]:
        return sorted((w for w in self._workers.values() if w.lost is None), key=lambda w: w.number)

    def _complete(self) -> bool:
        return len([w for w in self._workers.values() if w.loaded is not None]) >= self._config.workers

    def _lose(self, worker: ConnectedWorker, reason: str) -> None:
        if worker.lost is not None or worker.finished:
            return
        worker.lost = reason
        state = worker.state
        self._record_event(
            "worker_lost",
            worker=str(worker.number),
            reason=reason,
            sessions=state.sessions if state is not None else 0,
            open_sessions=state.status.open_sessions if state is not None and state.status is not None else 0,
        )
        self._send_to(worker.client_id, Bye(reason=f"The master counts this worker as lost: it {reason}."))
        if worker.loaded is None:
            self._fail("internal", f"Worker {worker.number} {reason} before the run had begun.")
        elif not self._alive():
            self._fail("internal", f"All workers were lost; the last one, {worker.number}, {reason}.")

    def _watch(self) -> None:
        while True:
            gevent.sleep(_TICK_S)
            for worker in self._alive():
                if worker.finished:
                    continue
                node = self._runner.clients.get(worker.client_id)
                if node is None:
                    self._lose(worker, "left")
                elif node.state == locust.runners.STATE_MISSING:
                    self._lose(worker, f"sent no heartbeat for {_HEARTBEATS} s")

    def _send_to(self, client_id: str, message: FromMaster) -> None:
        self._runner.send_message(MESSAGE, {"body": msgspec.msgpack.encode(message)}, client_id)

    # --- the run ---

    def _gather(self) -> None:
        """Wait until all workers have loaded the workload. The harness limits the wait."""
        while not self._complete():
            gevent.sleep(_TICK_S)
        for _ in range(_PINGS):
            for worker in self._alive():
                self._send_to(worker.client_id, Ping(sent_ns=time.monotonic_ns()))
            gevent.sleep(_TICK_S)
        for worker in self._alive():
            offset = estimate_offset(worker.exchanges)
            if offset is not None:
                self._record_event(
                    "worker_clock",
                    worker=str(worker.number),
                    offset_ns=offset.offset_ns,
                    uncertainty_ns=offset.uncertainty_ns,
                )
        self._record_event("fleet", workers=self._config.workers, clock=clock_identity())
        loaded = next(w.loaded for w in self._workers.values())
        assert loaded is not None
        self.send(Ready(state=loaded.state, actions=loaded.actions))

    def _order(self, command: Command) -> list[ConnectedWorker]:
        workers = self._alive()
        self._numbers += 1
        shares = share(command, [worker.holding for worker in workers]) if workers else []
        for worker, part in zip(workers, shares, strict=True):
            worker.order = Order(number=self._numbers, command=part)
            self._repeat(worker)
        return workers

    def _repeat(self, worker: ConnectedWorker) -> None:
        assert worker.order is not None
        worker.ordered_at = time.monotonic()
        self._send_to(worker.client_id, worker.order)

    def _perform(self, command: Command) -> Done:
        workers = self._order(command)
        reported = False
        while waiting := [w for w in workers if w.lost is None and w.done is None]:
            for worker in waiting:
                assert worker.order is not None
                received = worker.state is not None and worker.state.order >= worker.order.number
                if not received and time.monotonic() - worker.ordered_at > _AGAIN_S:
                    self._repeat(worker)
            reported = reported or self._report_steady(workers)
            gevent.sleep(_TICK_S)
        if not reported:
            self._report_steady(workers)
        answers = [w.done for w in workers if w.lost is None and w.done is not None]
        return add_answers(answers, complete=len(answers) == len(self._workers))

    def _report_steady(self, workers: list[ConnectedWorker]) -> bool:
        alive = [w for w in workers if w.lost is None]
        if not alive or not all(w.steady for w in alive):
            return False
        drives = [
            w.order.command for w in alive if w.order is not None and isinstance(w.order.command, Drive)
        ]
        # Under the open model no users start at the beginning.
        self.send(Steady(users=sum(drive.users for drive in drives if drive.arrival_rate is None)))
        return True

    def _quit(self) -> None:
        """Let all workers close and return their shards."""
        self._quitting = True
        workers = self._order(Quit())
        began = time.monotonic()
        while waiting := [w for w in workers if w.lost is None and not w.finished]:
            for worker in waiting:
                assert worker.order is not None
                if worker.done is not None:
                    worker.finished = True
                elif time.monotonic() - max(worker.heard_at, began) > _SHARD_TIMEOUT_S:
                    self._lose(worker, f"did not finish within {_SHARD_TIMEOUT_S:g} s")
                elif time.monotonic() - worker.ordered_at > _AGAIN_S and (
                    worker.state is None or worker.state.order < worker.order.number
                ):
                    self._repeat(worker)
            gevent.sleep(_TICK_S)
        for worker in self._workers.values():
            if worker.join.shard == "return":
                self._record_shard(worker)
        self.dismiss("")

    def _record_shard(self, worker: ConnectedWorker) -> None:
        """Record the checksum of a returned shard, so that one that is copied in later can be recognised."""
        shard = worker.files.get("history")
        self._record_event(
            "worker_shard",
            worker=str(worker.number),
            returned=shard is not None and shard.whole,
            sha256=worker.state.shard_sha256 if worker.state is not None else None,
            reason=worker.shard_problem,
        )

    def _report_status(self) -> None:
        while True:
            gevent.sleep(_STATUS_S)
            known = [
                (w.state.status, w.lost is None)
                for w in self._workers.values()
                if w.state is not None and w.state.status is not None
            ]
            if known:
                self.send(StatusReport(status=add_statuses(known)))


def _bind(config: MasterConfig) -> Any:
    locust.runners.HEARTBEAT_LIVENESS = _HEARTBEATS
    where = f"{config.bind_host}:{config.bind_port}"
    hint = "Choose another with --master-bind-host and --master-port."
    try:
        # ZeroMQ binds to addresses, not to names.
        address = socket.getaddrinfo(config.bind_host, config.bind_port, type=socket.SOCK_STREAM)[0][4][0]
        return Environment(user_classes=[]).create_master_runner(str(address), config.bind_port)
    except SystemExit as error:  # Locust's answer to a port that is in use
        raise UsageError(f"The master cannot listen at {where}: the port is in use.", hint) from error
    except (OSError, locust.exception.RPCError) as error:
        raise UsageError(f"The master cannot listen at {where}: {error}.", hint) from error


def main() -> None:
    """Run the master; its configuration comes as one line on the control socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    config = msgspec.json.decode(first_line(control), type=MasterConfig)
    with failures_reported(control):
        master = Master(config, control)

        def stop(*_: object) -> None:
            master.dismiss("The run was stopped.")
            os._exit(1)

        gevent.signal_handler(signal.SIGTERM, stop)
        master.serve()
    # Locust's greenlets and sockets have nothing left to do, and do not end by themselves.
    os._exit(0)


if __name__ == "__main__":
    main()
