"""Which user acts for an arrival."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from harness.load.users.arrival_pool import ArrivalPool


def test_the_longest_idle_user_comes_first_then_a_new_one_and_beyond_the_limit_the_arrival_is_dropped() -> (
    None
):
    pool, assigned = ArrivalPool(), []
    for name in ("first", "second"):
        user: Any = SimpleNamespace(assign=lambda due, name=name: assigned.append((name, due)))
        pool.idle.append(user)
    pool.in_use = 2
    started: list[Any] = []

    def start() -> Any:
        started.append(SimpleNamespace(first_arrival_ns=None))
        return started[-1]

    assert [pool.handle(due, 3, start) for due in (10, 20, 30, 40)] == [True, True, True, False]
    assert assigned == [("first", 10), ("second", 20)]
    assert [user.first_arrival_ns for user in started] == [30]
    assert pool.in_use == 3


def test_at_the_end_idle_users_are_sent_away() -> None:
    pool, assigned = ArrivalPool(), []
    user: Any = SimpleNamespace(assign=assigned.append)
    pool.idle.append(user)
    pool.dismiss()
    assert assigned == [None]
    assert not pool.idle
