"""Times on real parts: a slow app under both load models, a generator that is kept busy on purpose, a streaming app."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.records import Invoke, Ok
from harness.run_dir import RunDir
from tests.integration.cli import Done, gradsoak
from tests.integration.outside import LAUNCH, running_app

APP = """
import os, sys, time
import gradio as gr

def quick(count):
    return count + 1, count + 1

def slow(count):
    time.sleep(0.3)
    return count + 1, count + 1

def write(count):
    yield count, "first"
    time.sleep(0.15)
    yield count, "second"
    time.sleep(0.15)
    yield count + 1, str(count + 1)

with gr.Blocks() as demo:
    count = gr.State(0)
    total, text = gr.Number(), gr.Textbox()
    gr.Button("Quick").click(quick, count, [count, total], api_name="quick")
    gr.Button("Slow").click(slow, count, [count, total], api_name="slow")
    gr.Button("Write").click(write, count, [count, text], api_name="write", concurrency_limit=20)
"""

WORKLOAD = """
import time
from harness.workload import Workload, action, counter, increment

class Visitor(Workload):
    state = {"count": counter()}

    @action
    def click(self):
        end = time.process_time() + BUSY_S
        while time.process_time() < end:
            pass
        with self.operation("click", count=increment()) as seen:
            seen["count"] = int(self.page.call("/ENDPOINT"))
"""


def workload(endpoint: str, busy_s: float = 0.0) -> str:
    return WORKLOAD.replace("ENDPOINT", endpoint).replace("BUSY_S", str(busy_s))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of that app, which all tests leave as it was."""
    with running_app(tmp_path_factory.mktemp("app"), source=APP + LAUNCH) as (address, _):
        yield address


def figures(run: Path) -> dict[str, Any]:
    return json.loads((run / "derived/analysis.json").read_bytes())


def under_load(run: Path) -> tuple[list[Invoke], dict[int, Ok]]:
    """The operations of the workload in the timed phase."""
    records = RunDir.open(run).history()[0]["0"]
    clicks = [r for r in records if isinstance(r, Invoke) and r.phase == "load" and r.action == "click"]
    return clicks, {r.id: r for r in records if isinstance(r, Ok)}


@pytest.mark.xdist_group("time")
def test_the_open_model_shows_delays_that_the_closed_model_hides(
    make_scenario, url: str, tmp_path: Path
) -> None:
    """0.3 s of work, one at a time: 3.3 per second. Ten per second arrive, and six may wait."""
    scenario = make_scenario(None, workload=workload("slow"))
    few = ("--url", url, "--levels", "4", "--sessions-per-level", "1", "--duration", "3s", "--seed", "1")
    closed = gradsoak("run", scenario, "--users", "1", *few, "--out", "closed", "--json", cwd=tmp_path)
    opened = gradsoak(
        "run", scenario, "--arrival-rate", "10", "--arrivals", "uniform", "--max-in-flight", "6", *few,
        "--out", "open", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert (closed.code, opened.code) == (0, 0), closed.err + opened.err
    hidden, shown = closed.json()["figures"], opened.json()["figures"]
    assert (hidden["model"], shown["model"]) == ("closed", "open")
    assert hidden["latency_ms"]["click"]["p50"] >= 300
    assert shown["latency_ms"]["click"]["p50"] > 2 * hidden["latency_ms"]["click"]["p50"]

    # The time is spent in the queue, not in the app's function.
    stages = shown["stages_ms"]["click"]
    assert stages["queue_wait"]["p50"] > 2 * stages["service"]["p50"]
    assert stages["service"]["p50"] >= 300
    mean = stages["mean"]
    assert mean["queue_wait"] > 0.5 * sum(mean[part] for part in mean if part != "count")
    # It grows with the queue: the first arrival does not wait.
    clicks, done = under_load(tmp_path / "open")
    took_ms = [(done[c.id].time_ns - (c.intended_ns or 0)) / 1e6 for c in clicks if c.id in done]
    assert max(took_ms) > 2 * took_ms[0]
    assert max(took_ms) > 1500

    # All arrivals are counted: 10 per second for 3 seconds.
    arrivals = shown["arrivals"]
    assert arrivals["total"] == 30 == arrivals["started"] + arrivals["dropped"]
    assert arrivals["started"] == len(clicks) == shown["latency_ms"]["click"]["count"]
    assert arrivals["dropped"] >= 8
    (event,) = [e for e in RunDir.open(tmp_path / "open").events() if e.kind == "arrivals"]
    assert event.detail == {name: arrivals[name] for name in ("total", "started", "dropped")}
    assert any(f"{arrivals['dropped']} of 30 arrivals were dropped" in w for w in shown["warnings"])
    # The schedule does not depend on the server.
    begin = min(c.intended_ns or 0 for c in clicks)
    assert all(((c.intended_ns or 0) - begin) % 100_000_000 == 0 for c in clicks)
    assert all(c.time_ns >= (c.intended_ns or 0) for c in clicks)
    assert len({c.session for c in clicks}) <= 30
    report = (tmp_path / "open/derived/report.html").read_text()
    assert "Open model" in report
    assert f"{arrivals['dropped']} were dropped" in report


@pytest.mark.xdist_group("time")
def test_a_generator_that_is_kept_busy_makes_the_run_inconclusive(
    make_scenario, url: str, tmp_path: Path
) -> None:
    scenario = make_scenario(None, workload=workload("quick", busy_s=0.2))
    # Long enough for its lag to be measured often, which a busy generator cannot do at the usual interval.
    load = ("--url", url, "--duration", "3s", "--seed", "1")
    done = gradsoak("run", scenario, *load, "--out", "run", "--json", cwd=tmp_path)
    assert done.code == 3, done.err
    result = done.json()
    assert result["verdict"] == "inconclusive"
    assert result["checks"]["load-generator"] == "inconclusive"
    assert result["checks"]["cross-session-read"] == result["checks"]["completeness"] == "pass"
    check = next(c for c in RunDir.open(tmp_path / "run").checks().checks if c.name == "load-generator")
    assert check.evidence["lag_p95_ms"] > 50 or check.evidence["cpu_percent"] >= 90
    assert result["figures"]["warnings"][0] == check.reason
    assert "--workers" in check.reason
    html = (tmp_path / "run/derived/report.html").read_text()
    assert "INCONCLUSIVE" in html
    assert "These times are doubtful" in html
    again = gradsoak("report", "run", cwd=tmp_path)
    check_terminal(again)


def check_terminal(done: Done) -> None:
    assert done.code == 3
    assert "INCONCLUSIVE" in done.out
    (line,) = [line for line in done.out.splitlines() if line.startswith("click (ms)")]
    assert line.rstrip().endswith("doubtful")


@pytest.mark.slow
def test_a_leak_found_by_a_busy_generator_stays_found(make_scenario, scenarios: Path, tmp_path: Path) -> None:
    busy = (scenarios / "counters/workload.py").read_text()
    busy = "import time\n" + busy.replace(
        "        label = self.token()\n",
        "        label = self.token()\n        end = time.process_time() + 0.2\n"
        "        while time.process_time() < end:\n            pass\n",
    )
    scenario = make_scenario((scenarios / "counters_global/app.py").read_text(), workload=busy)
    done = gradsoak("run", scenario, "--seed", "1", "--out", "run", "--json", cwd=tmp_path)
    assert done.code == 1, done.err
    assert done.json()["verdict"] == "fail"
    assert done.json()["checks"]["load-generator"] == "inconclusive"
    assert "bottleneck" in done.json()["figures"]["warnings"][0]


@pytest.mark.xdist_group("time")
def test_a_streaming_app_has_a_first_output_long_before_its_result(
    make_scenario, url: str, tmp_path: Path
) -> None:
    scenario = make_scenario(None, workload=workload("write"))
    done = gradsoak("run", scenario, "--url", url, "--seed", "1", "--out", "run", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    clicks, completed = under_load(tmp_path / "run")
    answers = [completed[c.id] for c in clicks if c.id in completed]
    assert answers
    for answer in answers:
        assert answer.first_output_ns is not None
        assert answer.started_ns is not None
        assert answer.started_ns <= answer.first_output_ns < answer.time_ns - 200_000_000
        assert len(answer.event_ids) == 1
    assert len({event for answer in answers for event in answer.event_ids}) == len(answers)
    shown = done.json()["figures"]
    stages = shown["stages_ms"]["click"]
    assert stages["first_output"]["p50"] < shown["latency_ms"]["click"]["p50"] - 200
    assert stages["service"]["p50"] >= 300


def test_settings_of_both_models_at_once_are_refused(tmp_path: Path) -> None:
    for arguments, name in (
        (("--arrival-rate", "5", "--users", "3"), "--users"),
        (("--arrivals", "uniform"), "--arrivals"),
        (("--arrival-rate", "5", "--arrivals", "slowly"), "slowly"),
        (("--arrival-rate", "0"), "--arrival-rate 0 is not possible"),
    ):
        done = gradsoak("run", "counters", *arguments, "--out", "run", cwd=tmp_path)
        assert done.code == 2
        assert name in done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "run").exists()
