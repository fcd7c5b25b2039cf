"""A history that is not whole is never a pass: each way in which a run folder can be damaged gives `unknown`, with the reason.

One recorded run, copied for each damage. Most damages come twice: as they are found, so that the seal tells, and with a seal made
afterwards, so that the record must tell by itself.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.evaluate import evaluate_run
from harness.records import Checks
from harness.run_dir import EVENTS, MANIFEST, SEAL, RunDir
from tests.frozen.evaluation import unpack
from tests.integration.cli import gradsoak

pytestmark = pytest.mark.xdist_group("damaged")
SHARD = "history/0.jsonl"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded run of `counters` that passed."""
    return unpack("counters", tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


Lines = list[bytes]


def lines_of(run: Path, name: str = SHARD) -> Lines:
    return (run / name).read_bytes().splitlines(keepends=True)


def position(lines: Lines, kind: str) -> int:
    """Where the first click of the session that clicked most was invoked, or completed: it saw it again afterwards."""
    clicks: dict[str, list[int]] = {}
    for line in lines:
        record = json.loads(line)
        if record.get("action") == "click":
            clicks.setdefault(record["session"], []).append(record["id"])
    first = max(clicks.values(), key=len)[0]
    records = [json.loads(line) for line in lines]
    return next(n for n, r in enumerate(records) if (r["id"], r["type"]) == (first, kind))


def edited(line: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode() + b"\n"


def other_session(line: bytes) -> bytes:
    return edited(line, session="s0-999999")


# --- damages to the lines of the shard ---


def torn(lines: Lines) -> Lines:
    return [*lines[:-1], lines[-1][: len(lines[-1]) // 2]]


def garbage_for_an_invoke(lines: Lines) -> Lines:
    n = position(lines, "invoke")
    return [*lines[:n], b'{"type":"invo\x00\n', *lines[n + 1 :]]


def garbage_for_a_completion(lines: Lines) -> Lines:
    n = position(lines, "ok")
    return [*lines[:n], b"#### ####\n", *lines[n + 1 :]]


def no_utf_8(lines: Lines) -> Lines:
    n = position(lines, "invoke")
    return [*lines[:n], lines[n].replace(b"click", b"cl\xff\xfek", 1), *lines[n + 1 :]]


def another_type(lines: Lines) -> Lines:
    n = position(lines, "ok")
    return [*lines[:n], edited(lines[n], type="perhaps"), *lines[n + 1 :]]


def an_empty_line(lines: Lines) -> Lines:
    return [*lines[:5], b"\n", *lines[5:]]


def invoked_twice(lines: Lines) -> Lines:
    n = position(lines, "invoke")
    return [*lines[: n + 1], lines[n], *lines[n + 1 :]]


def completed_twice(lines: Lines) -> Lines:
    n = position(lines, "ok")
    return [*lines[: n + 1], lines[n], *lines[n + 1 :]]


def never_invoked(lines: Lines) -> Lines:
    n = position(lines, "invoke")
    return [*lines[:n], *lines[n + 1 :]]


def id_of_another_session(lines: Lines) -> Lines:
    n = position(lines, "invoke")
    return [*lines, other_session(lines[n])]


def completed_before(lines: Lines) -> Lines:
    n = position(lines, "ok")
    return [*lines[:n], edited(lines[n], time_ns=1), *lines[n + 1 :]]


def emptied(lines: Lines) -> Lines:
    return []


LINES: dict[Callable[[Lines], Lines], str] = {
    torn: r"history/0\.jsonl line \d+ cannot be read: ",
    garbage_for_an_invoke: r"history/0\.jsonl line \d+ cannot be read: ",
    garbage_for_a_completion: r"history/0\.jsonl line \d+ cannot be read: ",
    no_utf_8: r"history/0\.jsonl line \d+ cannot be read: .*utf-8",
    another_type: r"history/0\.jsonl line \d+ cannot be read: .*'perhaps'",
    an_empty_line: r"history/0\.jsonl line 6 cannot be read: ",
    invoked_twice: r"Operation 0:\d+ was invoked twice\.",
    completed_twice: r"Operation 0:\d+ was completed without, or more than once after, its invoke\.",
    never_invoked: r"Operation 0:\d+ was completed without, or more than once after, its invoke\.",
    id_of_another_session: r"Operation 0:\d+ was invoked twice\.",
    completed_before: r"Operation 0:\d+ was completed before it was invoked\.",
    emptied: r"No operation of the load phase read any state",
}


def judged(run: Path) -> Checks:
    """What is concluded; no check may have broken down over it."""
    checks = evaluate_run(RunDir.open(run)).checks
    assert not any("Traceback" in check.reason for check in checks.checks), checks.reason
    return checks


def seal_again(run: Path) -> None:
    RunDir.open(run).seal("completed", "")


@pytest.mark.parametrize("damage", LINES, ids=lambda damage: damage.__name__)
def test_a_shard_that_was_sealed_as_it_is_must_tell_by_itself(
    damage: Callable[[Lines], Lines], run: Path
) -> None:
    (run / SHARD).write_bytes(b"".join(damage(lines_of(run))))
    seal_again(run)
    checks = judged(run)
    assert checks.verdict == "unknown", [(c.name, c.reason) for c in checks.checks if c.verdict == "fail"]
    assert_reason(checks, LINES[damage])


@pytest.mark.parametrize("damage", LINES, ids=lambda damage: damage.__name__)
def test_a_shard_that_was_changed_after_the_seal_is_found_out(
    damage: Callable[[Lines], Lines], run: Path
) -> None:
    (run / SHARD).write_bytes(b"".join(damage(lines_of(run))))
    checks = judged(run)
    assert checks.verdict == "unknown", [(c.name, c.reason) for c in checks.checks if c.verdict == "fail"]
    assert_reason(checks, r"history/0\.jsonl was changed after the run was sealed")


def assert_reason(checks: Checks, pattern: str) -> None:
    completeness = checks.checks[0]
    assert (completeness.name, completeness.verdict) == ("completeness", "unknown")
    assert re.search(pattern, completeness.reason), completeness.reason


# --- damages to the folder ---


def no_shard(run: Path, whole: Path) -> None:
    (run / SHARD).unlink()


def no_seal(run: Path, whole: Path) -> None:
    (run / SEAL).unlink()


def empty_seal(run: Path, whole: Path) -> None:
    (run / SEAL).write_bytes(b"")


def no_utf_8_in_the_seal(run: Path, whole: Path) -> None:
    (run / SEAL).write_bytes((run / SEAL).read_bytes().replace(b"completed", b"com\xff\xfeed"))


def seal_of_another_run(run: Path, whole: Path) -> None:
    seal = json.loads((run / SEAL).read_bytes())
    for shard in seal["shards"].values():
        shard["sha256"] = "0" * 64
    (run / SEAL).write_text(json.dumps(seal))


def shard_beside_the_sealed_ones(run: Path, whole: Path) -> None:
    shutil.copy(run / SHARD, run / "history/1.jsonl")


def no_events(run: Path, whole: Path) -> None:
    (run / EVENTS).unlink()


FOLDER: dict[Callable[[Path, Path], None], str] = {
    no_shard: r"history/0\.jsonl is missing\.",
    no_seal: r"The run was never sealed",
    empty_seal: r"The run was never sealed|The seal cannot be read",
    no_utf_8_in_the_seal: r"The run was never sealed|The seal cannot be read",
    seal_of_another_run: r"history/0\.jsonl was changed after the run was sealed",
    shard_beside_the_sealed_ones: r"history/1\.jsonl is not in the seal",
    no_events: r"events\.jsonl is missing",
}


@pytest.mark.parametrize("damage", FOLDER, ids=lambda damage: damage.__name__)
def test_a_folder_in_which_something_is_missing_or_another_runs(
    damage: Callable[[Path, Path], None], run: Path, whole: Path
) -> None:
    damage(run, whole)
    checks = judged(run)
    assert checks.verdict == "unknown", [(c.name, c.reason) for c in checks.checks if c.verdict == "fail"]
    assert_reason(checks, FOLDER[damage])


def sealed_without_its_shard(run: Path) -> None:
    (run / SHARD).unlink()


def sealed_with_a_copy(run: Path) -> None:
    shutil.copy(run / SHARD, run / "history/1.jsonl")


def sealed_with_the_shard_of_another_run(run: Path) -> None:
    manifest = json.loads((run / MANIFEST).read_bytes())
    tag = manifest["run_tag"].encode()
    (run / SHARD).write_bytes((run / SHARD).read_bytes().replace(b"-" + tag + b"-", b"-beef-"))


def sealed_with_torn_events(run: Path) -> None:
    content = (run / EVENTS).read_bytes()
    (run / EVENTS).write_bytes(content[:-20])


def sealed_without_events(run: Path) -> None:
    (run / EVENTS).unlink()


SEALED: dict[Callable[[Path], None], str] = {
    sealed_without_its_shard: r"No operation of the load phase read any state",
    sealed_with_a_copy: r"history/1\.jsonl holds sessions of worker 0",
    sealed_with_the_shard_of_another_run: r"history/0\.jsonl holds sessions of another run",
    sealed_with_torn_events: r"events\.jsonl line \d+ cannot be read",
    sealed_without_events: r"events\.jsonl is missing",
}


@pytest.mark.parametrize("damage", SEALED, ids=lambda damage: damage.__name__)
def test_a_folder_that_was_sealed_as_it_is(damage: Callable[[Path], None], run: Path) -> None:
    damage(run)
    seal_again(run)
    checks = judged(run)
    assert checks.verdict == "unknown", [(c.name, c.reason) for c in checks.checks if c.verdict == "fail"]
    assert_reason(checks, SEALED[damage])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema_version": 1}', b"\xff\xfe", b'{"schema_version": 1, "run_id": "\xff"}'],
)
def test_a_manifest_that_cannot_be_read_makes_the_folder_unusable(content: bytes, run: Path) -> None:
    (run / MANIFEST).write_bytes(content)
    done = gradsoak("report", run, cwd=run.parent)
    assert done.code == 2, done.err
    assert "manifest.json is damaged" in done.err
    assert "Traceback" not in done.err


def test_the_command_ends_with_3_and_prints_the_reason(run: Path) -> None:
    (run / SHARD).write_bytes(b"".join(torn(lines_of(run))))
    done = gradsoak("report", run, cwd=run.parent)
    assert done.code == 3, done.err
    assert "cannot be read" in done.out


def test_what_is_whole_passes(run: Path) -> None:
    """Or all the above would prove nothing."""
    assert judged(run).verdict == "pass"
    seal_again(run)
    assert judged(run).verdict == "pass"
