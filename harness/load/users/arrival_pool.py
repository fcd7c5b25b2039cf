"""Which user acts for an arrival of the open model. Imports neither Locust nor gevent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol


class Assignable(Protocol):
    """A user that acts for arrivals: `harness.load.users.arrival_user.ArrivalUser`."""

    first_arrival_ns: int | None

    def assign(self, arrival_ns: int | None) -> None:
        """Give an idle user an arrival; None lets it leave."""


class ArrivalPool:
    """The users that act for arrivals.

    Attributes:
        idle: users with an open session that wait for an arrival, the longest waiting first.
        in_use: users that have started and not ended, idle or not.
    """

    def __init__(self) -> None:
        self.idle: deque[Assignable] = deque()
        self.in_use = 0

    def handle(self, arrival_ns: int, limit: int, start: Callable[[], Assignable]) -> bool:
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
