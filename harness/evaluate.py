"""From the raw files of a run to its verdicts, figures, plots and report. May be repeated at will."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from harness.analysis import Analysis, RunData, analyse, check_generator, check_growth
from harness.analysis.data import FollowUp
from harness.analysis.memory.allocation_sites import join
from harness.checkers import check, combine
from harness.checkers.models import OwnModel, Unavailable
from harness.errors import UsageError
from harness.guarantees import facts, judge
from harness.history import aligned, pair, phases
from harness.recorded_run import RecordedRun, open_run
from harness.records import (
    NOT_TRACED,
    TRACED,
    Attribution,
    Checks,
    StateVariable,
)
from harness.run_dir import (
    ANALYSIS,
    ATTRIBUTION,
    CENSUS,
    CHECKS,
    CONTROL,
    FLAME_GRAPH,
    LOADGEN_SAMPLES,
    PLATEAUS,
    PLOTS,
    PROCESS_SAMPLES,
    REPORT,
    RETAINERS,
    WORKLOAD,
    RunDir,
)
from harness.workload import load_workload


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a run.

    Attributes:
        data: what they rest on.
        checks: verdicts, with their evidence and anomalies.
        analysis: figures.
    """

    data: RunData
    checks: Checks
    analysis: Analysis


def evaluate_run(run_dir: RunDir) -> Evaluation:
    """Open a run folder, evaluate it, and write `derived/checks.json` and `derived/analysis.json`."""
    evaluation = evaluate(open_run(run_dir))
    write(run_dir, evaluation)
    return evaluation


def evaluate(recorded: RecordedRun) -> Evaluation:
    """Check and analyse a run; writes nothing."""
    checks = check_run(recorded)
    anomalies = [anomaly for check in checks.checks for anomaly in check.anomalies]
    data = load(recorded, {w.session for anomaly in anomalies for w in anomaly.witness})
    analysis = analyse(data)
    # Checkers and analysis do not import each other: checks on memory and on the load generator join those of the history here.
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
    return Evaluation(data=data, checks=checks, analysis=analysis)


def check_run(recorded: RecordedRun) -> Checks:
    """Check the history of a run, and whether there is enough of it. The history is streamed, not held in memory."""
    with _without_collector():
        return check(
            recorded.history_to_check(),
            recorded.manifest.state,
            recorded.seal,
            recorded.problems,
            restarted=recorded.restarted,
            own=own_models(recorded.folder, recorded.manifest.state),
        )


def load(recorded: RecordedRun, sessions: Collection[str] | None = ()) -> RunData:
    """Everything that figures and report need of a run; of most operations only times and outcome.

    Args:
        recorded: the run.
        sessions: those whose operations are wanted whole; None for all.
    """
    manifest, events, folder = recorded.manifest, recorded.events, recorded.folder
    shared = [name for name, variable in manifest.state.items() if variable.scope != "session"]
    with _without_collector():
        history = pair(
            recorded.readable_shards(), workers=recorded.workers, damaged=recorded.damaged, only=shared
        )
        witnesses = recorded.readable_history().history(
            sessions, began_ns=history.started_ns, damaged=history.damaged, problems=[]
        )
    return RunData(
        manifest=manifest,
        seal=recorded.seal,
        events=events,
        phases=phases(events),
        history=history,
        witnesses=witnesses,
        target=list(recorded.records[PROCESS_SAMPLES]),
        loadgen=list(recorded.records[LOADGEN_SAMPLES]),
        plateaus=list(recorded.records[PLATEAUS]),
        census=list(recorded.records[CENSUS]),
        generator=aligned(folder.generator_samples(), recorded.workers),
        retainers=list(recorded.records[RETAINERS]),
        control=_follow_up(folder, CONTROL),
        attribution=attribution_of(folder),
        what_if={
            tried.manifest.what_if or name: tried
            for name in folder.what_ifs()
            if (tried := _follow_up(folder, name)) is not None
        },
    )


def _follow_up(run_dir: RunDir, name: str) -> FollowUp | None:
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


def write(run_dir: RunDir, evaluation: Evaluation) -> None:
    """Write `derived/checks.json` and `derived/analysis.json`."""
    run_dir.write_json(CHECKS, evaluation.checks)
    run_dir.write_json(ANALYSIS, evaluation.analysis)


def render(run_dir: RunDir, evaluation: Evaluation) -> None:
    """Draw the plots and write the report."""
    # matplotlib takes a second to import, which `gradsoak --help` need not wait for.
    from harness.report.plots import draw_all
    from harness.report.run_page import render_run

    plots = draw_all(evaluation.data, evaluation.analysis, evaluation.checks.checks)
    for plot in plots:
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.svg", plot.svg)
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.png", plot.png)
    run_dir.write_bytes(
        REPORT, render_run(evaluation.data, evaluation.checks, evaluation.analysis, plots).encode()
    )
