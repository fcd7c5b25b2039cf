"""The worker processes of a distributed run: their clocks, their losses, the state of their shards. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from harness.records import GeneratorSample, RunEvent

T = TypeVar("T")


class WorkerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One of several load generator processes.

    Attributes:
        name: its number, which is also the name of its shard.
        clock: identity of the monotonic clock that its times were read from.
        offset_ns: estimate of how far that clock is ahead of the master's; 0 if they are the same.
        uncertainty_ns: largest possible error of that estimate; 0 if they are the same.
        sessions: that it had begun according to its last report, where one was kept.
        lost: how it ended early, as the end of a sentence (`was killed by SIGKILL`); None if it ended normally.
        missing: why its shard is missing or damaged, as a sentence; None if the shard is complete.
    """

    name: str
    clock: str = ""
    offset_ns: int = 0
    uncertainty_ns: int = 0
    sessions: int | None = None
    lost: str | None = None
    missing: str | None = None

    @property
    def unknown(self) -> str | None:
        """Why nothing is known for certain about its sessions, as a sentence; None if all is known."""
        if self.lost is not None:
            return f"Worker {self.name} was lost: it {self.lost}." + (
                f" {self.missing}" if self.missing is not None else ""
            )
        return self.missing


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """The load generator processes, if there were several.

    Attributes:
        run_tag: the part of every token that names the run.
        facts: name → the worker. Empty for a single process.
    """

    run_tag: str = ""
    facts: dict[str, WorkerFacts] = {}

    def clock(self, worker: str) -> str:
        """Identity of a worker's clock. Only times of one clock may be compared."""
        found = self.facts.get(worker)
        return found.clock if found is not None else ""

    @property
    def several_clocks(self) -> bool:
        """Whether some of the workers have clocks that cannot be compared."""
        return len({facts.clock for facts in self.facts.values()}) > 1

    def lost(self, worker: str) -> bool:
        """Whether a worker was lost."""
        found = self.facts.get(worker)
        return found is not None and found.lost is not None

    @property
    def unknown(self) -> list[WorkerFacts]:
        """Workers whose sessions are not known in full."""
        return [facts for facts in self.facts.values() if facts.unknown is not None]


def workers_of(
    events: Sequence[RunEvent], run_tag: str, shards: Mapping[str, str], torn: Mapping[str, str]
) -> Workers:
    """Return what a run's events record about its workers.

    Args:
        events: of the run.
        run_tag: from the manifest.
        shards: worker → SHA-256 of its shard, for all shards in the run folder.
        torn: worker → the damage of its shard, as a sentence.
    """
    workers: dict[str, WorkerFacts] = {}
    offsets: dict[str, tuple[int, int]] = {}
    expected: dict[str, str] = {}
    reasons: dict[str, str] = {}
    masters_clock: str | None = None
    for event in events:
        detail = event.detail
        if event.kind == "fleet":
            masters_clock = str(detail["clock"])
        elif event.kind == "worker_joined":
            name = str(detail["worker"])
            workers[name] = WorkerFacts(name=name, clock=str(detail["clock"]))
        elif event.kind == "worker_clock":
            offsets[str(detail["worker"])] = (int(detail["offset_ns"]), int(detail["uncertainty_ns"]))
        elif event.kind == "worker_shard":
            reasons[str(detail["worker"])] = str(detail.get("reason") or "")
            if detail.get("sha256"):
                expected[str(detail["worker"])] = str(detail["sha256"])
        elif event.kind == "worker_lost":
            name = str(detail["worker"])
            facts = workers.get(name, WorkerFacts(name=name))
            workers[name] = msgspec.structs.replace(
                facts, lost=str(detail["reason"]), sessions=int(detail["sessions"])
            )
    for name, facts in workers.items():
        offset, uncertainty = (0, 0) if facts.clock == masters_clock else offsets.get(name, (0, 0))
        missing, lost = torn.get(name), facts.lost
        if name not in shards:
            missing = f"The shard of worker {name} is missing. {reasons.get(name, '')}".rstrip()
        elif name in expected and shards[name] != expected[name]:
            missing = f"The shard of worker {name} is not what the worker recorded."
        elif name in expected and missing is None:
            lost = None  # the worker had finished before it was lost, and its shard is complete
        workers[name] = msgspec.structs.replace(
            facts, offset_ns=offset, uncertainty_ns=uncertainty, missing=missing, lost=lost
        )
    return Workers(run_tag=run_tag, facts=dict(in_order(workers)))


def in_order(by_worker: Mapping[str, T]) -> list[tuple[str, T]]:
    """Return the items of a mapping from workers, by the number of the worker."""
    return sorted(by_worker.items(), key=lambda item: _by_number(item[0]))


def _by_number(worker: str) -> tuple[int, str]:
    return (int(worker) if worker.isdigit() else 0, worker)


def aligned(
    samples: Mapping[str, Sequence[GeneratorSample]], workers: Workers
) -> dict[str, list[GeneratorSample]]:
    """Return the workers' samples of themselves with times of the master's clock, as `pair` returns operations."""
    return {
        worker: [
            msgspec.structs.replace(s, time_ns=s.time_ns - facts.offset_ns, due_ns=s.due_ns - facts.offset_ns)
            if (facts := workers.facts.get(worker)) is not None
            else s
            for s in found
        ]
        for worker, found in samples.items()
    }
