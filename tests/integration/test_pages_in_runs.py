"""Pages as a run uses them: the stock driver, notices of pages, state that a browser keeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli import gradsoak
from tests.integration.outside import LAUNCH, running_app

APP = """
import os, sys, time
import gradio as gr

def count(n, visits):
    return n + 1, n + 1, (visits or 0) + 1

with gr.Blocks() as demo:
    n = gr.State(0)
    visits = gr.BrowserState(0, storage_key="visits", secret="visits")
    total, seen = gr.Number(label="Total"), gr.Number(label="Seen")
    gr.Button("Count").click(count, [n, visits], [n, total, visits])
    gr.Button("Title").click(None, None, total, js="() => document.title.length")
    # Opening the page shows the state that the browser has kept from earlier visits.
    demo.load(lambda visits: visits or 0, visits, seen)
"""

WORKLOAD = """
from harness.workload import Workload, action, counter, increment

class Visitor(Workload):
    state = {"count": counter()}

    def arrive(self):
        self.expected = self.page.value("Seen")
        with open("kept", "a") as stream:
            stream.write(f"{self.expected}\\n")
        self.page.click("Title")
        self.count()

    @action
    def count(self):
        with self.operation("count", count=increment()) as seen:
            self.page.click("Count")
            seen["count"] = self.page.value("Total")
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of that app, which all tests leave as it was."""
    with running_app(tmp_path_factory.mktemp("app"), source=APP + LAUNCH) as (address, _):
        yield address


@pytest.mark.xdist_group("pages-in-runs")
def test_a_run_reports_what_pages_cannot_do_and_keeps_browser_state(
    make_scenario, url: str, tmp_path: Path
) -> None:
    folder = make_scenario(None, workload=WORKLOAD)
    done = gradsoak("run", folder, "--url", url, "--out", "run", "--json", cwd=tmp_path)
    result = done.json()
    assert (result["verdict"], done.code) == ("pass", 0), done.err
    scripts = [warning for warning in result["figures"]["warnings"] if "JavaScript" in warning]
    assert len(scripts) == 1
    assert "document.title.length" in scripts[0]
    # Loading the page again keeps user and browser; opening it makes a new user.
    kept = [float(line) for line in (tmp_path / "scenario" / "kept").read_text().split()]
    shard = (tmp_path / "run" / "history" / "0.jsonl").read_text().splitlines()
    begun = [r for r in map(json.loads, shard) if r.get("action") in ("open", "reload")]
    arrivals = [r["action"] for r in begun]
    assert arrivals.count("reload") > 0
    people = [r["user"] for r in begun if r["action"] == "open"]
    assert len(people) == len(set(people))
    assert {r["user"] for r in begun if r["action"] == "reload"} < set(people)
    assert sum(visits > 0 for visits in kept) == arrivals.count("reload")
    assert sum(visits == 0 for visits in kept) == arrivals.count("open")


def test_the_stock_driver_runs_a_workload_that_only_calls(
    brief_scenarios: Path, click_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "counters"
    shutil.copytree(brief_scenarios / "counters", folder)
    workload = folder / "workload.py"
    kept = workload.read_text()
    workload.write_text(
        kept.replace(
            "        label = self.token()\n",
            "        label = self.token()\n        self.secret(f'key of {label}')\n",
        )
    )
    # An unmodified client uses so much CPU that a few users with a long pause are enough.
    load = ("--users", "3", "--think", "1", "--duration", "5s")
    done = gradsoak(
        "run", folder, "--url", click_url, "--driver", "stock", *load, "--out", "run", "--json", cwd=tmp_path
    )
    (warned,) = [text for text in done.json()["figures"]["warnings"] if "does not search responses" in text]
    assert "declares secrets" in warned
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["driver"] == "stock"
    checks = json.loads((tmp_path / "run" / "derived" / "checks.json").read_text())["checks"]
    # Whether the client of this driver was the bottleneck depends on what else the machine does. Nothing else may stand in the way.
    others = {check["name"]: check["verdict"] for check in checks if check["verdict"] != "pass"}
    assert others in ({}, {"load-generator": "inconclusive"})
    assert (done.json()["verdict"], done.code) == (("inconclusive", 3) if others else ("pass", 0))
    blind = [check for check in checks if check["name"] in ("canary", "visible-state")]
    assert [(check["verdict"], check["applies"]) for check in blind] == [("pass", False)] * 2
    assert all("no response was searched" in check["reason"] for check in blind)


def test_the_stock_driver_is_refused_by_a_workload_that_needs_a_page(
    scenarios: Path, click_url: str, tmp_path: Path
) -> None:
    chat = scenarios / "chat_history"
    done = gradsoak("run", chat, "--url", click_url, "--driver", "stock", "--out", "run", cwd=tmp_path)
    assert done.code == 2
    assert "has no page, so it cannot submit" in done.err
    assert "--driver page" in done.err
    unknown = gradsoak("run", scenarios / "counters", "--driver", "browser", "--out", "other", cwd=tmp_path)
    assert unknown.code == 2
    assert "--driver page or --driver stock" in unknown.err
    assert not (tmp_path / "other").exists()


CHAIN = """
import time
import gradio as gr

def add(token, tokens):
    time.sleep(0.02)
    return [*tokens, token]

def show(tokens):
    return tokens

with gr.Blocks() as demo:
    tokens = gr.State([])
    token, shown = gr.Textbox(label="Token"), gr.JSON(label="Shown")
    gr.Button("Add").click(add, [token, tokens], tokens).then(show, tokens, shown)

demo.queue(max_size=2)
demo.launch()
"""

CHAIN_WORKLOAD = """
from harness.workload import Workload, action, append, append_only_list

class Visitor(Workload):
    state = {"tokens": append_only_list()}

    @action
    def add(self):
        token = self.token()
        with self.operation("add", tokens=append(token)) as seen:
            self.page.fill("Token", token)
            self.page.click("Add")
            seen["tokens"] = self.page.value("Shown")
"""


def test_a_step_refused_after_an_earlier_one_is_no_anomaly(make_scenario, tmp_path: Path) -> None:
    """The queue is so short that second steps of a chain are often refused after the first has changed the state."""
    folder = make_scenario(CHAIN, workload=CHAIN_WORKLOAD)
    done = gradsoak("run", folder, "--users", "8", "--think", "0.01", "--out", "run", "--json", cwd=tmp_path)
    result = done.json()
    assert result["figures"]["operations"]["errors"].get("partly", 0) > 0, "the queue was never too short"
    assert result["verdict"] != "fail", done.err
    assert result["checks"]["garbage-read"] != "fail"


@pytest.mark.xdist_group("pages-in-runs")
def test_a_workload_that_fails_at_once_ends_the_run(make_scenario, url: str, tmp_path: Path) -> None:
    workload = WORKLOAD.replace(
        "    def arrive(self):",
        "    def __init__(self, session):\n        super().__init__(session)\n        self.missing.append(1)\n\n    def arrive(self):",
    )
    folder = make_scenario(None, workload=workload)
    done = gradsoak("run", folder, "--url", url, "--out", "run", "--json", cwd=tmp_path)
    assert (done.json()["verdict"], done.code) == ("unknown", 3)
    checks = json.loads((tmp_path / "run" / "derived" / "checks.json").read_text())
    assert "no attribute 'missing'" in checks["reason"]
    lines = (tmp_path / "run" / "history" / "0.jsonl").read_text().splitlines()
    assert len(lines) < 500  # it was tried again at a person's pace


@pytest.mark.xdist_group("pages-in-runs")
def test_misuse_ends_a_run_with_several_workers_as_well(make_scenario, url: str, tmp_path: Path) -> None:
    workload = WORKLOAD.replace('click("Count")', 'click("Cuont")')
    folder = make_scenario(None, workload=workload)
    done = gradsoak("run", folder, "--url", url, "--workers", "2", "--out", "run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "no component 'Cuont'" in done.err
    assert "Did you mean" in done.err
