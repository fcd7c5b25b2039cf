"""Writes a worker's history: every operation's invoke before the wire, and its completion after."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import StorageError
from harness.records import Effect, Error, Fail, HistoryRecord, Info, Invoke, LoadStatus, Ok
from harness.results import JsonLinesWriter

_RECENT_NS = 5_000_000_000


class Recorder:
    """The history shard of one worker, and running totals for the progress display.

    Args:
        writer: where the records go.
        on_broken: told once when a record cannot be written; the run must end, since what happens from
            then on would leave no trace.
    """

    def __init__(
        self, writer: JsonLinesWriter, on_broken: Callable[[StorageError], None] = lambda _: None
    ) -> None:
        self._writer = writer
        self._on_broken = on_broken
        self._ids = itertools.count(1)
        self._recent: deque[tuple[int, int]] = deque(maxlen=5000)
        self.operations = 0
        self.failures = 0
        self.phase = "start"

    def invoke(self, session: str, action: str, effects: Mapping[str, Effect]) -> tuple[int, int]:
        """Record that an operation is about to be sent.

        Returns:
            Its id, and the monotonic nanoseconds of its start.
        """
        operation = next(self._ids)
        now = time.monotonic_ns()
        self._append(
            Invoke(
                id=operation,
                session=session,
                action=action,
                phase=self.phase,
                time_ns=now,
                effects=dict(effects),
            )
        )
        return operation, now

    def ok(
        self,
        operation: int,
        invoke_ns: int,
        reads: dict[str, Any],
        *,
        accepted_ns: int | None = None,
        started_ns: int | None = None,
        completed_ns: int | None = None,
    ) -> int:
        """Record a completion; returns its latency in nanoseconds."""
        done = completed_ns if completed_ns is not None else time.monotonic_ns()
        self._append(
            Ok(id=operation, time_ns=done, accepted_ns=accepted_ns, started_ns=started_ns, reads=reads)
        )
        self.operations += 1
        self._recent.append((done, done - invoke_ns))
        return done - invoke_ns

    def fail(self, operation: int, error: Error) -> None:
        """Record that the server refused the operation, or its function raised."""
        self._append(Fail(id=operation, time_ns=time.monotonic_ns(), error=error))
        self.operations += 1
        self.failures += 1

    def info(self, operation: int, error: Error) -> None:
        """Record that nobody knows whether the operation happened."""
        self._append(Info(id=operation, time_ns=time.monotonic_ns(), error=error))
        self.operations += 1
        self.failures += 1

    def _append(self, record: HistoryRecord) -> None:
        try:
            self._writer.append(record)
        except StorageError as error:
            self._on_broken(error)
            raise

    def status(self, users: int, open_sessions: int) -> LoadStatus:
        """Totals until now; the percentile covers the last five seconds."""
        since = time.monotonic_ns() - _RECENT_NS
        recent = sorted(latency for done, latency in self._recent if done >= since)
        p95 = recent[min(len(recent) - 1, int(0.95 * len(recent)))] / 1e6 if recent else None
        return LoadStatus(
            users=users,
            open_sessions=open_sessions,
            operations=self.operations,
            failures=self.failures,
            p95_ms=p95,
        )

    def close(self) -> None:
        """Close the shard."""
        self._writer.close()
