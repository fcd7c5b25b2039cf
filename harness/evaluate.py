"""From a recorded run to its verdicts, figures, plots and report. May be repeated: raw files are only read."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from harness.analysis import Analysis, analyse, check_generator, check_growth
from harness.checkers import check, combine
from harness.checkers.models import OwnModel, Unavailable
from harness.errors import UsageError
from harness.guarantees import facts, judge
from harness.history import History
from harness.recorded_run import RecordedRun
from harness.records import Checks, StateVariable
from harness.run_dir import ANALYSIS, CHECKS, PLOTS, REPORT, WORKLOAD, RunDir
from harness.run_reader import open_run
from harness.workload import load_workload


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a run.

    Attributes:
        run: the recorded run.
        checks: its verdicts.
        analysis: its figures.
        witnesses: all operations of the sessions that anomalies name, with everything that they read.
    """

    run: RecordedRun
    checks: Checks
    analysis: Analysis
    witnesses: History


def evaluate_run(run_dir: RunDir) -> Evaluation:
    """Open a run folder, evaluate it, and write `derived/checks.json` and `derived/analysis.json`.

    Raises:
        UsageError: the manifest cannot be read.
        StorageError: the results cannot be written.
    """
    evaluation = evaluate(open_run(run_dir))
    write(run_dir, evaluation)
    return evaluation


def evaluate(run: RecordedRun) -> Evaluation:
    """Check and analyse a run. Writes nothing."""
    # First the checks, then the operations for figures: the checks of a long history need memory of their own.
    checks = check_run(run)
    with _without_collector():
        witnesses = _witnesses(run, checks)
    analysis = analyse(run)
    checks = combine(
        [
            *checks.checks,
            *check_growth(analysis.growth, analysis.growth_basis),
            check_generator(analysis.generator),
        ],
        checks.workers,
    )
    guarantees = judge(facts(run.manifest, checks.checks, run.events, run.plateaus))
    checks = msgspec.structs.replace(checks, guarantees=guarantees)
    return Evaluation(run=run, checks=checks, analysis=analysis, witnesses=witnesses)


def check_run(run: RecordedRun) -> Checks:
    """Run every check of a run's history, and the completeness check. The history is streamed, and not held in memory.

    Checks of memory and of the load generator are not among them; see `evaluate`.
    """
    with _without_collector():
        return check(
            run.recorded,
            run.manifest.state,
            run.seal,
            run.problems,
            restarted=run.restarted,
            own=own_models(run.workload, run.manifest.state),
        )


def _witnesses(run: RecordedRun, checks: Checks) -> History:
    sessions = {
        operation.session
        for check in checks.checks
        for anomaly in check.anomalies
        for operation in anomaly.witness
    }
    history = run.history
    return run.recorded.history(sessions, began_ns=history.started_ns, damaged=history.damaged, problems=[])


def own_models(
    workload: Path | None, state: Mapping[str, StateVariable]
) -> dict[str, OwnModel | Unavailable]:
    """Return the models that a workload defines itself. It is imported only if the manifest names such a model.

    Args:
        workload: the copy in the run folder.
        state: state variable → model, from the manifest.

    Returns:
        State variable → its model, or why it is not available.
    """
    names = [name for name, variable in state.items() if variable.model == "custom"]
    if not names or workload is None:
        return dict.fromkeys(names, Unavailable(f"There is no {WORKLOAD}."))
    try:
        found = load_workload(workload).own_models
    except UsageError as error:
        return dict.fromkeys(names, Unavailable(error.message))
    return {
        name: found[name] if name in found else Unavailable(f"{WORKLOAD} in the run folder has none.")
        for name in names
    }


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the garbage collector while millions of records are read.

    Records refer to nothing that refers back to them. Searching them for cycles would take several times as long as reading them.
    """
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
    # matplotlib takes a second to import, which `gradsoak --help` must not wait for.
    from harness.report.plots import draw_all
    from harness.report.run_page import render_run

    run, checks, analysis = evaluation.run, evaluation.checks, evaluation.analysis
    plots = draw_all(run, analysis, checks.checks)
    for plot in plots:
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.svg", plot.svg)
        run_dir.write_bytes(f"{PLOTS}/{plot.name}.png", plot.png)
    page = render_run(run, checks, analysis, plots, witnesses=evaluation.witnesses)
    run_dir.write_bytes(REPORT, page.encode())
