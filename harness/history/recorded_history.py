"""The operations of a whole run: in memory, or streamed from its shards as often as needed. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from harness.history.pairing import Completion, join, pair_of, pairs, shift
from harness.history.workers import Workers, in_order
from harness.records import HistoryRecord, Invoke, Operation


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Operations of a run, in memory.

    Attributes:
        operations: ordered by invoke time. If the workers have clocks of their own, the order between operations of
            different clocks is an estimate.
        problems: why the history cannot be trusted as a whole, one sentence each; empty if it can.
        workers: the load generator processes.
        began_ns: the first invoke of the run, if `operations` are not all of its operations.
        damaged: workers whose records do not fit together or could not all be read, so that operations may be missing.
    """

    operations: list[Operation]
    problems: list[str]
    workers: Workers = Workers()
    began_ns: int | None = None
    damaged: frozenset[str] = frozenset()

    def by_session(self) -> dict[str, list[Operation]]:
        """Session → its operations, ordered by invoke time."""
        sessions: dict[str, list[Operation]] = {}
        for operation in self.operations:
            sessions.setdefault(operation.session, []).append(operation)
        return sessions

    @property
    def started_ns(self) -> int:
        """Monotonic nanoseconds of the first invoke, 0 if there is none."""
        if self.began_ns is not None:
            return self.began_ns
        return self.operations[0].invoke_ns if self.operations else 0


def pair(
    shards: Mapping[str, Iterable[HistoryRecord]],
    problems: Sequence[str] = (),
    workers: Workers = Workers(),  # noqa: B008 (immutable)
    damaged: Collection[str] = (),
    only: Collection[str] | None = None,
) -> History:
    """Return all operations: each invoke joined with its completion.

    Sessions that a shard cannot have recorded are left out; see `harness.history.pairing.pairs`.

    Args:
        shards: worker → its records, in the order of writing.
        problems: known problems of the files.
        workers: the load generator processes. Times of clocks other than the master's are shifted by their estimated
            offset, so that figures and plots may combine them. No verdict may depend on the shifted times.
        damaged: workers whose shards are known to be incomplete.
        only: see `join`.
    """
    found = list(problems)
    operations: list[Operation] = []
    suspect = set(damaged)
    for worker, records in in_order(shards):
        before = len(found)
        operations += join(worker, pairs(worker, records, found, workers.run_tag), found, only)
        if len(found) > before:
            suspect.add(worker)
    return _history(operations, found, workers, frozenset(suspect))


def _history(
    operations: list[Operation],
    problems: list[str],
    workers: Workers,
    damaged: frozenset[str],
    began_ns: int | None = None,
) -> History:
    shifts = {name: facts.offset_ns for name, facts in workers.facts.items() if facts.offset_ns}
    if shifts:
        operations = [shift(o, shifts[o.worker]) if o.worker in shifts else o for o in operations]
    operations.sort(key=lambda operation: (operation.invoke_ns, operation.worker, operation.id))
    return History(
        operations=operations, problems=problems, workers=workers, damaged=damaged, began_ns=began_ns
    )


class RecordedHistory(Protocol):
    """A history that can be read from the beginning as often as needed. It need not fit in memory."""

    @property
    def workers(self) -> Workers:
        """The load generator processes."""

    @property
    def damaged(self) -> Collection[str]:
        """Workers whose shards are known to be incomplete before they are read."""

    def pairs(self, problems: list[str]) -> Iterator[tuple[str, Iterable[tuple[Invoke, Completion | None]]]]:
        """Yield each worker with its pairs; see `harness.history.pairing.pairs`. Consume the pairs before the next worker."""

    def history(
        self,
        sessions: Container[str] | None,
        *,
        began_ns: int,
        damaged: frozenset[str],
        problems: list[str],
    ) -> History:
        """Return the operations of some sessions; None for all.

        Args:
            sessions: their ids.
            began_ns: the first invoke of the run.
            damaged: workers whose records have turned out to be incomplete.
            problems: receives one sentence for each read that cannot be restored.
        """

    def without_reads(self, variables: Collection[str]) -> History:
        """Return all operations, without their reads. They are read at the first call, and kept.

        Args:
            variables: the variables whose effects are kept.
        """


class ShardHistory:
    """A history in the shards of a run folder.

    Args:
        shards: worker → a function that reads its records from the beginning. It adds one sentence to a list of problems if
            a record cannot be read.
        workers: the load generator processes.
        damaged: workers whose shards are known to be incomplete.
    """

    def __init__(
        self,
        shards: Mapping[str, Callable[[list[str]], Iterable[HistoryRecord]]],
        workers: Workers,
        damaged: Collection[str] = (),
    ) -> None:
        self._shards = in_order(shards)
        self._without_reads: tuple[Collection[str], History] | None = None
        self.workers = workers
        self.damaged = damaged

    def pairs(self, problems: list[str]) -> Iterator[tuple[str, Iterable[tuple[Invoke, Completion | None]]]]:
        """See `RecordedHistory`."""
        for worker, read in self._shards:
            yield worker, pairs(worker, read(problems), problems, self.workers.run_tag)

    def history(
        self,
        sessions: Container[str] | None,
        *,
        began_ns: int,
        damaged: frozenset[str],
        problems: list[str],
    ) -> History:
        """See `RecordedHistory`. Problems that `pairs` reports are not reported again."""
        operations: list[Operation] = []
        if sessions is None or sessions:
            for worker, found in self.pairs([]):
                wanted = (
                    found if sessions is None else (pair for pair in found if pair[0].session in sessions)
                )
                operations += join(worker, wanted, problems)
        return _history(operations, [], self.workers, damaged, None if sessions is None else began_ns)

    def without_reads(self, variables: Collection[str]) -> History:
        """See `RecordedHistory`. Lines that cannot be read are left out without a report: `pairs` reports them."""
        if self._without_reads is None or self._without_reads[0] != variables:
            shards = {worker: read([]) for worker, read in self._shards}
            history = pair(shards, workers=self.workers, damaged=self.damaged, only=variables)
            self._without_reads = variables, history
        return self._without_reads[1]


class InMemoryHistory:
    """A history in memory, as a `RecordedHistory`.

    Args:
        history: all operations.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self.workers = history.workers
        self.damaged = history.damaged

    def pairs(self, problems: list[str]) -> Iterator[tuple[str, Iterable[tuple[Invoke, Completion | None]]]]:
        """See `RecordedHistory`."""
        problems += self._history.problems
        workers: dict[str, list[Operation]] = {}
        for operation in self._history.operations:
            workers.setdefault(operation.worker, []).append(operation)
        for worker, operations in in_order(workers):
            operations.sort(key=lambda o: math.inf if o.complete_ns is None else o.complete_ns)
            yield worker, map(pair_of, operations)

    def history(
        self,
        sessions: Container[str] | None,
        *,
        began_ns: int,
        damaged: frozenset[str],
        problems: list[str],
    ) -> History:
        """See `RecordedHistory`."""
        if sessions is None:
            return self._history
        operations = [o for o in self._history.operations if o.session in sessions]
        return msgspec.structs.replace(self._history, operations=operations, began_ns=began_ns)

    def without_reads(self, variables: Collection[str]) -> History:
        """Return the whole history: leaving anything out would save no memory."""
        return self._history
