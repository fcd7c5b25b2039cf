"""The same call by turns: through the page, and over a blocking socket by hand. One user, so nobody waits for another."""

import os
import time
import uuid

import gevent

from harness.workload import Workload, action, counter, increment, register, write
from tests.perf.wire import Wire

# Nothing of a call may still be under way when the next one begins.
_REST_S = 0.005


class Caller(Workload):
    state = {"count": counter(), "last": register()}

    def arrive(self):
        self.wire = Wire(
            os.environ["GRADSOAK_PERF_URL"], int(os.environ["GRADSOAK_PERF_FN"]), uuid.uuid4().hex
        )
        self.log = open(os.environ["GRADSOAK_PERF_SOCKET_LOG"], "a", buffering=1)  # noqa: SIM115
        self.by_page()

    @action
    def by_turns(self):
        self.by_page()
        gevent.sleep(_REST_S)
        began = time.monotonic_ns()
        arrived = self.wire.call(self.token())
        self.log.write(f"{arrived - began}\n")
        gevent.sleep(_REST_S)

    def by_page(self):
        text = self.token()
        with self.operation("act", count=increment(), last=write(text)) as seen:
            seen["count"], seen["last"] = self.page.call("/act", text)
