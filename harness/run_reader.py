"""From a run folder to one `RecordedRun`.

`open_run` opens each file of a run folder once, with these exceptions:

- A history shard may be larger than memory, so it is streamed, once per pass. `open_run` takes its checksum if there is one to
  compare: in a sealed run, or in a run with several workers. Then come the screening pass and the figures; if there are suspect
  sessions, their operations; and only where they are needed: a second screening pass that selects every session, the search for
  the sessions that wrote what selected sessions read, the increments of a shared counter, the witnesses of anomalies.
- `workload.py` is hashed by `open_run`, and imported by the checks if it defines a model of its own.
- Follow-up runs are run folders of their own, in which each file is opened at most once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from harness.analysis.memory.allocation_sites import join
from harness.errors import UsageError
from harness.history import ShardHistory, Workers, aligned, phases, workers_of
from harness.recorded_run import FollowUp, RecordedRun
from harness.records import (
    NOT_TRACED,
    TRACED,
    Allocation,
    Attribution,
    Census,
    Checks,
    HeldEntries,
    HistoryRecord,
    Plateau,
    ProcessSample,
    Retainer,
    RunEvent,
    RunManifest,
    Seal,
)
from harness.run_dir import (
    ALLOCATIONS,
    ATTRIBUTION,
    BASELINE,
    CENSUS,
    EVENTS,
    FLAME_GRAPH,
    HELD_ENTRIES,
    LOADGEN_SAMPLES,
    PLATEAUS,
    PROCESS_SAMPLES,
    RETAINERS,
    FileDamage,
    RawFile,
    RunDir,
)


def open_run(run_dir: RunDir) -> RecordedRun:
    """Read what a run recorded, as far as it can be read. Damage is found in the same reading.

    Raises:
        UsageError: the manifest is unreadable, or of another schema version.
        OSError: a file cannot be opened.
    """
    manifest, seal = run_dir.manifest(), run_dir.sealed()
    events = run_dir.read(EVENTS, RunEvent)
    target = run_dir.read(PROCESS_SAMPLES, ProcessSample)
    loadgen = run_dir.read(LOADGEN_SAMPLES, ProcessSample)
    plateaus = run_dir.read(PLATEAUS, Plateau)
    census = run_dir.read(CENSUS, Census)
    retainers = run_dir.read(RETAINERS, Retainer)
    # Only the folder of a memray pass has these two.
    sites, entries = run_dir.read(ALLOCATIONS, Allocation), run_dir.read(HELD_ENTRIES, HeldEntries)
    generator = run_dir.read_generator_samples()
    files = (events, target, loadgen, plateaus, census, retainers, sites, entries)
    found = _examine(run_dir, manifest, seal, files, list(generator.values()))
    return RecordedRun(
        manifest=manifest,
        seal=seal,
        events=events.records,
        phases=phases(events.records),
        recorded=_history(run_dir, found),
        target=target.records,
        loadgen=loadgen.records,
        plateaus=plateaus.records,
        problems=found.problems,
        generator=aligned({worker: file.records for worker, file in generator.items()}, found.workers),
        census=census.records,
        retainers=retainers.records,
        baseline=_follow_up(run_dir, BASELINE),
        attribution=attribution_of(run_dir),
        what_if={
            tried.manifest.what_if or name: tried
            for name in run_dir.what_ifs()
            if (tried := _follow_up(run_dir, name)) is not None
        },
        workload=run_dir.workload_path,
    )


class _Examined(NamedTuple):
    """What the files show before the history is read.

    Attributes:
        workers: the load generator processes, if there were several.
        problems: damage of all other files, one sentence each.
        damaged: workers whose shards are damaged.
    """

    workers: Workers
    problems: list[str]
    damaged: list[str]


def _examine(
    run_dir: RunDir,
    manifest: RunManifest,
    seal: Seal | None,
    files: Sequence[RawFile[Any]],
    unchecked: Sequence[RawFile[Any]],
) -> _Examined:
    """Look for damage.

    Args:
        run_dir: the run folder.
        manifest: of the run.
        seal: of the run.
        files: JSON lines files; an unreadable line in one of them is damage. The first is the file of events.
        unchecked: files in which an unreadable line is no damage. They must be as they were sealed, like all others.
    """
    events = files[0]
    several = any(event.kind == "worker_joined" for event in events.records)
    # In the shard of a single process, unreadable lines are found when the history is read.
    shards = run_dir.examine_shards(lines=several) if several or seal is not None else {}
    damages = [shard.damage for shard in shards.values()] + [file.damage for file in files]
    if events.sha256 is None:
        damages.append(FileDamage(file=EVENTS, line=0, problem="is missing"))
    found = [damage for damage in damages if damage is not None]
    if seal is not None:
        known = {
            file.name: file.sha256
            for file in (*shards.values(), *files, *unchecked)
            if file.sha256 is not None
        }
        found += run_dir.changed_since(seal, known)
    by_worker = {
        worker: damage.sentence for damage in found if (worker := run_dir.worker_of(damage.file)) is not None
    }
    checksums = {worker: shard.sha256 or "" for worker, shard in shards.items()} if several else {}
    workers = workers_of(events.records, manifest.run_tag, checksums, by_worker)
    problems = [damage.sentence for damage in found if run_dir.worker_of(damage.file) not in workers.facts]
    return _Examined(workers, list(dict.fromkeys(problems)), list(by_worker))


def _history(run_dir: RunDir, examined: _Examined) -> ShardHistory:
    """The shards. Of a known worker, unreadable lines have been reported: they concern the sessions of this worker only."""
    shards = {
        worker: partial(_read_without_report, read) if worker in examined.workers.facts else read
        for worker, read in run_dir.shards().items()
    }
    return ShardHistory(shards, examined.workers, examined.damaged)


def _read_without_report(
    read: Callable[[list[str]], Iterator[HistoryRecord]], _: list[str]
) -> Iterator[HistoryRecord]:
    return read([])


def _follow_up(run_dir: RunDir, name: str) -> FollowUp | None:
    """A follow-up run, as far as it can be read; None without one."""
    folder = run_dir.follow_up(name)
    if folder is None:
        return None
    try:
        manifest = folder.manifest()
    except UsageError:
        return None
    return FollowUp(
        folder=name,
        manifest=manifest,
        seal=folder.sealed(),
        events=folder.events(),
        plateaus=folder.plateaus(),
        census=folder.censuses(),
        retainers=folder.read(RETAINERS, Retainer).records,
        checks=_checks_of(folder),
    )


def _checks_of(folder: RunDir) -> Checks | None:
    try:
        return folder.checks()
    except (OSError, msgspec.DecodeError):
        return None


def attribution_of(run_dir: RunDir) -> Attribution | None:
    """Return the result of a run's memray pass, from what the pass recorded; None without one."""
    folder = run_dir.follow_up(ATTRIBUTION)
    if folder is None:
        return None
    try:
        folder.manifest()
    except UsageError as error:
        return Attribution(not_measured=f"The record of the memray pass cannot be read: {error.message}")
    events = {event.kind: event.detail for event in folder.events()}
    if TRACED not in events:
        return Attribution(not_measured=_why_not(folder, events))
    detail = events[TRACED]
    allocations = folder.read(ALLOCATIONS, Allocation).records
    if len(allocations) != detail.get("sites"):
        return Attribution(
            not_measured="The record of the memray pass is not whole: lines of code that it names are missing."
        )
    return join(
        allocations,
        folder.read(HELD_ENTRIES, HeldEntries).records,
        total_bytes=int(detail.get("total_bytes", 0)),
        sessions=int(detail.get("sessions", 0)),
        requests=int(detail.get("requests", 0)),
        flame_graph=f"{ATTRIBUTION}/{FLAME_GRAPH}" if (folder.path / FLAME_GRAPH).is_file() else None,
    )


def _why_not(folder: RunDir, events: dict[str, dict[str, Any]]) -> str:
    if NOT_TRACED in events:
        return str(events[NOT_TRACED].get("reason"))
    seal = folder.sealed()
    if seal is None:
        return "The memray pass was cut short before it could tell anything."
    if seal.ended == "completed":
        return "The memray pass recorded nothing."
    return f"The memray pass ended early: {seal.reason.splitlines()[0] if seal.reason else seal.ended}"
