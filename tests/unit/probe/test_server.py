"""The probe, in a process of its own, around apps that are not Gradio: it must answer, and break nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.app_under_test.probe_client import ProbeClient
from tests.unit.probe.test_heap import other_pythons

MAIN = Path(__file__).resolve().parents[3] / "harness" / "probe" / "__main__.py"

FAKE_GRADIO = {
    "gradio/__init__.py": "__version__ = '0.0.fake'\nfrom gradio.blocks import Blocks\n",
    "gradio/blocks.py": """
import json
class Blocks:
    def launch(self, inline=None, inbrowser=False, share=None, server_name=None, server_port=None, quiet=False):
        print(json.dumps({"server_name": server_name, "server_port": server_port, "share": share, "inbrowser": inbrowser}), flush=True)
        import time
        time.sleep(600)
""",
}


@pytest.fixture
def start(tmp_path: Path):
    processes: list[subprocess.Popen[str]] = []

    def begin(app: str, python: str = sys.executable, files: dict[str, str] = FAKE_GRADIO):
        for name, text in {**files, "app.py": app}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        path = tmp_path / "probe.sock"
        path.unlink(missing_ok=True)
        process = subprocess.Popen(
            [python, str(MAIN), str(path), str(tmp_path / "app.py")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        client = ProbeClient(path, timeout_s=30)
        deadline = time.monotonic() + 30
        while not client.connect() and time.monotonic() < deadline and process.poll() is None:
            pass
        return process, client, path

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    "launch", ["demo.launch(share=True, server_name='0.0.0.0', server_port=7860)", "demo.launch()", ""]
)
def test_an_app_stays_on_loopback_even_if_it_asks_for_more(start, launch: str) -> None:
    process, client, _ = start(f"import gradio\ndemo = gradio.Blocks()\n{launch}\n")
    asked = json.loads(process.stdout.readline())
    hello = client.hello()
    assert asked["server_name"] == "127.0.0.1"
    assert asked["share"] is False
    assert asked["server_port"] == hello["port"] not in (None, 7860)
    assert hello["gradio"] == "0.0.fake"
    if "share" in launch:
        assert set(hello["overridden"]) == {"share", "server_name"}


def test_where_gradios_internals_differ_the_answers_are_null(start) -> None:
    _, client, _ = start("import gradio\ngradio.Blocks().launch()\n")
    assert client.measure().sessions is None
    assert client.limits().state_session_capacity is None
    assert client.settle().sessions is None


BUSY_APP = """
import gradio, json, os
print(json.dumps({}), flush=True)
demo = gradio.Blocks()
junk = [[] for _ in range(300_000)]  # so many objects that counting them all is interrupted by other threads
# What importing a large library does all the time: build tuples piece by piece, with other threads in between.
while not os.path.exists(__file__ + ".asked"):
    for _ in range(1000):
        tuple(str(i) for i in range(30))
print("whole", flush=True)
"""


def test_asking_does_not_break_what_the_app_is_building(start, tmp_path: Path) -> None:
    process, client, _ = start(BUSY_APP)
    process.stdout.readline()
    for _ in range(200):
        client.measure()
        assert client.hello()["port"] is None
    (tmp_path / "app.py.asked").touch()
    assert process.stdout.readline() == "whole\n"


def test_the_socket_is_for_its_owner_alone(start) -> None:
    _, _, path = start("import gradio\ngradio.Blocks().launch()\n")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_nonsense_is_answered_and_the_app_lives_on(start) -> None:
    process, client, path = start("import gradio\ngradio.Blocks().launch()\n")
    client.close()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        stream = connection.makefile("rwb")
        for nonsense in (b"not json\n", b'{"ask": "sudo"}\n', b"[]\n"):
            stream.write(nonsense)
            stream.flush()
            assert "error" in json.loads(stream.readline())
        stream.close()
    assert client.hello()["pid"] == process.pid


def test_the_app_sees_its_own_world(start) -> None:
    app = "import sys, os\nprint(__name__, os.path.basename(__file__), os.path.basename(sys.argv[0]), len(sys.argv), 'heap' in sys.modules)\ntry:\n    import heap\nexcept ImportError:\n    print('clean')\n"
    process, _, _ = start(app)
    assert process.communicate()[0].splitlines()[:2] == ["__main__ app.py app.py 1 False", "clean"]


def test_an_app_without_blocks_says_what_is_missing(start) -> None:
    process, _, _ = start("import gradio\n")
    output = process.communicate()[0]
    assert "defines no Gradio app" in output
    assert process.returncode == 1


def test_several_unlaunched_apps_are_not_guessed_at(start) -> None:
    process, _, _ = start("import gradio\na, b = gradio.Blocks(), gradio.Blocks()\n")
    assert "several Gradio apps (a, b)" in process.communicate()[0]


HANDLER = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(print('cleaned up')))\n"


@pytest.mark.parametrize(("app", "status"), [("", -15), (HANDLER, 0)])
def test_sigterm_is_the_apps_own_business_as_it_is_without_us(start, app: str, status: int) -> None:
    process, client, _ = start(f"{app}import gradio\ngradio.Blocks().launch()\n")
    while client.hello()["port"] is None:
        pass
    process.terminate()
    output = process.communicate()[0]
    assert process.returncode == status
    assert ("cleaned up" in output) == bool(app)


def test_the_probe_runs_on_other_python_versions(start) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.9 on is installed here")
    for python in pythons:
        process, client, _ = start("import gradio\nLOG = [[1], [2, 3]]\ngradio.Blocks().launch()\n", python)
        assert json.loads(process.stdout.readline())["server_name"] == "127.0.0.1", python
        sample = client.settle()
        assert sample.live_bytes is None or sample.live_bytes > 10**5
        census = client.census(3)
        assert census is not None, python
        assert census.plateau == 3
        assert {c.path: c.length for c in census.containers} == {"app.LOG": 2, "app.LOG[*]": 3}
        client.close()


GROWING_APP = """
import gradio, signal
class Turn:
    def __init__(self): self.text = "x" * 10_000 + str(len(LOG))
LOG = []
def grow(*_):
    LOG.extend([Turn(), Turn()])
grow()
signal.signal(signal.SIGUSR1, grow)
gradio.Blocks().launch()
"""


def test_what_grew_is_explained_on_every_python_version(start) -> None:
    for python in [sys.executable, *other_pythons()]:
        process, client, _ = start(GROWING_APP, python)
        assert json.loads(process.stdout.readline())["server_name"] == "127.0.0.1", python
        assert client.retainers() == []
        first = client.census(0)
        assert first is not None
        assert (first.types["app.Turn"], first.state) == (2, None), python
        os.kill(process.pid, signal.SIGUSR1)
        later = client.census(1)
        while later.types.get("app.Turn") != 4:
            later = client.census(1)
        # Nothing else has become more: the probe leaves no objects of its own.
        assert {name for name in later.types if later.types[name] > first.types.get(name, 0)} <= {
            "app.Turn",
            "tuple",
        }
        assert len(later.types) < 20, python
        found = {retainer.target: retainer for retainer in client.retainers()}
        assert set(found) == {"app.LOG", "app.LOG[*].text", "app.Turn"}, python
        log, turn = found["app.LOG"], found["app.Turn"]
        assert (log.of, log.before, log.now, log.exact) == ("container", 2, 4, True), python
        assert log.holders[0].chain == ["app: module", ".LOG: list", "[*]: app.Turn", ".text: str"], python
        assert (turn.of, turn.before, turn.now, turn.exact) == ("type", 2, 4, True), python
        assert [(h.chain, h.count) for h in turn.holders] == [
            (["app: module", ".LOG: list", "[*]: app.Turn"], 4)
        ]
        for retainer in (log, turn):
            assert retainer.pinned_bytes == pytest.approx(4 * 10_100, rel=0.1), python
        client.close()
