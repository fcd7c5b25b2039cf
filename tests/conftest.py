"""Fixtures and helpers for all tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import hypothesis
import pytest

from harness import scenario
from tests.integration.cli import gradsoak

# Two workers share two cores with real servers: a deadline per example would measure them, not the code.
hypothesis.settings.register_profile("gradsoak", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gradsoak")

REPO = Path(__file__).resolve().parent.parent

# Small enough for a test, large enough that every detector has something to see.
SMALL_PROFILE = """
[profile.quick]
users = 4
spawn_rate = 20.0
duration_s = 3.0
think_s = 0.05
actions_per_session = 4.0
warmup_s = 0.5
staircase = { levels = 4, sessions_per_level = 2, settle_timeout_s = 2.0, requests_per_batch = 8 }
"""
# The scenarios of the bench whose reports tests/browser/test_report.py opens.
SHOWN = ("counters", "counters_global")
# For tests that ask nothing of memory: without batches and rounds, and each plateau is one measurement, settled or not.
WITHOUT_GROWTH = (
    SMALL_PROFILE.replace("requests_per_batch = 8", "request_batches = 0, rounds = 0")
    .replace("settle_timeout_s = 2.0", "settle_timeout_s = 0.1")
    .replace("duration_s = 3.0", "duration_s = 1.5")
    .replace("think_s = 0.05", "think_s = 0.1")
)


@pytest.fixture(scope="session")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled scenarios with a profile that takes seconds."""
    return _scenarios_with(SMALL_PROFILE, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def brief_scenarios(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled scenarios with a profile that takes seconds and does not watch memory."""
    return _scenarios_with(WITHOUT_GROWTH, tmp_path_factory.mktemp("brief"))


def _scenarios_with(profile: str, folder: Path) -> Path:
    copies = folder / "scenarios"
    shutil.copytree(REPO / "scenarios", copies, ignore=shutil.ignore_patterns("__pycache__"))
    for settings in copies.glob("*/scenario.toml"):
        settings.write_text(in_small(settings.read_text(), profile))
    return copies


def in_small(settings: str, profile: str = SMALL_PROFILE) -> str:
    """The settings of a scenario with a small profile, but for what the scenario says of its quick one itself."""
    head, own, rest = settings.partition("[profile.quick]\n")
    own, next_table, rest = rest.partition("\n[")
    names = {line.partition("=")[0].strip() for line in own.splitlines()} - {"users"}
    small = "".join(
        line + "\n" for line in profile.splitlines() if line.partition("=")[0].strip() not in names
    )
    kept = "".join(line + "\n" for line in own.splitlines() if line.partition("=")[0].strip() in names)
    # A million numbers for each session take their time, and no test here asks for them.
    head = head.replace("LIST_ITEMS = 1000000", "LIST_ITEMS = 20000")
    return head + next_table.lstrip("\n") + rest + small + kept


@pytest.fixture(scope="session")
def bench(scenarios: Path, brief_scenarios: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bench of the core scenarios, run once. Tests that use it belong to the group `bench`.

    The two whose reports a browser opens have the phases that show growth of memory.
    """
    folder = tmp_path_factory.mktemp("bench")
    core = [(scenarios if s.name in SHOWN else brief_scenarios) / s.name for s in scenario.core()]
    done = gradsoak("bench", *core, "--out", "bench", "--seed", "7", cwd=folder)
    (folder / "bench" / "stdout").write_text(done.out)
    assert done.code == 0, done.err
    return folder / "bench"


@pytest.fixture
def make_scenario(tmp_path: Path, scenarios: Path):
    """Make a scenario folder around the text of an app, None for an app that runs already; with `growth`, memory is watched over requests and rounds of sessions."""

    def make(
        app: str | None, *, workload: str | None = None, settings: str = "", growth: bool = False
    ) -> Path:
        folder = tmp_path / "scenario"
        folder.mkdir()
        if app is not None:
            (folder / "app.py").write_text(app)
        (folder / "workload.py").write_text(workload or (scenarios / "counters" / "workload.py").read_text())
        (folder / "scenario.toml").write_text(settings + (SMALL_PROFILE if growth else WITHOUT_GROWTH))
        return folder

    return make
