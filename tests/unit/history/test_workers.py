"""What a run's events say of its workers, and what clocks that differ mean for the history."""

from __future__ import annotations

from typing import Any

from harness.history import WorkerFacts, Workers, aligned, pair, workers_of
from harness.records import GeneratorSample, Invoke, Ok, RunEvent


def event(kind: str, **detail: Any) -> RunEvent:
    return RunEvent(time_ns=0, wall_ns=0, kind=kind, detail=detail)


def joined(worker: str, clock: str = "here") -> RunEvent:
    return event("worker_joined", worker=worker, pid=1, host="h", clock=clock, shard="return")


FLEET = event("fleet", workers=2, clock="here")
BOTH = {"1": "aaa", "2": "bbb"}


def test_a_run_of_one_process_has_no_workers() -> None:
    assert workers_of([event("phase", name="load")], "7f3a", {"0": "aaa"}, {}) == Workers(run_tag="7f3a")


def test_an_offset_counts_only_for_a_clock_of_its_own() -> None:
    events = [
        joined("1"),
        joined("10", "there"),
        joined("2"),
        event("worker_clock", worker="1", offset_ns=7, uncertainty_ns=9),
        event("worker_clock", worker="10", offset_ns=5000, uncertainty_ns=20),
        FLEET,
    ]
    found = workers_of(events, "7f3a", {"1": "a", "2": "b", "10": "c"}, {})
    assert list(found.facts) == ["1", "2", "10"]
    assert {n: (f.clock, f.offset_ns, f.uncertainty_ns) for n, f in found.facts.items()} == {
        "1": ("here", 0, 0), "2": ("here", 0, 0), "10": ("there", 5000, 20),
    }  # fmt: skip
    assert found.unknown == []


def test_a_lost_worker_and_a_missing_shard_are_reported_with_their_reasons() -> None:
    events = [
        joined("1"),
        joined("2"),
        FLEET,
        event("worker_lost", worker="2", reason="left", sessions=14, open_sessions=3),
        event(
            "worker_shard", worker="1", returned=False, sha256="aaa", reason="It could not be returned: why."
        ),
    ]
    found = workers_of(events, "7f3a", {}, {})
    one, two = found.facts["1"], found.facts["2"]
    assert one.unknown == "The shard of worker 1 is missing. It could not be returned: why."
    assert two.unknown == "Worker 2 was lost: it left. The shard of worker 2 is missing."
    assert two.sessions == 14
    assert found.lost("2")
    assert not found.lost("1")


def test_a_shard_added_later_completes_the_history_only_if_it_is_the_one_announced() -> None:
    announced = event("worker_shard", worker="2", returned=False, sha256="bbb", reason="")
    lost = event("worker_lost", worker="2", reason="was killed", sessions=3, open_sessions=0)
    start = [joined("1"), joined("2"), FLEET]
    assert workers_of([*start, announced], "7f3a", BOTH, {}).unknown == []
    # It had finished and announced its shard, and was lost after that.
    assert workers_of([*start, lost, announced], "7f3a", BOTH, {}).unknown == []
    (facts,) = workers_of([*start, announced], "7f3a", {"1": "aaa", "2": "xxx"}, {}).unknown
    assert facts.missing == "The shard of worker 2 is not what the worker recorded."
    # It was lost in the middle: nobody knows what it did after its last line.
    never = event("worker_shard", worker="2", returned=False, sha256=None, reason="")
    assert [f.name for f in workers_of([*start, lost, never], "7f3a", BOTH, {}).unknown] == ["2"]


def test_a_torn_shard_concerns_its_worker() -> None:
    found = workers_of(
        [joined("1"), joined("2"), FLEET], "7f3a", BOTH, {"2": "history/2.jsonl line 3 cannot be read."}
    )
    assert [f.unknown for f in found.unknown] == ["history/2.jsonl line 3 cannot be read."]


def test_shards_are_merged_by_worker_and_number_and_shifted_to_one_clock() -> None:
    def one(number: int, session: str, at: int) -> list[Invoke | Ok]:
        return [
            Invoke(id=number, session=session, action="act", phase="load", time_ns=at),
            Ok(id=number, time_ns=at + 5, accepted_ns=at + 1, started_ns=at + 2),
        ]

    workers = Workers(
        facts={
            "1": WorkerFacts(name="1", clock="here"),
            "2": WorkerFacts(name="2", clock="there", offset_ns=1000),
        }
    )
    shards = {
        "1": [*one(1, "s1-1", 10), *one(2, "s1-1", 30)],
        "2": [*one(1, "s2-1", 1020), *one(2, "s2-1", 1040)],
    }
    history = pair(shards, workers=workers)
    assert history.problems == []
    assert [(o.worker, o.id, o.invoke_ns) for o in history.operations] == [
        ("1", 1, 10), ("2", 1, 20), ("1", 2, 30), ("2", 2, 40),
    ]  # fmt: skip
    shifted = history.operations[1]
    assert (shifted.accepted_ns, shifted.started_ns, shifted.complete_ns) == (21, 22, 25)
    assert shifted.latency_ns == 5


def test_all_times_of_a_sample_are_put_on_the_masters_clock() -> None:
    sample = GeneratorSample(time_ns=1500, wall_ns=0, cpu_s=0, due_ns=1400, tick_ns=50, lag_ns=[1])
    workers = Workers(facts={"1": WorkerFacts(name="1", offset_ns=1000), "2": WorkerFacts(name="2")})
    found = aligned({"1": [sample], "2": [sample]}, workers)
    assert [(s.time_ns, s.due_ns) for s in (*found["1"], *found["2"])] == [(500, 400), (1500, 1400)]
