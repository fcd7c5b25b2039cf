"""Decide without a search whether an order explains the operations on a register.

If every value is written once, no other write can take effect between the write of a value and its reads. So each value has a
zone, from the earliest end to the latest begin of its write and reads. If the zone's begin is before its end, the register had the
value during the whole zone: the zone is a forward zone. Two values contradict each other if the zone of each must come before that
of the other. If no two values do, an order exists (Gibbons & Korach, "Testing shared memories", SIAM J. Comput. 1997).
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
    """The zone of one value.

    Attributes:
        first: the entry that ended first; None for the initial value.
        last: the entry that began last; None if the value was neither written nor read.
        write: the entry that wrote the value; None for the initial value.
        reads: whether the value was read.
    """

    first: Entry | None = None
    last: Entry | None = None
    write: Entry | None = None
    reads: bool = False

    @property
    def low(self) -> float:
        """Begin of the zone: the end of `first`."""
        return -math.inf if self.first is None else self.first.end

    @property
    def high(self) -> float:
        """End of the zone: the begin of `last`."""
        return -math.inf if self.last is None else self.last.begin

    def take(self, entry: Entry, *, from_the_beginning: bool) -> None:
        """Add an entry that writes or reads the value."""
        if not from_the_beginning and (self.first is None or entry.end < self.first.end):
            self.first = entry
        if self.last is None or entry.begin > self.last.begin:
            self.last = entry
        self.reads = self.reads or entry.reads

    @property
    def entries(self) -> list[Entry]:
        """The entries at the begin and the end of the zone."""
        return [e for e in (self.first, self.last) if e is not None]


def order(entries: Sequence[Entry], initial: Any) -> Outcome | None:
    """Decide whether an order explains the operations on a register.

    Args:
        entries: entries of one owner; a write may also read.
        initial: the initial value.

    Returns:
        None if this needs a search: a value was written twice, the register was cleared, a read shows an unwritten value, or the
        response to a write shows another value than the written one.
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
    """The outcome for entries that no order explains."""
    contradiction = Contradiction(entry=witness[-1], witness=witness, known=None)
    return Outcome(explained=_reads(entries) - 1, undecided=0, contradiction=contradiction)


def _reads(entries: Sequence[Entry]) -> int:
    return sum(1 for entry in entries if entry.reads)


def _contradiction(zones: Sequence[_Zone]) -> tuple[_Zone, _Zone] | None:
    """Two values whose zones must each come before the other; None if there are none."""
    forward = sorted((z for z in zones if z.low <= z.high), key=lambda z: (z.low, z.high))
    for one, other in pairwise(forward):
        if other.low <= one.high:
            return one, other
    lows = [zone.low for zone in forward]
    for zone in zones:
        if zone.low <= zone.high:
            continue
        # Search the forward zone around it: the one that began last before it.
        place = bisect.bisect_right(lows, zone.high) - 1
        if place >= 0 and zone.low <= forward[place].high:
            return forward[place], zone
    return None
