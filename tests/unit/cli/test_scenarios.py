"""The list of scenarios: one line each, whatever they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import scenario
from harness.cli.scenarios import lines, scenarios
from harness.scenario import Expectation, Scenario


def made(name: str, description: str, expect: Expectation | None = None, patterns: list[int] | None = None):
    return Scenario(
        name=name,
        folder=Path(name),
        app=Path(name) / "app.py",
        workload=Path(name) / "workload.py",
        title=f"The title of {name}",
        description=description,
        params={},
        expect=expect,
        patterns=patterns or [],
        profiles={},
    )


LONG = "A description that goes on and on, since whoever wrote it had much to say about very little, twice."
CAUGHT = Expectation(verdict="fail", kind="misdelivered-response")


@pytest.mark.parametrize("width", [100, 120, 200])
def test_each_scenario_has_one_line_that_fits(width: int) -> None:
    found = [made(f"scenario_{'x' * n}", LONG, CAUGHT, [1, 13, 22][: n % 4]) for n in range(12)]
    text = lines(found, width)
    assert max(map(len, text)) <= width
    for s in found:
        (line,) = [line for line in text if line.startswith(s.name + " ")]
        assert line.endswith("fail (misdelivered-response)")


def test_a_description_is_cut_or_gives_way_to_the_title_and_is_never_wrapped() -> None:
    found = [made("a", LONG, patterns=[3]), made("b", "Short.", patterns=[4, 5])]
    (cut,) = [line for line in lines(found, 78) if line.startswith("a ")]
    assert "A description that goes on and on, since" in cut
    assert "…" in cut
    text = "\n".join(lines(found, 60))
    assert LONG not in text
    assert "The title of a" in text
    assert "Short." in text
    assert "4, 5" in text


def test_a_scenario_that_declares_nothing_is_expected_to_pass() -> None:
    assert lines([made("a", "Short.")], 100)[1].split() == ["a", "–", "Short.", "pass"]


def test_the_bundled_ones_fit() -> None:
    assert max(map(len, lines(scenario.bundled(), 100))) <= 100


def test_a_pipe_gets_whole_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    assert any(LONG in line for line in lines([made("a", LONG)], None))
    scenarios()
    text = capsys.readouterr().out
    for s in scenario.bundled():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{s.name} ")]
        assert " ".join(s.description.split()) in line


def test_the_json_list_has_all_fields(capsys: pytest.CaptureFixture[str]) -> None:
    scenarios(json=True)
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(listed) == {s.name for s in scenario.bundled()}
    assert listed["counters"]["patterns"] == [4, 13]
    assert listed["counters"]["expect"] == {"verdict": "pass", "kind": None}
    assert listed["counters_global"]["patterns"] == []
    assert listed["counters_global"]["expect"] == {"verdict": "fail", "kind": "cross-session-read"}
