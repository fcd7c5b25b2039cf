"""A run folder, opened once: everything that checks, figures and report are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from harness.history import ShardHistory, Workers, workers_of
from harness.records import HistoryRecord, RunEvent, RunManifest, Seal
from harness.run_dir import EVENTS, RunDir, TornShard


class RecordedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run folder holds. Only the history is read later: it is streamed, since it may not fit into memory.

    Attributes:
        folder: the run folder.
        manifest: what the run was asked to do.
        seal: how it ended, None if it was not sealed.
        records: file name → its records, of every raw file besides the history.
        workers: the processes that made the load, if there were several.
        problems: what is wrong with files that no worker wrote, one sentence each.
        damaged: workers whose shards differ from what they recorded.
    """

    folder: RunDir
    manifest: RunManifest
    seal: Seal | None
    records: Mapping[str, Sequence[Any]]
    workers: Workers
    problems: list[str]
    damaged: list[str]

    @property
    def events(self) -> list[RunEvent]:
        """What happened to the run as a whole."""
        return list(self.records[EVENTS])

    @property
    def restarted(self) -> bool:
        """Whether the app was stopped and started again."""
        return any(event.kind == "target_restart" for event in self.events)

    def history_to_check(self) -> ShardHistory:
        """The history, to be streamed. What cannot be read of it is reported as a problem when it is read.

        With several workers, what is wrong with a shard is known already, and concerns the sessions of its worker alone.
        """
        shards = {
            worker: (lambda _, read=read: read([])) if worker in self.workers.facts else read
            for worker, read in self.folder.shards().items()
        }
        return ShardHistory(shards, self.workers, self.damaged)

    def readable_history(self) -> ShardHistory:
        """The history, to be streamed, as far as it can be read."""
        return ShardHistory(self.folder.shards(), self.workers)

    def readable_shards(self) -> dict[str, Iterator[HistoryRecord]]:
        """Worker → its records, as far as they can be read."""
        return {worker: read([]) for worker, read in self.folder.shards().items()}


def open_run(folder: RunDir) -> RecordedRun:
    """Open a run folder: read its manifest, seal and records, and find out what is damaged.

    The manifest, the seal and each file of records are read once. A shard of the history is hashed here, read here once more
    if several workers made the load, and streamed later: for the screening pass, for the operations that need a full check,
    for the figures, and for the witnesses.

    Raises:
        UsageError: the folder has no manifest that can be read.
    """
    manifest, seal = folder.manifest(), folder.sealed()
    records, torn = folder.records()
    digests = folder.digests()
    events: list[RunEvent] = records[EVENTS]
    several = any(event.kind == "worker_joined" for event in events)
    wrong = [*(folder.torn_shards() if several else []), *torn, *folder.broken_shards(seal, digests)]
    of_worker = partial(_of_worker, folder)
    by_worker = {
        worker: f"{shard.file} {shard.problem}."
        for shard in wrong
        if (worker := of_worker(shard)) is not None
    }
    shards = {
        worker: digest for name, digest in digests.items() if (worker := folder.worker_of(name)) is not None
    }
    workers = workers_of(events, manifest.run_tag, shards if several else {}, by_worker)
    problems = [f"{shard.file} {shard.problem}." for shard in wrong if of_worker(shard) not in workers.facts]
    return RecordedRun(
        folder=folder,
        manifest=manifest,
        seal=seal,
        records=records,
        workers=workers,
        # A missing file is neither readable nor as sealed, but it is one problem.
        problems=list(dict.fromkeys(problems)),
        damaged=list(by_worker),
    )


def _of_worker(folder: RunDir, shard: TornShard) -> str | None:
    return folder.worker_of(shard.file)
