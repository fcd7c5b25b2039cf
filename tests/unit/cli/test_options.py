from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main

from harness.cli.options import AppOptions, ProfileOptions, driver
from harness.cli.verbs import app
from harness.errors import UsageError
from harness.profile_settings import SETTINGS
from harness.records import PlateauPlan, Profile

VERBS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADSOAK_AUTH", raising=False)


def accounts(auth: list[str] | None) -> list[tuple[str, str]]:
    return AppOptions(auth=auth).accounts()


def test_logins_in_the_order_given() -> None:
    assert accounts(["a:1", "b:with:colons", "c:"]) == [("a", "1"), ("b", "with:colons"), ("c", "")]
    assert accounts(None) == []


def test_a_file_holds_one_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "logins").write_text("a:1\n\n b:2\n")
    assert accounts([f"@{tmp_path / 'logins'}", "c:3"]) == [("a", "1"), ("b", "2"), ("c", "3")]


def test_without_auth_the_environment_has_the_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSOAK_AUTH", "a:1\nb:2\n")
    assert accounts(None) == [("a", "1"), ("b", "2")]
    assert accounts(["c:3"]) == [("c", "3")]


def test_an_invalid_login_is_refused_without_repeating_it(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for given, says in (
        ("geheim", "not USER:PASSWORD"),
        (":geheim", "not USER:PASSWORD"),
        (f"@{tmp_path}/nowhere", "cannot be read"),
        (f"@{tmp_path}/empty", "holds no login"),
    ):
        with pytest.raises(UsageError, match=says) as refused:
            accounts([given])
        assert "geheim" not in refused.value.message + refused.value.hint


def test_parameters_are_names_with_values() -> None:
    assert AppOptions(param=["A=x=y", "B="]).params() == {"A": "x=y", "B": ""}
    for given in ("LIST_ITEMS", "=3"):
        with pytest.raises(UsageError, match="is not NAME=VALUE"):
            AppOptions(param=[given]).params()


def test_a_driver_that_does_not_exist_is_refused() -> None:
    assert (driver("page"), driver("stock")) == ("page", "stock")
    with pytest.raises(UsageError, match="no driver 'firefox'"):
        driver("firefox")


def options_of(verb: str) -> dict[str, Any]:
    """Option → typer's parameter."""
    return {text: option for option in VERBS[verb].params for text in option.opts if text.startswith("--")}


@pytest.mark.parametrize("verb", ["run", "bench"])
def test_every_profile_setting_has_an_option_of_its_name_without_the_unit(verb: str) -> None:
    keys = {*Profile.__struct_fields__, *PlateauPlan.__struct_fields__} - {"name", "staircase"}
    offered = options_of(verb)
    for key in keys:
        name = key.removesuffix("_s")
        assert offered["--" + name.replace("_", "-")].name == name
        assert offered["--" + name.replace("_", "-")].help.startswith(SETTINGS[key].description)
    assert keys == SETTINGS.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_and_its_value_in_the_code_have_one_name(verb: str) -> None:
    # `all` is a word of Python.
    other = {"--all": "everything"}
    for text, option in options_of(verb).items():
        assert option.name == other.get(text, text[2:].replace("-", "_")), text


def test_an_option_of_several_verbs_is_the_same_in_all() -> None:
    seen: dict[str, tuple[object, ...]] = {}
    for verb in VERBS:
        for text, option in options_of(verb).items():
            declared = (option.help, option.metavar, option.default, option.rich_help_panel, option.multiple)
            assert seen.setdefault(text, declared) == declared, (verb, text)
    assert len(seen) > 40


def test_settings_are_handed_on_by_their_keys() -> None:
    values: dict[str, Any] = {setting.name: None for setting in SETTINGS.values()}
    given = ProfileOptions.collect(
        {**values, "profile": "full", "think": "2m", "users": 3, "levels": 6, "control": False}
    )
    assert given.name == "full"
    assert given.overrides == {"think_s": "2m", "users": 3, "control": False, "staircase": {"levels": 6}}
