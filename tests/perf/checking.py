"""What it costs to check a history: against decoding the same file, in memory, and as it grows."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.perf import histories
from tests.perf.figures import Figure, NotMeasured, Settings, middle
from tests.perf.servers import REPO

_ACTIONS = 100
_STANDARD = 1_000_000
_SMALLEST = 10_000
_TIMEOUT_S = 1200.0


def measure(settings: Settings) -> list[Figure]:
    """Time and memory for a million operations (or as many as there may be), and how both grow up to the largest history."""
    largest = settings.operations
    if largest < _SMALLEST:
        raise NotMeasured(f"--operations must be {_SMALLEST:,} or more")
    standard = min(_STANDARD, largest)
    sizes = [size for size in (10**n for n in range(4, 10)) if size <= largest]
    growth = [_grown(settings, size) for size in sizes]
    turns = _turns(settings, standard, "clean", settings.rounds)
    others: dict[str, dict[str, Any]] = {}
    for kind in ("timeouts", "shared"):
        found = _turns(settings, standard, kind, 1)
        others[kind] = {
            "cpu_of_decoding": found[0]["check"]["cpu_s"] / found[0]["decode"]["cpu_s"],
            "bytes_per_operation": found[0]["check"]["bytes"] / standard,
            "verdict": found[0]["check"]["verdict"],
        }
    detail = {
        "operations": standard,
        "turns": turns,
        "us_per_operation": {
            what: statistics.median(turn[what]["cpu_s"] for turn in turns) / standard * 1e6
            for what in ("decode", "check")
        },
        "other_histories": others,
        "growth": growth,
    }
    per_operation = [row["check_us_per_operation"] for row in growth]
    return [
        Figure(
            name=f"CPU to check {standard:,} operations, of decoding the same file",
            unit="×",
            bar=3.0,
            direction="at most",
            spread="range of rounds",
            detail=detail,
            **middle([turn["check"]["cpu_s"] / turn["decode"]["cpu_s"] for turn in turns]),
        ),
        Figure(
            name=f"memory to check {standard:,} operations, per operation",
            unit="bytes",
            bar=600.0,
            direction="at most",
            spread="range of rounds",
            detail=detail,
            **middle([turn["check"]["bytes"] / standard for turn in turns]),
        ),
        Figure(
            name=f"CPU per operation, most to least from {sizes[0]:,} to {sizes[-1]:,} operations",
            unit="×",
            bar=2.0,
            direction="at most",
            value=max(per_operation) / min(per_operation),
            reason=_table(growth),
            detail=detail,
        ),
    ]


def _grown(settings: Settings, operations: int) -> dict[str, float]:
    (turn,) = _turns(settings, operations, "clean", 1)
    return {
        "operations": operations,
        "decode_us_per_operation": turn["decode"]["cpu_s"] / operations * 1e6,
        "check_us_per_operation": turn["check"]["cpu_s"] / operations * 1e6,
        "bytes_per_operation": turn["check"]["bytes"] / operations,
    }


def _table(growth: list[dict[str, float]]) -> str:
    rows = [
        f"{row['operations']:>12,.0f} operations: {row['check_us_per_operation']:.2f} µs each to check,"
        f" {row['decode_us_per_operation']:.2f} to decode, {row['bytes_per_operation']:.0f} bytes"
        for row in growth
    ]
    return "\n  ".join(rows)


def _turns(settings: Settings, operations: int, kind: histories.Kind, rounds: int) -> list[dict[str, Any]]:
    """Decode and check one history by turns, each in a process of its own."""
    folder = settings.scratch / f"{kind}-{operations}"
    histories.write(folder, operations // _ACTIONS, _ACTIONS, kind)
    try:
        turns = [{what: _alone(what, folder) for what in ("decode", "check")} for _ in range(rounds)]
    finally:
        shutil.rmtree(folder)
    expected = "fail" if kind == "shared" else "pass"
    if any(turn["check"]["verdict"] != expected for turn in turns):
        raise NotMeasured(f"the history {kind!r} was judged {turns[0]['check']['verdict']}, not {expected}")
    return turns


def _alone(what: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.perf.histories", what, str(folder)],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        raise NotMeasured(f"to {what} {folder.name} failed: {done.stderr.strip()[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
