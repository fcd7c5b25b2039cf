"""The open model: users arrive at a fixed rate, independent of how fast the server answers.

The schedule depends on the seed alone: each arrival is due a gap after the arrival before it, never a gap after "now".
So a late generator or a slow server does not delay later arrivals, and the delay of each one can be measured (Schroeder,
Wierman, Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006).
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
        started: arrivals for which a session acted.
        dropped: arrivals when all allowed sessions were in use.
    """

    total: int = 0
    started: int = 0
    dropped: int = 0


def share(rate: float, worker: int, workers: int) -> float:
    """One worker's part of a rate of arrivals.

    N independent Poisson streams of rate/N make one Poisson stream of the whole rate. The same holds for uniform streams if
    each worker begins one gap of the whole stream later than the worker before it, as in `schedule`.

    Args:
        rate: arrivals per second of all workers together.
        worker: number of this worker, from 0.
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
    """The times at which one worker's arrivals are due, nanoseconds since the beginning, ascending.

    Args:
        rate: arrivals per second of all workers together, above 0.
        kind: `poisson`: gaps are independent and exponential, the first one from the beginning on. `uniform`: gaps are
            equal, and the first arrival of all workers is due at 0.
        seed: of the gaps. The worker's number is added to it, so that workers have different gaps.
        duration_s: no arrival is due at or after this time.
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
            # Multiplied, not added up, so that rounding errors do not accumulate over a day of arrivals.
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
    """Wait for each arrival and start a user for it, or count it as dropped. Every arrival is counted.

    Args:
        due: times since the beginning, from `schedule`.
        begin_ns: the beginning, on the clock.
        clock: returns monotonic nanoseconds.
        sleep: pauses for that many seconds and lets other greenlets work meanwhile, also for 0.
        start: starts a user, given when the arrival was due on the clock; returns False if none could start.
        on_arrival: called for each arrival with the result of `start`.
    """
    total = started = 0
    for offset_ns in due:
        intended_ns = begin_ns + offset_ns
        # Also if this loop is late: started users must get their turn, or all missed arrivals would act at once.
        sleep(max(0, intended_ns - clock()) / _NS_PER_S)
        while (early_ns := intended_ns - clock()) > 0:
            sleep(early_ns / _NS_PER_S)
        acted = start(intended_ns)
        total += 1
        started += acted
        on_arrival(acted)
    return ArrivalCounts(total=total, started=started, dropped=total - started)
