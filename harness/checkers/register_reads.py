"""Reads of a register, or of one key of a record, against what its owner wrote there."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from harness.checkers.evidence import (
    PAIRS_OF_READS,
    READS_AFTER_A_CLEAR,
    READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
    WRITE_READ_PAIRS,
)
from harness.checkers.findings import Found
from harness.checkers.history_index import Index
from harness.checkers.intervals import end_of
from harness.checkers.missing_writes import Gap, Gaps
from harness.checkers.models import SINGLE, key, put_there, written
from harness.checkers.owner_log import OwnerLog
from harness.checkers.read_rules import ABSENT, Before, report_cleared, report_went_back, until
from harness.records import Operation


class Register(NamedTuple):
    """A register, or one key of a record: what was written to it and what was read.

    Attributes:
        name: the key, empty for a register.
        writes: by invoke, each with the value that it leaves there.
        reads: by completion, each with the value that it shows.
    """

    name: str
    initial: Any
    writes: list[tuple[Operation, Any]]
    reads: list[tuple[Operation, Any]]


def registers_of(log: OwnerLog) -> list[Register]:
    """The one register of an owner's variable, or one for each key of its record."""
    variable, initial = log.variable, log.model.initial
    if log.model.model in SINGLE:
        return [
            Register(
                "",
                initial,
                [
                    (w, initial if (e := w.effects[variable]).op == "clear" else put_there(e))
                    for w in log.writes
                ],
                [(r, r.reads[variable]) for r in log.reads],
            )
        ]
    initial = initial or {}
    reads = [
        (r, r.reads[variable] or {})
        for r in log.reads
        if r.reads[variable] is None or isinstance(r.reads[variable], dict)
    ]
    registers = []
    for name in _names(log):
        writes = []
        for write in log.writes:
            effect = write.effects[variable]
            if effect.op == "clear":
                writes.append((write, initial.get(name, ABSENT)))
            elif name in effect.value:
                writes.append((write, effect.value[name]))
        registers.append(
            Register(
                name, initial.get(name, ABSENT), writes, [(r, value.get(name, ABSENT)) for r, value in reads]
            )
        )
    return registers


def _names(log: OwnerLog) -> list[str]:
    """The keys of a record that its owner begins with or puts something at."""
    own = (name for write in log.writes for name, _ in written(write.effects[log.variable]))
    return list(dict.fromkeys([*(log.model.initial or {}), *own]))


class RegisterReads:
    """Reads of a register or of one key of a record by one owner, against the owner's writes."""

    def __init__(self, index: Index, variable: str, log: OwnerLog, register: Register, found: Found) -> None:
        self._index = index
        self._variable = variable
        self._log = log
        self._register = register
        self._found = found
        self._gaps = Gaps(register.name)
        self._value_of = {id(write): value for write, value in register.writes}
        self._writers: dict[Any, list[Operation]] = {}
        for write, value in register.writes:
            self._writers.setdefault(key(value), []).append(write)
        self._latest = _latest(log, [w for w, _ in register.writes if w.outcome == "ok"])

    def examine(self) -> list[Gap]:
        """Check the reads in order of completion; returns the writes that were missing."""
        before = Before(self._log)
        # Of each read, the writes any of which explains it; none if the state may still have been what it begins with.
        seen: dict[int, list[Operation]] = {}
        initial_key = key(self._register.initial)
        for read, value in self._register.reads:
            latest = self._required(read)
            writers = self._writers.get(key(value), [])
            possible = [w for w in writers if w.invoke_ns < until(read) or not self._log.one_clock]
            current = [w for w in possible if not any(self._superseded(w, by) for by in latest)]
            newest = max(latest, key=lambda w: w.invoke_ns, default=None)
            cleared_ns = self._log.surely_cleared_at(read)
            self._found.count(READS_AFTER_A_CLEAR, int(cleared_ns > -math.inf))
            self._found.count(WRITE_READ_PAIRS, len(latest))
            if newest is not None and newest is not read:
                self._found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE)
            if key(value) == initial_key and not latest:
                pass  # a clear that may have taken effect need not have
            elif current:
                shown = newest if any(w is newest for w in current) else current[-1]
                assert shown is not None
                seen[id(read)] = current
                self._gaps.shown(shown, read)
            elif not writers and key(value) != initial_key:
                before.add(read)
                continue  # not the owner's value: foreign, or garbage, and reported as such
            elif not possible and key(value) != initial_key:
                before.add(read)
                continue  # the owner wrote it later: garbage
            elif key(value) != initial_key and all(self._log.over(w) <= cleared_ns for w in possible):
                report_cleared(
                    self._log, possible[-1], read, cleared_ns, value, self._register.name, self._found
                )
            elif newest is not None:
                self._gaps.missing(
                    newest,
                    read,
                    self._value_of[id(newest)],
                    overtaken_by=None,
                    oldest_end_ns=math.inf if key(value) == initial_key else -math.inf,
                )
            earlier = before.add(read)
            if earlier is not None:
                self._found.count(PAIRS_OF_READS)
                earlier_shown = seen.get(id(earlier), [])
                if earlier_shown and (current or not latest):
                    self._went_back(earlier, earlier_shown, read, current)
        return self._gaps.all()

    def _required(self, read: Operation) -> list[Operation]:
        """For each line of writes the latest that a read had to show, or one that overlaps it: its own, if it writes."""
        if id(read) in self._value_of and not self._log.within_ns:
            return [read]
        return self._latest(read)

    def _superseded(self, write: Operation, by: Operation) -> bool:
        return (
            write is not by
            and self._index.clocks.line(write) == self._index.clocks.line(by)
            and self._log.over(write) <= by.invoke_ns
        )

    def _went_back(
        self, earlier: Operation, explaining: list[Operation], read: Operation, current: list[Operation]
    ) -> None:
        """A read must not show what had been replaced before an earlier read, even if the replacement was not acknowledged.

        This must hold for each write that may explain the earlier read.
        """
        if any(not self._superseded(w, shown) for w in current for shown in explaining):
            return
        shown = explaining[-1]
        if not current and (self._log.clear_between(earlier, read) or not self._log.one_clock):
            return
        if self._log.one_clock and not self._log.doubtful:
            expected = self._value_of[id(shown)]
            report_went_back(self._variable, shown, earlier, read, expected, self._register.name, self._found)


def _latest(log: OwnerLog, writes: list[Operation]) -> Callable[[Operation], list[Operation]]:
    """A function from a read to the write, of each line, that began last of those surely over before it."""
    lines: dict[Any, tuple[list[float], list[Operation]]] = {}
    for write in sorted(writes, key=lambda w: (end_of(w), w.id)):
        ends, best = lines.setdefault(log.clocks.line(write), ([], []))
        ends.append(end_of(write))
        best.append(write if not best or write.invoke_ns > best[-1].invoke_ns else best[-1])

    def latest(read: Operation) -> list[Operation]:
        found = []
        for line, (ends, best) in lines.items():
            count = bisect.bisect_right(ends, log.clocks.on(line, read).begin - log.within_ns)
            if count:
                found.append(best[count - 1])
        return found

    return latest
