"""No clean app is reported as a leak in twenty runs of the memory experiment. As a list: `python -m tests.power.memory`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.memory import RUNS, CleanRun, run_clean_app
from tests.power.seeds import clean


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), RUNS)
def test_a_clean_app_is_not_called_a_leak(name: str, seed: int, tmp_path: Path) -> None:
    found = run_clean_app(name, seed, tmp_path / "run")
    print(found.line())
    assert not found.alarm, found


def test_there_are_as_many_runs_as_guaranteed_each_with_a_seed_of_its_own() -> None:
    assert len(RUNS) == len({seed for _, seed in RUNS}) == 20
    assert {name for name, _ in RUNS} <= set(clean())
    assert len({name for name, _ in RUNS}) >= 16


def test_any_reported_leak_is_a_false_alarm() -> None:
    def found(verdict: str, leaks: dict[str, str]) -> CleanRun:
        return CleanRun(scenario="counters", seed=1, verdict=verdict, reason="", leaks=leaks, took_s=60.0)

    assert not found("bounded", {}).alarm
    assert not found("inconclusive", {}).alarm
    assert found("leak-per-session", {}).alarm
    assert found("flat", {"app.SEEN": "leak-per-request"}).alarm
    assert (
        "FALSE ALARM: app.SEEN (leak-per-request)" in found("flat", {"app.SEEN": "leak-per-request"}).line()
    )
