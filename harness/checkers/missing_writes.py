"""Writes that are missing in reads. What earlier and later reads show decides the kind of anomaly.

    missing in a read              | a later operation had shown it before         | none had
    -------------------------------|-----------------------------------------------|--------------------------------------
    a later read shows it again    | monotonic-reads; writes-follow-reads, if the  | read-your-writes; monotonic-writes if
                                   | reader had not seen it, and a write is there  | a later write is there meanwhile
                                   | of a session that had                         |
    no later read does             | reset, if the state is back where it began;   | lost-update
                                   | lost-update; monotonic-reads, if that is the  |
                                   | last read, without a later one                |

So one fault gives one kind of anomaly. Other writes that are missing in the same read get the same kind. The session guarantees are those of Terry et al., "Session guarantees for weakly
consistent replicated data" (1994).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from harness.checkers.anomaly_names import (
    LOST_UPDATE,
    MONOTONIC_READS,
    MONOTONIC_WRITES,
    READ_YOUR_WRITES,
    RESET,
    WRITES_FOLLOW_READS,
)
from harness.checkers.findings import Found, involved, saw, show, wrote
from harness.records import Operation


class Follower(NamedTuple):
    """A write of a session that had read another one before.

    Attributes:
        knowing: the read that had shown it to the session.
        then: the session's write.
    """

    knowing: Operation
    then: Operation


class Gap(msgspec.Struct, kw_only=True):
    """An acknowledged write that a read of its owner does not show.

    Attributes:
        read: the first that does not.
        shown_by: another operation that had shown it before, None if there is none.
        overtaken_by: a later write of the owner that the read does show, None if there is none.
        follower: what the read does show of a session that had read it before, None if there is nothing.
        back_at_start: the read shows nothing that is older than what `shown_by` had shown.
        again: a later read that shows it, None if there is none.
        later_reads: later reads that do not show it either.
        name: of a record, the key that was put.
        expected: what the read had to show.
        count: of a counter, how many acknowledged increments there were, of which `write` is the last; 0 for other models.
        undecided: of a counter, no later read tells whether it was lost or only late.
    """

    write: Operation
    read: Operation
    shown_by: Operation | None
    overtaken_by: Operation | None
    back_at_start: bool
    follower: Follower | None = None
    again: Operation | None = None
    later_reads: int = 0
    name: str = ""
    expected: Any
    count: int = 0
    undecided: bool = False

    @property
    def kind(self) -> str:
        """What the anomaly is called; see the table above."""
        if self.again is not None or self.undecided:
            if self.follower is not None:
                return WRITES_FOLLOW_READS
            if self.shown_by is not None:
                return MONOTONIC_READS
            return MONOTONIC_WRITES if self.overtaken_by is not None else READ_YOUR_WRITES
        if self.shown_by is None:
            return LOST_UPDATE
        if self.back_at_start:
            return RESET
        return LOST_UPDATE if self.later_reads else MONOTONIC_READS


class Gaps:
    """Follows each write of one owner through the owner's reads, in order.

    Args:
        name: the key of a record that it is about; empty for other models.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._open: dict[int, Gap] = {}
        self._closed: list[Gap] = []
        self._shown: dict[int, Operation] = {}

    def shown(self, write: Operation, read: Operation) -> None:
        """A read shows a write."""
        gap = self._open.pop(id(write), None)
        if gap is not None:
            gap.again = read
            self._closed.append(gap)
        if read is not write:
            self._shown[id(write)] = read

    def missing(
        self,
        write: Operation,
        read: Operation,
        expected: Any,
        *,
        overtaken_by: Operation | None,
        oldest_end_ns: float,
        follower: Callable[[], Follower | None] = lambda: None,
    ) -> None:
        """A read does not show a write.

        Args:
            write: the owner's.
            read: that had to show it.
            expected: what it had to show.
            overtaken_by: the latest of the owner's writes that it does show and that began after this one, if any.
            oldest_end_ns: when the oldest of the writes that it does show was over; infinite if there is none.
            follower: finds out what the read shows of a session that had read it before; only asked once.
        """
        gap = self._open.get(id(write))
        if gap is not None:
            gap.later_reads += 1
            return
        shown_by = self._shown.get(id(write))
        self._open[id(write)] = Gap(
            write=write,
            read=read,
            shown_by=shown_by,
            overtaken_by=overtaken_by,
            follower=follower() if shown_by is not None else None,
            back_at_start=shown_by is not None and oldest_end_ns > shown_by.invoke_ns,
            name=self._name,
            expected=expected,
        )

    def is_open(self, write: Operation) -> bool:
        """Whether a write is missing at present."""
        return id(write) in self._open

    def all(self) -> list[Gap]:
        """Every write that was missing for a while, and every one that is missing to the end; a write can be both."""
        return [*self._closed, *self._open.values()]


# What is said of a write that no later operation had shown yet, if others that had been shown are missing too.
_PART_OF = {LOST_UPDATE: RESET, READ_YOUR_WRITES: MONOTONIC_READS}


def report_all(variable: str, gaps: list[Gap], found: Found, *, doubtful: bool) -> None:
    """Report the gaps of one owner's variable in the order in which they were first missing, each fault under one name.

    Args:
        variable: its name.
        gaps: the owner's.
        found: where to report them.
        doubtful: what is missing may be owed to operations of which there is no record.
    """
    kinds = {(id(gap.read), gap.kind) for gap in gaps}
    for gap in sorted(gaps, key=lambda g: (g.read.complete_ns or 0, g.write.invoke_ns)):
        if (id(gap.read), _PART_OF.get(gap.kind)) not in kinds:
            report(variable, gap, found, doubtful=doubtful)


def report(variable: str, gap: Gap, found: Found, *, doubtful: bool) -> None:
    """Describe one gap, under the name that it deserves."""
    kind = gap.kind
    if doubtful:
        found.leave_open(kind)
        return
    sessions = involved(gap.write, gap.read)
    if not found.of(kind).first(variable, sessions):
        return
    expected, relevant = show(gap.expected), [gap.expected]
    seen = show(gap.read.reads[variable], relevant)
    clause = wrote(gap.write, variable, gap.name) + (f", the last of {gap.count}" if gap.count > 1 else "")
    own = gap.write is gap.read
    missing = (
        gap.read,
        f"{clause}, with {variable} = {seen} in the answer"
        if own
        else f"then {saw(gap.read, variable, relevant)}",
    )
    witness = [missing] if own else [(gap.write, clause), missing]
    after = [(gap.again, saw(gap.again, variable, relevant))] if gap.again else []
    before = [(gap.shown_by, saw(gap.shown_by, variable, relevant))] if gap.shown_by else []
    if kind == LOST_UPDATE:
        itself = " itself" if own else ""
        conclusion = f"The read{itself} had to show {expected}. It does not, and neither does a later read: the update is lost."
    elif kind == READ_YOUR_WRITES:
        witness += after
        if gap.undecided:
            outcome = "It does not, and no later read shows whether the write was lost or late."
        elif gap.count:
            outcome = f"It does not, but {_letter(len(witness))} shows that not all of these increments were lost: the read was stale."
        else:
            outcome = f"It does not, but the later read {_letter(len(witness))} does: the read was stale."
        conclusion = (
            f"The write was acknowledged before the read, so the read had to show {expected}. {outcome}"
        )
    elif kind == MONOTONIC_WRITES:
        assert gap.overtaken_by is not None
        newer = gap.overtaken_by
        if newer is not gap.read:
            witness.insert(len(witness) - 1, (newer, f"then {wrote(newer, variable, gap.name)}"))
        witness += after
        conclusion = (
            f"{expected} was written first, but the read shows the later value without it. Only the later read "
            f"{_letter(len(witness))} shows it: the writes took effect in another order than the session made them."
        )
    elif kind == WRITES_FOLLOW_READS:
        assert gap.follower is not None
        knowing, then = gap.follower
        witness = [
            (gap.write, clause),
            (knowing, f"read {variable} = {show(knowing.reads[variable], relevant)}"),
            (then, f"then {wrote(then, variable, gap.name)}"),
            (gap.read, f"read {variable} = {seen}"),
            *after,
        ]
        conclusion = (
            f"B had shown {expected} before C began, so a read that shows the value of C must also show {expected}. D does not, but "
            "the later read E does: a write was visible without a value that its session had read before."
        )
    else:
        first = [] if gap.write is gap.shown_by else [(gap.write, clause)]
        witness = [*first, *before, (gap.read, f"then {saw(gap.read, variable, relevant)}")]
        shown, missed = _letter(len(witness) - 1), _letter(len(witness))
        if kind == MONOTONIC_READS:
            witness += after
            conclusion = (
                f"{shown} had shown {'as much' if gap.count else expected}, and {missed} began later, so {missed} had to show it: "
                f"{'for a while, ' if after else ''}an older state was read."
            )
        else:
            what = "the count" if gap.count else expected
            conclusion = (
                f"{shown} had shown {what}, but the later read {missed} shows the initial value with only later writes: the state was "
                "reset."
            )
    found.of(kind).describe(
        variable=variable, sessions=sessions, witness=witness, conclusion=conclusion, relevant=relevant
    )


def _letter(count: int) -> str:
    return chr(ord("A") + count - 1)
