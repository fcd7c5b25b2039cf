"""Messages between the master and its workers, each sent as one binary value in a message of Locust."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.load.cluster.shard_transfer import Chunk, ChunkAnswer, ShardAnswer, ShardEnd
from harness.load.commands import Command, Done, GeneratorConfig
from harness.records import LoadStatus, StateVariable

# Locust's name for the type of all these messages.
MESSAGE = "gradsoak"


class Join(msgspec.Struct, frozen=True, kw_only=True, tag="join"):
    """A worker asks to join. Sent again until it is answered.

    Attributes:
        worker: its number if the harness has assigned one, else None.
        host: name of its machine.
        clock: identity of its monotonic clock; see `harness.load.cluster.clock_offset`.
        workload_sha256: checksum of its `workload.py`.
        shard: `folder` if it writes its shard into the run folder, `return` if it sends it at the end.
    """

    worker: int | None
    pid: int
    host: str
    clock: str
    version: str
    workload_sha256: str
    shard: Literal["folder", "return"]


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded"):
    """The worker has loaded the workload and can reach the app."""

    state: dict[str, StateVariable]
    actions: list[str]


class State(msgspec.Struct, frozen=True, kw_only=True, tag="state"):
    """The progress of a worker. Sent often, so that a lost message does not matter.

    Attributes:
        order: number of its current or last completed order, 0 before the first.
        steady: all users of that order have started.
        done: the result of that order, None until it is complete.
        sessions: sessions opened so far.
        shard_sha256: checksum of its shard; None until the shard is closed and ready to be returned.
    """

    order: int
    steady: bool
    done: Done | None
    status: LoadStatus | None
    sessions: int
    shard_sha256: str | None = None


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """The answer to a ping: its `sent_ns`, and the worker's monotonic clock."""

    sent_ns: int
    worker_ns: int


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A worker cannot go on.

    Attributes:
        cause: as in `harness.load.commands.Broken`; or `stopped` by its user; or `shard` if only returning the shard failed.
    """

    cause: str
    message: str
    hint: str = ""


FromWorker = Join | Loaded | State | Pong | Failed | Chunk | ShardEnd


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """The master accepts a worker.

    Attributes:
        config: its part of the run; `history` is the path of its shard on the master's machine.
        run_id: name of the run folder.
    """

    config: GeneratorConfig
    run_id: str


class Refuse(msgspec.Struct, frozen=True, kw_only=True, tag="refuse"):
    """The master does not accept a worker."""

    message: str
    hint: str


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """The worker's part of a command. Sent again until a state shows that it has arrived."""

    number: int
    command: Command


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """To be answered immediately with a pong."""

    sent_ns: int


class Bye(msgspec.Struct, frozen=True, kw_only=True, tag="bye"):
    """The worker must end.

    Attributes:
        reason: why it ends during the run; empty at the end of the run.
    """

    reason: str = ""


FromMaster = Welcome | Refuse | Order | Ping | ChunkAnswer | ShardAnswer | Bye
