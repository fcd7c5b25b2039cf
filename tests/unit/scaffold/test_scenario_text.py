"""The proposed files are valid Python and TOML with the observations of the trial, for any names in the app."""

from __future__ import annotations

import ast
import tomllib

import pytest

from harness.scaffold import scenario_text
from harness.scaffold.field_values import Fill
from harness.scaffold.gestures import Gesture, PageGestures
from harness.scaffold.method_names import slug_of
from harness.scaffold.model_guess import TrialFindings, Variable

EVIL = 'x"""; import os; \\ \n#'


def findings(**changes: object) -> TrialFindings:
    made: dict[str, object] = {"variables": [], "unmodelled": [], "alarms": [], "failed": {}}
    return TrialFindings(**{**made, **changes})  # type: ignore[arg-type]


def page(*gestures: Gesture) -> PageGestures:
    return PageGestures(gestures=list(gestures), names={}, labels={}, left_out=[])


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

    made = scenario_text.workload(
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


@pytest.mark.parametrize("name", ["action", *scenario_text._HELPERS])
def test_no_operation_takes_the_name_of_what_the_file_needs_itself(name: str) -> None:
    assert slug_of(name.replace("_", " ")) != name


def test_a_token_is_made_where_it_is_written_and_nowhere_else() -> None:
    fills = [Fill(component=3, name="Which", kind="choice", choices=["token", "b"])]
    gesture = Gesture(slug="go", kind="click", component=4, name="Go", fills=fills, outputs=[])
    assert "self.token()" not in scenario_text.workload("app.py", page(gesture), findings(), [])


def test_the_limits_of_a_number_are_written_in_full() -> None:
    fills = [Fill(component=3, name="Sum", kind="number", low=0.5, high=1234567.5, step=0.5)]
    gesture = Gesture(slug="go", kind="click", component=4, name="Go", fills=fills, outputs=[])
    made = scenario_text.workload("app.py", page(gesture), findings(), [])
    assert "self.random.uniform(0.5, 1234567.5)" in made


@pytest.mark.parametrize("some", [False, True])
def test_only_what_is_used_is_imported(some: bool) -> None:
    made = scenario_text.workload("app.py", page(*(every_kind()[:1] if some else [])), findings(), [])
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


@pytest.mark.parametrize(("kind", "unknown"), [("text", False), ("flag", True)])
def test_only_where_no_token_goes_in_is_the_verdict_said_to_be_unknown(kind: str, unknown: bool) -> None:
    """With tokens, the canary decides alone, and may say `pass`."""
    fills = [Fill(component=3, name="It", kind=kind)]  # type: ignore[arg-type]
    gesture = Gesture(slug="go", kind="click", component=4, name="Go", fills=fills, outputs=[])
    made = " ".join(scenario_text.workload("app.py", page(gesture), findings(), []).split()).replace(
        " # ", " "
    )
    assert ("its verdict is unknown" in made) == unknown
    assert ("no other state that crosses sessions or is lost" in made) != unknown


def test_an_app_of_which_everything_failed_is_not_said_to_have_no_events() -> None:
    made = scenario_text.workload("app.py", page(), findings(failed={"boom": "no way"}), [])
    assert "has no events" not in made
    assert "failed in the trial; see above" in made
    assert "has no events" in scenario_text.workload("app.py", page(), findings(), [])


def test_a_model_that_a_correct_app_may_break_is_proposed_with_a_warning() -> None:
    made = " ".join(
        scenario_text.workload("app.py", page(*every_kind()), findings(variables=variables()), []).split()
    )
    assert "keeps only the last few" in made
    assert "stops or restarts, like a page number" in made.replace("# ", "")


def test_what_was_left_out_is_listed() -> None:
    made = scenario_text.workload(
        "app.py", page(), findings(failed={"boom": "no way"}), ["The button 'Flag': it writes."]
    )
    assert "# - boom: it failed in the trial: no way" in made
    assert "# - The button 'Flag': it writes." in made


def test_the_settings_are_toml_that_a_scenario_may_have() -> None:
    read = tomllib.loads(scenario_text.settings(EVIL, "../a b/app.py", {"MODEL": EVIL, "N": "3"}))
    assert (read["title"], read["app"]) == (EVIL, "../a b/app.py")
    assert read["params"] == {"MODEL": EVIL, "N": "3"}
    assert read["expect"] == {"verdict": "pass"}
    assert "params" not in tomllib.loads(scenario_text.settings("x", "app.py", {}))
