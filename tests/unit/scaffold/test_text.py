"""The proposed files are Python and TOML that say what was seen, whatever the app calls its things."""

from __future__ import annotations

import ast
import tomllib

import pytest

from harness.scaffold import text
from harness.scaffold.gestures import Fill, Gesture, Page
from harness.scaffold.models import Findings, Variable

EVIL = 'x"""; import os; \\ \n#'


def findings(**changes: object) -> Findings:
    made: dict[str, object] = {"variables": [], "unmodelled": [], "alarms": [], "failed": {}}
    return Findings(**{**made, **changes})  # type: ignore[arg-type]


def page(*gestures: Gesture) -> Page:
    return Page(gestures=list(gestures), names={}, labels={}, left_out=[])


def every_kind() -> list[Gesture]:
    fills = [
        Fill(component=3, name="Text", kind="text"),
        Fill(component=4, name=EVIL, kind="choice", choices=[EVIL, "b"]),
        Fill(component=5, name=5, kind="picture"),
    ]
    kinds = ("click", "submit", "enter", "upload")
    return [
        Gesture(slug=f"do_{kind}", kind=kind, component=3, name=EVIL, fills=fills[n:], outputs=[9])
        for n, kind in enumerate(kinds)
    ]


def variables() -> list[Variable]:
    made = []
    for model, effect in (
        ("list", "append"),
        ("register", "write"),
        ("answer", "ask"),
        ("counter", "increment"),
    ):
        made.append(
            Variable(
                name=f"a_{model}",
                component=9,
                read_as=EVIL,
                model=model,  # type: ignore[arg-type]
                effects={"do_click": effect, "do_submit": "clear"}
                if model != "answer"
                else {"do_click": effect},  # type: ignore[dict-item]
                readers=["do_click", "do_submit"],
                initial=3,
                sharing="user" if model == "list" else "session",
                seen=f"{EVIL} showed it.",
            )
        )
    return made


def test_the_workload_is_python_that_a_workload_may_be_made_of() -> None:
    from harness.workload import Workload

    made = text.workload(
        EVIL,
        page(*every_kind()),
        findings(variables=variables(), alarms=[EVIL], unmodelled=[EVIL], failed={"boom": EVIL}),
        [EVIL],
    )
    names: dict[str, object] = {}
    exec(compile(made, "workload.py", "exec"), names)
    visitor = names["Visitor"]
    assert isinstance(visitor, type)
    assert issubclass(visitor, Workload)
    assert list(visitor.actions()) == ["do_click", "do_submit", "do_enter", "do_upload"]
    assert visitor.state["a_counter"].initial == 3
    assert visitor.state["a_list"].scope == "user"
    assert {name: v.model for name, v in visitor.state.items()} == {
        "a_list": "list", "a_register": "register", "a_answer": "answer", "a_counter": "counter",
    }  # fmt: skip


@pytest.mark.parametrize("some", [False, True])
def test_only_what_is_used_is_imported(some: bool) -> None:
    made = text.workload("app.py", page(*(every_kind()[:1] if some else [])), findings(), [])
    tree = ast.parse(made)
    imported = {
        a.asname or a.name
        for n in ast.walk(tree)
        if isinstance(n, (ast.Import, ast.ImportFrom))
        for a in n.names
    }
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    assert imported <= used
    assert "verdict" in made  # what to do about it that nothing is checked


def test_what_was_left_out_is_said() -> None:
    made = text.workload(
        "app.py", page(), findings(failed={"boom": "no way"}), ["The button 'Flag': it writes."]
    )
    assert "# - boom: it failed in the trial with: no way" in made
    assert "# - The button 'Flag': it writes." in made


def test_the_settings_are_toml_that_a_scenario_may_have() -> None:
    read = tomllib.loads(text.settings(EVIL, "../a b/app.py", {"MODEL": EVIL, "N": "3"}))
    assert (read["title"], read["app"]) == (EVIL, "../a b/app.py")
    assert read["params"] == {"MODEL": EVIL, "N": "3"}
    assert read["expect"] == {"verdict": "pass"}
    assert "params" not in tomllib.loads(text.settings("x", "app.py", {}))
