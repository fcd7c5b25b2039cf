"""What one owner did with one variable, arranged for questions about what its reads must show."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from enum import Enum
from itertools import accumulate, pairwise
from typing import Any

from harness.checkers.intervals import Clocks, Line, end_of
from harness.checkers.models import KEPT
from harness.checkers.sequential import NOTHING, Begin, End, SequentialOwner, sequential_owner
from harness.records import Operation, StateVariable


class Status(Enum):
    """How much of an owner's reads is settled before they are checked one by one."""

    # The screening pass has seen that every operation came after the one before and read what it must, and has counted that.
    SCREENED = "screened"
    # The same was seen here, of operations in memory.
    SEQUENTIAL = "sequential"
    # Of a list: one order of the appends explains every read. See `harness.checkers.append_only`.
    APPEND_ONLY = "append-only"
    # Every read must be checked.
    OPEN = "open"


class OwnerLog:
    """What one owner did with one variable.

    Attributes:
        owner: see `Index.owner_of`.
        operations: that read it, or have an effect on it and may have happened, by invoke.
        writes: of these, those with an effect on it, clears included, by invoke.
        reads: operations that read it, by completion.
        clears: of the writes, those that clear it.
        by_value: (key of a record, key of a value) → writes that put it there.
        one_clock: all times may be compared with each other.
        own_ids: identities of the writes.
        doubtful: a clear, or an update that overwrote others, may be among records that are missing, so that nothing can be
            said to be lost.
        status: whether the reads must be checked one by one.
        model_run: the sequential model after the owner's operations, None unless the status is SEQUENTIAL.
    """

    def __init__(
        self, variable: str, model: StateVariable, owner: str, clocks: Clocks, *, screened: bool
    ) -> None:
        self.status = Status.SCREENED if screened else Status.OPEN
        self.model_run: SequentialOwner | None = None
        self.variable = variable
        self.model = model
        self.owner = owner
        self.clocks = clocks
        self.operations: list[Operation] = []
        self.writes: list[Operation] = []
        self.reads: list[Operation] = []
        self.clears: list[Operation] = []
        self.by_value: dict[tuple[str, Any], list[Operation]] = {}
        self.one_clock = True
        self.own_ids: set[int] = set()
        self.doubtful = False
        self.within_ns = model.within_s * 1e9

    def arrange(self) -> None:
        """Put in order what was collected, by invoke until then."""
        self.reads.sort(key=lambda o: (o.complete_ns or 0, o.id))
        lines = {self.clocks.line(o) for o in self.operations} if self.clocks.several else {}
        self.one_clock = len({clock for clock, _ in lines}) < 2
        if self.status is Status.SCREENED:
            return
        self.model_run = self._run_model()
        if self.model_run is None:
            self.prepare()
        else:
            self.status = Status.SEQUENTIAL

    @property
    def sequential(self) -> bool:
        """Whether the owner's operations came one after another and read what they must: there is nothing more to check."""
        return self.status in (Status.SCREENED, Status.SEQUENTIAL)

    def _run_model(self) -> SequentialOwner | None:
        """Run the sequential model over the operations; None if it does not apply, or one of them does not fit it."""
        if (
            not self.one_clock
            or self.model.scope == "everyone"
            or self.within_ns
            or self.model.model not in KEPT
        ):
            return None
        owner = sequential_owner(self.model, self.owner)
        if owner is None:
            return None
        for o in self.operations:
            if o.outcome != "ok" or o.complete_ns is None:
                return None
            effect, shown = o.effects.get(self.variable), o.reads.get(self.variable, NOTHING)
            if not owner.take(Begin(o.invoke_ns, o.id, o.session), End(o.complete_ns), effect, shown):
                return None
        return owner

    def prepare(self) -> None:
        """Arrange what only matters where operations overlap, fail, or show something unexpected."""
        self.own_ids = {id(write) for write in self.writes}
        self._lines: dict[Line, tuple[list[float], list[Operation]]] = {}
        for line, writes in self._by_line(self.writes).items():
            ended = sorted(((end_of(w), n, w) for n, w in enumerate(writes) if w.outcome == "ok"))
            self._lines[line] = [e for e, _, _ in ended], [w for _, _, w in ended]
        self._overlapped = _overlapping(self.writes) if self.model.concurrent_updates == "last-wins" else None
        self._clear_begins = [c.invoke_ns for c in self.clears]
        self._clear_ends = list(accumulate((self.over(c) for c in self.clears), max))
        # Another update may bring back what a clear that it overlaps had removed, where the app guarantees no more.
        sure = sorted((end_of(c), c.invoke_ns) for c in self.clears if c.outcome == "ok" and self.settled(c))
        self._sure_clear_ends = [end for end, _ in sure]
        self._sure_clear_begins = list(accumulate((begin for _, begin in sure), max))

    def _by_line(self, operations: list[Operation]) -> dict[Line, list[Operation]]:
        lines: dict[Line, list[Operation]] = {}
        for operation in operations:
            lines.setdefault(self.clocks.line(operation), []).append(operation)
        return lines

    def over(self, write: Operation) -> float:
        """When a write has surely taken effect: a while after its completion, where the app takes its time."""
        return end_of(write) + self.within_ns

    def settled(self, write: Operation) -> bool:
        """Whether no other update can have overwritten this one without having seen it."""
        if self._overlapped is None:
            return True
        return self.one_clock and id(write) not in self._overlapped

    def acknowledged_before(self, read: Operation) -> Iterator[list[Operation]]:
        """Writes that surely took effect before a read, by completion: a list for each line. The read's own is not among them."""
        for line, (ends, writes) in self._lines.items():
            count = bisect.bisect_right(ends, self.clocks.on(line, read).begin - self.within_ns)
            yield writes[:count]

    def maybe_cleared_at(self, read: Operation) -> float:
        """A read need not show what began before this time: a clear may have removed it. -inf if there can be none."""
        if not self.clears:
            return -math.inf
        if not self.one_clock:
            return math.inf
        return self._cleared_until(_until(read))

    def _cleared_until(self, time: float) -> float:
        """When the last of the clears that began before a time was over."""
        count = bisect.bisect_left(self._clear_begins, time)
        return self._clear_ends[count - 1] if count else -math.inf

    def clear_meanwhile(self, operation: Operation) -> bool:
        """Whether a clear may have taken effect while an operation was under way; itself is not meant."""
        return any(c is not operation for c in self.clears) and (
            not self.one_clock or self._cleared_until(end_of(operation)) > operation.invoke_ns
        )

    def surely_cleared_at(self, read: Operation) -> float:
        """A read must not show what was over by this time: a clear had surely removed it. -inf if there was none."""
        if not self.clears or not self.one_clock or (self.doubtful and self._overlapped is not None):
            return -math.inf
        count = bisect.bisect_right(self._sure_clear_ends, read.invoke_ns - self.within_ns)
        cleared = self._sure_clear_begins[count - 1] if count else -math.inf
        own = read.effects.get(self.variable)
        if own is not None and own.op == "clear" and not self.within_ns and self.settled(read):
            cleared = max(cleared, read.invoke_ns)
        return cleared

    def clear_between(self, earlier: Operation, later: Operation) -> bool:
        """Whether a clear may have taken effect after a read and before the end of a later one of the same clock."""
        if not self.clears:
            return False
        return not self.one_clock or self.maybe_cleared_at(later) > earlier.invoke_ns

    def update_between(self, earlier: Operation, later: Operation) -> bool:
        """Whether any write may have taken effect in between; quadratic at worst, so only for apps whose last update wins."""
        if not self.one_clock:
            return True
        return any(
            w.invoke_ns < _until(later) and end_of(w) > earlier.invoke_ns
            for w in self.writes
            if w is not earlier
        )


def _until(read: Operation) -> float:
    return math.inf if read.complete_ns is None else read.complete_ns


def _overlapping(writes: list[Operation]) -> set[int]:
    """Identities of the writes that overlap another in time; they are given by invoke."""
    found = set()
    latest: Operation | None = None
    for write in writes:
        if latest is not None and end_of(latest) > write.invoke_ns:
            found |= {id(latest), id(write)}
        if latest is None or end_of(write) > end_of(latest):
            latest = write
    # The one before may end early and still reach into this one, though another reaches further.
    for one, other in pairwise(writes):
        if end_of(one) > other.invoke_ns:
            found |= {id(one), id(other)}
    return found
