from __future__ import annotations

from pathlib import Path

import pytest

from harness import scenario
from harness.errors import UsageError


def test_every_bundled_scenario_loads_and_declares_what_it_expects() -> None:
    found = {s.name: s for s in scenario.bundled()}
    assert {"counters", "chat_history", "large_lists"} <= set(found)
    for s in found.values():
        assert s.expect is not None
        assert s.description


def test_every_clean_scenario_has_a_twin_with_a_planted_fault_and_the_same_workload() -> None:
    found = {s.name: s for s in scenario.bundled()}
    for name in ("counters", "chat_history", "large_lists"):
        clean, twin = found[name], found[f"{name}_global"]
        assert clean.workload == twin.workload
        assert clean.expect is not None
        assert clean.expect.verdict == "pass"
        assert twin.expect is not None
        assert (twin.expect.verdict, twin.expect.kind) == ("fail", "cross-session-read")


def test_the_error_for_an_unknown_scenario_names_similar_ones() -> None:
    with pytest.raises(UsageError) as caught:
        scenario.find("conters")
    assert "counters" in caught.value.hint


def test_the_error_for_a_name_similar_to_none_names_all_scenarios() -> None:
    with pytest.raises(UsageError) as caught:
        scenario.find("zzzzzzzz")
    assert "large_lists" in caught.value.hint


def test_a_folder_without_app_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no app\.py"):
        scenario.find(str(tmp_path))


def test_a_folder_without_app_is_enough_for_a_running_app(tmp_path: Path) -> None:
    (tmp_path / "workload.py").write_text("")
    assert scenario.find(str(tmp_path), needs_app=False).workload == tmp_path / "workload.py"
    with pytest.raises(UsageError) as refused:
        scenario.find(str(tmp_path))
    assert "--url" in refused.value.hint


def test_a_folder_without_workload_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    with pytest.raises(UsageError, match=r"has no workload\.py"):
        scenario.find(str(tmp_path))


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.touch()
    with pytest.raises(UsageError, match="is a file"):
        scenario.find(str(app))


@pytest.mark.parametrize(
    "text",
    [
        "title = ",
        "titel = 'x'",
        "[expect]\nverdict = 'maybe'",
        "[expect]\nverdikt = 'pass'",
        "params = 3",
        "[profile.quikc]\nusers = 3",
        "[guarantees]\ninvisble = 'x'",
        "[guarantees]\ninvisible = 3",
    ],
)
def test_settings_that_are_not_valid_are_refused_with_their_place(tmp_path: Path, text: str) -> None:
    for name in ("app.py", "workload.py"):
        (tmp_path / name).touch()
    (tmp_path / "scenario.toml").write_text(text)
    with pytest.raises(UsageError, match=r"scenario\.toml"):
        scenario.find(str(tmp_path))


def test_parameters_can_be_set_and_only_those_that_exist() -> None:
    found = scenario.find("large_lists")
    assert scenario.override_params(found, {"LIST_ITEMS": "5"}) == {"LIST_ITEMS": "5"}
    assert found.params["LIST_ITEMS"] != "5"
    with pytest.raises(UsageError, match="has no parameter"):
        scenario.override_params(found, {"ITEMS": "5"})


@pytest.mark.parametrize(
    ("verdict", "kinds", "met"),
    [
        ("fail", {"cross-session-read"}, True),
        ("fail", {"lost-update"}, False),
        ("fail", {"lost-update", "cross-session-read"}, True),
        ("pass", set(), False),
        ("unknown", {"cross-session-read"}, False),
    ],
)
def test_an_expected_fault_must_be_of_the_right_kind(verdict: str, kinds: set[str], met: bool) -> None:
    assert scenario.Expectation(verdict="fail", kind="cross-session-read").met_by(verdict, kinds) is met


def test_the_error_for_an_unknown_guarantee_names_the_known_ones(tmp_path: Path) -> None:
    for name in ("app.py", "workload.py"):
        (tmp_path / name).touch()
    (tmp_path / "scenario.toml").write_text("[guarantees]\ninvisble = 'x'\n")
    with pytest.raises(UsageError, match="'invisble'") as refused:
        scenario.find(str(tmp_path))
    assert "invisible, any-python-object" in refused.value.hint


def test_why_a_guarantee_does_not_apply_is_read(tmp_path: Path) -> None:
    for name in ("app.py", "workload.py"):
        (tmp_path / name).touch()
    (tmp_path / "scenario.toml").write_text("[guarantees]\nreset-on-reload = 'rows belong to users'\n")
    assert scenario.find(str(tmp_path)).guarantees == {"reset-on-reload": "rows belong to users"}


def test_an_app_may_stand_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "scenario"
    folder.mkdir()
    (folder / "workload.py").touch()
    (folder / "scenario.toml").write_text("app = '../apps/main.py'\n")
    with pytest.raises(UsageError, match=r"names the app \.\./apps/main\.py"):
        scenario.find(str(folder))
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "main.py").touch()
    assert scenario.find(str(folder)).app == tmp_path / "apps" / "main.py"
