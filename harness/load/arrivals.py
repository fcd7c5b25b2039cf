"""The open model: people arrive at a rate, whatever the server does.

The schedule is decided before the first of them acts, from the seed alone: each arrival's time is the one before plus a
gap, never "now" plus a gap. A generator that is late, or a server that is slow, moves nobody who comes later; how late an
arrival was answered can then be seen (Schroeder, Wierman, Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

_NS_PER_S = 1_000_000_000


class ArrivalCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the arrivals of one drive: `total` = `started` + `dropped`.

    Attributes:
        total: arrivals that were due.
        started: those for which a session acted.
        dropped: those that found all the sessions allowed in use.
    """

    total: int = 0
    started: int = 0
    dropped: int = 0


def share(rate: float, worker: int, workers: int) -> float:
    """One worker's part of a rate of arrivals.

    Independent Poisson streams of rate/N together are one of the whole rate; uniform ones are too, where each worker begins
    one gap of the whole stream after the one before it, as `schedule` does.

    Args:
        rate: arrivals per second of all workers together.
        worker: number of this one, from 0.
        workers: how many there are.

    Raises:
        ValueError: there is no such worker.
    """
    if not 0 <= worker < workers:
        raise ValueError(f"there is no worker {worker} among {workers}")
    return rate / workers


def share_of_cap(cap: int, worker: int, workers: int) -> int:
    """One worker's part of `max_in_flight`; the parts of all add up to it."""
    return cap // workers + (1 if worker < cap % workers else 0)


def schedule(
    rate: float,
    kind: Literal["poisson", "uniform"],
    *,
    seed: str,
    duration_s: float,
    worker: int = 0,
    workers: int = 1,
) -> Iterator[int]:
    """When one worker's arrivals are due, in nanoseconds since the beginning, ascending.

    Args:
        rate: arrivals per second of all workers together, above 0.
        kind: `poisson`: gaps are exponential and independent, the first one from the beginning on. `uniform`: gaps are
            equal, and the first arrival of all workers comes at 0.
        seed: of the gaps. The worker's number is part of it, so that workers do not send the same people.
        duration_s: nobody is due from then on, seconds.
        worker: number of this worker, from 0.
        workers: how many there are.
    """
    own_rate = share(rate, worker, workers)
    end_ns = duration_s * _NS_PER_S
    rng = random.Random(f"{seed}/{worker}/arrivals")
    time_s = 0.0
    number = 0
    while True:
        if kind == "poisson":
            time_s += rng.expovariate(own_rate)
        else:
            # Multiplied, not added up: after a day of arrivals the last one still is where it should be.
            time_s = (worker + number * workers) / rate
        due_ns = round(time_s * _NS_PER_S)
        if due_ns >= end_ns:
            return
        yield due_ns
        number += 1


def dispatch(
    due: Iterable[int],
    begin_ns: int,
    *,
    clock: Callable[[], int],
    sleep: Callable[[float], None],
    start: Callable[[int], bool],
    on_arrival: Callable[[bool], None] = lambda _: None,
) -> ArrivalCounts:
    """Wait for each arrival and let somebody act for it, or count it as dropped. Nobody is ever left out in silence.

    Args:
        due: times since the beginning, as `schedule` gives them.
        begin_ns: the beginning, on the clock.
        clock: monotonic nanoseconds.
        sleep: pauses for that many seconds, and lets others work meanwhile, also for 0.
        start: told when the arrival was due, on the clock; False if nobody could act for it.
        on_arrival: told of each whether somebody acted for it.
    """
    total = started = 0
    for offset_ns in due:
        intended_ns = begin_ns + offset_ns
        # Also when we are late: those who are to act must get their turn, or all that were missed would act at once.
        sleep(max(0, intended_ns - clock()) / _NS_PER_S)
        while (early_ns := intended_ns - clock()) > 0:
            sleep(early_ns / _NS_PER_S)
        acted = start(intended_ns)
        total += 1
        started += acted
        on_arrival(acted)
    return ArrivalCounts(total=total, started=started, dropped=total - started)
