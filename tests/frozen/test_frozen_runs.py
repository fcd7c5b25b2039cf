"""Recorded runs give the results that they gave when they were recorded, key for key.

A change of results that is meant is recorded with `python -m tests.frozen.record`; the difference is read in git.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO
from tests.frozen.differences import differences
from tests.frozen.evaluation import EXPECTED, RUNS, evaluated, expected, names, unpack

# Checks that fail in one of the runs. A check that is added later need not have a run of its own here.
FAILING = {
    "cross-session-read", "garbage-read", "lost-update", "read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads",
    "duplicate-effect", "reset", "resurrected-state", "misdelivered-response", "non-atomic-chain", "cleared-state-returns",
    "non-linearizable", "canary", "visible-state", "leak-per-request", "leak-per-session",
}  # fmt: skip
MEMORY_VERDICTS = {"flat", "bounded", "leak-per-request", "leak-per-session", "inconclusive"}
# What else a frozen run shows, by name: a property of its expected results.
SHOWS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "lost_worker": lambda e: [w["verdict"] for w in e["checks"]["workers"]] == ["pass", "unknown", "pass"],
    "damaged_history": lambda e: e["checks"]["verdict"] == "unknown",
    "memray_pass": lambda e: bool(e["analysis"]["attribution"]["sites"]),
    "staircase_with_baseline": lambda e: (
        e["analysis"]["memory"]["no_floor"] is None and bool(e["analysis"]["advice"][0]["gain"])
    ),
    "open_arrivals": lambda e: e["analysis"]["arrivals"]["total"] > 0,
}


@pytest.mark.parametrize("name", names())
def test_a_recorded_run_gives_the_results_that_it_gave(name: str, tmp_path: Path) -> None:
    found = [str(d) for d in differences(expected(name), evaluated(unpack(name, tmp_path)))]
    assert not found, "\n".join(found)


def test_a_record_that_changes_is_noticed(tmp_path: Path) -> None:
    run = unpack("counters", tmp_path)
    shard = run / "history/0.jsonl"
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(b"".join(lines[:-40]))
    paths = {d.path for d in differences(expected("counters"), evaluated(run))}
    assert {"checks.verdict", "analysis.operations.total"} <= paths


def test_only_the_wording_of_sentences_counts_as_text() -> None:
    old = {"reason": "In none of 3.", "verdict": "pass", "count": 3, "text": None}
    new = {"reason": "Checked 3.", "verdict": "fail", "count": 4, "text": "One more."}
    found = {d.path: d.only_text for d in differences(old, new)}
    assert found == {"reason": True, "verdict": False, "count": False, "text": False}
    assert [d.only_text for d in differences({"a": ["b c"]}, {"a": []})] == [False]


def test_checks_and_memory_verdicts_stand_in_some_run() -> None:
    found = {name: expected(name) for name in names()}
    failed = {
        check["name"]
        for results in found.values()
        for check in results["checks"]["checks"]
        if check["verdict"] == "fail"
    }
    assert failed >= FAILING
    assert {results["analysis"]["memory"]["verdict"] for results in found.values()} == MEMORY_VERDICTS
    assert [name for name, shows in SHOWS.items() if not shows(found[name])] == []
    assert any(v["model"] == "custom" for v in unpacked_state("undo_redo").values())


def unpacked_state(name: str) -> dict[str, Any]:
    with tarfile.open(RUNS / f"{name}.tar.xz") as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        return json.load(manifest)["state"]


def test_results_do_not_depend_on_the_order_of_sets() -> None:
    """Recording twice, in processes with other hash seeds, finds nothing to change."""
    before = {file: file.read_bytes() for file in EXPECTED.rglob("*.json")}
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.frozen.record", "--check"],
            cwd=REPO,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert {file: file.read_bytes() for file in EXPECTED.rglob("*.json")} == before
