from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).resolve().parents[3] / "harness" / "probe"

FLOATS = "x = [None] * 100_000\nfor i in range(100_000): x[i] = float(i)"

# In a process of its own, so that nothing else allocates meanwhile; loaded as the target loads it.
SCRIPT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("heap", {path!r})
heap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(heap)
heap.measure()
def live():
    return heap.measure()["live_bytes"]
before = live()
{grow}
print(live() - before)
"""


FREED = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("heap", {path!r})
heap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(heap)
x = [{make} for i in range({number})]
keep = x[::{every}]
before = heap.measure()["free_bytes"]
del x
print(heap.measure()["free_bytes"] - before)
"""


def growth(grow: str, python: str = sys.executable) -> int:
    script = SCRIPT.format(path=str(PROBE / "heap.py"), grow=grow)
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout)


pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="live heap needs glibc's mallinfo2")


@pytest.mark.parametrize(
    ("grow", "size"),
    [
        (FLOATS, 100_000 * (32 + 8)),  # pymalloc rounds a float to 32 bytes, the list points at it
        ("x = [bytes(2000) for _ in range(2_000)]", 2_000 * 2033),  # malloc from its arenas
        ("x = bytes(50_000_000)", 50_000_000),  # mapped one by one
    ],
)
def test_live_bytes_grow_by_what_is_allocated(grow: str, size: int) -> None:
    assert growth(grow) == pytest.approx(size, rel=0.03)


@pytest.mark.parametrize(
    "freed", ["x = [float(i) for i in range(300_000)]; del x", "x = bytes(50_000_000); del x"]
)
def test_what_was_freed_is_not_live(freed: str) -> None:
    assert abs(growth(freed)) < 300_000


@pytest.mark.parametrize(
    ("make", "number", "every", "size"),
    # One object in each of pymalloc's pools stays, so that no arena is given back; and one in thirty of malloc's.
    [("float(i)", 400_000, 100, 400_000 * 32), ("bytes(2000)", 6_000, 30, 6_000 * 2033)],
)
def test_what_was_freed_and_not_given_back_is_free(make: str, number: int, every: int, size: int) -> None:
    script = FREED.format(path=str(PROBE / "heap.py"), make=make, number=number, every=every)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(size * (1 - 1 / every), rel=0.06)


def other_pythons() -> list[str]:
    """Interpreters of other versions on this machine, as the app under test may use."""
    found = {}
    for candidate in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3")) + [
        path for path in sorted(Path("/usr/bin").glob("python3.*")) if path.name[8:].isdigit()
    ]:
        version = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if version and (3, 9) <= tuple(int(v) for v in version) != sys.version_info[:2]:
            found[tuple(version)] = str(candidate)
    return list(found.values())


def test_other_python_versions_are_measured_the_same_way() -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.9 on is installed here")
    for python in pythons:
        assert growth(FLOATS, python) == pytest.approx(4_000_000, rel=0.03), python
