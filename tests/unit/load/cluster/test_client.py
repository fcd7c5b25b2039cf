from __future__ import annotations

from pathlib import Path

from harness.load.cluster.client import rescue


def test_shards_that_could_not_be_returned_are_moved_into_place_and_nothing_is_overwritten(
    tmp_path: Path,
) -> None:
    history, samples = tmp_path / "history", tmp_path / "samples"
    unreturned = history / ".unreturned"
    unreturned.mkdir(parents=True)
    samples.mkdir()
    (history / "1.jsonl").write_text("returned")
    (samples / "generator-1.jsonl").write_text("returned")
    for worker in (1, 2, 10):
        (unreturned / f"20261122-counters-7f3a-{worker}.jsonl").write_text(f"operations of {worker}")
        (unreturned / f"20261122-counters-7f3a-{worker}.samples").write_text(f"samples of {worker}")
    rescue(history)
    assert {p.name: p.read_text() for p in history.iterdir()} == {
        "1.jsonl": "returned",
        "2.jsonl": "operations of 2",
        "10.jsonl": "operations of 10",
    }
    assert {p.name: p.read_text() for p in samples.iterdir()} == {
        "generator-1.jsonl": "returned",
        "generator-2.jsonl": "samples of 2",
        "generator-10.jsonl": "samples of 10",
    }
    rescue(history)
