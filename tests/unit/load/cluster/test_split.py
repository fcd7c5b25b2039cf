"""Dividing commands among workers: the parts must add up to the whole for all numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.arrival_schedule import schedule, share_of_cap
from harness.load.cluster.split import share, split, top_up
from harness.load.commands import ActBatch, Drive, Hold, Quit, Release, Return

COUNTS = st.integers(0, 5000)
HELD = st.lists(st.integers(0, 200), min_size=1, max_size=12)


@given(COUNTS, st.integers(1, 40))
def test_parts_sum_up_and_differ_by_one_at_most(total: int, parts: int) -> None:
    shares = split(total, parts)
    assert len(shares) == parts
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@given(HELD, COUNTS)
def test_no_worker_closes_sessions_and_those_with_fewest_get_the_missing_ones(
    held: list[int], total: int
) -> None:
    goals = top_up(held, total)
    assert sum(goals) == max(total, sum(held))
    assert all(goal >= before for goal, before in zip(goals, held, strict=True))
    raised = [goal for goal, before in zip(goals, held, strict=True) if goal > before]
    if raised:
        # Whoever got something stands at the common level, and nobody is left below it.
        assert max(raised) - min(goals) <= 1


@given(COUNTS, st.integers(1, 20))
def test_returning_users_are_divided(users: int, workers: int) -> None:
    parts = share(Return(users=users, phase="after-restart"), [0] * workers)
    assert sum(part.users for part in parts if isinstance(part, Return)) == users
    assert len(parts) == workers


@given(st.integers(0, 300), st.floats(0.1, 500), st.integers(1, 20))
def test_users_and_spawn_rates_of_a_drive_sum_up(users: int, rate: float, workers: int) -> None:
    command = Drive(users=users, spawn_rate=rate, duration_s=3.0, phase="load")
    parts = share(command, [0] * workers)
    drives = [part for part in parts if isinstance(part, Drive)]
    assert len(drives) == workers
    assert sum(part.users for part in drives) == users
    assert all(part.spawn_rate > 0 and part.duration_s == 3.0 and part.phase == "load" for part in drives)
    if users:
        busy = [part for part in drives if part.users]
        assert sum(part.spawn_rate for part in busy) == pytest.approx(rate)
        # All are done with starting at the same moment.
        assert {round(part.users / part.spawn_rate / (users / rate), 6) for part in busy} == {1.0}


def test_with_more_workers_than_users_some_workers_get_none() -> None:
    parts = share(Drive(users=2, spawn_rate=1.0, duration_s=1.0, phase="load"), [0, 0, 0])
    assert [part.users for part in parts if isinstance(part, Drive)] == [1, 1, 0]


def test_a_batch_of_requests_is_divided_among_all_workers() -> None:
    parts = share(ActBatch(requests=20, duration_s=2.0, phase="requests"), [5, 5, 5])
    assert [(p.requests, p.duration_s, p.phase) for p in parts if isinstance(p, ActBatch)] == [
        (7, 2.0, "requests"),
        (7, 2.0, "requests"),
        (6, 2.0, "requests"),
    ]


def test_held_sessions_are_a_goal_for_each_worker() -> None:
    parts = share(Hold(sessions=10, phase="staircase"), [4, 0, 2])
    assert [part.sessions for part in parts if isinstance(part, Hold)] == [4, 3, 3]


@pytest.mark.parametrize("command", [Release(phase="drain"), Quit()])
def test_commands_without_numbers_go_to_all_workers(command: Release | Quit) -> None:
    assert share(command, [1, 2, 3]) == [command] * 3


def test_without_workers_nothing_can_be_divided() -> None:
    with pytest.raises(ValueError, match="no workers"):
        split(3, 0)
    with pytest.raises(ValueError, match="no workers"):
        top_up([], 3)


@given(st.integers(1, 12), st.integers(1, 200))
def test_the_remaining_workers_make_all_arrivals_and_use_the_whole_limit(living: int, cap: int) -> None:
    command = Drive(users=5, spawn_rate=1.0, duration_s=3.0, phase="load", arrival_rate=40.0)
    drives = [part for part in share(command, [0] * living) if isinstance(part, Drive)]
    due = [
        at
        for part in drives
        for at in schedule(
            part.arrival_rate or 0,
            "uniform",
            seed="1",
            duration_s=3.0,
            worker=part.place,
            workers=part.workers,
        )
    ]
    assert sorted(due) == [k * 25_000_000 for k in range(120)]
    assert sum(share_of_cap(cap, part.place, part.workers) for part in drives) == cap
