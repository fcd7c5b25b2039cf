"""False alarms of the leak checks on noise, and properties of their verdicts."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.memory.growth_figures import growth_figures
from harness.analysis.memory.leak_checks import check_growth
from tests.unit.analysis.memory.memory_runs import LIVE, Then, experiment, memory_run

MOMENTS = experiment()


def leaks(lengths: dict[str, list[int]], live: list[int] | None = None) -> list[str]:
    data = memory_run(
        {path: (lambda t, series=series: series[t.number]) for path, series in lengths.items()},  # type: ignore[misc]
        facts={path: {"kind": "list"} for path in lengths},
        moments=MOMENTS,
        live=lambda t: live[t.number] if live else LIVE,
    )
    return [a.variable for check in check_growth(*growth_figures(data)) for a in check.anomalies]


def test_noise_is_no_leak() -> None:
    """2,500 containers of random length, and 2,500 whose length is a random walk."""
    rng = random.Random(11)
    series: dict[str, list[int]] = {}
    for number in range(2500):
        series[f"app.N{number}"] = [rng.randrange(200) for _ in MOMENTS]
        at, wander = 1000, []
        for _ in MOMENTS:
            at = max(0, at + rng.randrange(-20, 21))
            wander.append(at)
        series[f"app.W{number}"] = wander
    found = leaks(series)
    assert len(found) <= 5, found  # one in a thousand; an app has some dozens of containers


def test_a_noisy_heap_is_no_leak() -> None:
    rng = random.Random(12)
    for _ in range(300):
        heap = [LIVE + int(rng.gauss(0, 200_000)) + 1500 * t.requests for t in MOMENTS]
        assert leaks({}, heap) == []


@given(
    st.lists(st.integers(0, 10**6), min_size=len(MOMENTS), max_size=len(MOMENTS)),
    st.integers(0, 10**6),
)
def test_a_container_no_longer_after_close_than_after_the_last_batch_is_no_leak_per_request(
    series: list[int], after: int
) -> None:
    last = next(t.number for t in MOMENTS if t.label == "after-close") - 1
    series[last + 1] = min(series[last], after)
    data = memory_run({"app.X": lambda t: series[t.number]}, moments=MOMENTS)
    assert growth_figures(data)[1].batches == 5
    assert check_growth(*growth_figures(data))[0].verdict != "fail"


@given(st.integers(1, 50), st.integers(0, 10**6), st.integers(0, 3))
def test_a_steady_leak_of_any_size_is_found_also_beside_growth_with_sessions(
    rate: int, base: int, per_session: int
) -> None:
    def length(t: Then) -> int:
        return base + rate * t.requests + per_session * t.sessions

    data = memory_run({"app.X": length}, moments=MOMENTS)
    (growth,), _ = growth_figures(data)
    assert (growth.verdict, growth.per_request, growth.exact) == ("leak-per-request", rate, True)
