"""Counts anomalies while the run is in progress, for the progress display."""

from __future__ import annotations

import math
import time

from harness.checkers import count_anomalies
from harness.history import ShardHistory, workers_of
from harness.records import RunEvent, StateVariable
from harness.run_dir import RunDir

_MIN_INTERVAL_S = 2.0
# Checking takes CPU time from the app that is measured. It may take this share of the time. When one check takes longer than the
# limit, checking stops, and the last count is shown as "at least".
_COST_SHARE = 0.03
_COST_LIMIT_S = 0.3


class LiveCheck:
    """Counts anomalies every two seconds, or less often if counting takes long.

    Args:
        run_dir: the folder of the run in progress.
        run_tag: the part of each token that names the run.

    Attributes:
        final: False when the history has become too long to check during the run.
    """

    def __init__(self, run_dir: RunDir, run_tag: str) -> None:
        self._run_dir = run_dir
        self._run_tag = run_tag
        self._events: list[RunEvent] = []
        self._next_at = time.monotonic() + _MIN_INTERVAL_S
        self._count: int | None = None
        self.final = True

    def on_event(self, event: RunEvent) -> None:
        """Remember an event about workers."""
        if event.kind in ("fleet", "worker_joined", "worker_clock", "worker_lost"):
            self._events.append(event)

    def anomalies(self, state: dict[str, StateVariable]) -> int | None:
        """The number of anomalies so far; None before the first check."""
        began = time.monotonic()
        if state and began >= self._next_at:
            # A last line that is still being written is torn, and left out.
            shards = self._run_dir.shards()
            # Shards of workers on other machines arrive at the end. Their sessions are known from their tokens until then.
            workers = workers_of(self._events, self._run_tag, dict.fromkeys(shards, ""), {})
            self._count = count_anomalies(ShardHistory(shards, workers), state)
            ended = time.monotonic()
            if ended - began > _COST_LIMIT_S:
                self._next_at = math.inf
                self.final = False
            else:
                self._next_at = ended + max(_MIN_INTERVAL_S, (ended - began) / _COST_SHARE)
        return self._count
