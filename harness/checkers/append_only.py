"""Fast path for append-only lists: every read is a prefix of the longest one, so one order explains them all.

A list that several people append to at the same time is read again and again, and each reading holds the ones before. If every
reading is the beginning of the longest one, that one is the order of the writes, and only one thing remains to be asked:
whether moments can be found for all operations in that order, each between its invoke and its completion. That takes one walk
through them. Where it succeeds there is nothing else to find out; where it does not, everything else in this room is asked.
"""

from __future__ import annotations

import math
from typing import Any

from harness.checkers.intervals import end_of
from harness.checkers.models import key, put_there
from harness.checkers.owner_log import OwnerLog
from harness.records import Operation


def grows(log: OwnerLog) -> bool:
    """Whether one order of an owner's appends explains every read of the list, in the time that each took.

    Args:
        log: of a list, arranged, with times of one clock.
    """
    variable, model = log.variable, log.model
    if (
        model.model != "list"
        or model.initial
        or model.concurrent_updates != "atomic"
        or log.within_ns
        or log.clears
        or not log.one_clock
    ):
        return False
    longest: list[Any] = []
    for read in log.reads:
        shown = read.reads[variable]
        if type(shown) is not list:
            return False
        if len(shown) > len(longest):
            longest, shown = shown, longest
        if longest[: len(shown)] != shown:
            return False
    order: list[Operation] = []
    for element in longest:
        writes = log.by_value.get(("", key(element)), ())
        if len(writes) != 1:
            return False
        order.append(writes[0])
    place = {id(write): number for number, write in enumerate(order)}
    if len(place) != len(order):
        return False
    # What was acknowledged and never seen came after everything that was seen.
    unseen = [w for w in log.writes if id(w) not in place and w.outcome == "ok"]
    if any(w.effects[variable].op not in ("append", "offer") for w in log.writes):
        return False
    if len({key(put_there(w.effects[variable])) for w in log.writes}) != len(log.writes):
        return False
    looks: list[list[Operation]] = [[] for _ in range(len(order) + 1)]
    for read in log.reads:
        length = len(read.reads[variable])
        if id(read) in log.own_ids:
            # The operation shows the list as its own append leaves it.
            if place.get(id(read)) != length - 1:
                return False
        else:
            looks[length].append(read)
    began_ns = -math.inf
    for number, seeing in enumerate(looks):
        group = sorted(seeing, key=lambda o: o.invoke_ns)
        for operation in [*order[number - 1 : number], *group] if number else group:
            if end_of(operation) <= began_ns:
                return False
            began_ns = max(began_ns, operation.invoke_ns)
    for write in sorted(unseen, key=lambda o: o.invoke_ns):
        if end_of(write) <= began_ns:
            return False
        began_ns = max(began_ns, write.invoke_ns)
    return True
