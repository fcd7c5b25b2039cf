"""Who loads the page again, and who comes back: the latest to leave, each once, with the browser of their last visit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.returning_users import People, Share
from harness.page.gradio_page import Browser


def test_the_latest_to_leave_come_back_each_once() -> None:
    people, browsers = People(most=3), {person: Browser() for person in range(1, 6)}
    for person in (1, 2, 3, 4, 5, 3):
        people.leaves(person, browsers[person])
    assert people.call(2) == 2
    assert [people.next() for _ in range(2)] == [(3, browsers[3]), (5, browsers[5])]
    with pytest.raises(IndexError):
        people.next()
    # No more of them than are remembered, however many are wanted.
    assert people.call(9) == 3
    assert {people.next()[0] for _ in range(3)} == {3, 4, 5}


def test_nobody_comes_back_where_nobody_was() -> None:
    assert People().call(5) == 0
    people = People()
    people.leaves(1, Browser())
    assert people.call(0) == 0


@given(st.floats(0, 1), st.integers(1, 500))
def test_a_share_is_kept_to_at_every_moment(share: float, number: int) -> None:
    takes = Share(share)
    granted = sum(takes.take() for _ in range(number))
    assert share * number - 1e-6 <= granted < share * number + 1 + 1e-6


def test_the_first_to_leave_loads_the_page_again() -> None:
    takes = Share(0.3)
    assert [takes.take() for _ in range(10)] == [
        True,
        False,
        False,
        True,
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    assert not any(Share(0).take() for _ in range(3))
    takes = Share(1)
    assert all(takes.take() for _ in range(5))
