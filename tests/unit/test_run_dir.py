from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from harness.errors import ExitCode, StorageError, UsageError
from harness.records import Invoke, Ok, RunEvent
from harness.run_dir import EVENTS, MANIFEST, SEAL, JsonLinesWriter, RawFile, RunDir


def record(number: int) -> Invoke:
    return Invoke(id=number, session="s0-1", action="click", phase="load", time_ns=number)


def test_a_run_folder_is_never_overwritten(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "run").write_bytes(MANIFEST, b"{}")
    with pytest.raises(UsageError, match="already holds a run") as caught:
        RunDir.create(tmp_path / "run")
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match="is not empty"):
        RunDir.create(tmp_path)


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Cannot create"):
        RunDir.create(tmp_path / "file" / "run")
    with pytest.raises(UsageError, match="is a file"):
        RunDir.create(tmp_path / "file")


def test_opening_a_folder_without_a_run_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        RunDir.open(tmp_path)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    run.write_bytes(MANIFEST, b'{"schema_version": 99}')
    with pytest.raises(UsageError, match="schema version 99"):
        run.manifest()
    run.write_bytes(MANIFEST, b'{"schema_version": 1}')
    with pytest.raises(UsageError, match="damaged"):
        run.manifest()


def test_every_record_is_on_disk_at_once(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    writer = JsonLinesWriter(run.history_path("0"))
    writer.append(record(1))
    assert run.history()[0]["0"] == [record(1)]  # the writer is still open


def test_a_torn_last_line_is_reported_and_the_rest_is_kept(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    writer = JsonLinesWriter(run.history_path("0"))
    writer.append(record(1))
    writer.append(Ok(id=1, time_ns=2))
    path = run.history_path("0")
    path.write_bytes(path.read_bytes()[:-10])
    shards, torn = run.history()
    assert shards["0"] == [record(1)]
    assert [(t.file, t.line) for t in torn] == [("history/0.jsonl", 2)]


def test_the_seal_notices_a_file_that_changed_or_is_gone(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    for worker in ("0", "1"):
        writer = JsonLinesWriter(run.history_path(worker))
        writer.append(record(1))
        writer.close()
    assert run.sealed() is None
    seal = run.seal("completed", "")
    assert seal.shards["history/0.jsonl"].lines == 1
    assert run.sealed() == seal
    assert run.changed_since(seal, {}) == []
    with run.history_path("0").open("ab") as stream:
        stream.write(b"{}\n")
    run.history_path("1").unlink()
    assert [(t.file, t.problem.split()[0]) for t in run.changed_since(seal, {})] == [
        ("history/0.jsonl", "was"),
        ("history/1.jsonl", "is"),
    ]


@pytest.mark.parametrize("content", [b'{"ended": "compl', b"", b'{"ended": "com\xff"}'])
def test_a_damaged_seal_is_no_seal(content: bytes, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    run.write_bytes(SEAL, content)
    assert run.sealed() is None


def test_a_file_that_came_after_the_seal_is_noticed(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    JsonLinesWriter(run.history_path("0")).append(record(1))
    seal = run.seal("completed", "")
    JsonLinesWriter(run.history_path("1")).append(record(1))
    assert [(t.file, t.problem) for t in run.changed_since(seal, {})] == [
        ("history/1.jsonl", "is not in the seal")
    ]


def test_bytes_that_are_no_text_are_reported_like_a_torn_line(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    JsonLinesWriter(run.history_path("0")).append(record(1))
    path = run.history_path("0")
    path.write_bytes(path.read_bytes().replace(b"click", b"\xff\xfe") + path.read_bytes())
    shards, torn = run.history()
    assert shards["0"] == [record(1)]
    assert [t.line for t in torn] == [1]


def test_a_torn_file_of_records_is_read_up_to_the_damage_and_hashed_as_a_whole(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    assert run.read(EVENTS, RunEvent) == RawFile(name="events.jsonl", records=[], damage=None, sha256=None)
    event = RunEvent(time_ns=1, wall_ns=1, kind="phase", detail={"name": "load"})
    run.writer(EVENTS).append(event)
    whole = run.read(EVENTS, RunEvent)
    assert (whole.records, whole.damage) == ([event], None)
    with (run.path / EVENTS).open("ab") as stream:
        stream.write(b'{"time_ns":2,"kin')
    torn = run.read(EVENTS, RunEvent)
    assert torn.records == [event]
    assert torn.damage is not None
    assert (torn.damage.file, torn.damage.line) == ("events.jsonl", 2)
    assert torn.sha256 == hashlib.sha256((run.path / EVENTS).read_bytes()).hexdigest() != whole.sha256


@pytest.mark.parametrize("lines", [False, True])
def test_a_shard_is_examined_without_keeping_its_records(lines: bool, tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    writer = JsonLinesWriter(run.history_path("3"))
    for number in range(1, 2_000):  # more than one block
        writer.append(record(number))
    path = run.history_path("3")
    path.write_bytes(path.read_bytes()[:-10])
    (shard,) = run.examine_shards(lines=lines).values()
    assert shard.records == []
    assert shard.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (shard.damage.line if shard.damage else None) == (1_999 if lines else None)


def test_a_checksum_that_is_known_is_not_taken_again(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    JsonLinesWriter(run.history_path("0")).append(record(1))
    seal = run.seal("completed", "")
    assert run.changed_since(seal, {}) == []
    assert [damage.file for damage in run.changed_since(seal, {"history/0.jsonl": "another"})] == [
        "history/0.jsonl"
    ]


def test_a_full_disk_is_explained_and_leaves_the_old_file(tmp_path: Path) -> None:
    writer = JsonLinesWriter(Path("/dev/full"))
    with pytest.raises(StorageError, match="No space left"):
        writer.append(record(1))
    writer.close()


def test_replacing_a_file_leaves_no_temporary_file(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run")
    run.write_json("derived/x.json", {"a": 1})
    run.write_json("derived/x.json", {"a": 2})
    assert os.listdir(run.path / "derived") == ["x.json"]
