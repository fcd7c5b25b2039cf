"""Reads the capture file of memray, records its allocation sites and draws the flame graph. No other module reads that file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
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
from harness.records import NOT_TRACED, TRACED, Allocation, HeldEntries
from harness.run_dir import ALLOCATIONS, FLAME_GRAPH, HELD_ENTRIES, MEMRAY_FILE, RunDir

_DRAW_TIMEOUT_S = 120.0
_PROBE = str(Path(__file__).resolve().parent.parent / "probe") + os.sep
# The probe's own allocations have this file in their stack. The app's do not: another file of the probe starts the app.
_PROBE_SERVER = _PROBE + "server.py"


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """What a capture file contains.

    Attributes:
        allocations: per line of code, the most bytes first.
        total_bytes, total_allocations: of all lines, without the probe's own.
        functions: (file as the interpreter names it, line) → name of the function.
    """

    allocations: list[Allocation]
    total_bytes: int
    total_allocations: int
    functions: dict[tuple[str, int], str]


def read_capture(file: Path, app_folder: Path) -> Capture:
    """Read the allocations that were made during the trace and not freed.

    Args:
        file: memray's capture file.
        app_folder: the folder of the app's own files.

    Raises:
        Exception: memray raises different types for a file that is missing, incomplete, or of another memray's format.
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


def read_entries(entries: Sequence[dict[str, Any]], capture: Capture, app_folder: Path) -> list[HeldEntries]:
    """The lines that allocated the new entries of containers.

    Args:
        entries: see `entries` in `harness/probe/allocation_tracing.py`.
        capture: memray's capture, because tracemalloc records no function names.
        app_folder: the folder of the app's own files.
    """
    folder = os.path.abspath(app_folder)
    stacks: dict[str, list[Stack]] = {}
    names = capture.functions
    for entry in entries:
        stacks.setdefault(entry["path"], []).append(
            Stack(
                frames=[
                    frame(path, line, names.get((path, line), ""), folder)
                    for path, line in entry["frames"][:MAX_FRAMES]
                    if not path.startswith(_PROBE)
                ],
                bytes=entry["bytes"],
                count=entry["count"],
            )
        )
    return [held for path in sorted(stacks) for held in held_entries(path, stacks[path])]


class TraceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a memray pass, for the run's event log; see docs/file-formats.md."""

    kind: str
    detail: dict[str, Any]


def record(run_dir: RunDir, app_folder: Path, entries: Sequence[dict[str, Any]]) -> list[TraceEvent]:
    """Write allocation sites and held entries, and draw the flame graph.

    Args:
        run_dir: the folder of the pass, which contains the capture file.
        app_folder: the folder of the app's own files.
        entries: the probe's answer about the entries of containers that grew.

    Returns:
        The events to record: traced or not traced, and a warning if the flame graph could not be drawn.

    Raises:
        StorageError: a file cannot be written.
    """
    file = run_dir.path / MEMRAY_FILE
    try:
        capture = read_capture(file, app_folder)
        held = read_entries(entries, capture, app_folder)
    except Exception as error:  # memray's reader raises different types
        reason = f"memray's capture file could not be read: {type(error).__name__}: {error}."
        return [TraceEvent(kind=NOT_TRACED, detail={"reason": reason})]
    kept = worth_keeping(capture.allocations, held)
    for name, records in ((ALLOCATIONS, kept), (HELD_ENTRIES, held)):
        writer = run_dir.writer(name)
        for line in records:
            writer.append(line)
        writer.close()
    undrawn = draw_flame_graph(file, run_dir.path / FLAME_GRAPH)
    traced = TraceEvent(
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
    return [TraceEvent(kind="warning", detail={"text": text}), traced]


def draw_flame_graph(file: Path, page: Path) -> str | None:
    """Draw the allocations that were not freed as a flame graph: one HTML file that needs no network.

    Args:
        file: memray's capture file.
        page: the file to write.

    Returns:
        Why it could not be drawn; None if it was drawn.
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
    return (done.stderr.strip() or done.stdout.strip() or "memray printed no reason").splitlines()[-1]
