"""Counts carry no names: what can a counter have stood at, and who explains it if it stood elsewhere?

Every read has a lower bound, what had surely been counted when it began, and an upper one, what can have been counted
when it was over. A count below is a write that is missing, classified as in `harness.checkers.missing_writes`; a count above is
explained by what its owner had cleared, by an earlier session of the same user, by others, or by an effect that took
place twice, in this order; if nothing explains it, it is garbage.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Sequence

import msgspec

from harness.checkers.anomaly_names import (
    CLEARED_STATE_RETURNS,
    CROSS_SESSION_READ,
    DUPLICATE_EFFECT,
    GARBAGE_READ,
    MONOTONIC_READS,
    RESURRECTED_STATE,
)
from harness.checkers.evidence import (
    OWN_VALUES_SHOWN,
    PAIRS_OF_READS,
    READS_AFTER_A_CLEAR,
    READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
    WRITE_READ_PAIRS,
)
from harness.checkers.findings import Found, acknowledged, saw
from harness.checkers.history_index import Index
from harness.checkers.increments import Tally
from harness.checkers.intervals import end_of
from harness.checkers.missing_writes import Gap, report
from harness.checkers.owner_log import OwnerLog
from harness.checkers.read_rules import Before
from harness.records import Operation


def examine_counts(index: Index, found: Found) -> None:
    """Check every read of a counter."""
    for variable, model in index.state.items():
        if model.model == "counter":
            for log in index.logs[variable].values():
                if not log.sequential:
                    _Counter(index, variable, log, found).examine()


class _Count(msgspec.Struct, kw_only=True):
    """A read of a counter, with what it can have shown.

    Attributes:
        own: what the reading operation itself added.
        without_clears: the upper bound if nothing had ever been cleared.
        epoch: until when clears may have taken effect; -inf if there were none.
        excess: how far the count is above the upper bound.
        deficit: how far it is below the lower one.
    """

    read: Operation
    value: int
    own: int
    lower: int
    upper: int
    without_clears: int
    epoch: float

    @property
    def excess(self) -> int:
        return max(0, self.value - self.upper)

    @property
    def deficit(self) -> int:
        return max(0, self.lower - self.value)

    @property
    def possible_deficit(self) -> int:
        """How much can be missing, if all that was under way had taken effect."""
        return max(0, self.upper - self.value)


class _Counter:
    """Reads of a counter by one owner, against the increments of the owner and of all."""

    def __init__(self, index: Index, variable: str, log: OwnerLog, found: Found) -> None:
        self._index = index
        self._variable = variable
        self._log = log
        self._found = found
        self._initial = int(log.model.initial or 0)
        self._increments = [
            (w, int(w.effects[variable].value)) for w in log.writes if w.effects[variable].op == "increment"
        ]
        self._everyone = log.model.scope == "everyone"
        self._tally = index.increments(variable) if self._everyone else Tally(self._increments, index.clocks)
        self._floor = Floor(log, self._initial) if log.model.concurrent_updates == "last-wins" else None

    def examine(self) -> None:
        """Check the reads in order of completion."""
        counts = []
        for read in self._log.reads:
            value = read.reads[self._variable]
            if type(value) is not int and not (isinstance(value, float) and value.is_integer()):
                self._garbage(read, "which is not a whole number")
            elif value < self._initial:
                self._garbage(read, f"which is below the initial value {self._initial}")
            else:
                counts.append(self._bounds(read, int(value)))
        self._too_high(counts)
        self._too_low(counts)
        if not self._log.doubtful:
            self._went_back(counts)

    def _bounds(self, read: Operation, value: int) -> _Count:
        log = self._log
        effect = read.effects.get(self._variable)
        own = int(effect.value) if effect is not None and effect.op == "increment" else 0
        since = log.maybe_cleared_at(read)
        ours = own if not log.within_ns and read.invoke_ns >= since else 0
        if self._floor is not None:
            lower = self._floor.at(read)
        elif since == -math.inf:
            lower = self._initial + self._tally.sure_before(read, log.within_ns) + ours
        elif since == math.inf:
            lower = self._initial
        else:
            by = read.invoke_ns - log.within_ns
            lower = self._initial + sum(s.sure_since(since, by) for s in self._tally.lines.values()) + ours
        without = self._initial + self._tally.possible_before(read)
        cleared_ns = log.surely_cleared_at(read)
        cleared = 0
        if cleared_ns > -math.inf:
            self._found.count(READS_AFTER_A_CLEAR)
            cleared = sum(sums.sure(cleared_ns - log.within_ns) for sums in self._tally.lines.values())
        return _Count(
            read=read,
            value=value,
            own=own,
            lower=lower,
            upper=without - cleared,
            without_clears=without,
            epoch=since,
        )

    # --- above ---

    def _too_high(self, counts: Sequence[_Count]) -> None:
        """Explain counts that are too high by what came with the rise since the owner's read before."""
        if self._everyone and self._index.incomplete:
            return  # unrecorded increments belong to no other session
        before: _Count | None = None
        explanation = ""
        for count in counts:
            self._found.count(OWN_VALUES_SHOWN, int(count.value > self._initial))
            if count.excess:
                rise = count.excess - (before.excess if before is not None else 0)
                if rise > 0 or not explanation:
                    explanation = self._explanation(count, before, rise)
                self._report_high(count, explanation)
            else:
                explanation = ""
            before = count

    def _explanation(self, count: _Count, before: _Count | None, rise: int) -> str:
        """The kind of anomaly that explains a count."""
        read = count.read
        if count.value <= count.without_clears:
            # Cleared counts come back as they were; other people's come as they are.
            sure = self._initial + self._tally.sure_before(read) + count.own
            if count.value >= sure or self._everyone:
                return CLEARED_STATE_RETURNS
        if self._everyone:
            return self._own_twice(count, before, rise)
        if 0 < count.excess <= self._earlier_sessions(read):
            return RESURRECTED_STATE
        everyone = self._index.everybodys(self._variable)
        foreign = everyone.possible_before(read) - self._tally.possible_before(read)
        window = foreign
        if before is not None:
            window -= everyone.sure_before(before.read) - self._tally.sure_before(before.read)
        if rise <= window:
            return CROSS_SESSION_READ
        twice = self._own_twice(count, before, rise)
        if twice == DUPLICATE_EFFECT and before is not None:
            return twice
        if count.excess <= foreign:
            return CROSS_SESSION_READ
        if self._index.missing:
            return "missing"
        return twice

    def _own_twice(self, count: _Count, before: _Count | None, rise: int) -> str:
        own = self._tally.possible_before(count.read)
        if before is not None:
            own -= self._tally.sure_before(before.read)
            if before.own:
                own -= before.own  # it is counted in what that read showed
        return DUPLICATE_EFFECT if 0 < rise <= own else GARBAGE_READ

    def _earlier_sessions(self, read: Operation) -> int:
        """What earlier sessions of the same user can have counted."""
        return sum(int(o.effects[self._variable].value) for o in self._increments_before(read.session))

    def _increments_before(self, session: str) -> list[Operation]:
        """Increments of earlier sessions of the same user."""
        user = self._index.user_of.get(session)
        if user is None or self._log.model.scope != "session":
            return []
        return [
            operation
            for other in self._index.sessions_of[user]
            if self._index.earlier_session(session, other)
            for operation in self._index.sessions[other]
            if operation.may_have_happened
            and self._variable in operation.effects
            and operation.effects[self._variable].op == "increment"
        ]

    def _latest_of_earlier_sessions(self, read: Operation) -> Operation | None:
        """Of these, the latest that was acknowledged before a read; failing that, the latest that began before it was over."""
        begun = [o for o in self._increments_before(read.session) if o.invoke_ns < end_of(read)]
        over = [o for o in begun if end_of(o) <= read.invoke_ns]
        return max(over or begun, key=lambda o: (o.invoke_ns, o.id), default=None)

    def _report_high(self, count: _Count, kind: str) -> None:
        read, variable = count.read, self._variable
        if read.worker in self._index.missing:
            return  # the owner's own increments may be among what is missing
        seen = saw(read, variable)
        if kind == GARBAGE_READ:
            self._garbage(read, f"but all increments until then explain at most {count.upper}")
            return
        if kind == "missing":
            self._by_the_missing(count)
            return
        if kind not in (CLEARED_STATE_RETURNS, DUPLICATE_EFFECT):
            self._by_others(count, kind)
            return
        sessions = [read.session]
        if not self._found.of(kind).first(variable, sessions):
            return
        witness: list[tuple[Operation, str]]
        if kind == CLEARED_STATE_RETURNS:
            cleared_ns = self._log.surely_cleared_at(read)
            clear = next(c for c in self._log.clears if c.invoke_ns == cleared_ns)
            witness = (
                [(read, f"cleared {variable}{acknowledged(clear)}, and {seen}")]
                if clear is read
                else [(clear, f"cleared {variable}{acknowledged(clear)}"), (read, seen)]
            )
            conclusion = (
                f"All increments since then explain at most {variable} = {count.upper}. Without the clear, {count.value} would be "
                "possible: cleared state came back."
            )
        else:
            own = self._tally.latest_before(read, lambda _: True)
            witness = [(read, seen)]
            if own is not None and own is not read:
                witness.insert(0, (own, f"incremented {variable}{acknowledged(own)}"))
            conclusion = (
                f"All increments until then explain at most {variable} = {count.upper}, and not {count.value}: "
                "an increment took effect more than once."
            )
        self._found.of(kind).describe(
            variable=variable, sessions=sessions, witness=witness, conclusion=conclusion
        )

    def _by_others(self, count: _Count, kind: str) -> None:
        read, variable = count.read, self._variable
        earlier = kind == RESURRECTED_STATE
        owner = self._log.owner
        writer = (
            self._latest_of_earlier_sessions(read)
            if earlier
            else self._index.everybodys(variable).latest_before(
                read, lambda session: self._index.owner_of(variable, session) != owner
            )
        )
        if writer is None:
            self._garbage(read, f"but all increments until then explain at most {count.upper}")
            return
        sessions = [writer.session, read.session]
        if not self._found.of(kind).first(variable, sessions):
            return
        conclusion = (
            f"{read.session} is a later session of the same user and must start with new state. Its increments explain at most {variable} = "
            f"{count.upper}. The increments of {writer.session} explain {count.value}: its state was resurrected."
            if earlier
            else f"The increments of {read.session} explain at most {variable} = {count.upper}. "
            f"Only increments of other sessions, such as A, explain {count.value}: state crossed to {read.session}."
        )
        self._found.of(kind).describe(
            variable=variable,
            sessions=sessions,
            witness=[
                (writer, f"incremented {variable}{acknowledged(writer)}"),
                (read, saw(read, variable)),
            ],
            conclusion=conclusion,
        )

    def _by_the_missing(self, count: _Count) -> None:
        """A count that no record explains, while the records of some workers are missing."""
        workers = ", ".join(sorted(self._index.missing, key=lambda name: (len(name), name)))
        read, variable = count.read, self._variable
        sessions = [f"sessions of worker {workers}", read.session]
        if self._found.of(CROSS_SESSION_READ).first(variable, sessions):
            self._found.of(CROSS_SESSION_READ).describe(
                variable=variable,
                sessions=sessions,
                witness=[(read, saw(read, variable))],
                conclusion=(
                    f"The increments of {read.session} explain at most {variable} = {count.upper}. All recorded increments together do not "
                    f"explain {count.value}, and the records of worker {workers} are missing: "
                    f"state crossed to {read.session}."
                ),
            )

    def _garbage(self, read: Operation, why: str) -> None:
        value = read.reads[self._variable]
        if self._found.of(GARBAGE_READ).first(self._variable, [read.session]):
            self._found.of(GARBAGE_READ).describe(
                variable=self._variable,
                sessions=[read.session],
                witness=[(read, saw(read, self._variable))],
                conclusion=f"A saw {value}, {why}: no recorded operation can have written it.",
            )

    # --- below ---

    def _too_low(self, counts: Sequence[_Count]) -> None:
        """Counts that miss something: for good as far as all later ones miss it too, and for a while above that.

        A later count shows again what was missing only if increments that were under way do not explain it. Where none
        tells, the read was stale at least; but what is lost for good need not have been stale as well.
        """
        doubtful = self._log.doubtful
        lasting = [count.deficit for count in counts]
        for position in range(len(counts) - 2, -1, -1):
            if counts[position].epoch == counts[position + 1].epoch:
                lasting[position] = min(lasting[position], lasting[position + 1])
        best: _Count | None = None  # the one that showed most of what others had counted, since the last loss
        lost = 0
        stale: Gap | None = None
        stale_by = 0
        for position, count in enumerate(counts):
            if position and count.epoch != counts[position - 1].epoch:
                self._undecided(stale)
                best, lost, stale = None, 0, None
            self._found.count(WRITE_READ_PAIRS, count.lower - self._initial)
            self._found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE, int(best is not None))
            if lasting[position] > lost:
                gap = self._gap(count, best)
                if gap is not None:
                    gap.later_reads = len(counts) - position - 1
                    report(self._variable, gap, self._found, doubtful=doubtful)
                lost, best = lasting[position], None
            if stale is not None and count.possible_deficit < stale_by:
                stale.again = count.read
                report(self._variable, stale, self._found, doubtful=doubtful)
                stale = None
            elif stale is not None and lasting[position] >= stale_by:
                stale = None
            if count.deficit > lasting[position] and stale is None:
                stale, stale_by = self._gap(count, best), count.deficit
            shown = count.value - count.own
            if shown > self._initial and not count.excess and (best is None or shown > best.value - best.own):
                best = count
        self._undecided(stale)

    def _undecided(self, stale: Gap | None) -> None:
        """Report a missing increment for which no later read shows whether it was lost or late."""
        if stale is not None:
            stale.undecided = True
            report(self._variable, stale, self._found, doubtful=self._log.doubtful)

    def _gap(self, count: _Count, best: _Count | None) -> Gap | None:
        """Return the gap of a count that is too low. The last increment that it had to show represents all missing ones."""
        read = count.read
        acked = [w for writes in self._log.acknowledged_before(read) for w in writes]
        writes = [w for w in acked if w.effects[self._variable].op == "increment"]
        write = max(writes, key=end_of, default=read)
        if self._variable not in write.effects:
            return None
        went_back = best is not None and count.value - count.own < best.value - best.own
        at_start = False
        if went_back:
            assert best is not None
            since = self._tally.possible_before(read) - self._tally.sure_before(best.read) - best.own
            at_start = count.value - self._initial <= since
        return Gap(
            write=write,
            read=read,
            shown_by=best.read if went_back and best is not None else None,
            overtaken_by=None,
            back_at_start=at_start,
            expected=f"at least {count.lower}",
            count=max(1, len(writes)),
        )

    def _went_back(self, counts: Sequence[_Count]) -> None:
        """Counts must not go down, even unacknowledged ones, unless they may have been cleared."""
        before = Before(self._log)
        by_read = {id(count.read): count for count in counts}
        log = self._log
        for count in counts:
            earlier = before.add(count.read)
            if earlier is None:
                continue
            self._found.count(PAIRS_OF_READS)
            other = by_read[id(earlier)]
            if other.excess or count.deficit or count.value >= other.value:
                continue
            if log.clear_between(earlier, count.read):
                continue
            if self._floor is not None and log.update_between(earlier, count.read):
                continue
            if self._found.of(MONOTONIC_READS).first(self._variable, [count.read.session]):
                self._found.of(MONOTONIC_READS).describe(
                    variable=self._variable,
                    sessions=[count.read.session],
                    witness=[
                        (earlier, saw(earlier, self._variable)),
                        (count.read, f"then {saw(count.read, self._variable)}"),
                    ],
                    conclusion="No operation reduced the count, so B had to show at least as much as A: an older state was read.",
                )


class Floor:
    """The least that a counter can stand at, where the app guarantees no more than that the last of overlapping updates wins.

    An update reads the counter after it was invoked, adds its amount, and writes the sum. What is there at a time was
    written by an update that began before, and that no other, begun after it had ended, had surely overwritten by then. So
    the least that can be there is the least of what those can have written, and an update writes at least its amount
    more than the least that can have been there when it began. The answer to an update shows what it wrote, or what another
    that was under way wrote after it.

    Args:
        log: the owner's updates.
        initial: where the counter starts.
    """

    def __init__(self, log: OwnerLog, initial: int) -> None:
        self._log = log
        self._initial = initial
        self._at: dict[int, int] = {}
        if not log.one_clock:
            return
        variable = log.variable
        moments: dict[int, Operation] = {id(o): o for o in (*log.writes, *log.reads)}
        ordered = sorted(moments.values(), key=lambda o: o.invoke_ns)
        over = sorted((end_of(w) + log.within_ns, w.invoke_ns) for w in log.writes if w.outcome == "ok")
        position, surely_began_ns = 0, -math.inf
        # What can be there, least first, each until another, begun after its end, has surely ended.
        there: list[tuple[int, float]] = [(initial, -math.inf)]
        # Of these, the ones that are under way: one that is over is at no later time.
        under_way: list[tuple[int, float]] = []
        # Updates, with the least that those can write that were under way when they began.
        answering: list[tuple[int, int]] = []
        for place, operation in enumerate(ordered):
            while position < len(over) and over[position][0] <= operation.invoke_ns:
                surely_began_ns = max(surely_began_ns, over[position][1])
                position += 1
            while there and there[0][1] <= surely_began_ns and surely_began_ns > -math.inf:
                heapq.heappop(there)
            least = there[0][0] if there and not log.clear_meanwhile(operation) else initial
            effect = operation.effects.get(variable)
            if effect is not None and id(operation) in log.own_ids:
                least = initial if effect.op == "clear" else least + int(effect.value)
                while under_way and under_way[0][1] <= operation.invoke_ns:
                    heapq.heappop(under_way)
                if variable in operation.reads:
                    answering.append((place, under_way[0][0] if under_way else least))
                heapq.heappush(there, (least, log.over(operation)))
                heapq.heappush(under_way, (least, log.over(operation)))
            self._at[id(operation)] = least
        begins = [operation.invoke_ns for operation in ordered]
        written = dict(self._at)
        for place, others in answering:
            operation = ordered[place]
            until = bisect.bisect_left(begins, end_of(operation))
            later = [written[id(o)] for o in ordered[place + 1 : until] if id(o) in log.own_ids]
            self._at[id(operation)] = min(written[id(operation)], others, *later)

    def at(self, read: Operation) -> int:
        """The least that a read can show."""
        return self._at.get(id(read), self._initial)
