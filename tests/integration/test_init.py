"""`gradsoak init` on real apps: what it writes runs, passes on a correct app, and catches a faulty one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import scenario
from tests.conftest import REPO, SMALL_PROFILE
from tests.integration.cli import gradsoak

INTERFACE = """
import gradio as gr

def remember(text, kind, history):
    history = f"{history or ''}\\n{kind}: {text}"
    return history, history

demo = gr.Interface(remember, ["text", gr.Dropdown(["a", "b"], label="Kind"), "state"], ["text", "state"])
demo.launch()
"""
# Beside it stands a file that it imports, it has a parameter, and it asks for a login.
FUSSY = """
import os
import gradio as gr
from beside import greet

with gr.Blocks() as demo:
    name, hello = gr.Textbox(label="Name"), gr.Textbox(label="Hello", interactive=False)
    mood = gr.Dropdown(["happy", "sad"], label="Mood")
    files = gr.File(label="Paper")
    boom = gr.Button("Boom")
    name.submit(lambda name: greet(os.environ["GREETING"], name), name, hello)
    mood.change(lambda mood: mood, mood, hello)
    files.upload(lambda path: os.path.basename(path), files, hello)

    @boom.click(outputs=hello)
    def fail():
        raise gr.Error("planted")

demo.launch(auth=("alice", "secret"))
"""


def lint(folder: Path) -> None:
    """The proposed workload keeps the rules of the bundled ones."""
    name = str(REPO / "scenarios" / "proposed" / "workload.py")
    for verb in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *verb, "--config", str(REPO / "pyproject.toml"), "--stdin-filename", name, "-"],
            input=(folder / "workload.py").read_text(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def app_of(name: str, tmp_path: Path) -> Path:
    if name != "interface":
        return REPO / "scenarios" / name / "app.py"
    (tmp_path / "interface.py").write_text(INTERFACE)
    return tmp_path / "interface.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "models", "verdict"),
    [
        ("counters", {"counter", "list"}, "pass"),
        ("chat_history", {"list"}, "pass"),
        ("interface", {"list"}, "pass"),
        ("counters_global", {"counter", "list"}, "fail"),
    ],
)
def test_a_proposal_runs_and_says_what_is_so(
    name: str, models: set[str], verdict: str, tmp_path: Path
) -> None:
    done = gradsoak("init", "made", "--app", app_of(name, tmp_path), cwd=tmp_path)
    assert done.code == 0, done.err
    assert ("ATTENTION" in done.out) == (verdict == "fail")
    lint(tmp_path / "made")
    with (tmp_path / "made" / "scenario.toml").open("a") as settings:
        settings.write(SMALL_PROFILE)
    ran = gradsoak("run", "./made", "--out", "run", "--json", cwd=tmp_path)
    assert ran.json()["verdict"] == verdict, ran.err
    state = json.loads((tmp_path / "run" / "manifest.json").read_bytes())["state"]
    assert {variable["model"] for variable in state.values()} == models
    if verdict == "fail":
        assert ran.json()["checks"]["cross-session-read"] == "fail"


def test_an_app_with_logins_parameters_and_files_beside_it_is_proposed_with_them(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "fussy.py").write_text(FUSSY)
    (tmp_path / "apps" / "beside.py").write_text(
        "def greet(greeting, name):\n    return f'{greeting} {name}'\n"
    )
    done = gradsoak(
        "init",
        "made",
        "--app",
        "apps/fussy.py",
        "--param",
        "GREETING=Hi",
        "--auth",
        "alice:secret",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    made = scenario.find(str(tmp_path / "made"))
    assert (made.app, made.params) == (tmp_path / "apps" / "fussy.py", {"GREETING": "Hi"})
    text = made.workload.read_text()
    assert 'with self.operation("submit_name", hello=ask(token)) as seen:' in text
    assert 'self.page.select("Mood", self.random.choice(["happy", "sad"]))' in text
    assert 'self.page.upload("Paper", (f"{token}.txt", token.encode()))' in text
    assert "# - boom: it failed in the trial: " in text
    assert "planted" in text
    assert "secret" not in text + (tmp_path / "made" / "scenario.toml").read_text()
    lint(tmp_path / "made")


def test_an_app_that_does_not_start_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('planted')\n")
    done = gradsoak("init", "made", "--app", "app.py", cwd=tmp_path)
    assert done.code == 4
    assert "RuntimeError: planted" in done.err
    assert "Does it run by itself?" in done.err
    assert not (tmp_path / "made").exists()


def test_an_app_that_ends_during_the_trial_is_told_of_as_such(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import os\nimport gradio as gr\nwith gr.Blocks() as demo:\n    gr.Button('Quit').click(lambda: os._exit(3))\n"
    )
    done = gradsoak("init", "made", "--app", "app.py", cwd=tmp_path)
    assert done.code == 4
    assert "exit status 3 during the trial" in done.err
    assert not (tmp_path / "made").exists()
