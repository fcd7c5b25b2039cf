"""A run with `--memray`: the planted leaks are named by line, and what goes wrong in that pass takes nothing from the run."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.run_dir import ATTRIBUTION, MEMRAY_FILE
from tests.integration.cli import entered, gradsoak, interrupted

# Each takes a whole run, and a pass beside it.
pytestmark = pytest.mark.slow

# What the run itself came to, on a machine that may be too busy for its load generator; not that an app failed, or an interruption.
KEPT = (ExitCode.PASS, ExitCode.UNKNOWN)

# Keeps 256 bytes of every request. What a handler does as soon as it is traced is up to each test.
APP = """
import os, sys
import gradio as gr

KEPT = []

def click(label, count, clicks):
    if "memray" in sys.modules:
        {traced}
    KEPT.append(bytes(256))
    count, clicks = count + 1, [*clicks, label]
    return count, clicks, count, clicks

with gr.Blocks() as demo:
    count, clicks = gr.State(0), gr.State([])
    label, total, log = gr.Textbox(), gr.Number(), gr.JSON()
    gr.Button().click(click, [label, count, clicks], [count, clicks, total, log], api_name="click")

demo.launch()
"""


def app(traced: str = "pass") -> str:
    return APP.format(traced=traced)


def analysis(run: Path) -> dict[str, Any]:
    return json.loads((run / "derived/analysis.json").read_text())


def grown(run: Path, path: str) -> dict[str, Any]:
    return next(growth for growth in analysis(run)["growth"] if growth["path"] == path)


def site(run: Path, where: str) -> dict[str, Any]:
    return next(site for site in analysis(run)["attribution"]["sites"] if site["where"] == where)


def line_of(app: Path, text: str) -> int:
    return next(n for n, line in enumerate(app.read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("fault_leak_per_request", "app.REQUESTS", "REQUESTS.append("),
        ("fault_leak_per_session", "app.VISITORS", '{"since": time.time()'),
    ],
)
def test_a_planted_leak_is_named_by_its_line(
    scenarios: Path, tmp_path: Path, name: str, path: str, text: str
) -> None:
    run = tmp_path / "run"
    done = gradsoak("run", scenarios / name, "--memray", "--out", run, "--json", cwd=tmp_path)
    assert done.code == 1, done.err
    where = f"app.py:{line_of(scenarios / name / 'app.py', text)} in click"
    assert grown(run, path)["allocated_at"] == [where]
    found = analysis(run)["attribution"]
    assert found["not_measured"] is None
    held = site(run, where)
    assert held["held_by"] == [path]
    new = found["requests"] if "request" in name else found["sessions"]
    # Now and then one gets a dict that was freed in the window and allocated before it, of which nothing is known.
    assert 0 < new - max(1, new // 10) <= held["held_entries"] <= new
    # What is told was written down: it needs neither memray's file nor memray.
    (run / ATTRIBUTION / MEMRAY_FILE).unlink()
    again = gradsoak("report", run, "--json", cwd=tmp_path)
    assert again.code == 1, again.err
    assert analysis(run)["attribution"] == found
    # The pass is sealed as a run of its own, and no line of code is told by where it stands on this machine.
    assert '"completed"' in (run / ATTRIBUTION / "SEALED.json").read_text()
    assert str(scenarios) not in json.dumps(found)
    page = (run / found["flame_graph"]).read_text()
    assert "REQUESTS" in page or "click" in page
    for fetched in ('src="http', 'link rel="stylesheet" href="http', "@import"):
        assert fetched not in page


def test_256_bytes_per_request_are_seen_to_the_byte(
    make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    scenario, run = make_scenario(app(), growth=True), tmp_path / "run"
    done = gradsoak("run", scenario, "--memray", "--out", run, "--json", cwd=tmp_path)
    assert done.code == 1, done.err
    where = f"app.py:{line_of(scenario / 'app.py', 'KEPT.append')} in click"
    kept = grown(run, "app.KEPT")
    assert (kept["verdict"], kept["allocated_at"]) == ("leak-per-request", [where])
    seen, requests = site(run, where), analysis(run)["attribution"]["requests"]
    assert seen["held_entries"] == requests
    # 256, and 33 that an object takes; the list itself may have moved on the way.
    assert 289 * requests <= seen["bytes"] <= 289 * requests + 16 * kept["length"]
    # `report` draws it again from what was recorded.
    shutil.rmtree(run / "derived")
    assert gradsoak("report", run, cwd=tmp_path).code == 1
    assert grown(run, "app.KEPT")["allocated_at"] == [where]


def test_an_app_that_dies_under_the_tracker_costs_nothing_but_the_pass(
    make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    scenario, run = make_scenario(app("os._exit(7)")), tmp_path / "run"
    done = gradsoak("run", scenario, "--memray", "--out", run, "--json", cwd=tmp_path)
    assert done.code in KEPT, done.err
    assert "error" not in done.json()
    assert done.json()["checks"]["completeness"] == "pass"
    found = analysis(run)["attribution"]
    assert found["sites"] == []
    assert found["not_measured"].startswith(
        "The memray pass ended early: The app ended by itself with exit status 7"
    )


def test_a_tracker_that_is_on_already_is_told(make_scenario: Callable[..., Path], tmp_path: Path) -> None:
    """As of an app that tracks itself: memray allows one in a process."""
    text = "import memray, os\nmemray.Tracker(f'{os.getpid()}.bin').__enter__()\n" + app()
    scenario, run = make_scenario(text), tmp_path / "run"
    done = gradsoak("run", scenario, "--memray", "--out", run, "--json", cwd=tmp_path)
    assert done.code in KEPT, done.err
    assert analysis(run)["attribution"]["not_measured"].startswith(
        "memray could not be started: RuntimeError"
    )


def test_ctrl_c_in_the_pass_keeps_the_run_and_leaves_nothing_behind(
    make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    scenario, run = make_scenario(app()), tmp_path / "run"
    code, left = interrupted(
        "run", scenario, "--memray", "--out", run,
        cwd=tmp_path, when=entered(run / ATTRIBUTION, "requests"), how=signal.SIGINT,
    )  # fmt: skip
    assert code in KEPT
    assert left == []
    assert '"interrupted"' in (run / ATTRIBUTION / "SEALED.json").read_text()
    assert '"completed"' in (run / "SEALED.json").read_text()
    assert "ended early" in analysis(run)["attribution"]["not_measured"]
    assert (run / "derived/report.html").is_file()


def test_no_tracker_is_put_into_an_app_that_was_not_started_here(tmp_path: Path) -> None:
    done = gradsoak("run", "counters", "--memray", "--url", "http://127.0.0.1:9", cwd=tmp_path)
    assert done.code == 2
    assert "--memray has no meaning with --url" in done.err
