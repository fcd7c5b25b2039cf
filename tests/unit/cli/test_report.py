"""Evaluating a run again: damage to its files gives one error or one verdict, and no file is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli.report import evaluate_again, exit_code
from harness.errors import ExitCode, StorageError, UsageError
from harness.run_dir import MANIFEST, SEAL, RunDir
from harness.workload import append_only_list
from tests.stored import clean, leaking, store

LOG = {"log": append_only_list()}


def content(path: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()
    }


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_text("hello"), "is a file, not a folder"),
        (lambda path: path.mkdir(), "holds no run: there is no manifest.json"),
    ],
)
def test_a_path_without_a_run_is_refused_with_the_reason(make: Any, says: str, tmp_path: Path) -> None:
    make(tmp_path / "run")
    before = content(tmp_path)
    with pytest.raises(UsageError, match=says) as caught:
        evaluate_again(tmp_path / "run")
    assert str(tmp_path / "run") in caught.value.message
    assert caught.value.hint
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda raw: raw[: len(raw) // 2], "is damaged"),
        (lambda raw: b"", "is damaged"),
        (lambda raw: b"\xff\xfe" + raw, "is damaged"),
        (lambda raw: b"[1, 2]", "is damaged"),
        (lambda raw: raw.replace(b'"run_tag"', b'"tag"'), "is damaged"),
        (lambda raw: raw.replace(b'"schema_version": 1', b'"schema_version": 99'), "schema version 99"),
    ],
)
def test_a_damaged_manifest_is_refused_and_nothing_is_touched(damage: Any, says: str, tmp_path: Path) -> None:
    run = store(tmp_path / "run", clean(), **LOG)
    file = run.path / MANIFEST
    file.write_bytes(damage(file.read_bytes()))
    before = content(run.path)
    with pytest.raises(UsageError, match=says):
        evaluate_again(run.path)
    assert content(run.path) == before


def _torn(run: RunDir) -> None:
    shard = run.history_path("0")
    shard.write_bytes(shard.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda run: (run.path / SEAL).unlink(), "never sealed"),
        (lambda run: (run.path / SEAL).write_text("{"), "never sealed"),
        (lambda run: run.history_path("0").unlink(), "history/0.jsonl is missing"),
        (_torn, "history/0.jsonl was changed after the run was sealed"),
    ],
)
def test_an_incomplete_run_is_unknown_with_the_reason_and_its_report_is_drawn(
    damage: Any, says: str, tmp_path: Path
) -> None:
    run = store(tmp_path / "run", clean(), **LOG)
    damage(run)
    before = content(run.path)
    derived, error = evaluate_again(run.path)
    assert error is None
    assert derived.checks.verdict == "unknown"
    assert says in derived.checks.reason
    assert exit_code(derived, error) == ExitCode.UNKNOWN
    after = content(run.path)
    assert {name: after[name] for name in before} == before
    assert says.encode() in after["derived/report.html"]
    assert msgspec.json.decode(after["derived/checks.json"])["verdict"] == "unknown"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    run = store(tmp_path / "run", clean(), **LOG)
    # A folder of that name stops even a superuser, whom file permissions do not stop.
    run.history_path("1").mkdir()
    with pytest.raises(UsageError, match=r"Cannot read .*history/1\.jsonl"):
        evaluate_again(run.path)


@pytest.mark.parametrize(
    ("builder", "verdict", "code"),
    [(leaking(), "fail", ExitCode.ANOMALY), (clean(), "pass", ExitCode.UNKNOWN)],
)
def test_a_run_is_evaluated_even_if_the_results_cannot_be_written(
    builder: Any, verdict: str, code: ExitCode, tmp_path: Path
) -> None:
    run = store(tmp_path / "run", builder, **LOG)
    (run.path / "derived").write_text("in the way")
    before = content(run.path)
    derived, error = evaluate_again(run.path)
    assert derived.checks.verdict == verdict
    assert isinstance(error, StorageError)
    assert "Cannot write" in error.message
    assert "--out" not in error.hint
    assert exit_code(derived, error) == code
    assert content(run.path) == before


def test_a_clean_run_passes_again(tmp_path: Path) -> None:
    derived, error = evaluate_again(store(tmp_path / "run", clean(), **LOG).path)
    assert (derived.checks.verdict, error, exit_code(derived, error)) == ("pass", None, ExitCode.PASS)


def test_the_same_files_give_the_same_report(tmp_path: Path) -> None:
    run = store(tmp_path / "run", leaking(), **LOG)
    evaluate_again(run.path)
    once = content(run.path)
    evaluate_again(run.path)
    assert content(run.path) == once
    assert {
        "derived/plots/sessions-cross-session-read.svg",
        "derived/plots/sessions-cross-session-read.png",
    } <= set(once)
