"""The load generator measures its own delays, to separate them from the server's.

A greenlet asks to be woken at fixed times and measures how late it is. A delay of this greenlet delays every session of
the process as well, whether the generator, the workload or the machine causes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from harness.errors import StorageError
from harness.records import GeneratorSample
from harness.run_dir import JsonLinesWriter

# Fine enough to see delays that users would notice; 20 wakes per second cost less than 0.1 % of a core.
TICK_NS = 50_000_000
_SAMPLE_S = 0.5


class LagMeter:
    """How late each time of a fixed grid is noticed. Pure: the clock is an argument.

    Args:
        begin_ns: one tick before the first time.
        tick_ns: distance between two times.
    """

    def __init__(self, begin_ns: int, tick_ns: int = TICK_NS) -> None:
        self._tick_ns = tick_ns
        self._due_ns = begin_ns + tick_ns

    def next_due_ns(self) -> int:
        """The next time of the grid."""
        return self._due_ns

    def notice(self, now_ns: int) -> list[int]:
        """Delay of each time of the grid that has passed since the last call, nanoseconds.

        A loop that was blocked for a second has missed twenty times, and each counts. If it counted once, the worst seconds
        would weigh least (coordinated omission in the instrument itself).
        """
        late = []
        while self._due_ns <= now_ns:
            late.append(now_ns - self._due_ns)
            self._due_ns += self._tick_ns
        return late


class SelfMonitor:
    """Writes samples of this process: its delays, its CPU time, its arrivals.

    Args:
        writer: where they go.
        on_broken: called once, if a sample cannot be written.

    Attributes:
        arrivals: arrivals of the open model that were due so far.
        dropped: arrivals for which no user could start.
    """

    def __init__(
        self, writer: JsonLinesWriter, on_broken: Callable[[StorageError], None] = lambda _: None
    ) -> None:
        self._writer = writer
        self._on_broken = on_broken
        self._meter = LagMeter(time.monotonic_ns())
        self._lag_ns: list[int] = []
        self._due_ns = self._meter.next_due_ns()
        self._closed = False
        self.arrivals = 0
        self.dropped = 0

    def count(self, acted: bool) -> None:
        """Count an arrival."""
        self.arrivals += 1
        self.dropped += not acted

    def run(self) -> None:
        """Measure until closed; runs in its own greenlet."""
        sampled_ns = time.monotonic_ns()
        self.sample()
        while not self._closed:
            gevent.sleep(max(0, self._meter.next_due_ns() - time.monotonic_ns()) / 1e9)
            now_ns = time.monotonic_ns()
            self._lag_ns += self._meter.notice(now_ns)
            if now_ns - sampled_ns >= _SAMPLE_S * 1e9:
                sampled_ns = now_ns
                self.sample()

    def sample(self) -> None:
        """Write a sample of the time since the last one."""
        if self._closed:
            return
        lag_ns, self._lag_ns = self._lag_ns, []
        due_ns, self._due_ns = self._due_ns, self._meter.next_due_ns()
        try:
            self._writer.append(
                GeneratorSample(
                    time_ns=time.monotonic_ns(),
                    wall_ns=time.time_ns(),
                    cpu_s=time.process_time(),
                    due_ns=due_ns,
                    tick_ns=TICK_NS,
                    lag_ns=lag_ns,
                    arrivals=self.arrivals,
                    dropped=self.dropped,
                )
            )
        except StorageError as error:
            self._closed = True
            self._on_broken(error)

    def close(self) -> None:
        """Write the last sample and close the file."""
        self.sample()
        self._closed = True
        self._writer.close()
