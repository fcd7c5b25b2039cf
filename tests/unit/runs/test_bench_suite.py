"""What a bench concludes from its rows."""

from __future__ import annotations

import pytest

from harness import scenario
from harness.errors import ExitCode, run_exit_code
from harness.runs.bench_suite import exit_code, select, verdict
from tests.unit.report.builders import bench, bench_row


@pytest.mark.parametrize(
    ("missed", "code", "word"),
    [
        ([], ExitCode.PASS, "pass"),
        (["fail"], ExitCode.ANOMALY, "fail"),
        (["inconclusive"], ExitCode.UNKNOWN, "inconclusive"),
        (["inconclusive", "unknown"], ExitCode.UNKNOWN, "unknown"),
        (["inconclusive", "fail"], ExitCode.ANOMALY, "fail"),
    ],
)
def test_a_bench_is_as_bad_as_its_worst_surprise(missed: list[str], code: ExitCode, word: str) -> None:
    done = bench(bench_row(), *(bench_row(verdict=v, met=False) for v in missed))
    assert exit_code(done) == code
    assert verdict(done, code) == word


def test_an_interrupted_bench_is_unknown() -> None:
    done = bench(bench_row(), ended="interrupted")
    assert verdict(done, exit_code(done)) == "unknown"


def test_an_inconclusive_run_has_the_exit_code_of_one_that_does_not_know() -> None:
    assert run_exit_code("inconclusive", None) == ExitCode.UNKNOWN == 3


def test_the_core_is_run_unless_all_or_some_are_asked_for() -> None:
    core, everything = select([], everything=False), select([], everything=True)
    assert (core.suite, everything.suite, everything.left_out) == ("core", "all", 0)
    assert {"counters", "counters_global", "large_lists"} <= {s.name for s in core.scenarios}
    assert all(s.core for s in core.scenarios)
    assert len(core.scenarios) + core.left_out == len(everything.scenarios) == len(scenario.bundled())


def test_scenarios_that_are_named_always_run() -> None:
    named = select(["counters"], everything=False)
    assert ([s.name for s in named.scenarios], named.suite, named.left_out) == (["counters"], "named", 0)
