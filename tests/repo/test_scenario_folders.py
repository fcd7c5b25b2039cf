"""Rules about the bundled scenarios. They are also examples of how to write one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from harness import scenario
from tests.conftest import REPO

SCENARIOS = scenario.bundled()
# What the files of a scenario may import besides the standard library.
ALLOWED = {"app.py": {"gradio", "numpy"}, "workload.py": {"harness"}, "refused.py": {"gradio"}}
FILES = sorted((REPO / "scenarios").glob("*/*.py"))


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_has_a_docstring_and_imports_little(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0
            imported.add(node.module.split(".")[0])
    assert imported - set(sys.stdlib_module_names) <= ALLOWED[path.name]


@pytest.mark.parametrize("bundled", SCENARIOS, ids=lambda s: s.name)
def test_a_scenario_has_a_title_and_one_sentence_that_fit_a_table(bundled: scenario.Scenario) -> None:
    assert 0 < len(bundled.title) <= 40
    assert bundled.title != bundled.name
    assert 0 < len(bundled.description) <= 110
    assert bundled.description.endswith(".")
    assert bundled.expect is not None


@pytest.mark.parametrize("bundled", SCENARIOS, ids=lambda s: s.name)
def test_an_app_launches_only_as_the_main_module(bundled: scenario.Scenario) -> None:
    *_, last = ast.parse(bundled.app.read_text()).body
    assert isinstance(last, ast.If)
    assert ast.unparse(last.test) == "__name__ == '__main__'"
    assert "demo.launch(" in ast.unparse(last)


def test_gradio_refuses_an_interface_without_exactly_one_state_in_and_out() -> None:
    """`refused.py` shows the error. The test fails if Gradio changes its text, or begins to allow this."""
    done = subprocess.run(
        [sys.executable, REPO / "scenarios/interface_state/refused.py"],
        capture_output=True, text=True, check=True, env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"},
    )  # fmt: skip
    refused = done.stdout.splitlines()
    assert len(refused) == 3
    for line in refused:
        assert line.endswith(
            "If using 'state', there must be exactly one state input and one state output."
        ), line


@pytest.mark.slow
@pytest.mark.parametrize("bundled", SCENARIOS, ids=lambda s: s.name)
def test_an_app_runs_without_gradsoak(bundled: scenario.Scenario, tmp_path: Path) -> None:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "GRADIO_"))
    }
    environment |= {"GRADIO_ANALYTICS_ENABLED": "False", "PYTHONUNBUFFERED": "1"}
    app = subprocess.Popen(
        [sys.executable, bundled.app], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert app.stdout is not None
        announced = next(line for line in app.stdout if "http://127.0.0.1:" in line)
        url = announced[announced.index("http://") :].split()[0].rstrip("/")
        with urllib.request.urlopen(f"{url}/config", timeout=30) as response:
            assert json.load(response)["dependencies"]
    finally:
        app.terminate()
        app.communicate(timeout=30)
