"""When a warm-up is over."""

from __future__ import annotations

import pytest

from harness.runs.warm_up import is_warm

MB = 1_000_000


@pytest.mark.parametrize(
    ("levels", "warm"),
    [
        ([100 * MB], False),
        ([100 * MB, 100.1 * MB], True),
        ([100 * MB, 105 * MB], False),
        ([100 * MB, 105 * MB, 106 * MB], False),  # less and less: something still fills
        ([100 * MB, 105 * MB, 106 * MB, 106.1 * MB], True),
        ([100 * MB, 101 * MB, 102 * MB], True),  # as much each time: what sessions leave behind
        ([100 * MB, 99 * MB, 100 * MB], False),
    ],
)
def test_it_is_over_when_memory_rests_or_grows_steadily(levels: list[float], warm: bool) -> None:
    assert is_warm([int(level) for level in levels]) is warm
