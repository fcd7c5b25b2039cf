"""The app's interpreter, started in a folder of the user."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from harness.app_under_test import inspect_interpreter
from harness.app_under_test.interpreter import run_code
from tests.hostile import MODULES, hostile_folder


@pytest.fixture(autouse=True)
def in_a_hostile_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hostile_folder(tmp_path))


def test_files_of_the_user_do_not_hide_modules_from_the_inspection() -> None:
    found = inspect_interpreter()
    assert found.version == "{}.{}.{}".format(*sys.version_info[:3])
    assert found.packages["gradio"]


@pytest.mark.parametrize("name", ["json", "ctypes", "email"])
def test_files_of_the_user_do_not_hide_modules_from_code(name: str) -> None:
    assert name in MODULES
    done = run_code(sys.executable, f"import {name}; print({name}.__file__)", os.environ, timeout_s=30)
    assert done.returncode == 0, done.stderr
    assert str(Path.cwd()) not in done.stdout
