"""Leaks of a known kind and size, and what only looks like one, under `gradsoak run --profile staircase`: each gets its name and its rate.

How long each command took is printed and not asserted: `make perf` measures that, on a machine that does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.errors import ExitCode
from harness.run_dir import RunDir
from tests.integration.cli import gradsoak

# Each takes a whole run with its control, about a minute.
pytestmark = pytest.mark.slow

# The click counter; what it does besides is up to each test.
APP = """
{top}
import gradio as gr

def click(label, count, clicks, request: gr.Request):
    {planted}
    count, clicks = count + 1, [*clicks, label]
    return count, clicks, count, clicks

with gr.Blocks() as demo:
    count, clicks = gr.State(0), gr.State([])
    label, total, log = gr.Textbox(), gr.Number(), gr.JSON()
    gr.Button().click(click, [label, count, clicks], [count, clicks, total, log], api_name="click")

demo.launch()
"""
LEAKS = ("leak-per-request", "leak-per-session")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to.

    Attributes:
        memory: `memory` of analysis.json.
        growth: `growth` of analysis.json by path.
        checks: verdicts by name.
        requests, sessions: that the app had served at the last plateau.
    """

    code: int
    memory: dict[str, Any]
    growth: dict[str, dict[str, Any]]
    checks: dict[str, str]
    requests: int
    sessions: int

    @property
    def leaks(self) -> dict[str, str]:
        """What is called a leak: path → which."""
        return {path: g["verdict"] for path, g in self.growth.items() if g["verdict"] in LEAKS}


@pytest.fixture
def see(make_scenario: Callable[..., Path], tmp_path: Path) -> Callable[..., Seen]:
    def run(top: str, planted: str) -> Seen:
        scenario = make_scenario(APP.format(top=top, planted=planted))
        began = time.monotonic()
        done = gradsoak(
            "run", scenario, "--profile", "staircase", "--seed", "1", "--out", "run", "--json",
            cwd=tmp_path, timeout_s=600,
        )  # fmt: skip
        print(f"gradsoak run --profile staircase took {time.monotonic() - began:.1f} s")
        told = done.json()
        assert "error" not in told, done.err
        last = RunDir(tmp_path / "run").plateaus()[-1]
        assert last.requests is not None
        assert last.sessions is not None
        return Seen(
            code=done.code,
            memory=told["figures"]["memory"],
            growth={g["path"]: g for g in told["figures"]["growth"]},
            checks=told["checks"],
            requests=last.requests,
            sessions=last.sessions,
        )

    return run


def test_256_bytes_per_request(see: Callable[..., Seen]) -> None:
    seen = see("KEPT = []", "KEPT.append(bytes(256))")
    assert (seen.code, seen.memory["verdict"]) == (ExitCode.ANOMALY, "leak-per-request")
    assert seen.leaks == {"app.KEPT": "leak-per-request"}
    kept = seen.growth["app.KEPT"]
    assert (kept["kind"], kept["owner"]) == ("list", "app")
    assert (kept["per_request"], kept["per_session"], kept["exact"]) == (1.0, 0.0, True)
    assert kept["length"] == seen.requests
    # 256, and 33 that every bytes object takes; and the list's own slot for it, with what it keeps in reserve.
    assert 289 + 8 <= kept["bytes_per_request"] <= 289 + 8 * 1.5
    assert 297 * kept["length"] <= kept["pinned_bytes"] <= 301 * kept["length"]
    assert kept["retainer_path"] == ["app: module", ".KEPT: list"]
    assert (seen.checks["leak-per-request"], seen.checks["leak-per-session"]) == ("fail", "pass")


def test_one_object_per_session(see: Callable[..., Seen]) -> None:
    seen = see(
        "class Visit:\n    pass\n\nVISITS = {}",
        "VISITS.setdefault(request.session_hash, Visit())",
    )
    assert (seen.code, seen.memory["verdict"]) == (ExitCode.ANOMALY, "leak-per-session")
    assert set(seen.leaks.values()) == {"leak-per-session"}
    assert {"app.VISITS", "app.Visit"} <= set(seen.leaks)
    for path, kind in (("app.VISITS", "dict"), ("app.Visit", "type")):
        held = seen.growth[path]
        assert (held["kind"], held["owner"]) == (kind, "app"), path
        assert (held["per_request"], held["per_session"], held["exact"]) == (0.0, 1.0, True), path
    assert seen.growth["app.Visit"]["within"] == "app.VISITS"
    assert seen.growth["app.Visit"]["retainer_path"] == ["app: module", ".VISITS: dict", "[*]: app.Visit"]
    assert seen.growth["app.VISITS"]["retainer_path"][:2] == ["app: module", ".VISITS: dict"]
    assert (seen.checks["leak-per-request"], seen.checks["leak-per-session"]) == ("pass", "fail")


def test_an_object_per_request_where_neither_the_app_nor_gradio_leads(see: Callable[..., Seen]) -> None:
    """No container that is counted has it: the collector's list of objects tells its type, and its referrers tell the way."""
    seen = see(
        "import sys\nimport colorsys\ncolorsys.kept = []\ndel colorsys\n\nclass Record:\n    pass",
        'sys.modules["colorsys"].kept.append(Record())',
    )
    assert (seen.code, seen.memory["verdict"]) == (ExitCode.ANOMALY, "leak-per-request")
    assert seen.leaks == {"app.Record": "leak-per-request"}
    record = seen.growth["app.Record"]
    assert (record["kind"], record["owner"]) == ("type", "app")
    assert (record["per_request"], record["per_session"], record["exact"]) == (1.0, 0.0, True)
    assert record["length"] == seen.requests
    assert record["retainer_path"] == ["colorsys: module", ".kept: list", "[*]: app.Record"]


def test_a_cache_that_fills_is_bounded_and_named(see: Callable[..., Seen]) -> None:
    seen = see(
        "import functools\n\n@functools.lru_cache(maxsize=500)\ndef describe(label):\n    return label.center(10_000)",
        "describe(label)",
    )
    assert (seen.code, seen.memory["verdict"]) == (ExitCode.PASS, "bounded")
    assert seen.leaks == {}
    cache = next(g for path, g in seen.growth.items() if path.startswith("app.describe"))
    assert (cache["verdict"], cache["cap"], cache["length"]) == ("bounded", 500, 500)
    assert cache["path"] in seen.memory["reason"]
    assert "500" in cache["reason"]


def test_a_large_temporary_is_no_leak(see: Callable[..., Seen]) -> None:
    seen = see("", "assert sum(bytearray(16_000_000)[::4096]) == 0")
    assert seen.code == ExitCode.PASS
    # What glibc keeps of the arenas of its threads is told as that, where there is much of it.
    assert seen.memory["verdict"] in ("flat", "bounded", "allocator-retention")
    assert seen.leaks == {}
    # Sixteen million bytes came and went with every request, and nothing of it stands in what requests or sessions cost.
    assert seen.memory["bytes_per_request"]["live"]["high"] < 100_000
