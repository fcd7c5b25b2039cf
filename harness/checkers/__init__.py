"""Checkers: a history in, verdicts with witnesses out. Pure, three-valued, and never silent about missing evidence."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Protocol

from harness.checkers.completeness import check_completeness
from harness.checkers.cross_session import CrossSessionRead, GarbageRead
from harness.checkers.findings import MAX_ANOMALIES
from harness.checkers.index import Index
from harness.checkers.own_writes import LostUpdate, ReadYourWrites
from harness.history import History
from harness.records import SCHEMA_VERSION, Check, Checks, Seal, StateVariable, worst

__all__ = ["CHECKERS", "MAX_ANOMALIES", "Checker", "check_history", "combine", "count_anomalies"]


class Checker(Protocol):
    """Looks for one kind of anomaly."""

    @property
    def name(self) -> str:
        """The anomaly's standard name."""

    def check(self, index: Index) -> Check:
        """Examine a history."""


CHECKERS: tuple[Checker, ...] = (CrossSessionRead(), GarbageRead(), LostUpdate(), ReadYourWrites())


def check_history(
    history: History,
    state: dict[str, StateVariable],
    seal: Seal | None,
    problems: Sequence[str] = (),
    checkers: Sequence[Checker] = CHECKERS,
) -> Checks:
    """Run every checker and combine their verdicts.

    Args:
        history: what was recorded.
        state: state variable → model, as the workload declared.
        seal: how the run ended, None if nobody knows.
        problems: what is wrong with the files.
        checkers: those to run. One that raises is `unknown`, with its traceback as the reason.
    """
    checks = [check_completeness(history, state, seal, problems)]
    index = Index(history, state)
    checks += [_run(checker, index) for checker in checkers]
    return combine(checks)


def combine(checks: Sequence[Check]) -> Checks:
    """One verdict from those of all checks, the completeness check first."""
    verdict = worst(check.verdict for check in checks)
    return Checks(
        schema_version=SCHEMA_VERSION, verdict=verdict, reason=_reason(checks, verdict), checks=list(checks)
    )


def count_anomalies(history: History, state: dict[str, StateVariable]) -> int:
    """How many anomalies there are in a history that is still growing."""
    index = Index(history, state)
    return sum(_run(checker, index).anomalies_total for checker in CHECKERS)


def _run(checker: Checker, index: Index) -> Check:
    try:
        return checker.check(index)
    except Exception:
        return Check(
            name=checker.name,
            verdict="unknown",
            reason=f"The checker itself failed:\n{traceback.format_exc()}",
            evidence={},
        )


def _reason(checks: Sequence[Check], verdict: str) -> str:
    if verdict == "pass":
        return f"No anomaly among {checks[0].evidence['operations']} operations."
    deciding = [check for check in checks if check.verdict == verdict]
    return " ".join(check.reason for check in deciding)
