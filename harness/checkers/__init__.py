"""Checkers: a history in, verdicts with witnesses out. Pure, three-valued, and never silent about missing evidence."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from functools import partial

from harness.checkers.anomaly_catalogue import CATALOGUE
from harness.checkers.anomaly_check import Checker
from harness.checkers.completeness import check_completeness, sessions_by_worker, sessions_of
from harness.checkers.detection_limit import rarest_found
from harness.checkers.findings import MAX_ANOMALIES
from harness.checkers.history_index import Index
from harness.checkers.models import OwnModel, Unavailable
from harness.checkers.screening import Scan
from harness.history import History, InMemoryHistory, RecordedHistory, Workers
from harness.records import (
    SCHEMA_VERSION,
    Check,
    Checks,
    Seal,
    StateVariable,
    Verdict,
    WorkerVerdict,
    worst,
)

__all__ = ["CHECKERS", "MAX_ANOMALIES", "Checker", "check", "check_history", "combine", "count_anomalies"]


CHECKERS = tuple(Checker(entry) for entry in CATALOGUE if entry.detectors or entry.judge is not None)


def check_history(
    history: History,
    state: dict[str, StateVariable],
    seal: Seal | None,
    problems: Sequence[str] = (),
    checkers: Sequence[Checker] = CHECKERS,
    own: Mapping[str, OwnModel | Unavailable] | None = None,
) -> Checks:
    """Check a history that is in memory; see `check`."""
    return check(InMemoryHistory(history), state, seal, problems, checkers, own=own)


def check(
    recorded: RecordedHistory,
    state: dict[str, StateVariable],
    seal: Seal | None,
    problems: Sequence[str] = (),
    checkers: Sequence[Checker] = CHECKERS,
    *,
    restarted: bool = False,
    select_all: bool = False,
    own: Mapping[str, OwnModel | Unavailable] | None = None,
) -> Checks:
    """Run every checker and combine their verdicts.

    Args:
        recorded: the history.
        state: state variable → its declaration.
        seal: how the run ended; None if it was not sealed.
        problems: damage of the files, one sentence each.
        checkers: the checkers to run. If one raises, its verdict is `unknown`, with the traceback as the reason.
        restarted: whether the app was restarted during the run.
        select_all: give all sessions a full check. The result is the same; it takes longer.
        own: state variable → the model that the workload defines for it.
    """
    scan = _scan(recorded, state, select_all=select_all)
    found = _run_all(checkers, scan, state, own)
    # Last, because a full check may find reads that cannot be restored from their differences.
    judge = partial(check_completeness, scan, state=state, seal=seal, problems=problems, restarted=restarted)
    checks = [judge(workers=recorded.workers), *found]
    workers: list[WorkerVerdict] = []
    if recorded.workers.facts:
        # The completeness of each worker is judged apart, so `judge` gets no workers here.
        workers = _by_worker(scan, [judge(workers=Workers()), *checks[1:]])
    return combine(checks, workers)


def combine(checks: Sequence[Check], workers: Sequence[WorkerVerdict] = ()) -> Checks:
    """Combine the verdicts of all checks into the verdict of the run.

    Args:
        checks: all checks, the completeness check first.
        workers: the verdict on the sessions of each worker, if there were several.
    """
    verdict = worst(check.verdict for check in checks)
    return Checks(
        schema_version=SCHEMA_VERSION,
        verdict=verdict,
        reason=_reason(checks, verdict, workers),
        checks=list(checks),
        workers=list(workers),
    )


def count_anomalies(recorded: RecordedHistory, state: dict[str, StateVariable]) -> int:
    """How many anomalies there are in a history that is still growing."""
    return sum(check.anomalies_total for check in _run_all(CHECKERS, _scan(recorded, state), state))


def _scan(recorded: RecordedHistory, state: dict[str, StateVariable], *, select_all: bool = False) -> Scan:
    try:
        scan = Scan(recorded, state, select_all=select_all)
    except Exception:
        # An effect or a value that its model does not expect. The full check says which.
        return Scan(recorded, state, select_all=True)
    if scan.damaged and not select_all:
        # Missing records may have held operations of any owner, so no owner's own operations say what its reads must show.
        return Scan(recorded, state, select_all=True)
    return scan


def _run_all(
    checkers: Sequence[Checker],
    scan: Scan,
    state: dict[str, StateVariable],
    own: Mapping[str, OwnModel | Unavailable] | None = None,
) -> list[Check]:
    try:
        index = Index(scan.selected(), state, scan, own)
    except Exception:
        return [_failed(checker) for checker in checkers]
    return [_run(checker, index) for checker in checkers]


def _run(checker: Checker, index: Index) -> Check:
    try:
        return checker.check(index)
    except Exception:
        return _failed(checker)


def _failed(checker: Checker) -> Check:
    return Check(
        name=checker.name,
        verdict="unknown",
        reason=f"The checker itself failed:\n{traceback.format_exc()}",
        evidence={},
    )


def _by_worker(scan: Scan, checks: Sequence[Check]) -> list[WorkerVerdict]:
    recorded = sessions_by_worker(scan)
    verdicts = []
    for facts in scan.recorded.workers.facts.values():
        sessions = sessions_of(facts, recorded)
        suffered = {
            check.name: check.suffered[facts.name] for check in checks if facts.name in check.suffered
        }
        elsewhere = [check for check in checks if check.verdict == "unknown"]
        verdict: Verdict
        if suffered:
            # What is proven stays proven, even if the worker was lost.
            what = ", ".join(f"{name}: {n} sessions suffered" for name, n in suffered.items())
            verdict, reason = "fail", f"{what}. {facts.unknown or ''}".rstrip()
        elif facts.unknown is not None:
            verdict, reason = "unknown", f"{facts.unknown} What became of its {sessions} sessions is unknown."
        elif elsewhere:
            verdict, reason = "unknown", " ".join(check.reason.partition("\n")[0] for check in elsewhere)
        elif not sessions:
            verdict, reason = "unknown", "It had no session."
        else:
            verdict, reason = "pass", f"{sessions} sessions, no anomaly."
        verdicts.append(WorkerVerdict(worker=facts.name, verdict=verdict, sessions=sessions, reason=reason))
    return verdicts


def _reason(checks: Sequence[Check], verdict: str, workers: Sequence[WorkerVerdict]) -> str:
    if verdict == "pass":
        once_in = rarest_found(checks[0].evidence.get("operations_that_read", 0))
        bound = (
            f"; a fault that shows in 1 of {once_in:,} would have been found with 95 % certainty"
            if once_in
            else ""
        )
        return f"No anomaly among {checks[0].evidence['operations']} operations{bound}."
    deciding = [check for check in checks if check.verdict == verdict]
    reason = " ".join(check.reason for check in deciding)
    passed = [worker.sessions for worker in workers if worker.verdict == "pass"]
    if verdict == "unknown" and passed:
        reason += f" {sum(passed)} sessions of {'1 worker' if len(passed) == 1 else f'{len(passed)} workers'}: no anomaly."
    if verdict == "fail":
        reason += "".join(f" {worker.reason}" for worker in workers if worker.verdict == "unknown")
    return reason
