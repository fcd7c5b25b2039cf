"""A run folder is opened once: how often evaluating it opens each file."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from harness.evaluate import evaluate
from harness.recorded_run import open_run
from harness.run_dir import RunDir
from tests.frozen.evaluation import unpack

# A shard is hashed, and streamed for the screening pass and for the figures; with sessions that need a full check and anomalies
# twice more, for these sessions and for the witnesses; with several workers once more, to find torn lines.
SHARD = {"counters": 3, "counters_global": 5, "lost_worker": 5}


@pytest.mark.parametrize("name", SHARD)
def test_evaluating_a_run_opens_each_file_as_often_as_it_must(name: str, tmp_path: Path) -> None:
    run = unpack(name, tmp_path)
    opened: Counter[str] = Counter()
    real = io.open

    def counting(file: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(file, (str, Path)) and Path(file).is_relative_to(run):
            opened[Path(file).relative_to(run).as_posix()] += 1
        return real(file, *arguments, **options)

    # `Path.open` and `Path.read_bytes` go through `io.open`.
    with mock.patch("io.open", counting):
        evaluate(open_run(RunDir.open(run)))
    shards = {file: count for file, count in opened.items() if file.startswith("history/")}
    assert shards
    assert set(shards.values()) == {SHARD[name]}
    assert {file: opened[file] for file in ("manifest.json", "SEALED.json")} == {
        "manifest.json": 1,
        "SEALED.json": 1,
    }
    # Records are read once; the seal's checksums take another look at each file.
    assert opened["events.jsonl"] == 2
    assert {count for file, count in opened.items() if file.startswith("samples/")} <= {1, 2}
