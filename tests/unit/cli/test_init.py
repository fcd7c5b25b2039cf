"""`gradsoak init`: input that it refuses before it starts the app, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import init
from harness.errors import UsageError
from harness.scaffold import Draft, write
from harness.scaffold.model_guess import Findings


@pytest.mark.parametrize(
    ("folder", "app", "says"),
    [
        ("new", "nothing.py", "does not exist"),
        ("new", ".", "is a folder"),
        ("new", "notes.txt", "not a Python file"),
        ("full", "app.py", "is not empty"),
        ("app.py", "app.py", "is a file"),
        (".", "app.py", "is not empty"),
    ],
)
def test_bad_input_is_refused(
    folder: str, app: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("app.py", "notes.txt"):
        Path(name).touch()
    Path("full").mkdir()
    Path("full/thesis.txt").touch()
    with pytest.raises(UsageError, match=says) as refused:
        init._check(Path(folder), Path(app))
    assert refused.value.hint


@pytest.mark.parametrize("folder", ["new", "empty", "deep/er/new"])
def test_a_new_or_empty_folder_will_do(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.py").touch()
    Path("empty").mkdir()
    init._check(Path(folder), Path("app.py"))
    nothing = Findings(variables=[], unmodelled=[], alarms=[], failed={})
    made = Draft(workload="# w", settings="# s", operations=[], findings=nothing, left_out=[])
    write(made, Path(folder))
    assert {p.name for p in Path(folder).iterdir()} == {"workload.py", "scenario.toml"}


@pytest.mark.parametrize("name", ["A-B", "1A", "a b"])
def test_a_parameter_must_have_a_name_that_an_environment_can_have(name: str) -> None:
    with pytest.raises(UsageError, match=f"--param {name}"):
        init._check_names({name: "3"})
    init._check_names({"A": "x=y", "B": ""})


@pytest.mark.parametrize(
    ("folder", "typed"), [("shop", "./shop"), ("my shop", "'./my shop'"), ("../shop", "../shop")]
)
def test_the_command_that_comes_next_can_be_typed(folder: str, typed: str) -> None:
    assert init._as_path(Path(folder)) == typed


@pytest.mark.parametrize(("logins", "warned"), [(None, False), (1, True), (2, False)])
def test_with_one_login_the_proposal_warns_that_data_of_an_account_look_like_a_leak(
    logins: int | None, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Findings(variables=[], unmodelled=[], alarms=["It showed a token."], failed={})
    init._report(
        Draft(workload="# w", settings="# s", operations=[], findings=seen, left_out=[]), Path("a"), logins
    )
    out = capsys.readouterr().out
    assert ("data of an account" in out) == warned
    assert ("--auth USER:PASSWORD" in out) == (logins is not None)


def test_an_app_whose_actions_all_failed_is_not_reported_as_one_without_actions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = Findings(variables=[], unmodelled=[], alarms=[], failed={"boom": "no way"})
    init._report(
        Draft(workload="# w", settings="# s", operations=[], findings=seen, left_out=[]), Path("a"), None
    )
    out = capsys.readouterr().out
    assert "no actions" not in out
    assert "Every action of the page failed" in out
