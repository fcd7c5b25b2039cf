from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from harness.errors import StorageError
from harness.records import ProcessSample
from harness.run_dir import JsonLinesWriter
from harness.sampling import ProcessTree, Sampler, measure_tree

CHILD = "import sys; x = bytes(40_000_000); y = bytearray(x); print('ready', flush=True); sys.stdin.read()"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.communicate()


def read(path: Path) -> list[ProcessSample]:
    return [msgspec.json.decode(line, type=ProcessSample) for line in path.read_bytes().splitlines()]


def test_a_tree_is_the_sum_of_its_members(child: subprocess.Popen[bytes]) -> None:
    alone = measure_tree(child.pid)
    family = measure_tree(os.getpid())
    assert alone is not None
    assert family is not None
    assert alone.processes == 1
    assert alone.rss_bytes > 40_000_000  # the bytearray; the zeroed bytes were never touched
    assert alone.uss_bytes is not None
    assert alone.uss_bytes > 40_000_000
    assert family.processes >= 2
    assert family.rss_bytes >= psutil.Process().memory_info().rss * 0.9 + 40_000_000


def test_memory_that_a_tree_shares_is_divided_among_its_members_and_only_measured_on_request(
    child: subprocess.Popen[bytes],
) -> None:
    sample = measure_tree(child.pid)
    assert sample is not None
    assert sample.uss_bytes is not None
    if sample.pss_bytes is None:
        pytest.skip("this system does not tell")
    assert sample.uss_bytes <= sample.pss_bytes <= sample.rss_bytes
    periodic = ProcessTree(child.pid).sample()
    assert periodic is not None
    assert periodic.pss_bytes is None


def test_cpu_time_of_members_that_ended_is_not_forgotten() -> None:
    tree = ProcessTree(os.getpid())
    burner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfor _ in range(3_000_000): pass\nprint('ready', flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert burner.stdout is not None
    burner.stdout.readline()
    during = tree.sample()
    burner.communicate()
    after = tree.sample()
    assert during is not None
    assert after is not None
    assert after.processes < during.processes
    assert after.cpu_s >= during.cpu_s


def test_a_process_that_has_ended_gives_no_sample(child: subprocess.Popen[bytes]) -> None:
    tree = ProcessTree(child.pid)
    child.communicate()
    assert tree.sample() is None
    assert measure_tree(child.pid) is None


def test_a_late_sample_is_a_gap_and_one_in_time_is_none(tmp_path: Path) -> None:
    clock, gaps = Clock(), []
    sampler = Sampler(0.25, on_gap=lambda name, gap_s: gaps.append((name, gap_s)), clock=clock)
    sampler.watch("target", os.getpid(), JsonLinesWriter(tmp_path / "samples.jsonl"))
    sampler.sample_all()
    for delay, expected in ((0.25, []), (0.7, []), (2.0, [("target", 2.0)]), (0.25, [("target", 2.0)])):
        clock.now += delay
        sampler.sample_all()
        assert gaps == expected
    sampler.stop()
    samples = read(tmp_path / "samples.jsonl")
    assert len(samples) == 5
    assert all(a.time_ns <= b.time_ns and a.wall_ns > 0 for a, b in itertools.pairwise(samples))


def test_a_sampler_that_cannot_write_says_so_and_stops(tmp_path: Path) -> None:
    sampler = Sampler(0.01, on_gap=lambda *_: None)
    sampler.watch("target", os.getpid(), JsonLinesWriter(Path("/dev/full")))
    sampler.start()
    sampler._thread.join(timeout=30)
    assert isinstance(sampler.failure, StorageError)
    sampler.stop()


def test_a_sampler_that_fails_in_another_way_says_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler(0.01, on_gap=lambda *_: None)
    sampler.watch("target", os.getpid(), JsonLinesWriter(tmp_path / "samples.jsonl"))

    def denied(self: ProcessTree) -> None:
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(ProcessTree, "sample", denied)
    sampler.start()
    sampler._thread.join(timeout=30)
    assert sampler.failure is not None
    assert "AccessDenied" in sampler.failure.message
    sampler.stop()


def test_an_app_that_was_started_again_is_followed_without_a_gap(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    gaps: list[tuple[str, float]] = []
    clock = Clock()
    sampler = Sampler(1.0, on_gap=lambda name, gap_s: gaps.append((name, gap_s)), clock=clock)
    sampler.watch("target", child.pid, JsonLinesWriter(tmp_path / "process.jsonl"))
    sampler.sample_all()
    child.communicate()
    clock.now += 10.0
    sampler.sample_all()  # nobody is there
    sampler.follow("target", os.getpid())
    sampler.sample_all()
    sampler.stop()
    before, after = read(tmp_path / "process.jsonl")
    assert before.rss_bytes > 40_000_000
    assert after.cpu_s >= before.cpu_s  # what the first one had used stays counted
    assert gaps == []
    assert {pid for pid, _ in sampler.members("target")} >= {child.pid, os.getpid()}
