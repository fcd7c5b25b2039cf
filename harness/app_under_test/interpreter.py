"""The Python interpreter that runs the app. It may differ from the harness's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.errors import UsageError

_MIN_PYTHON = (3, 9)

# `python -c` searches the working folder first, where the user may have a file json.py. Python 3.9 and 3.10 have no option -P.
_SAFE_PATH = "import sys; sys.path[:] = [entry for entry in sys.path if entry]\n"

_INSPECT = """
import json
try:
    from importlib.metadata import distributions
    packages = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
except ImportError:
    packages = {}
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "packages": packages}))
"""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python interpreter that can run the app.

    Attributes:
        path: its executable.
        version: for example `3.11.7`.
        packages: installed distribution → version.
    """

    path: str
    version: str
    packages: dict[str, str]

    @property
    def gradio_version(self) -> str:
        """Version of the installed gradio distribution."""
        return self.packages["gradio"]


def run_code(
    python: str, code: str, environment: Mapping[str, str], *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter. Modules in the working folder are not imported.

    Args:
        python: path of its executable.
        code: statements.
        environment: all environment variables.
        timeout_s: longest duration, in seconds.

    Raises:
        OSError: the executable cannot be started.
        subprocess.TimeoutExpired: the code did not end in time.
    """
    return subprocess.run(
        [python, "-c", _SAFE_PATH + code],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        env=environment,
    )


def inspect_interpreter(python: str | None = None) -> Interpreter:
    """Ask an interpreter for its version and packages.

    Args:
        python: path of its executable; default: the interpreter of the harness.

    Raises:
        UsageError: the interpreter does not run, is too old, or has no gradio.
    """
    path = python or sys.executable
    if python is not None:
        # A virtual environment's python is a symbolic link that must not be resolved.
        path = os.path.abspath(os.path.expanduser(python))
        if Path(path).is_dir():
            path = str(Path(path) / "bin" / "python")
    # The app is started in the same way: without the PYTHONPATH of the harness.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        answer = run_code(path, _INSPECT, environment, timeout_s=60)
        found = msgspec.json.decode(answer.stdout) if answer.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise UsageError(
            f"{path} is not a Python that can be run: {error}.",
            "Name the executable, as in --python .venv/bin/python.",
        ) from error
    if found is None:
        reason = (answer.stderr.strip().splitlines() or ["no output"])[-1]
        raise UsageError(
            f"{path} is not a Python that can be run: {reason}.",
            "Name the executable, as in --python .venv/bin/python.",
        )
    version = tuple(int(part) for part in found["version"].split("."))
    if version < _MIN_PYTHON:
        raise UsageError(
            f"{path} is Python {found['version']}; the probe needs 3.9 or later.",
            "Use a newer interpreter for the app.",
        )
    # Distribution names may be spelled Gradio or gradio.
    packages = {name.lower().replace("_", "-"): v for name, v in sorted(found["packages"].items())}
    if "gradio" not in packages:
        raise UsageError(
            f"{path} (Python {found['version']}) has no gradio.",
            f"Install it there: {path} -m pip install gradio",
        )
    return Interpreter(path=path, version=found["version"], packages=packages)
