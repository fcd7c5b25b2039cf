"""Which of the users that leave load the page again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.load.users.reload_share import ReloadShare


@given(st.floats(0, 1), st.integers(1, 500))
def test_the_share_is_kept_at_every_moment(share: float, number: int) -> None:
    reloads = ReloadShare(share)
    granted = sum(reloads.take() for _ in range(number))
    assert share * number - 1e-6 <= granted < share * number + 1 + 1e-6


def test_the_first_user_to_leave_reloads_and_the_others_at_equal_distances() -> None:
    reloads = ReloadShare(0.3)
    granted = [n for n in range(10) if reloads.take()]
    assert granted == [0, 3, 6]
    assert not any(ReloadShare(0).take() for _ in range(3))
    reloads = ReloadShare(1)
    assert all(reloads.take() for _ in range(5))
