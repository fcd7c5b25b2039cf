"""Each check on the page: its verdict, and its anomalies in groups, with timeline and records. Pure."""

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
    """The records of an operation of a witness.

    Attributes:
        heading: session, action, phase, outcome and times.
        lines: the records; empty if the operation is not on record.
        shard: file of the records, relative to the run folder.
        id: number of the operation in that file.
    """

    name: str
    heading: str
    lines: list[RecordLine]
    shard: str
    id: str

    @property
    def cut(self) -> bool:
        """Whether a part of any record is left out."""
        return any(line.cut for line in self.lines)


class ShownAnomaly(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly, ready to be shown."""

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
    """The anomalies of one kind that a check found: `first` is shown at once, `more` is folded."""

    name: str
    pairs: int
    first: list[SessionPair]
    more: list[SessionPair]


class CheckRow(msgspec.Struct, frozen=True, kw_only=True):
    """A check, ready to be shown. `trace` is the reason without its first line.

    Attributes:
        idle: the check does not apply.
        matrix: section of the page with its session matrix.
        left_out: number of anomalies that the page does not show.
    """

    check: Check
    idle: bool
    reason: str
    trace: str
    evidence: list[tuple[str, str]]
    kinds: list[AnomalyGroup]
    matrix: str
    left_out: int

    @property
    def pictured(self) -> bool:
        """Whether any of its anomalies has a timeline."""
        pairs = (pair for kind in self.kinds for pair in (*kind.first, *kind.more))
        return any(anomaly.picture for pair in pairs for anomaly in pair.anomalies)


def operations_of_witnesses(history: History, checks: Checks) -> dict[str, Operation]:
    """`worker:id` → operation, for the operations that witness an anomaly."""
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
    """A check, ready to be shown.

    Args:
        check: with its anomalies.
        recorded: `worker:id` → operation, for those that witness an anomaly.
        workers: the processes that generated the load.
        name: prefix of the ids in its pictures, unique on the page.
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
    """Anomalies grouped by kind, then by sessions, each in the order of discovery."""
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
