"""The live heap if jemalloc serves malloc, and if an unknown allocator does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.app_under_test.allocators import find_jemalloc, starts_with
from harness.errors import UsageError
from tests.unit.probe.test_heap import FLOATS, PROBE

SCRIPT = """
import importlib.util
spec = importlib.util.spec_from_file_location("heap", {path!r})
heap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(heap)
def live():
    assert heap.trim()
    return heap.measure()["live_bytes"]
live()
before = live()
{grow}
grown = live() - before
x = None
print(grown, live() - before)
"""


def jemalloc() -> str:
    try:
        return find_jemalloc(None, lambda path: starts_with(sys.executable, path))
    except UsageError as error:
        pytest.skip(f"{error.message} {error.hint}")


def python(script: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("objects", ["pymalloc", "malloc"])
@pytest.mark.parametrize(
    ("grow", "size"),
    [
        (FLOATS, 100_000 * (32 + 8)),  # a float takes 32 bytes of jemalloc's, too
        ("x = [bytes(2000) for _ in range(4_000)]", 4_000 * 2048),  # a size class of jemalloc's
        ("x = bytes(50_000_000)", 50_000_000),
    ],
)
def test_live_bytes_are_those_that_jemalloc_handed_out(grow: str, size: int, objects: str) -> None:
    grown, left = map(
        int,
        python(
            SCRIPT.format(path=str(PROBE / "heap.py"), grow=grow), LD_PRELOAD=jemalloc(), PYTHONMALLOC=objects
        ).split(),
    )
    assert grown == pytest.approx(size, rel=0.03)
    assert abs(left) < 300_000


def test_of_an_unknown_allocator_nothing_is_known() -> None:
    script = f"""
import ctypes, importlib.util
spec = importlib.util.spec_from_file_location("heap", {str(PROBE / "heap.py")!r})
heap = importlib.util.module_from_spec(spec)
class Other:
    malloc = ctypes.pythonapi.PyObject_Malloc  # malloc comes from elsewhere
    def __getattr__(self, name):
        return getattr(process, name)
process, load = ctypes.CDLL(None), ctypes.CDLL
ctypes.CDLL = lambda name, *more: Other() if name is None else load(name, *more)
spec.loader.exec_module(heap)
ctypes.CDLL = load
print(heap.measure()["live_bytes"], heap.trim())
"""
    assert python(script).split() == ["None", "None"]
