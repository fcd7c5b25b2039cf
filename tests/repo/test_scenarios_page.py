"""docs/scenarios.md lists exactly the bundled scenarios."""

from __future__ import annotations

import re

from harness import scenario
from harness.scenario import Expectation
from tests.conftest import REPO

PAGE = (REPO / "docs/scenarios.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Cells of the table below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_pattern_names_the_scenarios_that_show_it() -> None:
    listed = {int(number): names(shown) for number, _, _, shown in rows("Patterns")}
    assert list(listed) == list(range(1, 23))
    served = {number: [s.name for s in scenario.bundled() if number in s.patterns] for number in listed}
    assert listed == served
    assert all(served.values())


def test_every_planted_fault_is_listed_with_its_expected_outcome() -> None:
    listed = {names(name)[0]: must_give for name, _, must_give in rows("Planted faults")}
    declared = {s.name: str(s.expect or Expectation()) for s in scenario.bundled() if not s.patterns}
    assert listed == declared


def test_every_pattern_of_a_scenario_exists() -> None:
    assert {number for s in scenario.bundled() for number in s.patterns} <= set(range(1, 23))
