"""What is made of the folder of a memray pass, whatever became of the pass."""

from __future__ import annotations

from pathlib import Path

import memray
import pytest

from harness.app_under_test import Interpreter
from harness.profiles import BASES
from harness.records import NOT_TRACED, TRACED, Allocation, Frame, HeldEntries, RunEvent
from harness.run_dir import ALLOCATIONS, EVENTS, FLAME_GRAPH, HELD_ENTRIES, MANIFEST, MEMRAY_FILE, RunDir
from harness.run_reader import attribution_of
from harness.runs import memray_results
from harness.runs.manifest_builder import build_manifest
from harness.runs.run_options import RunOptions
from harness.scenario import find
from tests.hostile import hostile_folder

SITE = Frame(file="app.py", line=14, function="click", owner="app")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run")


def begun(run: RunDir) -> RunDir:
    options = RunOptions(
        scenario=find("counters"), profile=BASES["quick"], params={}, seed=1, ready_timeout_s=1, argv=[],
        interpreter=Interpreter(path="python", version="3.12.0", packages={"gradio": "6.31.0"}),
        purpose="attribution",
    )  # fmt: skip
    folder = RunDir.create(run.path / "attribution")
    folder.write_json(MANIFEST, build_manifest(options, "attribution"))
    return folder


def record_event(folder: RunDir, kind: str, **detail: object) -> None:
    writer = folder.writer(EVENTS)
    writer.append(RunEvent(time_ns=1, wall_ns=1, kind=kind, detail=detail))
    writer.close()


def written(folder: RunDir, name: str, record: Allocation | HeldEntries) -> None:
    writer = folder.writer(name)
    writer.append(record)
    writer.close()


def test_no_pass_is_no_attribution(run: RunDir) -> None:
    assert attribution_of(run) is None


def test_what_was_recorded_needs_neither_memray_nor_its_file(run: RunDir) -> None:
    folder = begun(run)
    written(folder, ALLOCATIONS, Allocation(site=SITE, stack=[SITE], bytes=289, allocations=1))
    written(folder, HELD_ENTRIES, HeldEntries(path="app.LOG", site=SITE, entries=1, bytes=289))
    record_event(folder, TRACED, sites=1, total_bytes=500, sessions=8, requests=72)
    found = attribution_of(run)
    assert found is not None
    assert (found.total_bytes, found.sessions, found.requests, found.not_measured) == (500, 8, 72, None)
    assert [(s.where, s.held_by) for s in found.sites] == [("app.py:14 in click", ["app.LOG"])]
    assert found.flame_graph is None
    folder.write_bytes(FLAME_GRAPH, b"<html>")
    found = attribution_of(run)
    assert found is not None
    assert found.flame_graph == "attribution/flame-graph.html"
    (folder.path / ALLOCATIONS).unlink()
    found = attribution_of(run)
    assert found is not None
    assert "is not whole" in str(found.not_measured)


@pytest.mark.parametrize(
    ("ended", "reason", "says"),
    [
        (
            "target_failed",
            "The app was killed by SIGKILL.\n    its log",
            "ended early: The app was killed by SIGKILL.",
        ),
        ("interrupted", "The run was interrupted.", "ended early: The run was interrupted."),
        ("completed", "", "recorded nothing"),
        (None, "", "was cut short"),
    ],
)
def test_a_pass_that_came_to_nothing_says_why(run: RunDir, ended: str | None, reason: str, says: str) -> None:
    folder = begun(run)
    if ended is not None:
        folder.seal(ended, reason)
    found = attribution_of(run)
    assert found is not None
    assert says in str(found.not_measured)
    assert not found.sites
    record_event(folder, NOT_TRACED, reason="There is no memray.")
    found = attribution_of(run)
    assert found is not None
    assert found.not_measured == "There is no memray."


def test_a_damaged_manifest_is_the_reason(run: RunDir) -> None:
    (begun(run).path / MANIFEST).write_text("{")
    found = attribution_of(run)
    assert found is not None
    assert "is damaged" in str(found.not_measured)


def test_a_file_that_memray_did_not_write_is_no_flame_graph(tmp_path: Path) -> None:
    (tmp_path / "memray.bin").write_bytes(b"nothing of memray's")
    assert memray_results.draw_flame_graph(tmp_path / "memray.bin", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
    with pytest.raises(OSError, match="memray"):
        memray_results.read_capture(tmp_path / "memray.bin", tmp_path)


def test_a_capture_or_the_reason_is_recorded(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # memray's reporter runs in the user's folder, and must not import the user's files.
    monkeypatch.chdir(hostile_folder(tmp_path / "here"))
    folder = begun(run)
    (event,) = memray_results.record(folder, run.path, [])
    assert event.kind == NOT_TRACED
    assert "could not be read" in event.detail["reason"]
    with memray.Tracker(
        folder.path / MEMRAY_FILE,
        trace_python_allocators=True,
        file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
    ):
        kept = [bytes(1000) for _ in range(50)]
    here = next(
        n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if "bytes(1000) for" in line
    )
    entries = [{"path": "app.KEPT", "frames": [[__file__, here]], "count": 50, "bytes": 51_650}]
    (event,) = memray_results.record(folder, Path(__file__).parent, entries)
    assert event.kind == TRACED
    record_event(folder, event.kind, **event.detail)
    found = attribution_of(run)
    assert found is not None
    site = next(s for s in found.sites if s.held_by)
    assert site.where.startswith(f"test_memray_results.py:{here} in ")
    assert (site.held_by, site.held_entries, len(kept)) == (["app.KEPT"], 50, 50)
    assert site.bytes >= 50 * 1033
    assert found.flame_graph is not None
    assert "<html" in (run.path / found.flame_graph).read_text()
