"""Two real releases of Gradio: 6.24.0 keeps the `Event` of every request for good, 6.25.0 does not.

Both are built from the package index. As a script (`python -m tests.integration.test_two_releases`) it builds them, runs
`counters` on each, and prints what was found as a table; with `--folder`, environments that it finds there are used again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.table import Table

from harness.errors import ExitCode
from tests.integration.cli import gradsoak

# One worker does all of them, so that each environment is built once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("two-releases")]

LEAKING, MENDED = "6.24.0", "6.25.0"
# The one that people get if they ask for nothing, and the one that asks for memory and little else.
PROFILES = ("quick", "staircase")
KEPT = "gradio.Queue.event_ids_to_events"
# The access path as issues about it write it: from the class that has the attribute to the object that is kept for each request.
TRACE = ["gradio.queueing.Queue", ".event_ids_to_events: dict", "[*]: gradio.queueing.Event"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one run says of one release.

    Attributes:
        release: of Gradio, as the run's manifest has it.
        exit_code: of `gradsoak run`.
        memory: verdict on the app's memory.
        growth: of `Queue.event_ids_to_events`, as analysis.json tells it; None if it did not grow.
        live_bytes_per_request: estimate, low, high.
        checks: verdicts by name.
        took_s: of the whole command.
    """

    release: str
    profile: str
    exit_code: int
    memory: str
    reason: str
    growth: dict[str, Any] | None
    live_bytes_per_request: tuple[float, float, float]
    checks: dict[str, str]
    took_s: float


def build(release: str, folder: Path) -> Path:
    """The interpreter of a virtual environment with a release of Gradio from the package index; it is made if it is not there."""
    python = folder / f"gradio-{release}/bin/python"
    have = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('gradio'))"],
        capture_output=True, text=True, check=False,
    ) if python.exists() else None  # fmt: skip
    if have is None or have.stdout.strip() != release:
        subprocess.run([sys.executable, "-m", "venv", "--clear", python.parent.parent], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", f"gradio=={release}"], check=True)
    return python


def look(python: Path, profile: str, run: Path) -> Found:
    """Run `counters` on a release of Gradio.

    Args:
        python: interpreter that has it.
        profile: of the run; `quick` is given by saying nothing.
        run: folder that the run is written to.
    """
    chosen = [] if profile == "quick" else ["--profile", profile]
    began = time.monotonic()
    done = gradsoak(
        "run", "counters", "--python", python, *chosen, "--seed", "1", "--out", run, "--json",
        cwd=run.parent, timeout_s=600,
    )  # fmt: skip
    took_s = time.monotonic() - began
    told = done.json()
    assert "error" not in told, done.err
    memory, growth = told["figures"]["memory"], told["figures"]["growth"]
    live = memory["bytes_per_request"]["live"]
    return Found(
        release=json.loads((run / "manifest.json").read_bytes())["gradio_version"],
        profile=profile,
        exit_code=done.code,
        memory=memory["verdict"],
        reason=memory["reason"],
        growth=next((g for g in growth if g["path"] == KEPT), None),
        live_bytes_per_request=(live["estimate"], live["low"], live["high"]),
        checks=told["checks"],
        took_s=took_s,
    )


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_release_that_keeps_every_event_leaks_with_every_request(
    profile: str, environments: Path, tmp_path: Path
) -> None:
    found = look(build(LEAKING, environments), profile, tmp_path / "run")
    assert found.release == LEAKING
    assert found.exit_code == ExitCode.ANOMALY
    assert (found.memory, found.checks["leak-per-request"]) == ("leak-per-request", "fail")
    assert KEPT in found.reason
    assert found.growth is not None
    assert (found.growth["verdict"], found.growth["exact"]) == ("leak-per-request", True)
    assert (found.growth["per_request"], found.growth["per_session"]) == (1.0, 0.0)
    assert found.growth["retainer_path"][0].endswith(TRACE[0])
    assert found.growth["retainer_path"][1:3] == TRACE[1:]
    # Each of them holds its request, with its scope and payload: several thousand bytes, and the live heap grew by that.
    assert found.growth["bytes_per_request"] > 4096
    assert found.live_bytes_per_request[1] > found.growth["bytes_per_request"] / 2
    # The app itself is right, and nothing else is wrong with it.
    assert {name for name, verdict in found.checks.items() if verdict == "fail"} == {"leak-per-request"}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_release_that_lets_go_of_them_passes(profile: str, environments: Path, tmp_path: Path) -> None:
    found = look(build(MENDED, environments), profile, tmp_path / "run")
    assert found.release == MENDED
    assert found.exit_code == ExitCode.PASS
    assert found.memory in ("flat", "bounded")
    assert (found.checks["leak-per-request"], found.checks["leak-per-session"]) == ("pass", "pass")
    assert found.growth is None or found.growth["per_request"] == 0.0


def table(runs: Sequence[Found]) -> Table:
    """What each run found, a row each."""
    shown = Table(
        "Gradio", "profile", "exit code", "memory", "Queue.event_ids_to_events", "bytes it pins per request",
        "live bytes per request", "wall time", box=None, pad_edge=False,
    )  # fmt: skip
    for found in runs:
        growth, (estimate, low, high) = found.growth, found.live_bytes_per_request
        shown.add_row(
            found.release,
            found.profile,
            str(found.exit_code),
            found.memory,
            f"{growth['per_request']:+.2f} per request" if growth else "does not grow",
            f"{growth['bytes_per_request']:,.0f}" if growth else "–",
            f"{estimate:,.0f} ({low:,.0f} – {high:,.0f})",
            f"{found.took_s:.0f} s",
        )
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Build both, run both, print; returns 1 if the first is not called a leak per request, or the second does not pass."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.integration.test_two_releases", description=__doc__
    )
    parser.add_argument(
        "--folder", type=Path, help="where the environments are made, and stay; default: a temporary one"
    )
    parser.add_argument(
        "--profile", action="append", choices=PROFILES, help="default: both, one after the other"
    )
    arguments = parser.parse_args(argv)
    console, notes = Console(), Console(stderr=True)
    runs: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="gradsoak-releases-") as scratch:
        folder = (arguments.folder or Path(scratch)).resolve()
        for release in (LEAKING, MENDED):
            notes.print(f"Making an environment with gradio {release}")
            python = build(release, folder)
            for profile in arguments.profile or PROFILES:
                notes.print(f"Running counters on it, profile {profile}")
                runs.append(look(python, profile, Path(scratch) / f"{release}-{profile}"))
    console.print(table(runs))
    held = next((found.growth["retainer_path"] for found in runs if found.growth), None)
    if held:
        console.print(f"{KEPT} Retainer path: {' → '.join(held)}", markup=False, soft_wrap=True)
    expected = {LEAKING: (ExitCode.ANOMALY, "leak-per-request"), MENDED: (ExitCode.PASS, None)}
    return int(
        any(
            found.exit_code != code or (memory is not None and found.memory != memory)
            for found in runs
            for code, memory in [expected[found.release]]
        )
    )


if __name__ == "__main__":
    sys.exit(main())
