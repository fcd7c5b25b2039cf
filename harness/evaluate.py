"""From the raw files of a run to its verdicts, figures, plots and report. May be repeated at will."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import msgspec

from harness.analysis import Analysis, RunData, analyse, check_generator, check_growth
from harness.analysis.data import FollowUp
from harness.analysis.memory.allocation_sites import join
from harness.checkers import check, combine
from harness.checkers.models import OwnModel, Unavailable
from harness.errors import UsageError
from harness.guarantees import facts, judge
from harness.history import ShardHistory, Workers, aligned, pair, phases, workers_of
from harness.records import (
    NOT_TRACED,
    TRACED,
    Attribution,
    Checks,
    HistoryRecord,
    RunEvent,
    RunManifest,
    StateVariable,
)
from harness.run_dir import (
    ANALYSIS,
    ATTRIBUTION,
    CHECKS,
    CONTROL,
    FLAME_GRAPH,
    PLOTS,
    REPORT,
    WORKLOAD,
    RunDir,
)
from harness.workload import load_workload


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """What was concluded from a run."""

    data: RunData
    checks: Checks
    analysis: Analysis


def check_run(run_dir: RunDir) -> Checks:
    """Check the history of a run, and whether there is enough of it. It is read a block at a time, and not held in memory.

    What becomes of memory, and of the load generator, is not a matter of the history: see `derive`.
    """
    manifest, events = run_dir.manifest(), run_dir.events()
    files = _look_at_files(run_dir, manifest, events)
    # Where several workers made the load, what cannot be read of a shard concerns the sessions of its worker alone, and the
    # workers knows of it already.
    shards = {
        worker: partial(_read_in_silence, read) if worker in files.workers.facts else read
        for worker, read in run_dir.shards().items()
    }
    with _without_collector():
        return check(
            ShardHistory(shards, files.workers, files.damaged),
            manifest.state,
            run_dir.sealed(),
            files.problems,
            restarted=any(event.kind == "target_restart" for event in events),
            own=own_models(run_dir, manifest.state),
        )


def load(run_dir: RunDir, sessions: Collection[str] | None = ()) -> RunData:
    """Read what a run recorded, as far as it can be read; of its operations, only what figures need.

    Args:
        run_dir: the run.
        sessions: those whose operations are wanted whole; None for all.
    """
    manifest, events = run_dir.manifest(), run_dir.events()
    files = _look_at_files(run_dir, manifest, events)
    shared = [name for name, variable in manifest.state.items() if variable.scope != "session"]
    with _without_collector():
        shards = {worker: read([]) for worker, read in run_dir.shards().items()}
        history = pair(shards, workers=files.workers, damaged=files.damaged, only=shared)
        witnesses = ShardHistory(run_dir.shards(), files.workers).history(
            sessions, began_ns=history.started_ns, damaged=history.damaged, problems=[]
        )
    return RunData(
        manifest=manifest,
        seal=run_dir.sealed(),
        events=events,
        phases=phases(events),
        history=history,
        witnesses=witnesses,
        target=run_dir.process_samples(),
        loadgen=run_dir.loadgen_samples(),
        plateaus=run_dir.plateaus(),
        census=run_dir.censuses(),
        generator=aligned(run_dir.generator_samples(), files.workers),
        retainers=run_dir.retainers(),
        control=_beside(run_dir, CONTROL),
        attribution=attribution_of(run_dir),
        what_if={
            beside.manifest.what_if or name: beside
            for name in run_dir.what_ifs()
            if (beside := _beside(run_dir, name)) is not None
        },
    )


def _beside(run_dir: RunDir, name: str) -> FollowUp | None:
    """A run that was made to explain this one, as far as it can be read."""
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
        retainers=folder.retainers(),
        checks=_checks_of(folder),
    )


def _checks_of(folder: RunDir) -> Checks | None:
    try:
        return folder.checks()
    except (OSError, msgspec.DecodeError):
        return None


def attribution_of(run_dir: RunDir) -> Attribution | None:
    """What the memray pass of a run found, from what it recorded; None if there was none."""
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
    allocations = folder.allocations()
    if len(allocations) != detail.get("sites"):
        return Attribution(
            not_measured="The record of the memray pass is not whole: lines of code that it names are missing."
        )
    return join(
        allocations,
        folder.held_entries(),
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


def own_models(run_dir: RunDir, state: Mapping[str, StateVariable]) -> dict[str, OwnModel | Unavailable]:
    """The models that the workload brings along: its copy in the run folder is imported if, and only if, there are any."""
    names = [name for name, variable in state.items() if variable.model == "custom"]
    if not names:
        return {}
    try:
        found = load_workload(run_dir.workload_path).own_models
    except UsageError as error:
        return dict.fromkeys(names, Unavailable(error.message))
    return {
        name: found[name] if name in found else Unavailable(f"{WORKLOAD} in the run folder has none.")
        for name in names
    }


class _Files(NamedTuple):
    """What is known of a run's files before its history is read.

    Attributes:
        workers: the processes that made the load, if there were several.
        problems: what is wrong with files that are none of theirs, one sentence each.
        damaged: workers whose shards are not what they were.
    """

    workers: Workers
    problems: list[str]
    damaged: list[str]


def _look_at_files(run_dir: RunDir, manifest: RunManifest, events: Sequence[RunEvent]) -> _Files:
    several = any(event.kind == "worker_joined" for event in events)
    # What is wrong with the lines of a single worker's shard turns up when it is read.
    torn = run_dir.torn_shards() if several else []
    wrong = [*torn, *run_dir.torn_records(), *run_dir.broken_shards()]
    by_worker = {
        worker: f"{shard.file} {shard.problem}."
        for shard in wrong
        if (worker := run_dir.worker_of(shard.file)) is not None
    }
    workers = workers_of(events, manifest.run_tag, run_dir.history_sha256() if several else {}, by_worker)
    problems = [
        f"{shard.file} {shard.problem}."
        for shard in wrong
        if run_dir.worker_of(shard.file) not in workers.facts
    ]
    # What is missing is neither to be read nor what was sealed.
    return _Files(workers, list(dict.fromkeys(problems)), list(by_worker))


def _read_in_silence(
    read: Callable[[list[str]], Iterator[HistoryRecord]], _: list[str]
) -> Iterator[HistoryRecord]:
    return read([])


@contextmanager
def _without_collector() -> Iterator[None]:
    """Records are made by the million and refer to nothing that refers to them: to look for cycles among them again and again
    takes several times as long as to read them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def derive(run_dir: RunDir) -> Derived:
    """Check and analyse a run; writes nothing."""
    checks = check_run(run_dir)
    anomalies = [anomaly for check in checks.checks for anomaly in check.anomalies]
    data = load(run_dir, {w.session for anomaly in anomalies for w in anomaly.witness})
    analysis = analyse(data)
    # Neither room knows the other: what the figures say about memory and the generator joins what the history says about the app.
    checks = combine(
        [
            *checks.checks,
            *check_growth(analysis.growth, analysis.growth_basis),
            check_generator(analysis.generator),
        ],
        checks.workers,
    )
    guarantees = judge(facts(data.manifest, checks.checks, data.events, data.plateaus))
    checks = msgspec.structs.replace(checks, guarantees=guarantees)
    return Derived(data=data, checks=checks, analysis=analysis)


def write(run_dir: RunDir, derived: Derived) -> None:
    """Write `derived/checks.json` and `derived/analysis.json`."""
    run_dir.write_json(CHECKS, derived.checks)
    run_dir.write_json(ANALYSIS, derived.analysis)


def conclude(run_dir: RunDir) -> Derived:
    """Check and analyse a run, and write what was concluded."""
    derived = derive(run_dir)
    write(run_dir, derived)
    return derived


def render(run_dir: RunDir, derived: Derived) -> None:
    """Draw the plots and write the report."""
    # matplotlib takes a second to import, which `gradsoak --help` need not wait for.
    from harness.report.plots import draw_all
    from harness.report.run_page import render_run

    plots = draw_all(derived.data, derived.analysis, derived.checks.checks)
    for plot in plots:
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.svg", plot.svg)
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.png", plot.png)
    run_dir.write_bytes(REPORT, render_run(derived.data, derived.checks, derived.analysis, plots).encode())
