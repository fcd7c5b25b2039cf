"""One short call after the other; messages keep their length, so that the tenth call costs what the first one did."""

import ctypes
import gc
import os
import signal
from pathlib import Path

from harness.workload import Workload, action, counter, increment, register, write


def settle(*_):
    """Make this process as small as it is, and say so: memory is compared between moments like that."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path(os.environ["GRADSOAK_PERF_SETTLED"]).touch()


if "GRADSOAK_PERF_SETTLED" in os.environ:
    signal.signal(signal.SIGUSR1, settle)


class Caller(Workload):
    state = {"count": counter(), "last": register()}

    def arrive(self):
        self.act_once()

    @action
    def act_once(self):
        text = self.token()
        with self.operation("act", count=increment(), last=write(text)) as seen:
            seen["count"], seen["last"] = self.page.call("/act", text)
