"""Users of the open model: each acts for arrivals that come at a fixed rate (`harness.load.arrivals`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar

import gevent.event

from harness.load.session import SessionRetired
from harness.load.users.scenario_user import ScenarioUser


class ArrivalPool:
    """The users that act for arrivals.

    Attributes:
        idle: users with an open session that wait for an arrival, the longest waiting first.
        in_use: users that have started and not ended, idle or not.
    """

    def __init__(self) -> None:
        self.idle: deque[ArrivalUser] = deque()
        self.in_use = 0

    def handle(self, arrival_ns: int, limit: int, start: Callable[[], ArrivalUser]) -> bool:
        """Hand an arrival to an idle user, or to a new one.

        Args:
            arrival_ns: when the arrival was due, monotonic nanoseconds.
            limit: most users at the same time.
            start: starts a user; its greenlet must begin only after this method has returned.

        Returns:
            False if all users are busy and no other may start: the arrival is dropped.
        """
        if self.idle:
            self.idle.popleft().assign(arrival_ns)
            return True
        if self.in_use >= limit:
            return False
        self.in_use += 1
        start().first_arrival_ns = arrival_ns
        return True

    def dismiss(self) -> None:
        """End the users that are idle."""
        while self.idle:
            self.idle.popleft().assign(None)


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
