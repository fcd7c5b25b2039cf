"""Does a write come after what its session had read? In a list that several sessions share, a read of the later write must show the earlier one before it.

That is "writes follow reads" (Terry et al., "Session guarantees for weakly consistent replicated data", 1994). It needs no
clock that all share: that a session had read something before it wrote is a matter of that session alone.

Which elements a session had seen is kept as a set of numbers, in the bits of one integer, and a read of a list that was
examined already costs one comparison. So each element of a list that only grows is examined once, however
often it is read; one that is read in several orders costs each element of each read one operation on such an integer.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any, NamedTuple

from harness.checkers.anomaly_names import MONOTONIC_WRITES, WRITES_FOLLOW_READS
from harness.checkers.evidence import WRITES_SHOWN_THAT_FOLLOWED_A_READ
from harness.checkers.findings import Found, involved, show, wrote
from harness.checkers.history_index import Index
from harness.checkers.missing_writes import Follower
from harness.checkers.models import key, put_there
from harness.checkers.owner_log import OwnerLog
from harness.records import Operation


class Overtaken(NamedTuple):
    """A write that a read shows without what its session had read before, or before that.

    Attributes:
        first: what had been read.
        knowing: the read that had shown it to the session.
        then: the session's write.
        missing: the first one is not there at all; otherwise it stands after the other.
    """

    first: Operation
    knowing: Operation
    then: Operation
    missing: bool

    @property
    def kind(self) -> str:
        """What the anomaly is called: of two writes of one session, the order is wrong."""
        return MONOTONIC_WRITES if self.first.session == self.then.session else WRITES_FOLLOW_READS


class _Set(NamedTuple):
    """A set of numbers: all below `floor`, and those above it that are bits of `more`. Of a list that grows, nearly all are below."""

    floor: int
    more: int

    @classmethod
    def of(cls, bits: int) -> _Set:
        floor = ((bits + 1) & ~bits).bit_length() - 1
        return cls(floor, bits >> floor)

    @property
    def bits(self) -> int:
        return ((1 << self.floor) - 1) | self.more << self.floor

    def has(self, number: int) -> bool:
        return number < self.floor or bool(self.more >> (number - self.floor) & 1)


_NOTHING = _Set(0, 0)


class _Knowledge:
    """What a session, or all sessions of an owner, had seen at which time: it only grows.

    Attributes:
        ends: completions of the reads that brought something new.
        sets: what had been seen by then.
        reads: these reads.
    """

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.sets: list[_Set] = []
        self.reads: list[Operation] = []
        self._bits = 0

    def add(self, read: Operation, bits: int) -> None:
        """Take note of a read, in order of completion."""
        if bits & ~self._bits:
            self._bits |= bits
            self.ends.append(read.complete_ns or 0)
            self.sets.append(_Set.of(self._bits))
            self.reads.append(read)

    def at(self, time_ns: int) -> _Set:
        """What had been seen by a time."""
        count = bisect.bisect_right(self.ends, time_ns)
        return self.sets[count - 1] if count else _NOTHING

    def first_with(self, number: int) -> Operation:
        """The read that was the first to show something."""
        return self.reads[bisect.bisect_left(self.sets, True, key=lambda seen: seen.has(number))]


class Following:
    """What the writes of a list follow, and whether reads keep to that. For what several sessions share.

    Args:
        index: the history.
        variable: the list.
        log: its owner's; all of its reads are examined once, and again by `overtaken`.
    """

    def __init__(self, index: Index, variable: str, log: OwnerLog) -> None:
        self._index = index
        self._variable = variable
        self._log = log
        # Key of an element → its number, in the order in which elements were first seen; and number → the only write of it.
        self._numbers: dict[Any, int] = {}
        self._writes: list[Operation | None] = []
        # The longest list so far, whose elements bear the numbers from 0 on.
        self._longest: list[Any] = []
        self._by_session: dict[str, _Knowledge] = {}
        # What is promised to be monotonic to its owner, and not to each session only, the owner's other sessions have seen, too.
        self._of_owner = _Knowledge() if log.model.scope != "everyone" and not log.within_ns else None
        for read in log.reads:
            value = read.reads[variable]
            if isinstance(value, list):
                bits = self._bits(value)
                self._by_session.setdefault(read.session, _Knowledge()).add(read, bits)
                if self._of_owner is not None:
                    self._of_owner.add(read, bits)
        self._own: dict[str, int] = {}
        self._unsettled = 0
        for number, write in enumerate(self._writes):
            if write is not None:
                self._own[write.session] = self._own.get(write.session, 0) | 1 << number
                self._unsettled |= (not log.settled(write)) << number
        # A list that keeps to everything; of each of its beginnings, how many of its writes followed a read of others'.
        self._kept: list[Any] = []
        self._followers = [0]
        self._clears: tuple[float, int] = (0.0, 0)
        self._together: tuple[Operation | None, int] = (None, 0)

    # --- what is asked ---

    def overtaken(self, read: Operation, found: Found) -> Overtaken | None:
        """The first write that a read shows without what it follows, or before that; None if there is none.

        What had to be there anyway, or had been there for the reader, goes by another name: see `harness.checkers.missing_writes`.
        """
        value: list[Any] = read.reads[self._variable]
        start = _common(value, self._kept)
        if start == len(value):
            found.count(WRITES_SHOWN_THAT_FOLLOWED_A_READ, self._followers[start])
            return None
        everything = self._bits(value)
        excused: int | None = None
        before = self._bits(value[:start])
        followers = self._followers[: start + 1]
        wrong: Overtaken | None = None
        for element in value[start:]:
            number = self._numbers[key(element)]
            before |= 1 << number
            write = self._writes[number]
            seen = self._seen_before(write) if write is not None else 0
            others = write is not None and seen & ~self._own[write.session] & ~(1 << number)
            followers.append(followers[-1] + bool(others))
            late = seen & ~before
            if not late or write is None or wrong is not None:
                continue
            if excused is None:
                excused = everything | self._excused(read)
            wrong, excused = self._wrong(read, write, late & everything, late & ~excused, excused)
        found.count(WRITES_SHOWN_THAT_FOLLOWED_A_READ, followers[-1])
        if wrong is None and start == len(self._kept):
            self._kept, self._followers = value, followers
        return wrong

    def follower(self, write: Operation, read: Operation) -> Follower | None:
        """A write that a read shows, of a session that had read before what the read lacks; None if there is none.

        Args:
            write: what is lacking.
            read: does not show it, nor had the reader seen it before.
        """
        number = self._number_of(write)
        if number is None or self._reader(read).has(number):
            return None
        shown = [w for element in read.reads[self._variable] if (w := self._write_of(element)) is not None]
        if self._together[0] is not read:
            together = 0
            for other in shown:
                together |= self._seen_before(other)
            self._together = read, together
        if not self._together[1] >> number & 1:
            return None
        for other in shown:
            if other.session != write.session and self._seen_before(other) >> number & 1:
                return Follower(self._by_session[other.session].first_with(number), other)
        return None

    # --- one read ---

    def _wrong(
        self, read: Operation, write: Operation, after: int, missing: int, excused: int
    ) -> tuple[Overtaken | None, int]:
        """What one write of a read should have come after.

        Args:
            after: numbers of what it follows and stands before.
            missing: of what it follows and is not there, without an excuse.
            excused: what need not be there; returned with what was found out.
        """
        for number in _ones(after):
            first = self._writes[number]
            if first is not None:
                knowing = self._by_session[write.session].first_with(number)
                return Overtaken(first, knowing, write, missing=False), excused
        for number in _ones(missing):
            first = self._writes[number]
            if first is None or self._required(first, read):
                excused |= 1 << number
                continue
            knowing = self._by_session[write.session].first_with(number)
            return Overtaken(first, knowing, write, missing=True), excused
        return None, excused

    def _required(self, write: Operation, read: Operation) -> bool:
        """Whether time alone tells that a read had to show a write: then that is what is wrong."""
        if write is read:
            return not self._log.within_ns
        clocks = self._index.clocks
        return self._log.over(write) <= clocks.on(clocks.line(write), read).begin

    def _excused(self, read: Operation) -> int:
        """What a read need not show: it may have been cleared or overwritten; or the reader had seen it, so that reads went back."""
        return self._reader(read).bits | self._unsettled | self._maybe_cleared(read)

    def _maybe_cleared(self, read: Operation) -> int:
        cleared_ns = self._log.maybe_cleared_at(read)
        if self._clears[0] != cleared_ns and self._log.clears:
            numbers = (n for n, write in enumerate(self._writes) if write and write.invoke_ns < cleared_ns)
            self._clears = cleared_ns, _bits(numbers, len(self._writes))
        return self._clears[1] if self._log.clears else 0

    def _reader(self, read: Operation) -> _Set:
        """What the reader had seen before a read."""
        knowledge = self._of_owner or self._by_session[read.session]
        return knowledge.at(read.invoke_ns)

    def _seen_before(self, write: Operation) -> int:
        """What the session of a write had seen before it."""
        knowledge = self._by_session.get(write.session)
        return knowledge.at(write.invoke_ns).bits if knowledge is not None else 0

    # --- numbers ---

    def _bits(self, value: list[Any]) -> int:
        """The numbers of a list's elements; those that have none are given one."""
        longest = self._longest
        if value == longest[: len(value)]:
            return (1 << len(value)) - 1
        if len(self._numbers) == len(longest) and value[: len(longest)] == longest:
            for element in value[len(longest) :]:
                self._number(element)
            if len(self._numbers) == len(value):
                self._longest = value
                return (1 << len(value)) - 1
        numbers = [self._number(element) for element in value]
        return _bits(numbers, len(self._writes))

    def _number(self, element: Any) -> int:
        name = key(element)
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._writes)
            writes = self._log.by_value.get(("", name), ())
            self._writes.append(writes[0] if len(writes) == 1 else None)
        return number

    def _number_of(self, write: Operation) -> int | None:
        return self._numbers.get(key(put_there(write.effects[self._variable])))

    def _write_of(self, element: Any) -> Operation | None:
        return self._writes[self._numbers[key(element)]]


def report_overtaken(variable: str, overtaken: Overtaken, read: Operation, found: Found) -> None:
    """Describe a read that shows a write without, or before, what its session had read."""
    first, knowing, then, missing = overtaken
    sessions = involved(first, then, read)
    if not found.of(overtaken.kind).first(variable, sessions):
        return
    values = [put_there(write.effects[variable]) for write in (first, then)]
    one, other = (show(value) for value in values)
    seen = f"read {variable} = {show(read.reads[variable], values)}"
    witness = [
        (first, wrote(first, variable)),
        (knowing, f"read {variable} = {show(knowing.reads[variable], values)}"),
        (then, f"then {wrote(then, variable)}"),
    ]
    place = next((n for n, (operation, _) in enumerate(witness) if operation is read), None)
    if place is None:
        place = len(witness)
        witness.append((read, seen))
    else:
        witness[place] = (read, f"{witness[place][1]}, and {seen}")
    letter = "ABCD"[place]
    how = f"{letter} shows {other} without it" if missing else f"{letter} shows {one} after {other}"
    found.of(overtaken.kind).describe(
        variable=variable,
        sessions=sessions,
        witness=witness,
        conclusion=(
            f"B had shown {one} before C began, so a read of {other} must also show {one}, and before it. But {how}: "
            + (
                "a write was visible without a value that its session had read before."
                if overtaken.kind == WRITES_FOLLOW_READS
                else "the writes took effect in another order than the session made them."
            )
        ),
        relevant=values,
    )


def _common(one: list[Any], other: list[Any]) -> int:
    """How many elements two lists have in common from the beginning on; found in a few comparisons of whole parts."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _bits(numbers: Any, size: int) -> int:
    """Numbers as bits of one integer. One by one into an integer, they would cost their number squared."""
    written = bytearray(size // 8 + 1)
    for number in numbers:
        written[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(written, "little")


def _ones(bits: int) -> Sequence[int]:
    """The numbers that are bits of an integer, the smallest first."""
    text = bin(bits)[:1:-1]
    return [number for number, bit in enumerate(text) if bit == "1"]
