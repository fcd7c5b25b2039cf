"""`--what-if`: the same run again with one setting changed, and what it gained."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.app_under_test.allocators import find_jemalloc, starts_with
from harness.errors import UsageError
from harness.run_dir import RunDir
from tests.integration.cli import entered, gradsoak, interrupted

# Each session keeps 200 KB in gr.State; what the environment holds can be read off a file.
APP = """
import json, os
from pathlib import Path
import gradio as gr

KEPT = int(os.environ.get("KEPT", "200000"))
if os.environ.get("FAIL"):
    raise SystemExit(3)
names = ("MALLOC_ARENA_MAX", "LD_PRELOAD", "GRADSOAK_SETTINGS", "KEPT")
with open("seen", "a") as file:
    file.write(json.dumps({name: os.environ.get(name) for name in names}) + "\\n")

def click(label, count, clicks, ballast):
    count, clicks = count + 1, [*clicks, label]
    return count, clicks, bytes(KEPT), count, clicks

with gr.Blocks() as demo:
    count, clicks, ballast = gr.State(0), gr.State([]), gr.State(b"")
    label, total, log = gr.Textbox(label="Label"), gr.Number(label="Total"), gr.JSON(label="Clicks")
    gr.Button("Count").click(click, [label, count, clicks, ballast], [count, clicks, ballast, total, log], api_name="click")

demo.launch()
"""
PARAMS = '[params]\nKEPT = 200000\nFAIL = ""\n'


def advice_of(done: Any) -> dict[str, dict[str, Any]]:
    return {advice["setting"]: advice for advice in done.json()["figures"]["advice"]}


def test_what_cannot_be_tried_is_refused_before_anything_is_started(
    make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    scenario = make_scenario(APP, settings=PARAMS)
    for setting, says in (
        ("time_to_life=3", "Did you mean time_to_live?"),
        ("jemalloc=/nowhere.so", "apt-get install libjemalloc2"),
    ):
        done = gradsoak(
            "run",
            scenario,
            "--what-if",
            "KEPT=5",
            "--what-if",
            setting,
            "--out",
            tmp_path / "run",
            cwd=tmp_path,
        )
        assert done.code == 2
        assert says in " ".join(done.err.split())
    assert not (tmp_path / "run").exists()
    assert not (scenario / "seen").exists()


@pytest.mark.slow
def test_state_is_gained_by_a_time_to_live_by_a_parameter_and_by_nothing_that_fails(
    make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    scenario = make_scenario(APP, settings=PARAMS, growth=True)
    run = tmp_path / "run"
    done = gradsoak(
        "run", scenario, "--seed", "5", "--what-if", "time_to_live=2", "--what-if", "KEPT=1000", "--what-if", "FAIL=1",
        "--what-if", "MALLOC_ARENA_MAX=2", "--out", run, "--json", cwd=tmp_path, timeout_s=400,
    )  # fmt: skip
    # What becomes of the other runs is no matter of this one's verdict.
    assert done.code == 0, done.err
    assert done.json()["verdict"] == "pass"
    advice = advice_of(done)
    ttl = advice["time_to_live=2"]
    assert ttl["gain"]["clear"], ttl
    assert ttl["gain"]["before_bytes"] - ttl["gain"]["after_bytes"] == pytest.approx(200_000, rel=0.15)
    assert "lost or mixed up state" in ttl["evidence"]
    kept = advice["KEPT=1000"]
    assert kept["gain"]["clear"], kept
    assert kept["gain"]["figure"] == "live heap per open session"
    assert kept["gain"]["before_bytes"] - kept["gain"]["after_bytes"] == pytest.approx(199_000, rel=0.1)
    assert "FAIL=1" not in advice
    (warning,) = [w for w in done.json()["figures"]["warnings"] if "FAIL=1" in w]
    assert "ended early" in warning
    assert "exit" in warning or "code 3" in warning
    # Each is a run of its own, with a report of its own, of the same experiment.
    whole = RunDir(run)
    for name, setting in (
        ("time_to_live=2", "time_to_live=2"),
        ("KEPT=1000", "KEPT=1000"),
        ("FAIL=1", "FAIL=1"),
    ):
        follow_up = whole.follow_up(f"what-if/{name}")
        assert follow_up is not None
        manifest = follow_up.manifest()
        assert (manifest.what_if, manifest.purpose, manifest.seed) == (setting, "what-if", 5)
        assert manifest.profile == whole.manifest().profile
        assert (follow_up.path / "derived" / "report.html").is_file()
    ttl_run = whole.follow_up("what-if/time_to_live=2")
    assert ttl_run is not None
    assert ttl_run.manifest().environment == {"GRADSOAK_SETTINGS": '{"time_to_live": 2}'}
    ready = next(event for event in ttl_run.events() if event.kind == "target_ready")
    assert ready.detail["settings"] == {"time_to_live": 3}
    assert [p.label for p in whole.plateaus()].count("idle") == 1
    # What reached the app's own environment; the settings did not.
    seen = (scenario / "seen").read_text().splitlines()
    assert '"MALLOC_ARENA_MAX": "2"' in seen[-1]
    assert '"KEPT": "1000"' in seen[2]
    assert all('"GRADSOAK_SETTINGS": null' in line for line in seen)
    assert "MALLOC_ARENA_MAX=2" in advice
    # Concluded again, from the files alone, it is the same.
    again = gradsoak("report", run, "--json", cwd=tmp_path)
    assert advice_of(again) == advice


@pytest.mark.slow
def test_closed_sessions_are_gained_by_a_capacity(make_scenario: Callable[..., Path], tmp_path: Path) -> None:
    scenario = make_scenario(APP, settings=PARAMS, growth=True)
    run = tmp_path / "run"
    done = gradsoak(
        "run", scenario, "--no-compress-ttl", "--what-if", "state_session_capacity=15", "--out", run, "--json",
        cwd=tmp_path, timeout_s=300,
    )  # fmt: skip
    assert done.code == 0, done.err
    gain = advice_of(done)["state_session_capacity=15"]["gain"]
    assert gain["clear"], gain
    assert gain["after_bytes"] < gain["before_bytes"]
    tried = RunDir(run).follow_up("what-if/state_session_capacity=15")
    assert tried is not None
    limits = next(event for event in tried.events() if event.kind == "limits")
    assert limits.detail["state_session_capacity"] == 15
    assert tried.plateaus()[-1].probe.sessions == 15


@pytest.mark.slow
def test_under_jemalloc_live_bytes_are_those_of_the_objects(
    make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    try:
        library = find_jemalloc(None, lambda path: starts_with(sys.executable, path))
    except UsageError as error:
        pytest.skip(f"{error.message} {error.hint}")
    scenario = make_scenario(APP, settings=PARAMS, growth=True)
    run = tmp_path / "run"
    done = gradsoak(
        "run", scenario, "--what-if", "jemalloc", "--out", run, "--json", cwd=tmp_path, timeout_s=300
    )
    assert done.code == 0, done.err
    gain = advice_of(done)["jemalloc"]["gain"]
    assert gain["figure"].startswith("resident memory")
    assert f'"LD_PRELOAD": "{library}"' in (scenario / "seen").read_text().splitlines()[-1]
    tried = RunDir(run).follow_up("what-if/jemalloc")
    assert tried is not None
    stairs = [p for p in tried.plateaus() if p.label == "staircase"]
    live = [p.probe.live_bytes for p in stairs]
    assert live[0] is not None
    assert live[-1] is not None
    assert live[-1] - live[0] > 0.9 * 200_000 * stairs[-1].open_sessions


@pytest.mark.slow
def test_files_are_gained_by_delete_cache(scenarios: Path, tmp_path: Path) -> None:
    scenario = shutil.copytree(scenarios / "uploads", tmp_path / "uploads")
    app = scenario / "app.py"
    assert ", delete_cache=(600, 600)" in app.read_text()
    app.write_text(app.read_text().replace(", delete_cache=(600, 600)", ""))
    done = gradsoak(
        "run", scenario, "--what-if", "delete_cache=2,2", "--out", tmp_path / "run", "--json",
        cwd=tmp_path, timeout_s=300,
    )  # fmt: skip
    gain = advice_of(done)["delete_cache=2,2"]["gain"]
    assert gain["figure"] == "names of temporary files per session"
    assert gain["clear"], gain
    # The files that were uploaded are gone. Of those that a component has cached too, Gradio finds the second name on its lists
    # without a file, and keeps it.
    assert gain["after_bytes"] < 0.8 * gain["before_bytes"]
    lengths = []
    for folder in (RunDir(tmp_path / "run"), RunDir(tmp_path / "run" / "what-if" / "delete_cache=2,2")):
        held = {c.path: c.length for c in folder.censuses()[-1].containers}
        lengths.append(held["gradio.Blocks.upload_file_set"])
    assert lengths[1] < lengths[0] / 2


@pytest.mark.slow
def test_a_what_if_that_is_interrupted_leaves_the_verdict_alone(
    make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    scenario = make_scenario(APP, settings=PARAMS)
    run = tmp_path / "run"
    code, left = interrupted(
        "run", scenario, "--what-if", "KEPT=5", "--what-if", "KEPT=7", "--out", run,
        cwd=tmp_path, when=entered(run / "what-if" / "KEPT=5", "staircase"), how=signal.SIGINT,
    )  # fmt: skip
    assert (code, left) == (0, [])
    assert RunDir(run).checks().verdict == "pass"
    assert "interrupted" in (run / "derived" / "report.html").read_text()
    assert RunDir(run).what_ifs() == ["what-if/KEPT=5"]
