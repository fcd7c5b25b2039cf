"""Why what grew is still there, in a process."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from harness.probe import census, heap_graph, retainers


def test_long_chains_lose_their_middle() -> None:
    links = [str(n) for n in range(100)]
    short = retainers.shortened(links)
    assert short[:8] == links[:8]
    assert short[-6:] == links[-6:]
    assert short[8] == "…"
    assert retainers.shortened(links[:15]) == links[:15]


def test_types_that_everything_is_made_of_only_count_where_no_other_grew() -> None:
    before = {"dict": 5, "app.Row": 1, "app.Gone": 3}
    assert retainers.grown_types(before, {"dict": 50, "app.Row": 4, "app.New": 2, "app.Gone": 1}) == [
        ("app.Row", 1, 4), ("app.New", 0, 2),
    ]  # fmt: skip
    assert retainers.grown_types(before, {"dict": 50, "app.Row": 1, "cell": 2}) == [
        ("dict", 5, 50),
        ("cell", 0, 2),
    ]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__file__ = str(tmp_path / "app.py")
    monkeypatch.setitem(sys.modules, "__main__", module)
    # This process holds much, and the machine may be busy.
    monkeypatch.setattr(retainers, "MAX_WALK_S", 120.0)
    monkeypatch.setattr(retainers, "MAX_S", 240.0)
    monkeypatch.setattr(heap_graph, "MAX_OBJECTS", 10**8)
    return module


APP = """
calls = []

class Turn:
    def __init__(self, number): self.text = "x" * 10_000 + str(number)

class Jealous(dict):
    def __len__(self): calls.append("len"); raise RuntimeError
    def __iter__(self): calls.append("iter"); raise RuntimeError
    def __getattribute__(self, name): calls.append(name); raise RuntimeError
    def __sizeof__(self): calls.append("size"); raise RuntimeError
    def __eq__(self, other): calls.append("eq"); raise RuntimeError
    __hash__ = None

def make():
    hidden = {}
    def remember(number): hidden[f"n{number}"] = [Turn(number)]
    return remember

remember = make()
remember(0)
LOG = [Jealous(a=0)]
STEADY = list(range(1000))
"""


def test_what_grew_since_the_first_census_is_named_with_what_it_pins(app: types.ModuleType) -> None:
    exec(compile(APP, "app.py", "exec"), app.__dict__)
    taker = census.CensusTaker()
    assert retainers.explain(taker)["retainers"] == []
    taker.take()
    for number in range(1, 51):
        app.remember(number)
        app.LOG.append(app.Jealous(a=[number]))
    answer: Any = retainers.explain(taker)["retainers"]
    found = {retainer["target"]: retainer for retainer in answer}
    hidden = found["app.remember.<hidden>"]
    assert (hidden["of"], hidden["before"], hidden["now"], hidden["exact"]) == ("container", 1, 51, True)
    assert hidden["pinned_bytes"] == pytest.approx(51 * 10_000, rel=0.05)
    assert hidden["holders"] == [
        {
            "chain": [
                "app: module", ".remember: function", ".<hidden>: dict", "[*]: list", "[*]: app.Turn", ".text: str",
            ],
            "count": 1,
        }
    ]  # fmt: skip
    turn = found["app.Turn"]
    assert (turn["of"], turn["before"], turn["now"], turn["exact"]) == ("type", 1, 51, True)
    assert turn["pinned_bytes"] == pytest.approx(51 * 10_000, rel=0.05)
    assert turn["holders"] == [
        {
            "chain": ["app: module", ".remember: function", ".<hidden>: dict", "[*]: list", "[*]: app.Turn"],
            "count": 51,
        }
    ]
    assert (found["app.LOG"]["before"], found["app.LOG"]["now"]) == (1, 51)
    assert found["app.Jealous"]["holders"][0]["chain"][-1] == "[*]: app.Jealous"
    assert "app.STEADY" not in found
    assert app.calls == []
