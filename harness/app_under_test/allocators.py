"""Finds jemalloc, to preload it in place of the C library's allocator, and checks that an interpreter starts with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.app_under_test.interpreter import run_code
from harness.errors import UsageError

INSTALL = (
    "Install it, on Debian and Ubuntu with: apt-get install libjemalloc2 (Fedora: dnf install jemalloc; Alpine: apk add "
    "jemalloc), or name the library: --what-if jemalloc=/path/to/libjemalloc.so.2."
)
_PATTERNS = (
    "/usr/lib/*/libjemalloc.so*",
    "/usr/lib64/libjemalloc.so*",
    "/usr/lib/libjemalloc.so*",
    "/usr/local/lib*/libjemalloc.so*",
    "/lib/*/libjemalloc.so*",
)
_LINE = re.compile(r"^\s*libjemalloc\.so[\w.]*\s.*=>\s*(\S+)\s*$", re.MULTILINE)


def parse_ldconfig(text: str) -> list[str]:
    """Paths of jemalloc in the output of `ldconfig -p`."""
    return _LINE.findall(text)


def find_jemalloc(
    named: str | None, starts: Callable[[str], bool], candidates: Iterable[str] | None = None
) -> str:
    """The path of the library to preload.

    Args:
        named: path given by the user; None to search for it.
        starts: whether the app's interpreter starts with a library, and the library is jemalloc.
        candidates: paths to try; default: those that the system's linker knows, and the usual places.

    Raises:
        UsageError: no usable jemalloc was found.
    """
    if sys.platform != "linux":
        raise UsageError(
            "jemalloc is preloaded with LD_PRELOAD, which exists only on Linux.",
            "Leave out the jemalloc setting.",
        )
    if named is not None:
        path = os.path.abspath(os.path.expanduser(named))
        if not os.path.isfile(path):
            raise UsageError(f"There is no library {path}.", INSTALL)
        if not starts(path):
            raise UsageError(
                f"The app's interpreter does not start with {path}, or that is not jemalloc.",
                "Name a jemalloc for this machine's processor and C library.",
            )
        return path
    found = list(dict.fromkeys(_known() if candidates is None else candidates))
    for path in found:
        if starts(path):
            return path
    raise UsageError(
        f"The app's interpreter does not start with {', '.join(found)}."
        if found
        else "There is no jemalloc on this machine.",
        INSTALL,
    )


def starts_with(python: str, library: str) -> bool:
    """Whether an interpreter starts with a preloaded library that is jemalloc. The linker ignores a library that it cannot preload."""
    code = "import ctypes; ctypes.CDLL(None).mallctl"
    try:
        done = run_code(python, code, {**os.environ, "LD_PRELOAD": library}, timeout_s=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _known() -> list[str]:
    found: list[str] = []
    for program in ("ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"):
        try:
            done = subprocess.run([program, "-p"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found = parse_ldconfig(done.stdout)
        break
    for pattern in _PATTERNS:
        found += sorted(map(str, Path("/").glob(pattern.lstrip("/"))))
    return found
