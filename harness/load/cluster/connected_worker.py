"""What the master knows of each worker: its answers, its last state, and whether it is lost."""

from __future__ import annotations

import time

from harness.load.cluster.clock_offset import Exchange
from harness.load.cluster.messages import Join, Loaded, Order, State
from harness.load.cluster.shard_transfer import ShardReceiver
from harness.load.commands import Done


class ConnectedWorker:
    """A worker, as the master knows it.

    Args:
        number: its number.
        client_id: Locust's name for its connection.
        join: the message with which it joined.

    Attributes:
        loaded: its message that the workload is loaded, None before.
        state: the last state it sent, None before the first.
        order: its share of the last command, None before the first.
        ordered_at: when that was last sent (`time.monotonic`).
        exchanges: answered pings.
        files: its returned files, complete or not, by name.
        heard_at: when its last message arrived (`time.monotonic`).
        lost: why it counts as lost, as the end of a sentence; None if it does not.
        finished: whether it has nothing left to do.
        shard_problem: why its shard could not be returned, empty if it could.
    """

    def __init__(self, number: int, client_id: str, join: Join) -> None:
        self.number = number
        self.client_id = client_id
        self.join = join
        self.loaded: Loaded | None = None
        self.state: State | None = None
        self.order: Order | None = None
        self.ordered_at = 0.0
        self.exchanges: list[Exchange] = []
        self.files: dict[str, ShardReceiver] = {}
        self.heard_at = time.monotonic()
        self.lost: str | None = None
        self.finished = False
        self.shard_problem = ""

    @property
    def holding(self) -> int:
        """Sessions that it holds."""
        done = self.state.done if self.state is not None else None
        return done.held if done is not None else 0

    @property
    def done(self) -> Done | None:
        """The answer to its last order, None until that is complete."""
        if self.order is None or self.state is None or self.state.order < self.order.number:
            return None
        return self.state.done

    @property
    def steady(self) -> bool:
        """Whether all users of its last order have started."""
        return (
            self.order is not None
            and self.state is not None
            and self.state.order == self.order.number
            and self.state.steady
        )
