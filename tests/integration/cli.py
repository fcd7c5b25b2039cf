"""Runs the real command, as a user does, and looks at what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

# How long a loop waits between two looks. A loop that only polls would take a whole core from the app under test.
POLL_S = 0.05


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
    # The script that the installation made. Unlike `python -m harness`, it does not import from the working folder.
    return [str(Path(sys.executable).with_name("gradsoak")), *map(str, arguments)]


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
            assert not _ended_within(process, POLL_S), (cwd / "err").read_text()
            assert time.monotonic() < deadline, "the condition was never met"
            family |= {p.pid for p in psutil.Process(process.pid).children(recursive=True)}
        family |= {p.pid for p in psutil.Process(process.pid).children(recursive=True)}
        process.send_signal(how)
        code = process.wait(timeout=60)
    deadline = time.monotonic() + 10
    return code, _alive_after(family, deadline)


class Running:
    """A command under way. Use as a context manager: it does not outlive the block."""

    def __init__(self, *arguments: str | Path, cwd: Path, name: str = "command") -> None:
        self.out, self.err = cwd / f"{name}.out", cwd / f"{name}.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                command(*arguments),
                cwd=cwd,
                stdout=out,
                stderr=err,
                # What it keeps in temporary folders goes where the test's own files go.
                env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TMPDIR": str(cwd)},
            )
        self.family: dict[int, list[str]] = {}

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def until(self, when: Callable[[], bool], timeout_s: float = 90) -> None:
        """Wait until something has happened, while the command runs."""
        deadline = time.monotonic() + timeout_s
        while not when():
            assert not _ended_within(self.process, POLL_S), self.err.read_text() + self.out.read_text()
            assert time.monotonic() < deadline, "the condition was never met"
            self.look()

    def look(self) -> None:
        """Take note of its processes."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                # Anew each time: between its fork and its exec a process still looks like the one that started it.
                self.family[process.pid] = process.cmdline() or self.family.get(process.pid, [])
            except psutil.NoSuchProcess:
                continue

    def pid_of(self, module: str) -> int:
        """One of its processes, by the module that it runs."""
        self.look()
        return next(pid for pid, line in self.family.items() if module in line)

    def end(self, timeout_s: float = 180) -> Done:
        """Wait for its end."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it never ended"
            try:
                self.look()
                self.process.wait(0.2)
            except (subprocess.TimeoutExpired, psutil.NoSuchProcess):
                continue
        return Done(self.process.returncode, self.out.read_text(), self.err.read_text())

    def left(self) -> list[str]:
        """Those of its processes that still run, some time after its end."""
        alive = _alive_after(self.family, time.monotonic() + 10)
        return [" ".join(self.family[pid]) for pid in alive]


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _alive_after(pids: Iterable[int], deadline: float) -> list[int]:
    """Those of the processes that still run at the deadline; waits no longer than until the last one has ended."""
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    psutil.wait_procs(processes, timeout=max(0.0, deadline - time.monotonic()))
    return [process.pid for process in processes if _alive(process.pid)]


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


def files_with(folder: Path, secret: str) -> list[Path]:
    """The files below a folder that contain a text."""
    return [f for f in folder.rglob("*") if f.is_file() and secret.encode() in f.read_bytes()]
