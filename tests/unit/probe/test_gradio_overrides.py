"""Settings that are changed from outside: they arrive in Gradio's own objects, and the app notices nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

PROBE = Path(__file__).resolve().parents[3] / "harness" / "probe"

# The probe's own way to the app's modules, without a server.
BOOT = """
import importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("_gradsoak_probe", {probe!r} + "/__init__.py", submodule_search_locations=[{probe!r}])
sys.modules["_gradsoak_probe"] = importlib.util.module_from_spec(spec)
from _gradsoak_probe import bootstrap, gradio_overrides as room
settings = room.take(os.environ)
launch = bootstrap.LaunchHook(None, settings)
launch.install()
for module, callback in settings.callbacks().items():
    sys.meta_path.insert(0, bootstrap.AfterImport(module, callback))
"""

GRADIO_APP = """
import os
import gradio as gr
with gr.Blocks() as demo:
    plain, own, other = gr.State(0), gr.State([], time_to_live=7), gr.State(value={}, render=True)
    gr.Button().click(lambda n: n + 1, plain, plain)
with gr.Blocks(delete_cache=(3, 4)) as careful:
    gr.Textbox()
chat = gr.ChatInterface(lambda message, history: message)
refused = None
try:
    gr.State(1, no_such_parameter=2)
except TypeError as error:
    refused = str(error)
demo.launch(prevent_thread_lock=True, quiet=True, state_session_capacity=5000)
answer = {
    "ttl": [s.time_to_live for s in (plain, own, other)],
    "delete_cache": [b.delete_cache for b in (demo, careful, chat)],
    "capacity": demo.app.state_holder.capacity,
    "seen": "GRADSOAK_SETTINGS" in os.environ,
    "refused": refused,
}
demo.close()
"""


def run(script: str, settings: object, cwd: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", BOOT.format(probe=str(PROBE)) + textwrap.dedent(script)],
        env={
            **os.environ,
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "GRADSOAK_SETTINGS": settings if isinstance(settings, str) else json.dumps(settings),
        },
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


PRINT = "print(json.dumps({**answer, 'applied': settings.applied, 'overridden': launch.overridden}))"


@pytest.mark.slow
def test_they_arrive_in_a_real_app(tmp_path: Path) -> None:
    wanted = {"time_to_live": 60, "delete_cache": [5, 10], "state_session_capacity": 12}
    found = run(GRADIO_APP + PRINT, wanted, tmp_path)
    assert found["ttl"] == [60, 7, 60]
    assert found["delete_cache"] == [[5, 10], [3, 4], [5, 10]]
    assert found["capacity"] == 12
    assert found["seen"] is False
    assert "no_such_parameter" in found["refused"]
    # Of State, those of the chat count as well.
    assert found["applied"]["time_to_live"] >= 2
    assert found["applied"]["state_session_capacity"] == 1
    assert found["overridden"] == {"state_session_capacity": "5000"}


@pytest.mark.parametrize("settings", ["", "{}", "no json", "[1]"])
def test_without_any_the_app_is_as_it_is(settings: str, tmp_path: Path) -> None:
    (tmp_path / "gradio").mkdir()
    (tmp_path / "gradio" / "__init__.py").write_text("")
    (tmp_path / "gradio" / "blocks.py").write_text(
        "class Blocks:\n    def __init__(self, delete_cache=None):\n        self.delete_cache = delete_cache\n"
        "    def launch(self, server_port=None):\n        pass\n"
    )
    script = """
    sys.path.insert(0, os.getcwd())
    from gradio.blocks import Blocks
    answer = {"delete_cache": Blocks().delete_cache, "seen": "GRADSOAK_SETTINGS" in os.environ}
    """
    found = run(textwrap.dedent(script) + PRINT, settings, tmp_path)
    assert found == {"delete_cache": None, "seen": False, "applied": {}, "overridden": {}}


FAKE = {
    "__init__.py": "",
    "components/__init__.py": "",
    "components/state.py": "class State:\n    def __init__(self, value=None, *, time_to_live=None):\n        self.ttl = time_to_live\n",
    "blocks.py": """
class Blocks:
    def __init__(self, title="t", delete_cache=None, **more):
        self.title, self.delete_cache, self.more = title, delete_cache, more
    def launch(self, server_port=None, state_session_capacity=10000):
        self.capacity = state_session_capacity
class Interface(Blocks):
    def __init__(self, delete_cache=None):
        super().__init__("interface", delete_cache, mode="interface")
""",
}


def test_only_what_the_app_does_not_set_itself_is_set(tmp_path: Path) -> None:
    for name, text in FAKE.items():
        path = tmp_path / "gradio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = """
    sys.path.insert(0, os.getcwd())
    from gradio.blocks import Blocks, Interface
    from gradio.components.state import State
    made = [Blocks("x"), Blocks("y", (3, 4), css=""), Interface()]
    made[0].launch()
    try:
        State(nonsense=1)
    except TypeError as error:
        refused = str(error)
    answer = {
        "ttl": [State().ttl, State(1, time_to_live=7).ttl, State(2, time_to_live=None).ttl],
        "delete_cache": [blocks.delete_cache for blocks in made],
        "more": [blocks.more for blocks in made],
        "capacity": made[0].capacity,
        "refused": refused,
    }
    """
    wanted = {"time_to_live": 60, "delete_cache": [5, 10], "state_session_capacity": 12}
    found = run(textwrap.dedent(script) + PRINT, wanted, tmp_path)
    assert found["ttl"] == [60, 7, 60]
    assert found["delete_cache"] == [[5, 10], [3, 4], [5, 10]]
    assert found["more"] == [{}, {"css": ""}, {"mode": "interface"}]
    assert found["capacity"] == 12
    assert "unexpected keyword argument 'nonsense'" in found["refused"]
    assert found["applied"] == {"time_to_live": 2, "delete_cache": 2, "state_session_capacity": 1}


def test_a_release_without_the_settings_is_unchanged_and_reports_it(tmp_path: Path) -> None:
    (tmp_path / "gradio").mkdir()
    (tmp_path / "gradio" / "__init__.py").write_text("")
    (tmp_path / "gradio" / "blocks.py").write_text(
        "class Blocks:\n    def __init__(self, title='t'):\n        self.title = title\n"
        "    def launch(self, server_port=None):\n        self.port = server_port\n"
    )
    script = """
    sys.path.insert(0, os.getcwd())
    from gradio.blocks import Blocks
    blocks = Blocks("x")
    blocks.launch()
    answer = {"title": blocks.title, "launched": blocks.port == launch.port}
    """
    wanted = {"time_to_live": 60, "delete_cache": [5, 10], "state_session_capacity": 12}
    found = run(textwrap.dedent(script) + PRINT, wanted, tmp_path)
    assert (found["title"], found["launched"]) == ("x", True)
    assert found["applied"] == {"time_to_live": 0, "delete_cache": 0, "state_session_capacity": 0}
