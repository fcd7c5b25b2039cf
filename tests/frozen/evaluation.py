"""What today's code concludes from a recorded run, as plain JSON values."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import msgspec

from harness.evaluate import evaluate
from harness.run_dir import RunDir
from harness.run_reader import open_run

RUNS = Path(__file__).with_name("runs")
EXPECTED = Path(__file__).with_name("expected")
FILES = ("checks", "analysis")


def names() -> list[str]:
    """The recorded runs, in alphabetical order."""
    return sorted(path.name.removesuffix(".tar.xz") for path in RUNS.glob("*.tar.xz"))


def unpack(name: str, folder: Path) -> Path:
    """Unpack a recorded run.

    Args:
        name: one of `names()`.
        folder: an empty folder.

    Returns:
        The run folder.
    """
    with tarfile.open(RUNS / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def evaluated(run: Path) -> dict[str, Any]:
    """Evaluate a run folder.

    Returns:
        `checks` and `analysis`, as `checks.json` and `analysis.json` would hold them.
    """
    found = evaluate(open_run(RunDir.open(run)))
    return {
        "checks": msgspec.to_builtins(found.checks),
        "analysis": msgspec.to_builtins(found.analysis),
    }


def expected(name: str) -> dict[str, Any]:
    """What was concluded from a recorded run when its expectation was recorded."""
    return {file: msgspec.json.decode((EXPECTED / name / f"{file}.json").read_bytes()) for file in FILES}
