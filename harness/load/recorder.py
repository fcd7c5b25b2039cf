"""Writes a worker's history: every operation's invoke before the wire, and its completion after."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from harness.errors import StorageError
from harness.history.list_delta import Shortener
from harness.records import (
    TAB_ACTIONS,
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
    """When an operation came how far: `harness.page.gradio_page.Timing`."""

    @property
    def accepted_ns(self) -> int | None:
        """When the server had queued it."""

    @property
    def started_ns(self) -> int | None:
        """When the server had begun to work on it."""

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
    """What was looked at during an operation.

    Attributes:
        searched: how many responses and messages were searched for what must not be in them.
        sightings: what was found there.
        tokens_sent: how many texts and files the page sent in which there is a token.
        untagged_sent: how many in which there is none.
        own_tokens_seen: in how many of those that were searched a token of the session's own was seen.
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
        on_broken: told once when a record cannot be written; the run must end, since what happens from
            then on would leave no trace.

    Attributes:
        from_intended: whether latencies on display count from when an operation should have begun (the open model)
            instead of from when it did.
        requests: operations begun, without those that are the tab's own.
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
            session: who performs it.
            action: its name.
            effects: what it asks of the state.
            intended_ns: when it should have begun, None where nothing decided that.
            user: the person, if the session begins with this operation.
            account: which of the logins that person uses, from 1 on; 0 if none.

        Returns:
            Its id, and the monotonic nanoseconds that its latency on display counts from.
        """
        operation = next(self._ids)
        self.requests += action not in TAB_ACTIONS
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
            since_ns: what `invoke` returned with it.
            reads: what was seen.
            stages: when it came how far.
            scan: what was looked at.
            readings: what its session had read before, so that long lists are recorded as what is new in them; None records all
                that was seen as it is.
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
                looked=scan.searched,
                sightings=scan.sightings,
                marked=scan.tokens_sent,
                unmarked=scan.untagged_sent,
                echoed=scan.own_tokens_seen,
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
        """Record that the server refused the operation, or its function raised."""
        self._end_badly(Fail, operation, error, stages, scan)

    def info(
        self, operation: int, error: Error, stages: StageTimes = NO_STAGES, scan: ScanCounts = NO_SCAN
    ) -> None:
        """Record that nobody knows whether the operation happened."""
        self._end_badly(Info, operation, error, stages, scan)

    def _end_badly(
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
                looked=scan.searched,
                sightings=scan.sightings,
                marked=scan.tokens_sent,
                unmarked=scan.untagged_sent,
                echoed=scan.own_tokens_seen,
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
            notices=list(notices),
        )

    def close(self) -> None:
        """Close the shard."""
        self._writer.close()
