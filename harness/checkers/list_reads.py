"""Does an owner find what it wrote: everything, once, in order, and nothing that it cleared?

Every read must reflect the owner's own writes that were acknowledged before it began, and its own effect. What becomes of
a write that is missing is told in `harness.checkers.missing_writes`.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from harness.checkers.anomalies import (
    CLEARED_STATE_RETURNS,
    DUPLICATE_EFFECT,
    LOST_UPDATE,
    MONOTONIC_READS,
    MONOTONIC_WRITES,
    READ_YOUR_WRITES,
    RESET,
    WRITES_FOLLOW_READS,
)
from harness.checkers.findings import Found, involved, show, wrote
from harness.checkers.index import Index
from harness.checkers.intervals import end_of
from harness.checkers.missing_writes import Follower, Gap, Gaps, report_all
from harness.checkers.models import NAMED_VALUES, SINGLE, accepted, key, put_there, written
from harness.checkers.owner_log import OwnerLog
from harness.checkers.sequential import PlainFollowers
from harness.checkers.writes_follow_reads import Following, Overtaken, report_overtaken
from harness.records import Operation

_SEEN_BEFORE = "reads_of_what_had_been_seen_before"
# What a read of a record shows at a key that is not there.
ABSENT = None


def examine_own_writes(index: Index, found: Found) -> None:
    """Look at every read of a list, register or record, and at what its owner had written before."""
    for variable, model in index.state.items():
        if model.model not in NAMED_VALUES:
            continue
        for ledger in index.ledgers[variable].values():
            if ledger.counted:
                continue
            if ledger.plain:
                count_plain(ledger, found)
            elif ledger.grown:
                _List(index, variable, ledger, found).count()
            elif model.model == "list":
                _List(index, variable, ledger, found).examine()
            else:
                gaps = [
                    gap
                    for cell in _cells(ledger)
                    for gap in _Cell(index, variable, ledger, cell, found).examine()
                ]
                report_all(variable, gaps, found, doubtful=ledger.doubtful)


def count_plain(ledger: OwnerLog, found: Found) -> None:
    """Count what there was to look at where nothing can be wrong, just as is done elsewhere."""
    variable, model = ledger.variable, ledger.model.model
    if model == "record":
        _count_plain_record(ledger, found)
        return
    # What is there, what of it an earlier read had shown, and whether anything was cleared.
    live, persisted, cleared = 0, False, False
    reads = pairs = after_clear = seen_before = shown = in_order = followed = 0
    followers = PlainFollowers()
    for operation in ledger.operations:
        effect = operation.effects.get(variable)
        own = 0
        if effect is not None and effect.op == "clear":
            live, persisted, cleared = int(model in SINGLE), False, True
            own = live
            followers.clear()
        elif effect is not None and accepted(ledger.model, effect):
            own = int(effect.value) if model == "counter" else 1
            live = 1 if model in SINGLE else live + own
            followers.write(operation.session)
        if variable not in operation.reads:
            continue
        reads += 1
        followed += followers.read(operation.session)
        pairs += live
        after_clear += cleared
        if model == "counter":
            seen_before += persisted
            shown += live > 0
            persisted = persisted or live > own
        else:
            seen_before += live > own
            shown += live
            in_order += max(0, live - 1)
    found.count(CLEARED_STATE_RETURNS, "reads_after_a_clear", after_clear)
    count_pairs(found, pairs)
    found.count(RESET, _SEEN_BEFORE, seen_before)
    found.count(MONOTONIC_READS, "pairs_of_reads", max(0, reads - 1))
    if model not in SINGLE:
        found.count(DUPLICATE_EFFECT, "own_values_shown", shown)
    if model == "list":
        found.count(MONOTONIC_WRITES, "pairs_of_writes_in_order", in_order)
        if ledger.model.scope != "session":
            found.count(WRITES_FOLLOW_READS, "writes_shown_that_followed_a_read", followed)


def _count_plain_record(ledger: OwnerLog, found: Found) -> None:
    names = _names(ledger)
    written_to: set[str] = set()
    cleared, reads = False, 0
    for operation in ledger.operations:
        effect = operation.effects.get(ledger.variable)
        own: set[str] = set()
        if effect is not None and effect.op == "clear":
            cleared, own = True, set(names)
        elif effect is not None:
            own = set(effect.value)
        written_to |= own
        if ledger.variable in operation.reads:
            reads += 1
            found.count(CLEARED_STATE_RETURNS, "reads_after_a_clear", len(names) * cleared)
            count_pairs(found, len(written_to))
            found.count(RESET, _SEEN_BEFORE, len(written_to - own))
    found.count(MONOTONIC_READS, "pairs_of_reads", len(names) * max(0, reads - 1))


class Before:
    """For each read, the last one before it that was over when it began: of the same session, or of the same owner.

    What everyone shares is promised to be monotonic to each session only.

    Args:
        ledger: whose reads they are.
    """

    def __init__(self, ledger: OwnerLog) -> None:
        self._by_session = ledger.model.scope == "everyone" or ledger.within_ns > 0
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


class _List:
    """Reads of a list by one owner, against the owner's appends."""

    def __init__(self, index: Index, variable: str, ledger: OwnerLog, found: Found) -> None:
        self._index = index
        self._variable = variable
        self._ledger = ledger
        self._found = found
        self._gaps = Gaps()
        # What is a session's own, nobody else can have read.
        shared = ledger.model.scope != "session"
        self._following = Following(index, variable, ledger) if shared else None

    def count(self) -> None:
        """Count what there was to look at where one order explains everything, just as `examine` does."""
        ledger, found = self._ledger, self._found
        before = Before(ledger)
        ends = sorted(end_of(w) for w in ledger.writes if w.outcome == "ok")
        for read in ledger.reads:
            shown = len(read.reads[self._variable])
            own = int(id(read) in ledger.own_ids)
            if shown:
                found.count(DUPLICATE_EFFECT, "own_values_shown", shown)
            if shown > 1:
                found.count(MONOTONIC_WRITES, "pairs_of_writes_in_order", shown - 1)
            if self._following is not None:
                self._following.overtaken(read, found)
            required = bisect.bisect_right(ends, read.invoke_ns) + own
            count_pairs(found, required)
            if required and shown:
                found.count(RESET, _SEEN_BEFORE, int(shown > own))
            if before.add(read) is not None:
                found.count(MONOTONIC_READS, "pairs_of_reads")

    def examine(self) -> None:
        """Look at the reads in order of completion."""
        before = Before(self._ledger)
        for read in self._ledger.reads:
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
                self._found.count(MONOTONIC_READS, "pairs_of_reads")
                self._vanished(earlier, read, shown)
        report_all(self._variable, self._gaps.all(), self._found, doubtful=self._ledger.doubtful)

    def _shown(self, read: Operation) -> tuple[dict[int, Operation], bool]:
        """The owner's writes that a read shows, by identity, in the order in which it shows them; and whether others' are there too.

        Of an element that was written more than once nobody can tell which of them is shown: `harness.checkers.linearizability.check` judges those.
        """
        mixed = False
        shown: dict[int, Operation] = {}
        times: dict[Any, int] = {}
        by_value = self._ledger.by_value
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
            self._found.count(DUPLICATE_EFFECT, "own_values_shown", len(shown))
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
            self._found.count(MONOTONIC_WRITES, "pairs_of_writes_in_order", len(shown) - 1)
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
        if overtaken.missing and self._ledger.doubtful:
            self._found.leave_open(overtaken.kind)
        else:
            report_overtaken(self._variable, overtaken, read, self._found)

    def _in_order(self, one: Operation, other: Operation) -> bool:
        """Whether one write had to take effect before the other.

        A session's own writes take effect in the order in which they were made, however long that may take.
        """
        own = one.session == other.session
        return (end_of(one) if own else self._ledger.over(one)) <= other.invoke_ns

    def _report_order(self, write: Operation, other: Operation, read: Operation) -> None:
        sessions = involved(write, read)
        if not self._found.of(MONOTONIC_WRITES).first(self._variable, sessions):
            return
        values = [_element(w, self._variable) for w in (write, other)]
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
                f"{show(values[0])} was appended before {show(values[1])} was, but the read shows it after: "
                "the writes took effect in another order than they were made."
            ),
            relevant=values,
        )

    def _cleared(self, read: Operation, shown: dict[int, Operation], mixed: bool) -> None:
        """What was cleared must not be there. Amid other people's state it is a part of that, which is reported as such."""
        cleared_ns = self._ledger.surely_cleared_at(read)
        if cleared_ns == -math.inf:
            return
        self._found.count(CLEARED_STATE_RETURNS, "reads_after_a_clear")
        for write in shown.values():
            if not mixed and self._ledger.over(write) <= cleared_ns:
                value = _element(write, self._variable)
                report_cleared(self._ledger, write, read, cleared_ns, value, "", self._found)

    def _missing(self, read: Operation, shown: dict[int, Operation]) -> None:
        """What was acknowledged must be there."""
        ledger = self._ledger
        maybe_cleared_ns = ledger.maybe_cleared_at(read)
        required = 0
        facts: tuple[Operation | None, float] | None = None
        for write in _required(ledger, read):
            if write.effects[self._variable].op == "clear" or write.invoke_ns < maybe_cleared_ns:
                continue
            if len(ledger.by_value["", key(_element(write, self._variable))]) > 1:
                continue  # which of them is there, only an order tells
            required += 1
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
                _element(write, self._variable),
                overtaken_by=newest if overtaken else None,
                oldest_end_ns=oldest_end_ns if ledger.one_clock or oldest_end_ns == math.inf else -math.inf,
                follower=partial(self._follower, write, read),
            )
        count_pairs(self._found, required)
        if required and shown:
            self._found.count(RESET, _SEEN_BEFORE, int(bool(shown.keys() - {id(read)})))

    def _follower(self, write: Operation, read: Operation) -> Follower | None:
        return self._following.follower(write, read) if self._following is not None else None

    def _vanished(self, earlier: Operation, read: Operation, shown: dict[int, Operation]) -> None:
        """What an earlier read had shown must still be there, acknowledged or not, unless it may have been cleared."""
        old, new = earlier.reads[self._variable], read.reads[self._variable]
        if self._ledger.doubtful or new[: len(old)] == old or self._ledger.clear_between(earlier, read):
            return
        if self._ledger.model.concurrent_updates == "last-wins" and self._ledger.update_between(
            earlier, read
        ):
            return
        for value in old:
            own = self._ledger.by_value.get(("", key(value)))
            if not own or len(own) > 1 or id(own[0]) in shown or self._gaps.is_open(own[0]):
                continue
            cleared_ns = self._ledger.surely_cleared_at(earlier)
            if self._ledger.over(own[0]) <= cleared_ns:
                continue  # it must not have been there
            report_went_back(self._variable, own[0], earlier, read, value, "", self._found)


class _Values(NamedTuple):
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


def _cells(ledger: OwnerLog) -> list[_Values]:
    variable, initial = ledger.variable, ledger.model.initial
    if ledger.model.model in SINGLE:
        return [
            _Values(
                "",
                initial,
                [
                    (w, initial if (e := w.effects[variable]).op == "clear" else put_there(e))
                    for w in ledger.writes
                ],
                [(r, r.reads[variable]) for r in ledger.reads],
            )
        ]
    initial = initial or {}
    reads = [
        (r, r.reads[variable] or {})
        for r in ledger.reads
        if r.reads[variable] is None or isinstance(r.reads[variable], dict)
    ]
    cells = []
    for name in _names(ledger):
        writes = []
        for write in ledger.writes:
            effect = write.effects[variable]
            if effect.op == "clear":
                writes.append((write, initial.get(name, ABSENT)))
            elif name in effect.value:
                writes.append((write, effect.value[name]))
        cells.append(
            _Values(
                name, initial.get(name, ABSENT), writes, [(r, value.get(name, ABSENT)) for r, value in reads]
            )
        )
    return cells


def _names(ledger: OwnerLog) -> list[str]:
    """The keys of a record that its owner begins with or puts something at."""
    own = (name for write in ledger.writes for name, _ in written(write.effects[ledger.variable]))
    return list(dict.fromkeys([*(ledger.model.initial or {}), *own]))


class _Cell:
    """Reads of a register or of one key of a record by one owner, against the owner's writes."""

    def __init__(self, index: Index, variable: str, ledger: OwnerLog, cell: _Values, found: Found) -> None:
        self._index = index
        self._variable = variable
        self._ledger = ledger
        self._cell = cell
        self._found = found
        self._gaps = Gaps(cell.name)
        self._value_of = {id(write): value for write, value in cell.writes}
        self._writers: dict[Any, list[Operation]] = {}
        for write, value in cell.writes:
            self._writers.setdefault(key(value), []).append(write)
        self._latest = _latest(ledger, [w for w, _ in cell.writes if w.outcome == "ok"])

    def examine(self) -> list[Gap]:
        """Look at the reads in order of completion; returns the writes that were missing."""
        before = Before(self._ledger)
        # Of each read, the writes any of which explains it; none if the state may still have been what it begins with.
        seen: dict[int, list[Operation]] = {}
        initial_key = key(self._cell.initial)
        for read, value in self._cell.reads:
            latest = self._required(read)
            writers = self._writers.get(key(value), [])
            possible = [w for w in writers if w.invoke_ns < _until(read) or not self._ledger.one_clock]
            current = [w for w in possible if not any(self._superseded(w, by) for by in latest)]
            newest = max(latest, key=lambda w: w.invoke_ns, default=None)
            cleared_ns = self._ledger.surely_cleared_at(read)
            self._found.count(CLEARED_STATE_RETURNS, "reads_after_a_clear", int(cleared_ns > -math.inf))
            count_pairs(self._found, len(latest))
            if newest is not None and newest is not read:
                self._found.count(RESET, _SEEN_BEFORE)
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
            elif key(value) != initial_key and all(self._ledger.over(w) <= cleared_ns for w in possible):
                report_cleared(
                    self._ledger, possible[-1], read, cleared_ns, value, self._cell.name, self._found
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
                self._found.count(MONOTONIC_READS, "pairs_of_reads")
                earlier_shown = seen.get(id(earlier), [])
                if earlier_shown and (current or not latest):
                    self._went_back(earlier, earlier_shown, read, current)
        return self._gaps.all()

    def _required(self, read: Operation) -> list[Operation]:
        """For each line of writes the latest that a read had to show, or one that overlaps it: its own, if it writes."""
        if id(read) in self._value_of and not self._ledger.within_ns:
            return [read]
        return self._latest(read)

    def _superseded(self, write: Operation, by: Operation) -> bool:
        return (
            write is not by
            and self._index.clocks.line(write) == self._index.clocks.line(by)
            and self._ledger.over(write) <= by.invoke_ns
        )

    def _went_back(
        self, earlier: Operation, explaining: list[Operation], read: Operation, current: list[Operation]
    ) -> None:
        """A read must not show what had been replaced before an earlier read, though nobody knows whether that was acknowledged.

        Whichever of the writes that explain the earlier read is the one that it showed.
        """
        if any(not self._superseded(w, shown) for w in current for shown in explaining):
            return
        shown = explaining[-1]
        if not current and (self._ledger.clear_between(earlier, read) or not self._ledger.one_clock):
            return
        if self._ledger.one_clock and not self._ledger.doubtful:
            expected = self._value_of[id(shown)]
            report_went_back(self._variable, shown, earlier, read, expected, self._cell.name, self._found)


def _latest(ledger: OwnerLog, writes: list[Operation]) -> Callable[[Operation], list[Operation]]:
    """A function from a read to the write, of each line, that began last of those surely over before it."""
    lines: dict[Any, tuple[list[float], list[Operation]]] = {}
    for write in sorted(writes, key=lambda w: (end_of(w), w.id)):
        ends, best = lines.setdefault(ledger.clocks.line(write), ([], []))
        ends.append(end_of(write))
        best.append(write if not best or write.invoke_ns > best[-1].invoke_ns else best[-1])

    def latest(read: Operation) -> list[Operation]:
        found = []
        for line, (ends, best) in lines.items():
            count = bisect.bisect_right(ends, ledger.clocks.on(line, read).begin - ledger.within_ns)
            if count:
                found.append(best[count - 1])
        return found

    return latest


def _required(ledger: OwnerLog, read: Operation) -> list[Operation]:
    """Writes that a read must show: acknowledged before it, and its own."""
    required = [w for writes in ledger.acknowledged_before(read) for w in writes if ledger.settled(w)]
    own = read.effects.get(ledger.variable)
    if own is not None and not ledger.within_ns and ledger.settled(read) and id(read) in ledger.own_ids:
        required.append(read)
    return required


def count_pairs(found: Found, pairs: int) -> None:
    """Count pairs of a write and a later read of the same owner, in which the write could have been missing."""
    found.count(LOST_UPDATE, "write_read_pairs", pairs)
    found.count(READ_YOUR_WRITES, "write_read_pairs", pairs)


def report_cleared(
    ledger: OwnerLog,
    write: Operation,
    read: Operation,
    cleared_ns: float,
    value: Any,
    name: str,
    found: Found,
) -> None:
    """A read shows what was cleared before."""
    variable = ledger.variable
    if not found.of(CLEARED_STATE_RETURNS).first(variable, [read.session]):
        return
    clear = next(c for c in ledger.clears if c.invoke_ns == cleared_ns)
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
        conclusion=f"B removed {show(value)}, and nobody wrote it again, but the read shows it: what was cleared came back.",
        relevant=[value],
    )


def report_went_back(
    variable: str, write: Operation, earlier: Operation, read: Operation, value: Any, name: str, found: Found
) -> None:
    """A read does not show what an earlier one had shown, though nobody knows whether the write was accepted."""
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
            f"{letters[0]} had shown {show(value)}, so {letters[1]}, which began later, had to show it or what came after: "
            "what was read went back."
        ),
        relevant=[value],
    )


def _element(write: Operation, variable: str) -> Any:
    return put_there(write.effects[variable])


def _until(read: Operation) -> float:
    return math.inf if read.complete_ns is None else read.complete_ns
