"""Users of the open model: each acts for arrivals that come at a fixed rate (`harness.load.arrival_schedule`)."""

from __future__ import annotations

from typing import ClassVar

import gevent.event

from harness.load.session import SessionRetired
from harness.load.users.arrival_pool import ArrivalPool
from harness.load.users.scenario_user import ScenarioUser


class ArrivalUser(ScenarioUser):
    """Acts once for each arrival that its session is given, and leaves after as many as the profile says on average.

    An arrival that opens the session waits for that, and the wait counts as its latency. Leaving, and loading the page
    again, happen between arrivals.

    Attributes:
        first_arrival_ns: when the arrival was due that this user was started for.
    """

    abstract = True
    pool: ClassVar[ArrivalPool]
    first_arrival_ns: int | None = None

    def use_app(self) -> None:
        """Act for arrivals until the phase ends or this user leaves for good."""
        try:
            self._answer_arrivals()
        finally:
            self.pool.in_use -= 1

    def _answer_arrivals(self) -> None:
        context = self.run_context
        intended_ns = self.first_arrival_ns
        while True:
            try:
                workload = self._arrive(intended_ns)
                # If `arrive` did more than open the page, the first arrival has had its action.
                acted = self.session.operations > 1
                while True:
                    if intended_ns is not None:
                        if not acted:
                            self._attempt(workload.act, intended_ns)
                        if self.rng.random() * context.profile.actions_per_session < 1.0:
                            break
                    intended_ns, acted = self._next_arrival(), False
                    if intended_ns is None:
                        return
            except SessionRetired:
                return
            finally:
                self._leave()
            if context.leaving.is_set() or not context.reloads.take():
                return
            self._action, intended_ns = "reload", None

    def _next_arrival(self) -> int | None:
        """Wait until an arrival is assigned: when it was due. None at the end of the phase."""
        if self.run_context.leaving.is_set():
            return None
        self._assigned = gevent.event.AsyncResult()
        self.pool.idle.append(self)
        assigned: int | None = self._assigned.get()
        return assigned

    def assign(self, arrival_ns: int | None) -> None:
        """Give this idle user an arrival; None lets it leave."""
        self._assigned.set(arrival_ns)
