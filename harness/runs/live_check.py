"""A first look at the history while it is still growing, for the progress display."""

from __future__ import annotations

import math
import time

from harness.checkers import count_anomalies
from harness.history import ShardHistory, workers_of
from harness.records import RunEvent, StateVariable
from harness.run_dir import RunDir

_MIN_INTERVAL_S = 2.0
# Looking costs time of the machine that is being measured: no more often than this share allows, and not at all
# once a single look takes longer than the limit. Then the last count stands as "at least".
_COST_SHARE = 0.03
_COST_LIMIT_S = 0.3


class LiveCheck:
    """Counts anomalies every few seconds, less often as that takes longer.

    Args:
        run_dir: the run under way.
        run_tag: the part of every token that names it.

    Attributes:
        final: False once the history has become too long to be looked at meanwhile.
    """

    def __init__(self, run_dir: RunDir, run_tag: str) -> None:
        self._run_dir = run_dir
        self._run_tag = run_tag
        self._events: list[RunEvent] = []
        self._next_at = time.monotonic() + _MIN_INTERVAL_S
        self._count: int | None = None
        self.final = True

    def heard(self, event: RunEvent) -> None:
        """Take note of an event: some tell of workers."""
        if event.kind in ("fleet", "worker_joined", "worker_clock", "worker_lost"):
            self._events.append(event)

    def anomalies(self, state: dict[str, StateVariable]) -> int | None:
        """How many there are so far, None before the first look."""
        began = time.monotonic()
        if state and began >= self._next_at:
            # A last line that is being written counts as torn, and is left out.
            shards = self._run_dir.shards()
            # Shards of workers on other machines are not there yet, so that what their tokens say must do for now.
            workers = workers_of(self._events, self._run_tag, dict.fromkeys(shards, ""), {})
            self._count = count_anomalies(ShardHistory(shards, workers), state)
            ended = time.monotonic()
            if ended - began > _COST_LIMIT_S:
                self._next_at = math.inf
                self.final = False
            else:
                self._next_at = ended + max(_MIN_INTERVAL_S, (ended - began) / _COST_SHARE)
        return self._count
