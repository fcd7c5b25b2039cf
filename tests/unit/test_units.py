from __future__ import annotations

import pytest

from harness import units
from tests.unit.report.builders import line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0 B"),
        (512, "512 B"),
        (999.4, "999 B"),
        (999.6, "1.00 KB"),
        (1000, "1.00 KB"),
        (71_510.7, "71.5 KB"),
        (875_732.7, "876 KB"),
        (999_600, "1.00 MB"),
        (191_500_288, "192 MB"),
        (2.5e9, "2.50 GB"),
        (-3_200, "−3.20 KB"),
    ],
)
def test_byte_size(value: float | None, text: str) -> None:
    assert units.byte_size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.004321, "0.00432"),
        (0.0995, "0.10"),
        (4.8705, "4.87"),
        (9.996, "10.0"),
        (13.8957, "13.9"),
        (99.96, "100"),
        (608.2, "608"),
        (12_956, "12,956"),
        (-1.5, "−1.50"),
        (float("inf"), "–"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert units.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.4321, "0.43 ms"),
        (13.89, "13.9 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (12_345, "12.3 s"),
    ],
)
def test_milliseconds(value: float | None, text: str) -> None:
    assert units.milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.34, "340 ms"),
        (12.0, "12.0 s"),
        (59.97, "1 min"),
        (125, "2 min 5 s"),
        (3_599.8, "1 h"),
        (3_780, "1 h 3 min"),
        (90_000, "25 h"),
    ],
)
def test_duration(value: float | None, text: str) -> None:
    assert units.duration(value) == text


def test_intervals_share_the_unit_of_the_estimate() -> None:
    assert (
        units.bytes_with_interval(line(71_510.7, 69_402, 77_592), "session")
        == "71.5 KB per session (69.4–77.6)"
    )
    assert units.byte_interval(line(71_510.7, 69_402, 77_592)) == "69.4–77.6 KB"
    assert units.byte_interval(line(1.2e6, 0.9e6, 1.5e6)) == "0.90–1.50 MB"
    assert units.byte_interval(None) == units.bytes_with_interval(None) == "–"


def test_an_interval_around_zero_does_not_mix_dashes_and_minus_signs() -> None:
    assert units.byte_interval(line(120, -300, 540)) == "−300 to 540 B"


def test_shares_rates_counts_and_settings() -> None:
    assert [units.share(v) for v in (None, 0, 0.004, 0.0994, 0.12, 1.6)] == [
        "–",
        "0%",
        "0.4%",
        "9.9%",
        "12%",
        "160%",
    ]
    assert units.rate(50.7557) == "50.8/s"
    assert units.rate(None) == units.count(None) == "–"
    assert [units.plural(n, "session") for n in (0, 1, 1_234)] == [
        "0 sessions",
        "1 session",
        "1,234 sessions",
    ]
    assert units.plural(2, "anomaly", "anomalies") == "2 anomalies"
    assert [units.setting(v) for v in (10.0, 0.2)] == ["10", "0.2"]


def test_a_clipped_text_says_so_and_is_no_longer_than_asked() -> None:
    assert units.clip("short", 5) == "short"
    assert units.clip("longer", 5) == "long…"
