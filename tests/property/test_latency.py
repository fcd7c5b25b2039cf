"""Percentiles compared with order statistics, and arrival schedules with their distributions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.latency.figures import PERCENTILES, distribution, supported
from harness.load.arrival_schedule import dispatch, schedule, share, share_of_cap
from harness.load.self_monitor import LagMeter

S = 10**9
VALUES = st.lists(st.floats(0, 1e7, allow_nan=False), min_size=1, max_size=1500)


def interpolated(values: list[float], share: float) -> float:
    """Linear interpolation between order statistics (Hyndman & Fan 1996, type 7)."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@given(VALUES)
def test_percentiles_match_the_raw_values_or_are_none(values: list[float]) -> None:
    figures = distribution(values)
    assert figures is not None
    assert (figures.count, figures.max) == (len(values), max(values))
    for name, part in PERCENTILES.items():
        told = getattr(figures, name)
        if name == "p50" or supported(part, len(values)):
            assert told == pytest.approx(interpolated(values, part), rel=1e-9, abs=1e-9)
        else:
            assert told is None


@pytest.mark.parametrize(("name", "needed"), [("p90", 10), ("p95", 20), ("p99", 100), ("p999", 1000)])
def test_a_percentile_needs_one_value_beyond_it(name: str, needed: int) -> None:
    few, enough = distribution([1.0] * (needed - 1)), distribution([1.0] * needed)
    assert few is not None
    assert enough is not None
    assert getattr(few, name) is None
    assert getattr(enough, name) == 1.0


def test_no_values_have_no_distribution() -> None:
    assert distribution([]) is None


@given(
    rate=st.floats(0.1, 500, allow_nan=False),
    seed=st.text(max_size=8),
    kind=st.sampled_from(["poisson", "uniform"]),
    workers=st.integers(1, 5),
)
def test_a_schedule_ascends_ends_in_time_and_is_the_same_for_the_same_seed(
    rate: float, seed: str, kind: str, workers: int
) -> None:
    for worker in range(workers):
        options = {"seed": seed, "duration_s": 4.0, "worker": worker, "workers": workers}
        due = list(schedule(rate, kind, **options))  # type: ignore[arg-type]
        assert due == list(schedule(rate, kind, **options))  # type: ignore[arg-type]
        assert due == sorted(due)
        assert all(0 <= time_ns < 4 * S for time_ns in due)


def exponential(gaps: np.ndarray, mean: float) -> float:
    """The p value of the Kolmogorov–Smirnov test against the exponential distribution."""
    # Imported here, because the import takes a second in every process that collects tests.
    from scipy import stats

    return float(stats.kstest(gaps, "expon", args=(0, mean)).pvalue)


def test_gaps_between_poisson_arrivals_are_exponential() -> None:
    """The seed is fixed, so the result is too."""
    due = list(schedule(50.0, "poisson", seed="1", duration_s=200.0))
    gaps = np.diff([0, *due]) / S
    assert exponential(gaps, 1 / 50) > 0.01
    # A gap of the wrong mean, or equal gaps, would be found.
    assert exponential(gaps, 1 / 55) < 0.01
    assert len(due) == pytest.approx(10_000, abs=3 * math.sqrt(10_000))
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03


def test_uniform_arrivals_come_at_exact_times_even_late_in_a_long_run() -> None:
    due = list(schedule(3.0, "uniform", seed="1", duration_s=24 * 3600.0))
    assert len(due) == 3 * 24 * 3600
    assert all(due[k] == round(k * S / 3) for k in (0, 1, 2, 1000, len(due) - 1))


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_together_make_the_whole_rate(workers: int) -> None:
    def all_of(kind: str) -> list[int]:
        parts = [
            schedule(60.0, kind, seed="9", duration_s=100.0, worker=w, workers=workers)  # type: ignore[arg-type]
            for w in range(workers)
        ]
        return sorted(itertools.chain(*parts))

    assert all_of("uniform") == [round(k * S / 60) for k in range(6000)]
    gaps = np.diff([0, *all_of("poisson")]) / S
    assert exponential(gaps, 1 / 60) > 0.01
    assert len(set(all_of("poisson"))) == len(all_of("poisson"))  # no two workers make the same arrival
    assert sum(share(60.0, w, workers) for w in range(workers)) == pytest.approx(60.0)
    for cap in (1, 2, 10, 11):
        assert sum(share_of_cap(cap, w, workers) for w in range(workers)) == cap


@pytest.mark.parametrize("worker", [-1, 3])
def test_a_worker_number_out_of_range_is_refused(worker: int) -> None:
    with pytest.raises(ValueError, match="no worker"):
        share(10.0, worker, 3)


class FakeTime:
    """A clock that advances only on sleep, or on an injected delay."""

    def __init__(self) -> None:
        self.now = 1_000 * S

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * S)


@given(
    gaps=st.lists(st.integers(0, S), max_size=40),
    hold_ups=st.lists(st.integers(0, 2 * S), min_size=40, max_size=40),
    acts=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_a_late_start_shifts_no_other_arrival_and_every_arrival_is_counted(
    gaps: list[int], hold_ups: list[int], acts: list[bool]
) -> None:
    due = list(itertools.accumulate(gaps))
    time = FakeTime()
    begin = time.now
    seen: list[tuple[int, int]] = []
    told: list[bool] = []

    def start(intended: int) -> bool:
        seen.append((intended, time.now))
        time.now += hold_ups[len(seen) - 1]
        return acts[len(seen) - 1]

    counts = dispatch(due, begin, clock=time.clock, sleep=time.sleep, start=start, on_arrival=told.append)
    assert [intended for intended, _ in seen] == [begin + offset for offset in due]
    assert all(now >= intended for intended, now in seen)
    assert told == acts[: len(due)]
    assert counts.total == len(due) == counts.started + counts.dropped
    assert counts.started == sum(acts[: len(due)])


@given(wakes=st.lists(st.integers(0, 500_000_000), min_size=1, max_size=60))
def test_every_wake_up_is_recorded_once_with_its_lateness(wakes: list[int]) -> None:
    meter = LagMeter(0, tick_ns=50_000_000)
    now = 0
    late: list[tuple[int, int]] = []
    for step in wakes:
        now += step
        late += [(now, lag) for lag in meter.notice(now)]
    assert [now - lag for now, lag in late] == [50_000_000 * (i + 1) for i in range(len(late))]
    assert len(late) == now // 50_000_000
    assert meter.next_due_ns() > now


def test_a_blocked_loop_weighs_as_many_samples_as_it_missed() -> None:
    """The loop is blocked for one second in ten: a tenth of the samples is late, not a single one."""
    meter = LagMeter(0)
    late = [lag for tick in range(1, 181) for lag in meter.notice(tick * 50_000_000)]
    late += meter.notice(10 * S)
    assert len(late) == 200
    assert sum(lag > 0 for lag in late) == 19  # the last of the twenty was noticed just in time
    assert max(late) == 950_000_000
