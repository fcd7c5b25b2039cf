from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.child_process import Child, describe_exit

# A child with a child of its own that ignores SIGTERM and has a process group of its own.
STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(os.getpid(), grandchild.pid, flush=True)
import time
time.sleep(600)
"""


def started(log: Path) -> list[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        words = log.read_text().split() if log.exists() else []
        if len(words) == 2:
            return [int(word) for word in words]
    raise AssertionError("the child did not start")


def gone(pids: list[int], timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        alive = [
            p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE
        ]
        if not alive:
            return True
    return False


def test_stopping_ends_the_whole_family_also_the_stubborn_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child([sys.executable, "-c", STUBBORN], cwd=tmp_path, env=os.environ, log=log)
    pids = started(log)
    child.stop(grace_s=0.2)
    assert gone(pids)
    assert child.exit_status() == -signal.SIGKILL


def test_children_of_a_child_that_died_are_ended_if_they_were_seen(tmp_path: Path) -> None:
    script = STUBBORN.replace("import time\ntime.sleep(600)", "os._exit(3)")
    log = tmp_path / "log"
    child = Child([sys.executable, "-c", script], cwd=tmp_path, env=os.environ, log=log)
    _, grandchild = started(log)
    created = psutil.Process(grandchild).create_time()
    assert child.wait(30) == 3
    child.stop(seen=[(grandchild, created - 1000), (os.getpid(), 0.0)])  # other processes with these numbers
    assert not gone([grandchild], timeout_s=0.3)
    child.stop(seen=[(grandchild, created)])
    assert gone([grandchild])


def test_a_polite_child_is_ended_politely(tmp_path: Path) -> None:
    script = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('x y', flush=True); time.sleep(600)"
    log = tmp_path / "log"
    child = Child([sys.executable, "-c", script], cwd=tmp_path, env=os.environ, log=log)
    deadline = time.monotonic() + 30
    while not log.read_text() and time.monotonic() < deadline:
        pass
    child.stop(grace_s=20)
    assert child.exit_status() == 7


def test_no_child_outlives_a_harness_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    plain = STUBBORN.replace(", start_new_session=True", "")
    parent = f"""
import os, sys, time
from pathlib import Path
from harness.child_process import Child
Child([sys.executable, "-c", {plain!r}], cwd=Path({str(tmp_path)!r}), env=os.environ, log=Path({str(log)!r}))
time.sleep(600)
"""
    harness = subprocess.Popen([sys.executable, "-c", parent])
    pids = started(log)
    harness.kill()
    harness.wait()
    assert gone(pids)


def test_a_program_that_does_not_exist_leaves_no_guard_behind(tmp_path: Path) -> None:
    before = {p.pid for p in psutil.Process().children()}
    with pytest.raises(OSError, match="No such file"):
        Child(["/nonexistent/python"], cwd=tmp_path, env={}, log=tmp_path / "log")
    assert {p.pid for p in psutil.Process().children()} <= before


def test_exits_are_described_in_words() -> None:
    assert describe_exit(3) == "ended by itself with exit status 3"
    assert describe_exit(-9) == "was killed by SIGKILL"


def test_a_child_may_open_as_many_files_as_the_system_permits(tmp_path: Path) -> None:
    script = """
import os, resource, sys
from pathlib import Path
from harness.child_process import Child
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
show = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
child = Child([sys.executable, "-c", show], cwd=Path.cwd(), env=os.environ, log=Path("log"))
assert child.wait(30) == 0
child.stop()
assert int(Path("log").read_text()) == hard, Path("log").read_text()
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
