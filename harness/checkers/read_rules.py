"""Rules that reads of lists, registers and records share: which writes a read must show, and what it must not show."""

from __future__ import annotations

import bisect
import math
from typing import Any

from harness.checkers.anomaly_names import CLEARED_STATE_RETURNS, MONOTONIC_READS
from harness.checkers.findings import Found, show, wrote
from harness.checkers.models import put_there
from harness.checkers.owner_log import OwnerLog
from harness.records import Operation

# What a read of a record shows at a key that is not there.
ABSENT = None


class Before:
    """For each read, the last one before it that was over when it began: of the same session, or of the same owner.

    What everyone shares is promised to be monotonic to each session only.

    Args:
        log: whose reads they are.
    """

    def __init__(self, log: OwnerLog) -> None:
        self._by_session = log.model.scope == "everyone" or log.within_ns > 0
        self._reads: dict[str, tuple[list[int], list[Operation]]] = {}

    def add(self, read: Operation) -> Operation | None:
        """Take note of a read, in order of completion, and return the one before it."""
        group = read.session if self._by_session else ""
        ends, reads = self._reads.setdefault(group, ([], []))
        count = bisect.bisect_right(ends, read.invoke_ns)
        before = reads[count - 1] if count else None
        ends.append(read.complete_ns or 0)
        reads.append(read)
        return before


def required(log: OwnerLog, read: Operation) -> list[Operation]:
    """Writes that a read must show: acknowledged before it, and its own."""
    required = [w for writes in log.acknowledged_before(read) for w in writes if log.settled(w)]
    own = read.effects.get(log.variable)
    if own is not None and not log.within_ns and log.settled(read) and id(read) in log.own_ids:
        required.append(read)
    return required


def until(read: Operation) -> float:
    """When a read was complete; infinite if it never was."""
    return math.inf if read.complete_ns is None else read.complete_ns


def element(write: Operation, variable: str) -> Any:
    """The value that a write adds."""
    return put_there(write.effects[variable])


def report_cleared(
    log: OwnerLog,
    write: Operation,
    read: Operation,
    cleared_ns: float,
    value: Any,
    name: str,
    found: Found,
) -> None:
    """A read shows what was cleared before."""
    variable = log.variable
    if not found.of(CLEARED_STATE_RETURNS).first(variable, [read.session]):
        return
    clear = next(c for c in log.clears if c.invoke_ns == cleared_ns)
    seen = f"read {variable} = {show(read.reads[variable], [value])}"
    witness = [(write, wrote(write, variable, name))]
    if clear is read:
        witness.append((read, f"then {wrote(clear, variable)}, and {seen}"))
    else:
        witness += [(clear, f"then {wrote(clear, variable)}"), (read, seen)]
    found.of(CLEARED_STATE_RETURNS).describe(
        variable=variable,
        sessions=[read.session],
        witness=witness,
        conclusion=f"B cleared {show(value)}, and no operation wrote it again, but the read shows it: cleared state came back.",
        relevant=[value],
    )


def report_went_back(
    variable: str, write: Operation, earlier: Operation, read: Operation, value: Any, name: str, found: Found
) -> None:
    """Report a read that shows an older state than an earlier read. The write between them need not be acknowledged."""
    if not found.of(MONOTONIC_READS).first(variable, [read.session]):
        return
    first = [] if write is earlier else [(write, wrote(write, variable, name))]
    letters = "ABC"[len(first) :]
    found.of(MONOTONIC_READS).describe(
        variable=variable,
        sessions=[read.session],
        witness=[
            *first,
            (earlier, f"read {variable} = {show(earlier.reads[variable], [value])}"),
            (read, f"then read {variable} = {show(read.reads[variable], [value])}"),
        ],
        conclusion=(
            f"{letters[0]} had shown {show(value)}, and {letters[1]} began later, so {letters[1]} had to show it or a later value: "
            "an older state was read."
        ),
        relevant=[value],
    )
