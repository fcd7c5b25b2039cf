"""Writes the history of one load generator: each operation's invoke before it is sent, and its completion after."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from harness.errors import StorageError
from harness.history.list_delta import Shortener
from harness.records import (
    PAGE_ACTIONS,
    Effect,
    Error,
    Fail,
    HistoryRecord,
    Info,
    Invoke,
    LoadStatus,
    Ok,
    Sighting,
)
from harness.run_dir import JsonLinesWriter

_RECENT_NS = 5_000_000_000


class StageTimes(Protocol):
    """When an operation reached its stages, monotonic nanoseconds: `harness.page.timing.Timing`."""

    @property
    def accepted_ns(self) -> int | None:
        """When the server had queued it."""

    @property
    def started_ns(self) -> int | None:
        """When the server had started to work on it."""

    @property
    def first_output_ns(self) -> int | None:
        """When its first partial output had arrived."""

    @property
    def completed_ns(self) -> int | None:
        """When its result had arrived."""

    @property
    def event_ids(self) -> list[str]:
        """Gradio's names of its events."""


class _NoStageTimes:
    accepted_ns = started_ns = first_output_ns = completed_ns = None
    event_ids: ClassVar[list[str]] = []


NO_STAGES: StageTimes = _NoStageTimes()


class ScanCounts(NamedTuple):
    """The result of searching the responses during one operation.

    Attributes:
        searched: how many responses and messages were searched for values that the session must not receive.
        sightings: the values that were found.
        tokens_sent: how many texts and files the page sent that contain a token.
        untagged_sent: how many that contain none.
        own_tokens_seen: how many of the searched responses contain a token of the session itself.
    """

    searched: int
    sightings: list[Sighting]
    tokens_sent: int = 0
    untagged_sent: int = 0
    own_tokens_seen: int = 0


NO_SCAN = ScanCounts(0, [])


class Recorder:
    """The history shard of one worker, and running totals for the progress display.

    Args:
        writer: where the records go.
        on_broken: called when a record cannot be written. The run must end, since later operations would not be recorded.

    Attributes:
        from_intended: whether the displayed latencies count from the intended beginning (open model) instead of the actual one.
        requests: operations begun, without those of the page itself (open, reload, close).
    """

    def __init__(
        self, writer: JsonLinesWriter, on_broken: Callable[[StorageError], None] = lambda _: None
    ) -> None:
        self._writer = writer
        self._on_broken = on_broken
        self._ids = itertools.count(1)
        self._recent: deque[tuple[int, int]] = deque(maxlen=5000)
        self.operations = 0
        self.requests = 0
        self.failures = 0
        self.phase = "start"
        self.from_intended = False

    def invoke(
        self,
        session: str,
        action: str,
        effects: Mapping[str, Effect],
        intended_ns: int | None = None,
        user: str = "",
        account: int = 0,
    ) -> tuple[int, int]:
        """Record that an operation is about to be sent.

        Args:
            session: its session.
            action: its name.
            effects: its effects on the state, by variable.
            intended_ns: when it should have begun, None without a schedule.
            user: the user's name, if the session begins with this operation.
            account: which of the logins the user has, from 1 on; 0 if none.

        Returns:
            Its id, and when its displayed latency begins, monotonic nanoseconds.
        """
        operation = next(self._ids)
        self.requests += action not in PAGE_ACTIONS
        now = time.monotonic_ns()
        self._append(
            Invoke(
                id=operation,
                session=session,
                action=action,
                phase=self.phase,
                time_ns=now,
                intended_ns=intended_ns,
                effects=dict(effects),
                user=user,
                account=account,
            )
        )
        return operation, intended_ns if self.from_intended and intended_ns is not None else now

    def ok(
        self,
        operation: int,
        since_ns: int,
        reads: dict[str, Any],
        stages: StageTimes = NO_STAGES,
        scan: ScanCounts = NO_SCAN,
        readings: Shortener | None = None,
    ) -> int:
        """Record a completion; returns its latency in nanoseconds.

        Args:
            operation: its id.
            since_ns: returned by `invoke` with the id.
            reads: the values read, by variable.
            stages: when it reached its stages.
            scan: the result of searching its responses.
            readings: the earlier reads of its session, so that of a long list only the difference is recorded. With None,
                every read is recorded whole.
        """
        whole, deltas = (reads, {}) if readings is None else readings.shorten(operation, reads)
        done = stages.completed_ns if stages.completed_ns is not None else time.monotonic_ns()
        self._append(
            Ok(
                id=operation,
                time_ns=done,
                accepted_ns=stages.accepted_ns,
                started_ns=stages.started_ns,
                first_output_ns=stages.first_output_ns,
                event_ids=list(stages.event_ids),
                searched=scan.searched,
                sightings=scan.sightings,
                tokens_sent=scan.tokens_sent,
                untagged_sent=scan.untagged_sent,
                own_tokens_seen=scan.own_tokens_seen,
                reads=whole,
                deltas=deltas,
            )
        )
        self.operations += 1
        self._recent.append((done, done - since_ns))
        return done - since_ns

    def fail(
        self, operation: int, error: Error, stages: StageTimes = NO_STAGES, scan: ScanCounts = NO_SCAN
    ) -> None:
        """Record that the server refused the operation, or that its function raised."""
        self._fail_or_info(Fail, operation, error, stages, scan)

    def info(
        self, operation: int, error: Error, stages: StageTimes = NO_STAGES, scan: ScanCounts = NO_SCAN
    ) -> None:
        """Record that the outcome of the operation is unknown."""
        self._fail_or_info(Info, operation, error, stages, scan)

    def _fail_or_info(
        self, kind: type[Fail | Info], operation: int, error: Error, stages: StageTimes, scan: ScanCounts
    ) -> None:
        self._append(
            kind(
                id=operation,
                time_ns=time.monotonic_ns(),
                error=error,
                accepted_ns=stages.accepted_ns,
                started_ns=stages.started_ns,
                first_output_ns=stages.first_output_ns,
                event_ids=list(stages.event_ids),
                searched=scan.searched,
                sightings=scan.sightings,
                tokens_sent=scan.tokens_sent,
                untagged_sent=scan.untagged_sent,
                own_tokens_seen=scan.own_tokens_seen,
            )
        )
        self.operations += 1
        self.failures += 1

    def _append(self, record: HistoryRecord) -> None:
        try:
            self._writer.append(record)
        except StorageError as error:
            self._on_broken(error)
            raise

    def status(self, users: int, open_sessions: int, notices: Sequence[str] = ()) -> LoadStatus:
        """Totals so far; the percentile covers the last five seconds."""
        since = time.monotonic_ns() - _RECENT_NS
        recent = sorted(latency for done, latency in self._recent if done >= since)
        p95 = recent[min(len(recent) - 1, int(0.95 * len(recent)))] / 1e6 if recent else None
        return LoadStatus(
            users=users,
            open_sessions=open_sessions,
            operations=self.operations,
            failures=self.failures,
            p95_ms=p95,
            notices=list(notices),
        )

    def close(self) -> None:
        """Close the shard."""
        self._writer.close()
