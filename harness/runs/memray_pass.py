"""What a memory tracker wrote: the harness's end of a memray pass. memray and its file are needed here, and nowhere after."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from harness.analysis.memory.allocation_sites import (
    MAX_FRAMES,
    Stack,
    by_site,
    frame,
    held_entries,
    worth_keeping,
)
from harness.records import NOT_TRACED, TRACED, Allocation, Census, HeldEntries
from harness.run_dir import ALLOCATIONS, FLAME_GRAPH, HELD_ENTRIES, MEMRAY_FILE, RunDir

_DRAW_TIMEOUT_S = 120.0
_PROBE = str(Path(__file__).resolve().parent.parent / "probe") + os.sep
# An allocation below this was made by the probe for itself: whatever else runs has been started by another file of the probe.
_PROBE_SERVER = _PROBE + "server.py"


def lent_memray() -> dict[str, Any]:
    """Where the app's process can find our memray, and what that was built for; empty without one. See `harness/probe/tracing.py`."""
    found = find_spec("memray")
    if found is None or found.origin is None:
        return {}
    return {
        "folder": str(Path(found.origin).parent.parent),
        "abi": f"{sys.implementation.cache_tag} {sysconfig.get_config_var('SOABI')}",
        "package": "memray",
        # What it imports when it is imported; see tests/unit/probe/test_tracing.py.
        "needs": ["rich"],
    }


def why_missing(python: str, error: str) -> str:
    """What to do about an interpreter that has no memray and cannot use ours, in a sentence."""
    from importlib.metadata import version

    return (
        f"The app's interpreter has no memray that can be used ({error}): install the one that gradsoak has, with "
        f"`{python} -m pip install memray=={version('memray')}`."
    )


def grown_paths(before: Census | None, after: Census | None) -> list[str]:
    """Access paths at which there was more at the later census."""
    if before is None or after is None:
        return []
    lengths = {container.path: container.length for container in before.containers}
    return [c.path for c in after.containers if c.length > lengths.get(c.path, 0)]


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a tracker's file.

    Attributes:
        allocations: of every line of code, the most bytes first.
        total_bytes, total_allocations: of all of them, the probe's own left out.
        functions: file as the interpreter knows it, and line → the function that it stands in.
    """

    allocations: list[Allocation]
    total_bytes: int
    total_allocations: int
    functions: dict[tuple[str, int], str]


def read_capture(file: Path, app_folder: Path) -> Capture:
    """Read what was allocated while the tracker was on, and not given back.

    Args:
        file: what memray wrote.
        app_folder: where the app's own files stand.

    Raises:
        Exception: whatever memray raises for a file that is not there, not whole, or of another memray's format.
    """
    import memray

    folder = os.path.abspath(app_folder)
    stacks = []
    functions: dict[tuple[str, int], str] = {}
    with memray.FileReader(file) as reader:
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            frames = record.stack_trace()
            functions.update({(path, line): name for name, path, line in frames})
            if any(path == _PROBE_SERVER for _, path, _ in frames):
                continue
            stacks.append(
                Stack(
                    frames=[
                        frame(path, line, name, folder)
                        for name, path, line in frames[:MAX_FRAMES]
                        if not path.startswith(_PROBE)
                    ],
                    bytes=record.size,
                    count=record.n_allocations,
                )
            )
    allocations = by_site(stacks)
    return Capture(
        allocations=allocations,
        total_bytes=sum(a.bytes for a in allocations),
        total_allocations=sum(a.allocations for a in allocations),
        functions=functions,
    )


def read_entries(answer: Sequence[dict[str, Any]], capture: Capture, app_folder: Path) -> list[HeldEntries]:
    """Which lines allocated the new entries of containers, from what the probe answered.

    Args:
        answer: see `entries` in `harness/probe/tracing.py`.
        capture: what memray saw, since tracemalloc knows no names of functions.
        app_folder: where the app's own files stand.
    """
    folder = os.path.abspath(app_folder)
    stacks: dict[str, list[Stack]] = {}
    names = capture.functions
    for told in answer:
        stacks.setdefault(told["path"], []).append(
            Stack(
                frames=[
                    frame(path, line, names.get((path, line), ""), folder)
                    for path, line in told["frames"][:MAX_FRAMES]
                    if not path.startswith(_PROBE)
                ],
                bytes=told["bytes"],
                count=told["count"],
            )
        )
    return [held for path in sorted(stacks) for held in held_entries(path, stacks[path])]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is to be said of a pass, as an event of its run: see docs/file-formats.md."""

    kind: str
    detail: dict[str, Any]


def record(run_dir: RunDir, app_folder: Path, told: Sequence[dict[str, Any]]) -> list[Outcome]:
    """Write down what memray and tracemalloc saw, and draw the flame graph.

    Args:
        run_dir: of the pass; memray's file is in it.
        app_folder: where the app's own files stand.
        told: what the probe answered of the entries of containers.

    Raises:
        StorageError: the record cannot be written.
    """
    file = run_dir.path / MEMRAY_FILE
    try:
        capture = read_capture(file, app_folder)
        held = read_entries(told, capture, app_folder)
    except Exception as error:  # memray's reader raises what it likes
        reason = f"What memray wrote could not be read: {type(error).__name__}: {error}."
        return [Outcome(kind=NOT_TRACED, detail={"reason": reason})]
    kept = worth_keeping(capture.allocations, held)
    for name, records in ((ALLOCATIONS, kept), (HELD_ENTRIES, held)):
        writer = run_dir.writer(name)
        for line in records:
            writer.append(line)
        writer.close()
    undrawn = draw_flame_graph(file, run_dir.path / FLAME_GRAPH)
    traced = Outcome(
        kind=TRACED,
        detail={
            "sites": len(kept),
            "total_bytes": capture.total_bytes,
            "total_allocations": capture.total_allocations,
            "capture_bytes": file.stat().st_size,
        },
    )
    if undrawn is None:
        return [traced]
    text = f"The flame graph could not be drawn: {undrawn}"
    return [Outcome(kind="warning", detail={"text": text}), traced]


def draw_flame_graph(file: Path, page: Path) -> str | None:
    """Draw what was not given back as a flame graph: one HTML file that needs no network.

    Args:
        file: what memray wrote.
        page: the file to make.

    Returns:
        Why it could not be drawn, None if it was.
    """
    # -P: the folder the user stands in may hold modules with the names of ours, or of memray's libraries.
    command = [
        sys.executable,
        "-P",
        "-m",
        "memray",
        "flamegraph",
        "--leaks",
        "--no-web",
        "--force",
        "--output",
    ]
    try:
        done = subprocess.run(
            [*command, str(page), str(file)],
            capture_output=True,
            text=True,
            timeout=_DRAW_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0 and page.is_file():
        return None
    return (done.stderr.strip() or done.stdout.strip() or "memray said nothing").splitlines()[-1]
