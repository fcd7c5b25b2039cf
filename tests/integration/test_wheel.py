"""The wheel works from an empty folder: the bundled scenarios travel inside it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import REPO, WITHOUT_GROWTH, in_small


def test_the_wheel_brings_everything(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", REPO],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("gradsoak-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "harness/_scenarios/counters/app.py",
        "harness/_scenarios/counters_global/scenario.toml",
        "harness/report/templates/run.html.j2",
        "harness/probe/__main__.py",
    ):
        assert name in names
    assert not [name for name in names if name.startswith(("tests/", "scenarios/", "docs/"))]

    # Its dependencies are the ones under test; only the package itself comes from the wheel.
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel], check=True
    )
    settings = site / "harness/_scenarios/counters/scenario.toml"
    settings.write_text(in_small(settings.read_text(), WITHOUT_GROWTH))
    empty = tmp_path / "empty"
    empty.mkdir()
    script = f"import sys; sys.path.insert(0, {str(site)!r}); import harness; assert harness.__file__.startswith({str(site)!r}); from harness.__main__ import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", script, "bench", "counters"],
        cwd=empty, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(site), "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 of 1 scenarios gave what they declare" in done.stdout
    (page,) = empty.glob("reports/bench/*/index.html")
    assert page.stat().st_size > 1000
