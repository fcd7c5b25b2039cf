"""The bundled scenarios on a real Gradio server under real Locust users: the clean ones pass, the planted faults are found.

The core ones are run once for all tests; every one has a test of its own among the slow ones.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness import scenario
from harness.records import Invoke
from harness.run_dir import RunDir
from tests.integration.cli import gradsoak

CORE = [s.name for s in scenario.core()]
# One of each sort that the core has not: a loss, an answer gone astray, and memory that does not come back.
AT_ONCE = ("fault_not_returned", "fault_shared_queue", "fault_leak_per_session")
OTHERS = [
    s.name if s.name in AT_ONCE else pytest.param(s.name, marks=pytest.mark.slow)
    for s in scenario.bundled()
    if s.name not in CORE
]


@pytest.mark.parametrize("name", OTHERS)
def test_every_scenario_gives_what_it_declares(
    name: str, scenarios: Path, brief_scenarios: Path, tmp_path: Path
) -> None:
    declared = scenario.find(name).expect
    assert declared is not None
    # A planted fault of isolation needs no measurement of memory; a leak does, and so does a pass.
    of_isolation = declared.verdict == "fail" and not (declared.kind or "").startswith("leak-")
    folder, load = (
        (brief_scenarios, ("--duration", "3s", "--think", "0.05")) if of_isolation else (scenarios, ())
    )
    done = gradsoak(
        "run", folder / name, *load, "--out", "run", "--seed", "7", "--json", cwd=tmp_path, timeout_s=600
    )
    checks = RunDir.open(tmp_path / "run").checks()
    kinds = {check.name for check in checks.checks if check.anomalies_total}
    kinds |= {anomaly.kind for check in checks.checks for anomaly in check.anomalies}
    assert declared.met_by(done.json()["verdict"], kinds), (str(declared), checks.reason, kinds, done.err)


@pytest.mark.xdist_group("bench")
@pytest.mark.parametrize("name", CORE)
def test_a_scenario_gives_what_it_declares(name: str, bench: Path) -> None:
    declared = scenario.find(name).expect
    assert declared is not None
    checks = RunDir.open(bench / name).checks()
    verdicts = {check.name: check.verdict for check in checks.checks}
    assert checks.verdict == declared.verdict
    assert verdicts["completeness"] == verdicts["garbage-read"] == "pass"
    if declared.kind:
        assert verdicts[declared.kind] == "fail"
    figures = json.loads((bench / name / "derived/analysis.json").read_bytes())
    assert (
        figures["operations"]["info"]
        == figures["operations"]["fail"]
        == figures["operations"]["pending"]
        == 0
    )
    assert figures["throughput_per_s"] > 0
    assert figures["loadgen"]["cpu_ms_per_operation"] > 0
    live = figures["memory"]["bytes_per_open_session"]["live"]
    assert live["low"] <= live["estimate"] <= live["high"]
    for f in figures["latency_ms"].values():
        told = [f[name] for name in ("p50", "p90", "p95", "p99", "p999", "max") if f[name] is not None]
        assert f["count"] > 0
        assert told == sorted(told)
    assert figures["model"] == "closed"
    assert figures["generator"]["bottleneck"] is not None
    split = next(stages["mean"] for stages in figures["stages_ms"].values() if stages["mean"])
    assert split["queue_wait"] >= 0
    assert split["service"] > 0
    if declared.verdict == "fail":
        check_witnesses(bench / name, declared.kind or "")


def check_witnesses(run: Path, kind: str) -> None:
    """A witness is only worth something if its operations stand in the history."""
    checks = RunDir.open(run).checks()
    history, _ = RunDir.open(run).history()
    recorded = {
        f"{worker}:{r.id}": r.session
        for worker, records in history.items()
        for r in records
        if isinstance(r, Invoke)
    }
    anomalies = next(check for check in checks.checks if check.name == kind).anomalies
    assert anomalies
    for anomaly in anomalies:
        assert len(set(anomaly.sessions)) == 2
        assert [recorded[w.operation] for w in anomaly.witness] == anomaly.sessions
        assert anomaly.explanation.startswith(f"Operation A: session {anomaly.sessions[0]} ")


@pytest.mark.slow
def test_the_memory_of_a_large_list_is_what_python_says_it_is(scenarios: Path, tmp_path: Path) -> None:
    """Two sizes of the same list: the difference between the costs per session is the list and nothing else."""
    cost = {}
    for items in (50_000, 550_000):
        done = gradsoak(
            "run",
            scenarios / "large_lists",
            "--param",
            f"LIST_ITEMS={items}",
            "--out",
            str(items),
            "--json",
            cwd=tmp_path,
        )
        assert done.code == 0, done.err
        assert done.json()["verdict"] == "pass"
        assert done.json()["figures"] == json.loads(
            (tmp_path / str(items) / "derived/analysis.json").read_bytes()
        )
        cost[items] = done.json()["figures"]["memory"]["bytes_per_open_session"]["live"]["estimate"]
    per_item = (cost[550_000] - cost[50_000]) / 500_000
    assert per_item == pytest.approx(8, rel=0.03)  # a pointer: Python has each small number once


@pytest.mark.xdist_group("bench")
def test_a_run_has_all_its_files_and_can_be_rebuilt_from_them(bench: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(bench / "counters_global", run)
    for name in (
        "manifest.json",
        "SEALED.json",
        "events.jsonl",
        "history/0.jsonl",
        "samples/process.jsonl",
        "samples/loadgen.jsonl",
        "samples/generator-0.jsonl",
        "samples/probe.jsonl",
        "samples/plateaus.jsonl",
        "logs/target.log",
    ):
        assert (run / name).stat().st_size > 0, name
    plots = {p.name for p in (run / "derived/plots").iterdir()}
    assert {
        f"{stem}.{kind}"
        for stem in ("memory-over-time", "memory-per-session", "latency", "stages", "throughput")
        for kind in ("svg", "png")
    } <= plots
    before = {
        name: (run / name).read_bytes()
        for name in ("derived/checks.json", "derived/analysis.json", "derived/report.html")
    }
    for path in sorted((run / "derived").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    again = gradsoak("report", "run", cwd=tmp_path)
    assert again.code == 1
    assert "report  run/derived/report.html" in again.out
    assert {name: (run / name).read_bytes() for name in before} == before
