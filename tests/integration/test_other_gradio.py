"""An app on another Gradio release, in an interpreter of its own, built from the package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli import gradsoak

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("release", ["5.49.1", "6.24.0"])
def test_another_release_is_measured_in_its_own_interpreter(
    release: str, scenarios: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-qq", f"gradio=={release}"], check=True)
    for name, code in (("counters", 0), ("counters_global", 1)):
        done = gradsoak("run", scenarios / name, "--python", python, "--out", name, "--json", cwd=tmp_path)
        assert done.code == code, done.err
        assert done.json()["checks"]["completeness"] == "pass"
        assert done.json()["figures"]["memory"]["bytes_per_open_session"]["live"]["estimate"] > 0
        assert f'"gradio_version": "{release}"' in (tmp_path / name / "manifest.json").read_text()
