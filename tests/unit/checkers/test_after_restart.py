"""A restart of the app that nobody looked behind says nothing about what survives it."""

from __future__ import annotations

import pytest

from harness.checkers import check_history
from harness.records import Check
from harness.workload import append_only_list
from tests.builders import COMPLETED, HistoryBuilder


def completeness(history: HistoryBuilder) -> Check:
    checks = check_history(history.build(), {"log": append_only_list()}, COMPLETED)
    return next(check for check in checks.checks if check.name == "completeness")


@pytest.mark.parametrize(
    ("reads", "outcomes", "expected"),
    [
        (True, ["ok", "ok"], "pass"),
        (False, ["ok", "ok"], "No user that returned after the restart of the app read any state."),
        (True, ["ok", "fail", "fail"], "2 of 3 operations after the restart of the app failed"),
        (False, [], "No user that returned after the restart of the app read any state."),
    ],
)
def test_state_that_was_not_read_after_the_restart_is_unknown(
    reads: bool, outcomes: list[str], expected: str
) -> None:
    history = HistoryBuilder().append("a", "a1", ["a1"]).append("b", "b1", ["b1"])
    history.add("c", action="reload", phase="after-restart")
    for outcome in outcomes:
        seen = {"log": []} if reads and outcome == "ok" else None
        error = "app" if outcome == "fail" else None
        history.add("c", reads=seen, outcome=outcome, error=error, phase="after-restart")
    found = completeness(history)
    assert found.verdict == ("pass" if expected == "pass" else "unknown")
    if expected != "pass":
        assert expected in found.reason
