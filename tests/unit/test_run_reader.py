"""How often evaluating a run folder opens each of its files."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from harness.evaluate import evaluate
from harness.run_dir import RunDir
from harness.run_reader import open_run
from tests.frozen.evaluation import unpack


@contextmanager
def counting(folder: Path) -> Iterator[Counter[str]]:
    """Count how often each file of a folder is opened, by its path within the folder."""
    opened: Counter[str] = Counter()

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def count(file: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(file, (str, Path)) and Path(file).is_relative_to(folder):
                opened[Path(file).relative_to(folder).as_posix()] += 1
            return real(file, *arguments, **options)

        return count

    # `Path.open` and `Path.read_bytes` call `io.open`, an import calls `_io.open_code`.
    with (
        mock.patch("io.open", counted(io.open)),
        mock.patch("builtins.open", counted(open)),
        mock.patch("_io.open_code", counted(io.open_code)),
    ):
        yield opened


# Passes over a history shard, as `harness.run_reader` lists them.
CHECKSUM = SCREENING = SECOND_SCREENING = WRITERS = SUSPECTS = FIGURES = WITNESSES = 1
ALWAYS = CHECKSUM + SCREENING + FIGURES
SHARD = {
    "counters": ALWAYS,
    "staircase_with_baseline": ALWAYS,
    "memray_pass": ALWAYS,
    "undo_redo": ALWAYS + SUSPECTS,
    "lost_worker": ALWAYS + SUSPECTS,
    "damaged_history": ALWAYS + SECOND_SCREENING + SUSPECTS,
    "counters_global": ALWAYS + SUSPECTS + WITNESSES,
    "fault_small_capacity": ALWAYS + WRITERS + SUSPECTS + WITNESSES,
}


@pytest.mark.parametrize("name", SHARD)
def test_evaluating_a_run_opens_each_file_once_and_each_shard_once_per_pass(
    name: str, tmp_path: Path
) -> None:
    run = unpack(name, tmp_path / "run")
    with counting(run) as opened:
        evaluate(open_run(RunDir.open(run)))
    shards = {file: opened.pop(file) for file in list(opened) if file.startswith("history/")}
    assert set(shards.values()) == {SHARD[name]}
    imported = opened.pop("workload.py")
    assert imported == (2 if name == "undo_redo" else 1)  # it defines a model of its own
    assert {"manifest.json", "SEALED.json", "events.jsonl", "samples/generator-0.jsonl"} <= {*opened} or (
        name == "lost_worker"
    )
    assert {file: count for file, count in opened.items() if count > 1} == {}


def test_a_run_without_a_seal_has_no_checksum_to_compare(tmp_path: Path) -> None:
    run = unpack("counters", tmp_path / "run")
    (run / "SEALED.json").unlink()
    with counting(run) as opened:
        open_run(RunDir.open(run))
    assert not any(file.startswith("history/") for file in opened)
