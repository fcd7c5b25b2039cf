"""The traced window, around an app in a process of its own that is no Gradio: which lines allocated what it keeps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.analysis.memory.allocation_sites import MAX_FRAMES, join
from harness.app_under_test.probe_client import ProbeClient
from harness.probe import allocation_tracing
from harness.records import Attribution
from harness.runs import memray_pass, memray_results
from tests.hostile import hostile_folder
from tests.unit.probe.test_heap import other_pythons
from tests.unit.probe.test_server import FAKE_GRADIO, MAIN

# Keeps so much for every line that it reads: 256 bytes, a dict under a new key, and a buffer.
APP = """
import collections, sys, threading, uuid
import gradio

BYTES, VISITORS, LAST, TEXT, EVENTS = [], {}, collections.deque(maxlen=500), "", {}

class Event:
    def __init__(self):
        self.id = uuid.uuid4().hex

def keep(number):
    BYTES.append(bytes(256))
    VISITORS[f"visitor {number}"] = dict(
        number=number)
    LAST.append(
        [number])
    EVENTS[str(number)] = None
    EVENTS[str(number)] = (Event())

def write():
    global TEXT
    TEXT = "x" * 100_000

def serve():
    number = 0
    for line in sys.stdin:
        for _ in range(int(line)):
            number += 1
            keep(number)
        write()
        # Python reuses these for the next dict, list or tuple.
        [dict(number=number) for number in range(200)], [[number] for number in range(200)], [(number,) for number in range(200)]
        print("done", flush=True)

threading.Thread(target=serve, daemon=True).start()
gradio.Blocks().launch()
"""
GROWN = ["app.BYTES", "app.EVENTS", "app.LAST", "app.TEXT", "app.VISITORS"]


def at(text: str, function: str) -> str:
    line = next(n for n, line in enumerate(APP.splitlines(), 1) if text in line)
    return f"app.py:{line} in {function}"


AT_BYTES, AT_DICT, AT_LIST = at("BYTES.append(", "keep"), at("= dict(", "keep"), at("[number])", "keep")
AT_EVENT, AT_TEXT = at("(Event())", "keep"), at('"x" *', "write")


class App:
    def __init__(self, process: subprocess.Popen[str], client: ProbeClient, folder: Path) -> None:
        self.process, self.client, self.folder = process, client, folder
        self.file = folder / "memray.bin"

    def keep(self, number: int) -> None:
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def attribution(self) -> Attribution:
        capture = memray_results.read_capture(self.file, self.folder)
        answer = self.client.traced_entries(GROWN)["entries"]
        entries = memray_results.read_entries(answer, capture, self.folder)
        return join(
            capture.allocations, entries,
            total_bytes=capture.total_bytes, sessions=0, requests=0, flame_graph=None,
        )  # fmt: skip


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], App]]:
    processes = []

    def begin(python: str) -> App:
        for name, text in {**FAKE_GRADIO, "app.py": APP}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        process = subprocess.Popen(
            [python, str(MAIN), str(tmp_path / "probe.sock"), str(tmp_path / "app.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        process.stdout.readline()  # what it was launched with
        client = ProbeClient(tmp_path / "probe.sock", timeout_s=60)
        assert client.connect()
        return App(process, client, tmp_path)

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


# Ours, where memray is installed; and the one that ours was made from, which has none and is lent ours.
@pytest.mark.parametrize("python", sorted({sys.executable, sys._base_executable}))
def test_lines_and_containers_are_named_to_the_byte(start: Callable[[str], App], python: str) -> None:
    app = start(python)
    app.keep(50)
    assert "error" not in app.client.start_trace(app.file, MAX_FRAMES, memray_pass.lent_memray())
    app.keep(200)
    app.client.settle()
    app.client.settle()
    assert "error" not in app.client.stop_trace()
    app.keep(30)  # memray has seen none of these
    attribution = app.attribution()
    sites = {site.where: site for site in attribution.sites}
    kept = sites[AT_BYTES]
    assert kept.held_by == ["app.BYTES"]
    # 256 bytes, and 33 that an object takes; besides it the list itself, which moved when it grew.
    assert kept.bytes - 289 * 200 in range(8 * 500)
    assert attribution.allocated_at == {
        "app.BYTES": [AT_BYTES],
        # Where it was made, not where its id was; on CPython 3.11 tracemalloc alone would not tell.
        "app.EVENTS": [AT_EVENT],
        "app.LAST": [AT_LIST],
        "app.TEXT": [AT_TEXT],
        "app.VISITORS": [AT_DICT],
    }
    # tracemalloc was on, so these are known by their entries; and nothing that was there before is.
    assert sites[AT_BYTES].held_entries == 230
    assert 225 <= sites[AT_DICT].held_entries <= 230
    assert sites[AT_TEXT].held_bytes == 100_049
    # The probe worked meanwhile, and counts for nothing.
    assert not any("probe" in site.where or "tracemalloc" in site.where for site in attribution.sites)
    assert attribution.total_bytes == sum(site.bytes for site in attribution.sites)
    app.client.end_trace()
    assert app.client.traced_entries(GROWN) == {"error": "allocations are not traced"}


@pytest.mark.parametrize("python", sorted({sys.executable, sys._base_executable}))
def test_files_of_the_app_hide_no_module_that_tracing_needs(
    start: Callable[[str], App], python: str, tmp_path: Path
) -> None:
    app = start(python)
    hostile_folder(tmp_path, ["memray", "rich", "colorsys"])
    assert "error" not in app.client.start_trace(app.file, MAX_FRAMES, memray_pass.lent_memray())
    app.keep(10)
    assert "error" not in app.client.stop_trace()


def test_a_second_window_is_a_window_of_its_own(start: Callable[[str], App]) -> None:
    app = start(sys.executable)
    lent = memray_pass.lent_memray()
    app.client.start_trace(app.file, MAX_FRAMES, lent)
    assert app.client.start_trace(app.file, MAX_FRAMES, lent) == {"error": "a tracker is on already"}
    app.keep(10)
    app.client.stop_trace()
    app.client.end_trace()
    assert app.client.stop_trace() == {"error": "no tracker is on"}
    # memray overwrites nothing, and after that failure nothing is left switched on.
    assert "error" in app.client.start_trace(app.file, MAX_FRAMES, lent)
    assert app.client.traced_entries(GROWN) == {"error": "allocations are not traced"}
    app.file.unlink()
    app.client.start_trace(app.file, MAX_FRAMES, lent)
    app.keep(100)
    app.client.stop_trace()
    attribution = app.attribution()
    entries = {s.where: s.held_entries for s in attribution.sites}
    assert entries[AT_BYTES] == 100
    # Of the objects that Python reuses, only those freed since the window began have no trace.
    assert min(entries[AT_DICT], entries[AT_LIST]) >= 95


def test_without_a_fitting_memray_the_app_goes_on_and_the_message_says_what_to_install(
    start: Callable[[str], App],
) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.9 on is installed here")
    app = start(pythons[0])
    answer = app.client.start_trace(app.file, MAX_FRAMES, memray_pass.lent_memray())
    assert answer["missing"]
    message = memray_pass.why_missing("/opt/app/bin/python", answer["error"])
    assert "No module named 'memray'" in message
    assert "`/opt/app/bin/python -m pip install memray==" in message
    app.keep(1)


def test_only_lent_packages_can_be_imported_from_the_folder() -> None:
    """And all that memray imports is lent, or in the standard library: a process without our packages can import it."""
    lent = memray_pass.lent_memray()
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import importlib.util as u, json\n"
        "spec = u.spec_from_file_location('_p', sys.argv[1] + '/__init__.py', submodule_search_locations=[sys.argv[1]])\n"
        "m = u.module_from_spec(spec); sys.modules['_p'] = m; spec.loader.exec_module(m); del sys.path[0]\n"
        "from _p import allocation_tracing\n"
        "memray = allocation_tracing.load_memray(json.loads(sys.argv[2]))\n"
        "assert memray.Tracker\n"
        "import rich\n"
        "try:\n    import numpy\nexcept ImportError:\n    print('ok', memray.__file__)\n"
    )
    import json

    done = subprocess.run(
        [sys._base_executable, "-I", "-S", "-c", script, str(Path(allocation_tracing.__file__).parent), json.dumps(lent)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(f"ok {lent['folder']}"), done.stderr
