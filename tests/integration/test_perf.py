"""`make perf` measures and reports. What it measures is nobody's pass or fail, here least of all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from harness import tokens
from tests.builders import HistoryBuilder
from tests.conftest import REPO
from tests.perf.sessions import look


def perf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.perf", *map(str, arguments)],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_figure_is_printed_and_written_down(tmp_path: Path) -> None:
    out = tmp_path / "perf.json"
    done = perf("--only", "throughput", "--rounds", "1", "--seconds", "1", "--out", out)
    assert done.returncode == 0, done.stderr
    (figure,) = json.loads(out.read_text())["figures"]
    assert figure["value"] > 0
    assert figure["detail"]["stub_ceiling_per_s"] > figure["value"]
    assert ("MISSED" in done.stdout) == (figure["met"] is False)
    assert "≥ 800" in done.stdout


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    out = tmp_path / "perf.json"
    done = perf("--only", "sessions", "--sessions", "3", "--out", out)
    assert done.returncode == 1
    assert "must be a multiple of 5" in done.stdout
    assert "must be a multiple of 5" in json.loads(out.read_text())["not_measured"]["sessions"]
    strange = perf("--only", "beauty")
    assert strange.returncode == 2
    assert "cpu, latency, memory, throughput, sessions" in strange.stderr


def test_a_session_without_its_own_state_is_not_counted() -> None:
    builder = HistoryBuilder()
    own = {n: [tokens.mint("7f3a", 0, n, k) for k in (1, 2)] for n in range(1, 6)}

    def act(n: int, action: str, phase: str, seen: list[str] | None = None, outcome: str = "ok") -> None:
        session = tokens.session_id(0, n)
        if seen is None:
            builder.add(session, action=action, phase=phase)
            return
        written = own[n][0 if phase == "staircase" else 1]
        builder.add(
            session,
            action=action,
            phase=phase,
            outcome=outcome,
            effects={"count": ("increment", 1), "clicks": ("append", written)},
            reads={"count": len(seen), "clicks": seen},
        )

    for n in own:
        act(n, "open", "staircase")
        act(n, "click", "staircase", own[n][:1])
    act(5, "close", "staircase")  # left before the top
    top_ns = 1000
    builder.add("s0-9", begin=top_ns + 1)
    last = {1: own[1], 2: own[2][1:], 3: [own[1][0], *own[3]], 4: own[4]}
    for n, seen in last.items():
        act(n, "click", "drain", seen, outcome="info" if n == 4 else "ok")
        act(n, "close", "drain")
    found = look(builder.build(), top_ns)
    assert found.held == ["s0-1", "s0-2", "s0-3", "s0-4", "s0-5"]
    assert found.together == ["s0-1", "s0-2", "s0-3", "s0-4"]
    assert found.sound == ["s0-1"]
    assert found.mixed == ["s0-3"]
