"""Which clock a process reads, and the offset between two clocks."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.load.cluster.clock_offset import Exchange, clock_identity, estimate_offset

SOON = st.integers(0, 10**8)


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(st.integers(0, 10**12), SOON, SOON), min_size=1, max_size=10),
)
def test_the_true_offset_lies_within_the_uncertainty(offset: int, delays: list[tuple[int, int, int]]) -> None:
    exchanges = [
        Exchange(sent_ns=sent, worker_ns=sent + there + offset, received_ns=sent + there + back)
        for sent, there, back in delays
    ]
    found = estimate_offset(exchanges)
    assert found is not None
    assert abs(found.offset_ns - offset) <= found.uncertainty_ns
    assert found.uncertainty_ns <= min(there + back for _, there, back in delays) // 2 + 1


def test_without_exchanges_there_is_no_estimate() -> None:
    assert estimate_offset([]) is None


def test_one_boot_is_one_clock_unless_the_namespace_shifts_it(tmp_path: Path) -> None:
    boot, plain, shifted = tmp_path / "boot", tmp_path / "plain", tmp_path / "shifted"
    boot.write_text("8a46bd04-b4c2\n")
    plain.write_text("monotonic           0         0\nboottime            0         0\n")
    shifted.write_text("monotonic       86400         0\nboottime            0         0\n")
    assert clock_identity(boot, plain) == clock_identity(boot, tmp_path / "none") == "8a46bd04-b4c2"
    assert clock_identity(boot, shifted) == "8a46bd04-b4c2+86400.0"
    assert clock_identity(tmp_path / "none", plain).startswith("host ")
