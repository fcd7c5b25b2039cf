"""The load generator watches itself: was it quick enough to tell the server's time from its own?

A greenlet asks to be woken at fixed moments and measures how late it is. Whatever keeps it waiting keeps every session of
the process waiting too: work of the generator itself, of the workload, or of the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from harness.errors import StorageError
from harness.records import GeneratorSample
from harness.run_dir import JsonLinesWriter

# Fine enough to see what people would feel; 20 wakes a second cost less than 0.1 % of a core.
TICK_NS = 50_000_000
_SAMPLE_S = 0.5


class LagMeter:
    """How late the moments of a fixed grid are noticed. Pure: the clock is an argument.

    Args:
        begin_ns: the moment before the first.
        tick_ns: distance between two of them.
    """

    def __init__(self, begin_ns: int, tick_ns: int = TICK_NS) -> None:
        self._tick_ns = tick_ns
        self._due_ns = begin_ns + tick_ns

    def next_due_ns(self) -> int:
        """The moment to be woken at."""
        return self._due_ns

    def notice(self, now_ns: int) -> list[int]:
        """Lateness of each moment that has passed unnoticed, nanoseconds.

        A loop that stood still for a second missed twenty moments, not one: if it counted once, the worst seconds would
        weigh least (coordinated omission, in the measuring instrument itself).
        """
        late = []
        while self._due_ns <= now_ns:
            late.append(now_ns - self._due_ns)
            self._due_ns += self._tick_ns
        return late


class SelfMonitor:
    """Writes samples of this process's own condition.

    Args:
        writer: where they go.
        on_broken: told once when a sample cannot be written.

    Attributes:
        arrivals: arrivals of the open model that were due so far.
        dropped: those for which nobody acted.
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
        """Note an arrival."""
        self.arrivals += 1
        self.dropped += not acted

    def run(self) -> None:
        """Watch until closed; meant for a greenlet of its own."""
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
        """Write what has been seen since the last sample."""
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
        """Write the last sample, and end."""
        self.sample()
        self._closed = True
        self._writer.close()
