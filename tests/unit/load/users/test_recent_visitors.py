"""Which users return after a restart: the most recent to leave, each once, with the browser of its last visit."""

from __future__ import annotations

import pytest

from harness.load.users.recent_visitors import RecentVisitors
from harness.page.browser import Browser


def test_the_most_recent_users_return_each_once() -> None:
    visitors, browsers = RecentVisitors(limit=3), {number: Browser() for number in range(1, 6)}
    for number in (1, 2, 3, 4, 5, 3):
        visitors.remember(number, browsers[number])
    assert visitors.select(2) == 2
    assert [visitors.next() for _ in range(2)] == [(3, browsers[3]), (5, browsers[5])]
    with pytest.raises(IndexError):
        visitors.next()
    # However many are wanted, no more return than are remembered.
    assert visitors.select(9) == 3
    assert {visitors.next()[0] for _ in range(3)} == {3, 4, 5}


def test_no_user_returns_if_none_has_left_or_none_is_wanted() -> None:
    assert RecentVisitors().select(5) == 0
    visitors = RecentVisitors()
    visitors.remember(1, Browser())
    assert visitors.select(0) == 0
