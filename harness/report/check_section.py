"""What the page says about each check: its verdict, and its anomalies, grouped, each with its picture and its records. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import markupsafe
import msgspec

from harness import units
from harness.history import History, Workers
from harness.records import Anomaly, Check, Checks, Operation, WitnessOperation
from harness.report.raw_records import RecordLine, line, records_of
from harness.report.session_matrix_plot import section_of
from harness.report.witness_timeline import timeline
from harness.report.witness_values import effects_of, names_in

MAX_OPEN = 5
MAX_SHOWN = 50
# Characters of an explanation, or of a reason.
MAX_EXPLANATION = 1500


class WitnessRecords(msgspec.Struct, frozen=True, kw_only=True):
    """An operation of a witness, exactly as recorded.

    Attributes:
        heading: what it was.
        lines: its records; empty if it is not on record.
        shard: file that holds them, within the run folder.
        id: number of the operation in that file.
    """

    name: str
    heading: str
    lines: list[RecordLine]
    shard: str
    id: str

    @property
    def cut(self) -> bool:
        """Whether something was left out of any of its records."""
        return any(line.cut for line in self.lines)


class ShownAnomaly(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly as the page shows it."""

    sessions: str
    variable: str
    occurrences: str
    explanation: str
    picture: markupsafe.Markup
    acts: list[WitnessRecords]


class SessionPair(msgspec.Struct, frozen=True, kw_only=True):
    """The anomalies of one kind between the same sessions, one for each variable."""

    sessions: str
    summary: str
    anomalies: list[ShownAnomaly]


class AnomalyGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The anomalies of one kind that a check found: the first pairs to be seen at once, the others to be opened."""

    name: str
    pairs: int
    first: list[SessionPair]
    more: list[SessionPair]


class CheckRow(msgspec.Struct, frozen=True, kw_only=True):
    """A check as the page shows it: `trace` is what follows the first line of its reason; `idle`, that it does not apply."""

    check: Check
    idle: bool
    reason: str
    trace: str
    evidence: list[tuple[str, str]]
    kinds: list[AnomalyGroup]
    matrix: str
    left_out: int


def witnesses(history: History, checks: Checks) -> dict[str, Operation]:
    """`worker:id` → operation, for those that witness an anomaly."""
    wanted = {w.operation for check in checks.checks for a in check.anomalies for w in a.witness}
    if not wanted:
        return {}
    found: dict[str, Operation] = {}
    for operation in history.operations:
        name = f"{operation.worker}:{operation.id}"
        if name in wanted:
            found.setdefault(name, operation)
    return found


def check_row(check: Check, recorded: Mapping[str, Operation], workers: Workers, name: str) -> CheckRow:
    """Make a check ready to be shown.

    Args:
        check: with its anomalies.
        recorded: `worker:id` → operation, for those that witness an anomaly.
        workers: the processes that made the load.
        name: prefix of the ids within its pictures, unique in the page.
    """
    reason, _, trace = check.reason.partition("\n")
    anomalies = check.anomalies[:MAX_SHOWN]
    why_not = check.why_not()
    return CheckRow(
        check=check,
        idle=why_not is not None,
        reason=why_not or reason,
        trace=trace.strip("\n"),
        evidence=[(name.replace("_", " "), units.count(value)) for name, value in check.evidence.items()],
        kinds=_groups(anomalies, recorded, workers, name),
        matrix=section_of(check.name),
        left_out=max(check.anomalies_total, len(check.anomalies)) - len(anomalies),
    )


def _groups(
    anomalies: Sequence[Anomaly], recorded: Mapping[str, Operation], workers: Workers, name: str
) -> list[AnomalyGroup]:
    """Group by kind, then by the sessions between which it is; in each, the first that was seen comes first."""
    numbers = itertools.count()
    by_kind: dict[str, dict[str, list[Anomaly]]] = {}
    for anomaly in anomalies:
        pairs = by_kind.setdefault(anomaly.kind, {})
        pairs.setdefault(_between(anomaly), []).append(anomaly)
    kinds = []
    for kind, pairs in by_kind.items():
        shown = [
            SessionPair(
                sessions=sessions,
                summary=", ".join(f"{a.variable} {units.count(a.occurrences)}×" for a in found),
                anomalies=[_shown(a, recorded, workers, f"{name}-{next(numbers)}") for a in found],
            )
            for sessions, found in pairs.items()
        ]
        kinds.append(AnomalyGroup(name=kind, pairs=len(shown), first=shown[:MAX_OPEN], more=shown[MAX_OPEN:]))
    return kinds


def _between(anomaly: Anomaly) -> str:
    return " → ".join(anomaly.sessions)


def _shown(anomaly: Anomaly, recorded: Mapping[str, Operation], workers: Workers, name: str) -> ShownAnomaly:
    relevant = [value for w in anomaly.witness for value in names_in(effects_of(w, recorded))]
    return ShownAnomaly(
        sessions=_between(anomaly),
        variable=anomaly.variable,
        occurrences=units.plural(anomaly.occurrences, "occurrence"),
        explanation=units.clip(anomaly.explanation, MAX_EXPLANATION),
        picture=timeline(anomaly, recorded, name),
        acts=[_recorded(w, recorded.get(w.operation), relevant, workers) for w in anomaly.witness],
    )


def _recorded(
    w: WitnessOperation, operation: Operation | None, relevant: Sequence[object], workers: Workers
) -> WitnessRecords:
    worker, _, number = w.operation.rpartition(":")
    ended = "never completed" if w.complete_s is None else f"to {w.complete_s:.6f} s"
    return WitnessRecords(
        name=w.name,
        heading=f"session {w.session}, {w.action}, phase {w.phase}, {w.outcome}, {w.invoke_s:.6f} {ended}",
        lines=[] if operation is None else [line(r, relevant) for r in records_of(operation, workers)],
        shard=f"history/{worker}.jsonl",
        id=number,
    )
