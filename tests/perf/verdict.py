"""How long the verdict on memory takes: an ordinary `gradsoak run` of a small app, with the profile that asks for memory."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.run_dir import BASELINE, RunDir
from tests.perf import servers
from tests.perf.figures import Figure, NotMeasured, Settings, middle

_SCENARIO = "counters"
_PROFILE = "staircase"
_TIMEOUT_S = 600.0
# A minute each: more rounds than this would take longer than all other figures together.
_ROUNDS = 3


def measure(settings: Settings) -> list[Figure]:
    """Wall time from the command to its verdict, and of its parts."""
    rounds = [_round(settings.scratch / f"run-{n}", n + 1) for n in range(min(_ROUNDS, settings.rounds))]
    parts = {name: statistics.median(one["parts_s"][name] for one in rounds) for name in rounds[0]["parts_s"]}
    return [
        Figure(
            name="memory verdict: wall time of a staircase run of a small app, baseline and report included",
            unit="s",
            bar=60.0,
            direction="at most",
            spread="range of rounds",
            reason=", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()),
            detail={"scenario": _SCENARIO, "profile": _PROFILE, "parts_s": parts, "rounds": rounds},
            **middle([one["took_s"] for one in rounds]),
        )
    ]


def _round(path: Path, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "harness", "run", _SCENARIO, "--profile", _PROFILE, "--seed", str(seed),
               "--out", str(path), "--json"]  # fmt: skip
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=servers.REPO, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"the run was not over after {_TIMEOUT_S:g} s") from None
    ended = time.monotonic()
    run_dir = RunDir(path)
    baseline = run_dir.follow_up(BASELINE)
    if run_dir.sealed() is None or baseline is None or baseline.sealed() is None:
        raise NotMeasured(f"the run ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    main, follow_up = _phases(run_dir), _phases(baseline)
    # The processes share the monotonic clock.
    marks = [began, main[0][1] / 1e9, main[-1][1] / 1e9, follow_up[-1][1] / 1e9, ended]
    names = ("command", "run", "baseline", "evaluation and report")
    return {
        "took_s": ended - began,
        "exit_status": done.returncode,
        "verdict": run_dir.checks().verdict,
        "parts_s": {
            name: end - begin for name, (begin, end) in zip(names, itertools.pairwise(marks), strict=True)
        },
        "phases_s": _seconds(main),
        "control_phases_s": _seconds(follow_up),
    }


def _phases(run_dir: RunDir) -> list[tuple[str, int]]:
    """The phases of a run, each with the monotonic time at which it began; the last is its end."""
    return [(str(e.detail["name"]), e.time_ns) for e in run_dir.events() if e.kind == "phase"]


def _seconds(phases: list[tuple[str, int]]) -> dict[str, float]:
    pairs = itertools.pairwise(phases)
    return {name: (end_ns - begin_ns) / 1e9 for (name, begin_ns), (_, end_ns) in pairs}
