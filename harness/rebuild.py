"""From the raw files of a run to its verdicts, figures, plots and report. May be repeated at will."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harness.analysis import Analysis, RunData, analyse, check_generator, check_growth
from harness.checkers import check_history, combine
from harness.checkers.models import OwnModel, Unavailable
from harness.errors import UsageError
from harness.history import aligned, fleet, pair, phases
from harness.promises import facts, judge
from harness.records import RETURN_PHASE, Checks, StateVariable
from harness.results import ANALYSIS, CHECKS, PLOTS, REPORT, WORKLOAD, RunDir
from harness.workload import load_workload


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """What was concluded from a run."""

    data: RunData
    checks: Checks
    analysis: Analysis


def load(run_dir: RunDir) -> tuple[RunData, list[str]]:
    """Read everything that a run recorded, and say what could not be read."""
    shards, torn = run_dir.history()
    events = run_dir.events()
    manifest = run_dir.manifest()
    broken = [*torn, *run_dir.broken_shards()]
    # Where several workers made the load, a shard that cannot be read concerns the sessions of its worker alone.
    by_worker = {run_dir.worker_of(shard.file): f"{shard.file} {shard.problem}." for shard in broken}
    workers = fleet(
        events,
        manifest.run_tag,
        run_dir.history_sha256(),
        {worker: problem for worker, problem in by_worker.items() if worker is not None},
    )
    problems = [
        f"{shard.file} {shard.problem}."
        for shard in broken
        if run_dir.worker_of(shard.file) not in workers.workers
    ]
    data = RunData(
        manifest=manifest,
        seal=run_dir.sealed(),
        events=events,
        phases=phases(events),
        history=pair(shards, workers=workers),
        target=run_dir.process_samples(),
        loadgen=run_dir.loadgen_samples(),
        plateaus=run_dir.plateaus(),
        census=run_dir.censuses(),
        generator=aligned(run_dir.generator_samples(), workers),
    )
    if any(event.kind == "target_restart" for event in events) and not any(
        operation.phase == RETURN_PHASE for operation in data.history.operations
    ):
        problems.append("The app was restarted, and nobody came back to it.")
    return data, problems


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


def conclude(run_dir: RunDir) -> Derived:
    """Check and analyse a run, and write `derived/checks.json` and `derived/analysis.json`."""
    data, problems = load(run_dir)
    own = own_models(run_dir, data.manifest.state)
    checks = check_history(data.history, data.manifest.state, data.seal, problems, own=own)
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
    promises = judge(facts(data.manifest, checks.checks, data.history, data.events, data.plateaus))
    checks = msgspec.structs.replace(checks, promises=promises)
    run_dir.write_json(CHECKS, checks)
    run_dir.write_json(ANALYSIS, analysis)
    return Derived(data=data, checks=checks, analysis=analysis)


def render(run_dir: RunDir, derived: Derived) -> None:
    """Draw the plots and write the report."""
    # matplotlib takes a second to import, which `gradsoak --help` need not wait for.
    from harness.report.html import render_run
    from harness.report.plots import draw_all

    plots = draw_all(derived.data, derived.analysis)
    for plot in plots:
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.svg", plot.svg)
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.png", plot.png)
    run_dir.write_bytes(REPORT, render_run(derived.data, derived.checks, derived.analysis, plots).encode())
