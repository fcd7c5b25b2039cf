"""Search for an order of the operations that explains all reads.

An acknowledged operation takes effect at one moment between its beginning and its end, and its read shows the state that it
leaves. An unacknowledged operation takes effect at some moment after its beginning, or never. The history of one owner's variable
is legal if there is an order of these moments in which the model gives the value of each read (Herlihy & Wing, "Linearizability: a
correctness condition for concurrent objects", 1990).

The search follows Wing & Gong ("Testing and verifying concurrent objects", 1993), with the cache of Lowe ("Testing for
linearizability", 2017). A configuration is a set of operations that have taken effect, and a state. No configuration is visited
twice. The search goes from one completion to the next. An operation that is still open takes effect only if the next completion
needs it (Lowe's "just in time"). If one operation was open alone and showed the whole state, the search forgets everything before
it. So the cost grows with the number of overlapping operations, and not with the length of the history.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import msgspec

from harness.records import Effect, Operation

# Limit of configurations between two moments at which the state is known. A window of ten overlapping operations without reads has
# a few thousand. A legal order is mostly found after one configuration for each operation.
MOST_CONFIGURATIONS = 20_000
# The limit rises by this number for each operation that was ordered since then, so that long windows are not abandoned early.
_EACH = 4
# A window with more entries is not minimised, because that takes a short search for each entry.
_MOST_MINIMISED = 60
_MOST_TRIED = 2_000
# Number of operations of a long window that the witness names.
_MOST_WITNESSED = 8
# Number of entries before and after a read among which a contradicting read is searched.
_MOST_SEARCHED_AROUND = 100
# Size of the cache of open entries per level. It covers the levels that the search visits repeatedly.
_MOST_CACHED = 1_000


# A property that distinguishes states and that only few effects can give: the value of a register, the last element of a list.
# The first part is the key of a record.
Mark = tuple[str, Any]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An operation, or a part of one, that takes effect at one moment.

    Attributes:
        operation: the operation that it belongs to.
        begin: earliest time of the moment.
        end: latest time of the moment. Infinite if the entry may also never take effect.
        effect: the change of the state; None if the entry only reads.
        reads: whether the entry shows a value.
        shown: the value that it shows: the state after its own effect.
        split: whether the entry reads the state at one moment and writes the changed state at a later one. Such an entry shows
            nothing.
        after: ids of operations that take effect before this entry, in addition to those that end before it begins. Only sure
            entries of the same search count.
        like: entries with an equal value are interchangeable while they are open; None if the entry is unique.
    """

    operation: Operation
    begin: float
    end: float
    effect: Effect | None
    reads: bool = False
    shown: Any = None
    split: bool = False
    after: tuple[int, ...] = ()
    like: Any = None

    @property
    def sure(self) -> bool:
        """Whether the entry has taken effect by its end."""
        return self.end < math.inf


class States(Protocol):
    """The states of one model. Each state is a number; equal states have the same number."""

    @property
    def tells_all(self) -> bool:
        """Whether a read shows the whole state."""

    def start(self) -> int:
        """The initial state of a new owner."""

    def showing(self, shown: Any) -> int | None:
        """The state that a read shows; None if it does not determine one."""

    def after(self, state: int, effect: Effect) -> int:
        """The state after an effect."""

    def shows(self, state: int, shown: Any) -> bool:
        """Whether a read of a state shows this."""

    def can_become(self, state: int, effect: Effect | None, shown: Any, *, in_full: bool) -> bool:
        """Whether a state can still become one in which the effect leaves `shown`, if nothing is cleared.

        Without `in_full` the answer True may be wrong; the answer False is always right.
        """

    def made(self, effect: Effect) -> Sequence[Mark]:
        """The marks that every state has after an effect."""

    def marks(self, shown: Any) -> Sequence[Mark]:
        """The marks that all states with this read have."""

    def anchor(self, effect: Effect | None, shown: Any) -> Mark | None:
        """A mark that the shown state has had since it was last empty, apart from the effect; None if unknown."""

    def lost(self, before: int, after: int) -> Sequence[Mark]:
        """The marks of `before` that `after` does not have."""


class Contradiction(msgspec.Struct, frozen=True, kw_only=True):
    """No order explains the reads.

    Attributes:
        entry: the first entry at whose end no order is left.
        witness: the smallest set of entries found that no order explains; `entry` is the last one.
        known: the entry that showed the state before the witness; None if that is the initial state.
        partial: whether entries before the witness are part of the contradiction. They are left out because there are too many.
    """

    entry: Entry
    witness: list[Entry]
    known: Entry | None
    partial: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a search.

    Attributes:
        explained: number of reads that an order explains.
        undecided: number of reads in windows that the search abandoned.
        contradiction: the contradiction; None if none was found.
    """

    explained: int
    undecided: int
    contradiction: Contradiction | None = None


class _Configuration(NamedTuple):
    """Entries that have taken effect, and the state.

    Attributes:
        level: number of sure entries that are complete, in the order of their ends.
        ahead: bit set of the later sure entries that have taken effect; bit 0 is the next to be completed.
        maybe: bit set of the unsure entries that have taken effect.
        state: the current state.
        seen: for each open split entry: (its position, the states since it began).
    """

    level: int
    ahead: int
    maybe: int
    state: int
    seen: tuple[tuple[int, frozenset[int]], ...]


def search(
    entries: Sequence[Entry], states: States, *, limit: int = MOST_CONFIGURATIONS, minimise: bool = True
) -> Outcome:
    """Search for an order that explains all reads.

    Args:
        entries: entries of one owner and one variable, in any order.
        states: the states of the variable's model.
        limit: number of configurations after which a window is abandoned, plus four for each entry. The search resumes at the
            next moment at which one operation was open alone and showed the whole state.
        minimise: whether to reduce the witness of a contradiction.
    """
    return _Search(entries, states, limit).outcome(minimise)


class _Search:
    def __init__(
        self, entries: Sequence[Entry], states: States, limit: int, begin: int | None = None
    ) -> None:
        self._states = states
        self._limit = limit
        positions = range(len(entries))
        sure = sorted(
            (p for p in positions if entries[p].sure), key=lambda p: (entries[p].end, entries[p].begin, p)
        )
        # Unsure entries without an effect change nothing.
        maybe = sorted(
            (p for p in positions if not entries[p].sure and entries[p].effect is not None),
            key=lambda p: entries[p].begin,
        )
        self._sure = [entries[p] for p in sure]
        self._maybe = [entries[p] for p in maybe]
        self._level_of = {
            id(entry.operation): level for level, entry in enumerate(self._sure) if entry.effect is not None
        }
        self._maybe_begins = [entry.begin for entry in self._maybe]
        by_begin = sorted(range(len(sure)), key=lambda level: self._sure[level].begin)
        self._by_begin = by_begin
        self._begins = [self._sure[level].begin for level in by_begin]
        # The highest level among the entries that began until then. If it is lower than a level, no earlier entry is still open there.
        self._highest = list(accumulate(by_begin, max))
        self._open: dict[int, tuple[int, ...]] = {}
        self._splits = any(entry.split for entry in entries)
        self._reading = _next_reading(self._sure)
        # Number of reads before each level.
        self._reads = [0, *accumulate(int(entry.reads) for entry in self._sure)]
        # Begin of the first clear among the sure entries from each level on, and among the unsure entries.
        clears = [entry.begin if _clears(entry) else math.inf for entry in self._sure]
        self._clear_begins = [*list(accumulate(reversed(clears), min))[::-1], math.inf]
        self._may_clear = min((entry.begin for entry in self._maybe if _clears(entry)), default=math.inf)
        # Mark → levels that show it and do not make it; mark → levels or unsure entries that make it.
        self._showing: dict[Mark, list[int]] = {}
        self._making: dict[Mark, list[int]] = {}
        if not self._splits:
            self._find_marks()
        self._begin = states.start() if begin is None else begin
        self._count = 0

    # --- the search ---

    def outcome(self, minimise: bool) -> Outcome:
        undecided = 0  # reads
        known, begin = None, self._begin  # the last level at which the state was known, and that state
        deepest = 0
        first = self._advanced(_Configuration(0, 0, 0, self._begin, ()), -math.inf)
        visited: dict[tuple[Any, ...], list[int]] = {}
        stack: list[Iterator[_Configuration]] = [iter((first,))]
        self._count = 0
        while stack:
            configuration = next(stack[-1], None)
            if configuration is None:
                stack.pop()
                continue
            level = configuration.level
            deepest = max(deepest, level)
            if level == len(self._sure):
                return Outcome(explained=self._reads[-1] - undecided, undecided=undecided)
            if level and level - 1 != known and self._settles(level - 1):
                # The state is known here, so configurations before it no longer matter.
                known, begin = level - 1, configuration.state
                stack.clear()
                visited.clear()
                self._open.clear()
                self._count = 0
            elif not self._is_new(configuration, visited):
                continue
            self._count += 1
            since = 0 if known is None else known + 1
            if self._count > self._limit + _EACH * (deepest - since):
                resumed = self._resume(deepest)
                until = len(self._sure) if resumed is None else resumed.level
                undecided += self._reads[until] - self._reads[since]
                if resumed is None:
                    return Outcome(explained=self._reads[-1] - undecided, undecided=undecided)
                known, begin, deepest = resumed.level - 1, resumed.state, resumed.level
                stack[:] = [iter((self._advanced(resumed, self._sure[known].end),))]
                visited.clear()
                self._count = 0
                continue
            stack.append(self._next(configuration))
        return Outcome(
            explained=self._reads[deepest] - undecided,
            undecided=undecided,
            contradiction=self._contradiction(deepest, known, begin) if minimise else self._refuted(deepest),
        )

    def _is_new(self, configuration: _Configuration, visited: dict[tuple[Any, ...], list[int]]) -> bool:
        """Whether no visited configuration is equal apart from having fewer unsure entries."""
        level, ahead, maybe, state, seen = configuration
        found = visited.setdefault((level, ahead, state, seen), [])
        if any(other & maybe == other for other in found):
            return False
        found.append(maybe)
        return True

    def _next(self, configuration: _Configuration) -> Iterator[_Configuration]:
        """Next configurations, likely ones first: the entry to be completed takes effect, or another open entry does."""
        level, ahead, maybe, state, seen = configuration
        entry = self._sure[level]
        if entry.effect is not None:
            for after in self._results(entry, level, state, seen):
                if self._can_still_explain(state, after, level + 1, ahead >> 1, maybe):
                    yield self._moved(configuration, level, after)
        likely: list[_Configuration] = []
        other: list[_Configuration] = []
        liked = {entry.like}
        for place in self._open_entries(level)[1:]:
            candidate = self._sure[place]
            if ahead >> (place - level) & 1 or candidate.effect is None:
                continue
            if candidate.like is not None:
                if candidate.like in liked:
                    continue
                liked.add(candidate.like)
            if not self._is_in_order(candidate, configuration):
                continue
            for after in self._results(candidate, place, state, seen):
                if not self._can_still_explain(state, after, level, ahead | 1 << (place - level), maybe):
                    continue
                moved = self._moved(configuration, place, after)
                (likely if self._fits(entry, level, after) else other).append(moved)
        for number in range(bisect.bisect_left(self._maybe_begins, entry.end)):
            candidate = self._maybe[number]
            if maybe >> number & 1:
                continue
            if candidate.like is not None:
                if candidate.like in liked:
                    continue
                liked.add(candidate.like)
            if not self._is_in_order(candidate, configuration):
                continue
            for after in self._results(candidate, -1 - number, state, seen):
                if not self._can_still_explain(state, after, level, ahead, maybe | 1 << number):
                    continue
                moved = self._moved(configuration, -1 - number, after)
                (likely if self._fits(entry, level, after) else other).append(moved)
        yield from likely
        yield from other

    def _fits(self, entry: Entry, level: int, state: int) -> bool:
        """Whether an entry can take effect in a state."""
        if not entry.reads:
            return True
        after = state if entry.effect is None else self._states.after(state, entry.effect)
        return self._states.shows(after, entry.shown)

    def _results(
        self, entry: Entry, place: int, state: int, seen: tuple[tuple[int, frozenset[int]], ...]
    ) -> Iterator[int]:
        """The states that an entry can leave if it takes effect now."""
        assert entry.effect is not None
        befores: Sequence[int] = (state,)
        if entry.split:
            befores = sorted(next(states for where, states in seen if where == place))
        for before in befores:
            after = self._states.after(before, entry.effect)
            if not entry.reads or self._states.shows(after, entry.shown):
                yield after

    def _can_still_explain(self, before: int, state: int, level: int, ahead: int, maybe: int) -> bool:
        """Whether entries that have not taken effect can still show their values."""
        if self._splits or level == len(self._sure):
            return True
        for mark in self._states.lost(before, state):
            if self._is_wanted(mark, level, ahead, maybe):
                return False
        place = self._reading[level]
        while place < len(self._sure) and ahead >> (place - level) & 1:
            place = self._reading[place + 1]
        if place == len(self._sure):
            return True
        return self._is_possible(place, state, level, ahead, maybe, in_full=True) and all(
            self._is_possible(other, state, level, ahead, maybe, in_full=False)
            for other in self._open_entries(level)
            if self._sure[other].reads and not ahead >> (other - level) & 1
        )

    def _is_possible(
        self, place: int, state: int, level: int, ahead: int, maybe: int, *, in_full: bool
    ) -> bool:
        """Whether an entry can still show its value."""
        entry = self._sure[place]
        if self._states.can_become(state, entry.effect, entry.shown, in_full=in_full):
            return True
        if min(self._clear_begins[level], self._may_clear) >= entry.end:
            return False
        # A clear may take effect before. Then the anchor must not have been made yet.
        anchor = self._states.anchor(entry.effect, entry.shown)
        return anchor is None or not self._is_made(anchor, level, ahead, maybe)

    def _is_wanted(self, mark: Mark, level: int, ahead: int, maybe: int) -> bool:
        """Whether a later entry shows a mark, and no later entry makes it."""
        showing = self._showing.get(mark)
        if showing is None:
            return False
        if all(place < level or ahead >> (place - level) & 1 for place in reversed(showing)):
            return False
        return self._is_made(mark, level, ahead, maybe)

    def _is_made(self, mark: Mark, level: int, ahead: int, maybe: int) -> bool:
        """Whether all entries that make a mark have taken effect."""
        return all(
            maybe >> (-1 - place) & 1 if place < 0 else place < level or ahead >> (place - level) & 1
            for place in self._making.get(mark, ())
        )

    def _find_marks(self) -> None:
        for level, entry in enumerate(self._sure):
            made = () if entry.effect is None else self._states.made(entry.effect)
            for mark in made:
                self._making.setdefault(mark, []).append(level)
            if entry.reads:
                of = {what for what, _ in made}
                for mark in self._states.marks(entry.shown):
                    if mark[0] not in of:
                        self._showing.setdefault(mark, []).append(level)
        for number, entry in enumerate(self._maybe):
            for mark in () if entry.effect is None else self._states.made(entry.effect):
                self._making.setdefault(mark, []).append(-1 - number)

    def _moved(self, configuration: _Configuration, place: int, state: int) -> _Configuration:
        """The configuration after an entry has taken effect."""
        level, ahead, maybe, _, seen = configuration
        if place < 0:
            maybe |= 1 << (-1 - place)
        else:
            ahead |= 1 << (place - level)
        if seen:
            seen = tuple((where, states | {state}) for where, states in seen if where != place)
        return self._advanced(_Configuration(level, ahead, maybe, state, seen), None)

    def _advanced(self, configuration: _Configuration, since: float | None) -> _Configuration:
        """Let all entries that only read and fit the current state take effect.

        Args:
            configuration: the configuration.
            since: begin of the level, if the level has just been reached; otherwise None.
        """
        level, ahead, maybe, state, seen = configuration
        while True:
            if since is not None and self._splits and level < len(self._sure):
                seen = self._with_new_splits(seen, state, since, self._sure[level].end)
            if level < len(self._sure):
                for place in self._open_entries(level):
                    entry = self._sure[place]
                    bit = 1 << (place - level)
                    if (
                        entry.effect is None
                        and not ahead & bit
                        and (
                            not entry.after
                            or self._is_in_order(entry, _Configuration(level, ahead, maybe, state, seen))
                        )
                        and (not entry.reads or self._states.shows(state, entry.shown))
                    ):
                        ahead |= bit
            if not ahead & 1:
                return _Configuration(level, ahead, maybe, state, seen)
            since = self._sure[level].end
            ahead >>= 1
            level += 1

    def _with_new_splits(
        self, seen: tuple[tuple[int, frozenset[int]], ...], state: int, since: float, until: float
    ) -> tuple[tuple[int, frozenset[int]], ...]:
        """Add the split entries that begin between two moments."""
        began: list[tuple[int, frozenset[int]]] = []
        for number in range(bisect.bisect_left(self._begins, since), bisect.bisect_left(self._begins, until)):
            place = self._by_begin[number]
            if self._sure[place].split:
                began.append((place, frozenset((state,))))
        for number in range(
            bisect.bisect_left(self._maybe_begins, since), bisect.bisect_left(self._maybe_begins, until)
        ):
            if self._maybe[number].split:
                began.append((-1 - number, frozenset((state,))))
        return tuple(sorted((*seen, *began))) if began else seen

    def _is_in_order(self, entry: Entry, configuration: _Configuration) -> bool:
        """Whether all entries that must come before an entry have taken effect."""
        for operation in entry.after:
            ahead = self._level_of.get(operation, -1) - configuration.level
            if ahead >= 0 and not configuration.ahead >> ahead & 1:
                return False
        return True

    # --- open entries ---

    def _open_entries(self, level: int) -> tuple[int, ...]:
        """The open entries: the next to be completed, then those that began before its end, in the order of their ends."""
        found = self._open.get(level)
        if found is None:
            if len(self._open) > _MOST_CACHED:
                self._open.clear()
            end = self._sure[level].end
            number = bisect.bisect_left(self._begins, end)
            others = []
            while number and self._highest[number - 1] >= level:
                number -= 1
                if self._by_begin[number] > level:
                    others.append(self._by_begin[number])
            found = self._open[level] = (level, *sorted(others))
        return found

    def _settles(self, level: int) -> bool:
        """Whether the state is known after a level: its entry was open alone and showed the whole state, and no unsure entry began before."""
        entry = self._sure[level]
        return (
            entry.reads
            and self._states.tells_all
            and not (self._maybe_begins and self._maybe_begins[0] < entry.end)
            and self._alone(level)
        )

    def _alone(self, level: int) -> bool:
        """Whether no other sure entry was open at the same time as an entry."""
        before = self._sure[level - 1].end if level else -math.inf
        return before <= self._sure[level].begin and len(self._open_entries(level)) == 1

    def _resume(self, deepest: int) -> _Configuration | None:
        """The first configuration from a level on at which the state is known; None if there is none."""
        for level in range(deepest, len(self._sure)):
            entry = self._sure[level]
            if self._splits and self._maybe_begins and self._maybe_begins[0] < entry.end:
                return None
            if self._states.tells_all and entry.reads and self._alone(level):
                state = self._states.showing(entry.shown)
                return None if state is None else _Configuration(level + 1, 0, 0, state, ())
        return None

    # --- the witness ---

    def _refuted(self, deepest: int) -> Contradiction:
        return Contradiction(entry=self._sure[deepest], witness=[self._sure[deepest]], known=None)

    def _contradiction(self, deepest: int, known: int | None, begin: int) -> Contradiction:
        """Find the first entry that no order explains, and the entries that it contradicts.

        That entry may be later than the deepest level, because the search also rejects orders that contradict later reads.
        """
        since = None if known is None else self._sure[known]
        first = 0 if known is None else known + 1
        low, last, step = deepest, deepest, 1
        try:
            while last < len(self._sure) - 1 and not self._is_refuted(first, last, begin):
                low, last, step = last + 1, min(last + step, len(self._sure) - 1), 2 * step
            while low < last:
                middle = (low + last) // 2
                low, last = (low, middle) if self._is_refuted(first, middle, begin) else (middle + 1, last)
            witness = self._minimal(first, last, begin)
        except Exception:
            # A model that the workload defines may raise for orders that did not occur.
            witness = self._sure[first : last + 1]
        if len(witness) <= _MOST_MINIMISED:
            return Contradiction(entry=self._sure[last], witness=witness, known=since)
        pair = None if self._splits or not self._states.tells_all else self._pair(first, last)
        if pair is not None:
            return Contradiction(entry=pair[-1], witness=pair, known=None)
        return Contradiction(
            entry=self._sure[last], witness=witness[-_MOST_WITNESSED:], known=None, partial=True
        )

    def _pair(self, first: int, last: int) -> list[Entry] | None:
        """Two successive reads, of which the later one shows a state that the earlier state cannot have become; None if not found.

        They may be later than the first entry that no order explains.
        """
        states: dict[int, int | None] = {}
        for level in range(last, min(last + _MOST_SEARCHED_AROUND, len(self._sure))):
            entry = self._sure[level]
            if not entry.reads or min(self._clear_begins[0], self._may_clear) < entry.end:
                continue
            for place in range(level - 1, max(first, level - _MOST_SEARCHED_AROUND) - 1, -1):
                other = self._sure[place]
                if not other.reads or other.end > entry.begin:
                    continue
                if place not in states:
                    states[place] = self._states.showing(other.shown)
                state = states[place]
                if state is not None and not self._states.can_become(
                    state, entry.effect, entry.shown, in_full=False
                ):
                    return [other, entry]
        return None

    def _is_refuted(self, first: int, last: int, begin: int) -> bool:
        """Return True if no order explains the entries up to entry `last`.

        Entries that began before its end and ended later may take effect or not.
        """
        entries = [*self._sure[first : last + 1], *self._unsure(last)]
        outcome = _Search(entries, self._states, _MOST_TRIED, begin).outcome(minimise=False)
        return outcome.contradiction is not None and not outcome.undecided

    def _unsure(self, last: int) -> list[Entry]:
        """Return the entries that began before the end of entry `last` and ended later, without their reads."""
        end = self._sure[last].end
        return [
            msgspec.structs.replace(e, end=math.inf, reads=False, shown=None, after=())
            for e in (*self._sure[last + 1 :], *self._maybe)
            if e.begin < end and e.effect is not None
        ]

    def _minimal(self, first: int, last: int, begin: int) -> list[Entry]:
        """Reduce a window that no order explains.

        An entry is left out if no order explains the window without its read and without its times either.
        """
        window = self._sure[first : last + 1]
        if len(window) > _MOST_MINIMISED:
            return window
        kept = list(window)
        free = [_loose(entry) for entry in self._unsure(last)]
        for entry in window[:-1]:
            without = [e for e in kept if e is not entry]
            freed = free if entry.effect is None else [*free, _loose(entry)]
            outcome = _Search([*without, *freed], self._states, _MOST_TRIED, begin).outcome(minimise=False)
            if outcome.contradiction is not None and not outcome.undecided:
                kept, free = without, freed
        return kept


def _loose(entry: Entry) -> Entry:
    """An entry with the same effect that may take effect at any time, or never."""
    return msgspec.structs.replace(entry, begin=-math.inf, end=math.inf, reads=False, shown=None, after=())


def _clears(entry: Entry) -> bool:
    return entry.effect is not None and entry.effect.op == "clear"


def _next_reading(sure: Sequence[Entry]) -> list[int]:
    """For each level, the first level from it on that reads; the number of levels if there is none."""
    found = [len(sure)] * (len(sure) + 1)
    for level in range(len(sure) - 1, -1, -1):
        found[level] = level if sure[level].reads else found[level + 1]
    return found
