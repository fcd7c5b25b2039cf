"""Whatever the seed: every clean scenario passes, and every planted fault is found under its name.

On 2 cores this takes about an hour of `make check-all`: 600 runs of 12 s, two at a time. The same as one table: `make seeds`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.power.seeds import Trial, attempt, clean, faulty, make_small, seeds_of, table

TRIALS = [(name, seed) for name in [*clean(), *faulty()] for seed in seeds_of(name)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small(tmp_path_factory.mktemp("seeds") / "scenarios")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), TRIALS)
def test_what_a_scenario_declares_does_not_depend_on_the_seed(
    name: str, seed: int, small: Path, tmp_path: Path
) -> None:
    trial = attempt(small, name, seed, tmp_path / "run")
    assert trial.met, trial


def test_every_scenario_is_tried_with_as_many_seeds_as_guaranteed() -> None:
    assert len(clean()) >= 20
    assert {len(seeds_of(name)) for name in clean()} == {20}
    assert {len(seeds_of(name)) for name in faulty()} == {3}


def test_the_table_tells_what_was_not_as_declared() -> None:
    def trial(seed: int, verdict: str, met: bool, *kinds: str) -> Trial:
        return Trial(
            scenario="counters",
            seed=seed,
            declared="pass",
            verdict=verdict,
            kinds=list(kinds),
            met=met,
            reason="",
            took_s=1.0,
        )

    text = table([trial(1, "pass", True), trial(2, "fail", False, "reset"), trial(3, "unknown", False)])
    assert text.splitlines()[-1] == "| counters | pass | 1 of 3 | reset 1 | seed 2: fail; seed 3: unknown |"
