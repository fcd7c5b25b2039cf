"""Messages between the master and its workers. They travel inside Locust's own, as one binary value each."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.load.cluster.shard_transfer import Chunk, ChunkAnswer, ShardAnswer, ShardEnd
from harness.load.commands import Command, Done, GeneratorConfig
from harness.records import LoadStatus, StateVariable

# The type of all of them, as Locust sees it.
MESSAGE = "gradsoak"


class Join(msgspec.Struct, frozen=True, kw_only=True, tag="join"):
    """A worker is there. Sent again until it is answered.

    Attributes:
        worker: its number if the harness has given it one, else None.
        host: name of its machine.
        clock: identity of its monotonic clock; see `harness.load.cluster.clock_offset`.
        workload_sha256: of its `workload.py`.
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
    """What a worker does. Sent often, so that nothing is lost with a single message.

    Attributes:
        order: number of the order that it works on or has completed, 0 before the first.
        steady: all users of that order have started.
        done: how it ended, None while it is under way.
        sessions: opened so far, in all.
        shard_sha256: of its shard, once that is complete and closed and waits to be returned.
    """

    order: int
    steady: bool
    done: Done | None
    status: LoadStatus | None
    sessions: int
    shard_sha256: str | None = None


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """The answer to a ping: its `sent_ns`, and the worker's own monotonic clock."""

    sent_ns: int
    worker_ns: int


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A worker cannot go on; `cause` as in `harness.load.commands.Broken`, or `stopped` by its user, or `shard`
    if only the return of its shard failed."""

    cause: str
    message: str
    hint: str = ""


FromWorker = Join | Loaded | State | Pong | Failed | Chunk | ShardEnd


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """A worker may take part.

    Attributes:
        config: its part of the run; `history` is its shard as the master's machine names it.
        run_id: name of the run folder.
    """

    config: GeneratorConfig
    run_id: str


class Refuse(msgspec.Struct, frozen=True, kw_only=True, tag="refuse"):
    """A worker may not take part."""

    message: str
    hint: str


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """The worker's share of a command. Sent again until a state shows that it has arrived."""

    number: int
    command: Command


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """To be answered at once."""

    sent_ns: int


class Bye(msgspec.Struct, frozen=True, kw_only=True, tag="bye"):
    """It is over for this worker.

    Attributes:
        reason: why it ends before its time, empty if it does not.
    """

    reason: str = ""


FromMaster = Welcome | Refuse | Order | Ping | ChunkAnswer | ShardAnswer | Bye
