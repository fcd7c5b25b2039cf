"""Runs the real command, as a user does, and looks at what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil


class Done:
    """A finished command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def json(self) -> dict[str, Any]:
        """Standard output, which must be one JSON object and nothing else."""
        return json.loads(self.out)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def gradsoak(*arguments: str | Path, cwd: Path, timeout_s: float = 180) -> Done:
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def interrupted(
    *arguments: str | Path, cwd: Path, when: Callable[[], bool], how: signal.Signals
) -> tuple[int, list[int]]:
    """Start the command, send a signal once something has happened; its exit code, and which of its processes are left."""
    with (cwd / "out").open("w") as out, (cwd / "err").open("w") as err:
        process = subprocess.Popen(command(*arguments), cwd=cwd, stdout=out, stderr=err)
        family: set[int] = set()
        deadline = time.monotonic() + 90
        while not when():
            assert process.poll() is None, (cwd / "err").read_text()
            assert time.monotonic() < deadline, "it never came so far"
            family |= {p.pid for p in psutil.Process(process.pid).children(recursive=True)}
        family |= {p.pid for p in psutil.Process(process.pid).children(recursive=True)}
        process.send_signal(how)
        code = process.wait(timeout=60)
    deadline = time.monotonic() + 10
    left = [pid for pid in family if _alive(pid)]
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if _alive(pid)]
    return code, left


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def entered(run: Path, phase: str) -> Callable[[], bool]:
    """True once a run has come to a phase."""

    def check() -> bool:
        events = run / "events.jsonl"
        return events.exists() and f'"name":"{phase}"' in events.read_text()

    return check
