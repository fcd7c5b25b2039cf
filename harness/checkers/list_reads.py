"""Reads of a list by its owner, against what the owner appended: everything, once, in order, and nothing that was cleared."""

from __future__ import annotations

import bisect
import math
from functools import partial
from typing import Any

from harness.checkers.anomaly_names import (
    DUPLICATE_EFFECT,
    MONOTONIC_WRITES,
)
from harness.checkers.evidence import (
    OWN_VALUES_SHOWN,
    PAIRS_OF_READS,
    PAIRS_OF_WRITES_IN_ORDER,
    READS_AFTER_A_CLEAR,
    READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
    WRITE_READ_PAIRS,
)
from harness.checkers.findings import Found, involved, show, wrote
from harness.checkers.history_index import Index
from harness.checkers.intervals import end_of
from harness.checkers.missing_writes import Follower, Gaps, report_all
from harness.checkers.models import key
from harness.checkers.owner_log import OwnerLog
from harness.checkers.read_rules import Before, element, report_cleared, report_went_back, required
from harness.checkers.writes_follow_reads import Following, Overtaken, report_overtaken
from harness.records import Operation


class ListReads:
    """Reads of a list by one owner, against the owner's appends."""

    def __init__(self, index: Index, variable: str, log: OwnerLog, found: Found) -> None:
        self._index = index
        self._variable = variable
        self._log = log
        self._found = found
        self._gaps = Gaps()
        # No other session can have read a session's own list.
        shared = log.model.scope != "session"
        self._following = Following(index, variable, log) if shared else None

    def count(self) -> None:
        """Count the evidence of a list that one order explains, as `examine` does."""
        log, found = self._log, self._found
        before = Before(log)
        ends = sorted(end_of(w) for w in log.writes if w.outcome == "ok")
        for read in log.reads:
            shown = len(read.reads[self._variable])
            own = int(id(read) in log.own_ids)
            if shown:
                found.count(OWN_VALUES_SHOWN, shown)
            if shown > 1:
                found.count(PAIRS_OF_WRITES_IN_ORDER, shown - 1)
            if self._following is not None:
                self._following.overtaken(read, found)
            required = bisect.bisect_right(ends, read.invoke_ns) + own
            found.count(WRITE_READ_PAIRS, required)
            if required and shown:
                found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE, int(shown > own))
            if before.add(read) is not None:
                found.count(PAIRS_OF_READS)

    def examine(self) -> None:
        """Check the reads in order of completion."""
        before = Before(self._log)
        for read in self._log.reads:
            if not isinstance(read.reads[self._variable], list):
                continue
            shown, mixed = self._shown(read)
            self._order(read, shown)
            self._cleared(read, shown, mixed)
            for write in shown.values():
                self._gaps.shown(write, read)
            self._missing(read, shown)
            earlier = before.add(read)
            if earlier is not None:
                self._found.count(PAIRS_OF_READS)
                self._vanished(earlier, read, shown)
        report_all(self._variable, self._gaps.all(), self._found, doubtful=self._log.doubtful)

    def _shown(self, read: Operation) -> tuple[dict[int, Operation], bool]:
        """The owner's writes that a read shows, by identity, in the order in which it shows them; and whether others' are there too.

        An element written more than once does not show which write it is; `harness.checkers.linearizability.check` judges those.
        """
        mixed = False
        shown: dict[int, Operation] = {}
        times: dict[Any, int] = {}
        by_value = self._log.by_value
        for value in read.reads[self._variable]:
            place = ("", key(value))
            own = by_value.get(place)
            if not own:
                mixed = mixed or place in self._index.writers[self._variable]
                continue
            count = times.get(place, 0)
            times[place] = count + 1
            if len(own) == 1 and not count:
                shown[id(own[0])] = own[0]
            elif count >= len(own) and self._found.of(DUPLICATE_EFFECT).first(self._variable, [read.session]):
                self._twice(read, value, own)
        if shown:
            self._found.count(OWN_VALUES_SHOWN, len(shown))
        return shown, mixed

    def _twice(self, read: Operation, value: Any, writes: list[Operation]) -> None:
        write = writes[0]
        times, more = (
            ("once", "more than once") if len(writes) == 1 else (f"{len(writes)} times", "more often")
        )
        seen = f"read {self._variable} = {show(read.reads[self._variable], [value])}"
        self._found.of(DUPLICATE_EFFECT).describe(
            variable=self._variable,
            sessions=[read.session],
            witness=[(write, wrote(write, self._variable)), (read, seen)]
            if write is not read
            else [(read, f"{wrote(write, self._variable)}, and {seen}")],
            conclusion=f"{show(value)} was appended {times}, but the read shows it {more}: the effect was duplicated.",
            relevant=[value],
        )

    def _order(self, read: Operation, shown: dict[int, Operation]) -> None:
        """Appends that were made one after another must stand in that order; a session's also after what it had read."""
        overtaken = self._following.overtaken(read, self._found) if self._following is not None else None
        if not shown:
            return
        if len(shown) > 1:
            self._found.count(PAIRS_OF_WRITES_IN_ORDER, len(shown) - 1)
        # Of the writes that come first in the list, those that were made last: of each session, and of all on a clock.
        latest: dict[Any, Operation] = {}
        crossed: tuple[Operation, Operation] | None = None
        for write in shown.values():
            line = self._index.clocks.line(write)
            for place in ((line, write.session), line):
                other = latest.get(place)
                if other is None or write.invoke_ns > other.invoke_ns:
                    latest[place] = write
                elif self._in_order(write, other):
                    if write.session == other.session:
                        self._report_order(write, other, read)
                        return
                    crossed = crossed or (write, other)
        if overtaken is not None:
            self._overtaken(overtaken, read)
        elif crossed is not None:
            self._report_order(*crossed, read)

    def _overtaken(self, overtaken: Overtaken, read: Operation) -> None:
        if overtaken.missing and self._log.doubtful:
            self._found.leave_open(overtaken.kind)
        else:
            report_overtaken(self._variable, overtaken, read, self._found)

    def _in_order(self, one: Operation, other: Operation) -> bool:
        """Whether one write had to take effect before the other.

        A session's own writes take effect in the order in which they were made, however long that may take.
        """
        own = one.session == other.session
        return (end_of(one) if own else self._log.over(one)) <= other.invoke_ns

    def _report_order(self, write: Operation, other: Operation, read: Operation) -> None:
        sessions = involved(write, read)
        if not self._found.of(MONOTONIC_WRITES).first(self._variable, sessions):
            return
        values = [element(w, self._variable) for w in (write, other)]
        witness = [(write, wrote(write, self._variable))]
        seen = f"read {self._variable} = {show(read.reads[self._variable], values)}"
        if other is read:
            witness.append((read, f"then {wrote(other, self._variable)}, and {seen}"))
        else:
            witness += [(other, f"then {wrote(other, self._variable)}"), (read, seen)]
        self._found.of(MONOTONIC_WRITES).describe(
            variable=self._variable,
            sessions=sessions,
            witness=witness,
            conclusion=(
                f"{show(values[0])} was appended before {show(values[1])}, but the read shows it after: "
                "the writes took effect in another order than the session made them."
            ),
            relevant=values,
        )

    def _cleared(self, read: Operation, shown: dict[int, Operation], mixed: bool) -> None:
        """What was cleared must not be there. Amid other people's state it is a part of that, which is reported as such."""
        cleared_ns = self._log.surely_cleared_at(read)
        if cleared_ns == -math.inf:
            return
        self._found.count(READS_AFTER_A_CLEAR)
        for write in shown.values():
            if not mixed and self._log.over(write) <= cleared_ns:
                value = element(write, self._variable)
                report_cleared(self._log, write, read, cleared_ns, value, "", self._found)

    def _missing(self, read: Operation, shown: dict[int, Operation]) -> None:
        """What was acknowledged must be there."""
        log = self._log
        maybe_cleared_ns = log.maybe_cleared_at(read)
        count = 0
        facts: tuple[Operation | None, float] | None = None
        for write in required(log, read):
            if write.effects[self._variable].op == "clear" or write.invoke_ns < maybe_cleared_ns:
                continue
            if len(log.by_value["", key(element(write, self._variable))]) > 1:
                continue  # which of them is there, only an order tells
            count += 1
            if id(write) in shown:
                continue
            if facts is None:
                newest = max(shown.values(), key=lambda w: w.invoke_ns, default=None)
                oldest_end_ns = min((end_of(w) for w in shown.values()), default=math.inf)
                facts = newest, oldest_end_ns
            newest, oldest_end_ns = facts
            overtaken = (
                newest is not None
                and self._index.clocks.line(write) == self._index.clocks.line(newest)
                and self._in_order(write, newest)
            )
            self._gaps.missing(
                write,
                read,
                element(write, self._variable),
                overtaken_by=newest if overtaken else None,
                oldest_end_ns=oldest_end_ns if log.one_clock or oldest_end_ns == math.inf else -math.inf,
                follower=partial(self._follower, write, read),
            )
        self._found.count(WRITE_READ_PAIRS, count)
        if count and shown:
            self._found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE, int(bool(shown.keys() - {id(read)})))

    def _follower(self, write: Operation, read: Operation) -> Follower | None:
        return self._following.follower(write, read) if self._following is not None else None

    def _vanished(self, earlier: Operation, read: Operation, shown: dict[int, Operation]) -> None:
        """What an earlier read had shown must still be there, acknowledged or not, unless it may have been cleared."""
        old, new = earlier.reads[self._variable], read.reads[self._variable]
        if self._log.doubtful or new[: len(old)] == old or self._log.clear_between(earlier, read):
            return
        if self._log.model.concurrent_updates == "last-wins" and self._log.update_between(earlier, read):
            return
        for value in old:
            own = self._log.by_value.get(("", key(value)))
            if not own or len(own) > 1 or id(own[0]) in shown or self._gaps.is_open(own[0]):
                continue
            cleared_ns = self._log.surely_cleared_at(earlier)
            if self._log.over(own[0]) <= cleared_ns:
                continue  # it must not have been there
            report_went_back(self._variable, own[0], earlier, read, value, "", self._found)
