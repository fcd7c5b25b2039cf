"""The manifest of a new run: options, versions and machine."""

from __future__ import annotations

import os
import platform
import secrets
import subprocess
import time
from importlib.metadata import distributions
from pathlib import Path

import psutil

from harness import __version__
from harness.app_under_test import Interpreter
from harness.checkers import CHECKERS
from harness.records import SCHEMA_VERSION, ClockAnchor, Machine, RunManifest
from harness.runs.run_options import RunOptions, launch_environment


def build_manifest(options: RunOptions, run_id: str) -> RunManifest:
    """The manifest of a run that is about to start. `state` is empty; it is known when the workload is loaded."""
    scenario, interpreter, external = options.scenario, options.interpreter, options.external
    expect = None
    if scenario.expect is not None:
        expect = {"verdict": scenario.expect.verdict}
        if scenario.expect.kind is not None:
            expect["kind"] = scenario.expect.kind
    return RunManifest(
        schema_version=SCHEMA_VERSION,
        gradsoak_version=__version__,
        run_id=run_id,
        run_tag=secrets.token_hex(2),
        scenario=scenario.name,
        scenario_path=str(scenario.folder),
        title=scenario.title,
        argv=options.argv,
        seed=options.seed,
        profile=options.profile,
        params=options.params,
        driver=options.driver,
        expect=expect,
        guarantees=scenario.guarantees,
        state={},
        checks=[checker.name for checker in CHECKERS],
        git_sha=_git_sha(scenario.folder),
        target_python=interpreter.path if interpreter else None,
        target_python_version=interpreter.version if interpreter else None,
        target_packages=interpreter.packages if interpreter else {},
        harness_packages={
            d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]
        },
        gradio_version=external.facts.gradio_version if external else _gradio_version(interpreter),
        machine=Machine(
            system=platform.system(),
            release=platform.release(),
            architecture=platform.machine(),
            cpu_count=os.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
        ),
        clock=ClockAnchor(monotonic_ns=time.monotonic_ns(), wall_ns=time.time_ns()),
        external=external.record if external else None,
        environment=launch_environment(options),
        purpose=options.purpose,
        what_if=options.what_if,
    )


def _gradio_version(interpreter: Interpreter | None) -> str:
    assert interpreter is not None  # the harness starts the app
    return interpreter.gradio_version


def _git_sha(folder: Path) -> str | None:
    """The commit of the checkout that contains `folder`, with `+` if it has changes; None outside a checkout."""
    try:
        sha = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
        if sha.returncode != 0:
            return None
        dirty = subprocess.run(
            ["git", "status", "--porcelain"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return sha.stdout.strip() + ("+" if dirty.stdout.strip() else "")
