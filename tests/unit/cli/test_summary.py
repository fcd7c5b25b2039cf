"""What the end of a run says on the console and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.analysis import RunData, analyse
from harness.checkers import combine
from harness.cli.summary import as_json, print_summary
from harness.rebuild import Derived
from harness.records import Check, not_applying
from tests.unit.report.conftest import full

__all__ = ["full"]


@pytest.fixture
def derived(full: RunData) -> Derived:
    checks = [
        Check(name="completeness", verdict="pass", reason="All there.", evidence={"operations": 3}),
        Check(
            name="reset",
            verdict="pass",
            reason="Does not apply: nothing was read twice.",
            evidence={},
            applies=False,
        ),
    ]
    return Derived(data=full, checks=combine(checks), analysis=analyse(full))


def test_a_check_that_does_not_apply_is_not_shown_as_passed(
    derived: Derived, capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary(Path("run"), derived)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("reset")]
    assert " ".join(line.split()) == "reset – does not apply Nothing was read twice."


def test_programs_are_told_what_does_not_apply(derived: Derived) -> None:
    told = json.loads(as_json(Path("run"), derived, None))
    assert told["checks"] == {"completeness": "pass", "reset": "pass"}
    assert told["does_not_apply"] == {"reset": "Nothing was read twice."}


def test_a_check_that_found_something_or_knows_nothing_always_applies() -> None:
    unsure = Check(name="canary", verdict="unknown", reason="Lost.", evidence={}, applies=False)
    assert not_applying([unsure]) == {}
