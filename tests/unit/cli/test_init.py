"""What `gradsoak init` refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import init
from harness.errors import UsageError
from harness.scaffold import Draft, write
from harness.scaffold.models import Findings


@pytest.mark.parametrize(
    ("folder", "app", "says"),
    [
        ("new", "nothing.py", "does not exist"),
        ("new", ".", "is a folder"),
        ("new", "notes.txt", "no Python file"),
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


@pytest.mark.parametrize("given", ["3", "=3", "A-B=3", "1A=3"])
def test_a_parameter_must_have_a_name_that_an_environment_can_have(given: str) -> None:
    with pytest.raises(UsageError):
        init._params([given])
    assert init._params(["A=x=y", "B="]) == {"A": "x=y", "B": ""}
