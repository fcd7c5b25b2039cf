"""Orders of the operations on a register, without a search.

Where every value is written once, the write and all reads of its value stand together in any order: nothing else can be
between them. So each value has a zone, from the first end among them to the last beginning. If one of them ended before
another began, the value was there all the while: the zone is a forward one. Two values whose zones both have to come
before the other contradict each other, and if no two do, there is an order (Gibbons & Korach, "Testing shared memories",
SIAM J. Comput. 1997).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from harness.checkers.linearizability.search import Contradiction, Entry, Outcome
from harness.checkers.models import key, put_there


class _Zone(msgspec.Struct):
    """A value that was there at some time.

    Attributes:
        first: the entry that ended first, None for the value that was there from the beginning.
        last: the one that began last, None if the value was not read.
        write: the one that wrote it.
        reads: whether the value was read.
    """

    first: Entry | None = None
    last: Entry | None = None
    write: Entry | None = None
    reads: bool = False

    @property
    def low(self) -> float:
        """When the first had surely happened."""
        return -math.inf if self.first is None else self.first.end

    @property
    def high(self) -> float:
        """When the last began."""
        return -math.inf if self.last is None else self.last.begin

    def take(self, entry: Entry, *, from_the_beginning: bool) -> None:
        """Take note of an entry that writes or reads the value."""
        if not from_the_beginning and (self.first is None or entry.end < self.first.end):
            self.first = entry
        if self.last is None or entry.begin > self.last.begin:
            self.last = entry
        self.reads = self.reads or entry.reads

    @property
    def entries(self) -> list[Entry]:
        """What shows that the value was there."""
        return [e for e in (self.first, self.last) if e is not None]


def order(entries: Sequence[Entry], initial: Any) -> Outcome | None:
    """Look for an order of the operations on a register.

    Args:
        entries: of one owner; a write may also read.
        initial: the value that it begins with.

    Returns:
        None if that takes a search: a value was written twice, or the register cleared, a read shows an unwritten value, or the
        answer to a write another value than the one written, which must then have come after it.
    """
    beginning = key(initial)
    zones: dict[Any, _Zone] = {beginning: _Zone()}
    for entry in entries:
        if entry.effect is None:
            continue
        value = key(put_there(entry.effect))
        if entry.effect.op not in ("write", "store") or value in zones:
            return None
        if entry.reads and key(entry.shown) != value:
            return _impossible(entries, [entry])
        zones[value] = _Zone(write=entry)
        zones[value].take(entry, from_the_beginning=False)
    for entry in entries:
        if entry.effect is None and entry.reads:
            zone = zones.get(key(entry.shown))
            if zone is None or (
                entry.after and (zone.write is None or zone.write.operation is not entry.operation)
            ):
                return None
            if zone.write is not None and entry.end <= zone.write.begin:
                return _impossible(entries, [zone.write, entry])
            zone.take(entry, from_the_beginning=zone.write is None)
    # An unacknowledged write without a read need not have happened.
    found = [z for z in zones.values() if z.reads or (z.write is not None and z.write.sure)]
    pair = _contradiction(found)
    if pair is not None:
        shown = {id(e): e for zone in pair for e in zone.entries}.values()
        return _impossible(entries, sorted(shown, key=lambda e: (e.reads, e.end)))
    return Outcome(explained=_reads(entries), undecided=0)


def _impossible(entries: Sequence[Entry], witness: list[Entry]) -> Outcome:
    """What no order explains."""
    contradiction = Contradiction(entry=witness[-1], witness=witness, known=None)
    return Outcome(explained=_reads(entries) - 1, undecided=0, contradiction=contradiction)


def _reads(entries: Sequence[Entry]) -> int:
    return sum(1 for entry in entries if entry.reads)


def _contradiction(zones: Sequence[_Zone]) -> tuple[_Zone, _Zone] | None:
    """Two values each of which has to come before the other, None if there are none."""
    forward = sorted((z for z in zones if z.low <= z.high), key=lambda z: (z.low, z.high))
    for one, other in pairwise(forward):
        if other.low <= one.high:
            return one, other
    lows = [zone.low for zone in forward]
    for zone in zones:
        if zone.low <= zone.high:
            continue
        # Within a forward one: that which began last before it.
        place = bisect.bisect_right(lows, zone.high) - 1
        if place >= 0 and zone.low <= forward[place].high:
            return forward[place], zone
    return None
