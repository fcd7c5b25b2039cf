"""Cross-session reads and garbage reads: was a value seen that this session did not write?

A value that another session wrote is a cross-session read. A value that nobody wrote is a garbage read. Unique values
(tokens) prove where a list element or register came from. A counter has no such mark: there, more counts than the
session itself can have caused are foreign as far as other sessions' increments can explain them.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.findings import Findings, show
from harness.checkers.index import Index, key
from harness.records import Check, Operation


class CrossSessionRead:
    """A session saw a value that another session wrote."""

    name = "cross-session-read"

    def check(self, index: Index) -> Check:
        """Look at every value that was read."""
        findings = Findings(self.name, index.history)
        # Tokens first: they prove more to a reader than a count that is too high.
        for variable, model in sorted(index.state.items(), key=lambda item: item[1].model == "counter"):
            for read in index.reads[variable]:
                if model.model == "counter":
                    _foreign_increments(index, variable, read, findings)
                else:
                    _foreign_values(index, variable, read, findings)
        readers = {read.session for reads in index.reads.values() for read in reads}
        writers = {o.session for o in index.history.operations if o.effects and o.may_have_happened}
        reads = sum(len(reads) for reads in index.reads.values())
        evidence = {"reads": reads, "sessions_reading": len(readers), "sessions_writing": len(writers)}
        if findings.total:
            verdict, reason = (
                "fail",
                f"Sessions saw what other sessions wrote, in {findings.total} combinations of sessions and variable.",
            )
        elif not readers or len(writers) < 2:
            verdict, reason = (
                "unknown",
                f"{len(readers)} sessions read and {len(writers)} wrote; it takes two sessions to cross.",
            )
        else:
            verdict, reason = (
                "pass",
                f"None of {reads} reads by {len(readers)} sessions held anything that another of {len(writers)} sessions wrote.",
            )
        return Check(
            name=self.name,
            verdict=verdict,  # type: ignore[arg-type]
            reason=reason,
            evidence=evidence,
            anomalies=findings.anomalies(),
            anomalies_total=findings.total,
        )


class GarbageRead:
    """A session saw a value that nobody wrote."""

    name = "garbage-read"

    def check(self, index: Index) -> Check:
        """Look at every value that was read."""
        findings = Findings(self.name, index.history)
        for variable, model in index.state.items():
            for read in index.reads[variable]:
                for value in _garbage(index, variable, model.model, read):
                    if not findings.first(variable, [read.session]):
                        continue
                    findings.describe(
                        variable=variable,
                        sessions=[read.session],
                        witness=[(read, f"read {variable} = {show(read.reads[variable], [value])}")],
                        conclusion=f"A saw {show(value)}, which no recorded operation can have written.",
                        relevant=[value],
                    )
        reads = sum(len(reads) for reads in index.reads.values())
        if findings.total:
            verdict, reason = "fail", f"{findings.total} sessions saw values that nobody wrote."
        elif not reads:
            verdict, reason = "unknown", "Nothing was read."
        else:
            verdict, reason = (
                "pass",
                f"Every value in {reads} reads is a default or was written by a recorded operation.",
            )
        return Check(
            name=self.name,
            verdict=verdict,  # type: ignore[arg-type]
            reason=reason,
            evidence={"reads": reads},
            anomalies=findings.anomalies(),
            anomalies_total=findings.total,
        )


def _elements(model: str, value: Any) -> list[Any]:
    """The unique values in a read: a list's elements, or a register's value."""
    return value if model == "list" and isinstance(value, list) else [value]


def _foreign_values(index: Index, variable: str, read: Operation, findings: Findings) -> None:
    model = index.state[variable]
    observed = read.reads[variable]
    if observed == model.initial:
        return
    for value in _elements(model.model, observed):
        writers = index.writers[variable].get(key(value), [])
        if not writers or any(w.session == read.session for w in writers):
            continue
        writer = writers[0]
        sessions = [writer.session, read.session]
        if not findings.first(variable, sessions):
            continue
        verb = "appended" if model.model == "list" else "wrote"
        findings.describe(
            variable=variable,
            sessions=sessions,
            witness=[
                (writer, f"{verb} {show(value)} to {variable}{_acknowledged(writer)}"),
                (read, f"read {variable} = {show(observed, [value])}"),
            ],
            conclusion=(
                f"B saw {show(value)}, which only {writer.session} ever wrote: "
                f"state crossed from {writer.session} to {read.session}."
            ),
            relevant=[value],
        )


def _foreign_increments(index: Index, variable: str, read: Operation, findings: Findings) -> None:
    bounds = _counter_bounds(index, variable, read)
    if bounds is None:
        return
    value, own, everyone = bounds
    if value <= own or value > everyone:
        return
    writer = index.increments[variable].foreign_before(read)
    if writer is None:
        return
    sessions = [writer.session, read.session]
    if not findings.first(variable, sessions):
        return
    findings.describe(
        variable=variable,
        sessions=sessions,
        witness=[
            (writer, f"incremented {variable}{_acknowledged(writer)}"),
            (read, f"read {variable} = {value}"),
        ],
        conclusion=(
            f"By then {read.session} itself can have brought {variable} to at most {own}; "
            f"only increments of other sessions, such as A, explain {value}: state crossed to {read.session}."
        ),
    )


def _counter_bounds(index: Index, variable: str, read: Operation) -> tuple[int, int, int] | None:
    """What was read, the most that the session itself explains, the most that everybody together explains."""
    value = read.reads[variable]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or read.complete_ns is None:
        return None
    initial = index.state[variable].initial or 0
    own = initial + index.own_increments[variable][read.session].possible_before(read.complete_ns)
    everyone = initial + index.increments[variable].possible_before(read.complete_ns)
    return int(value), own, everyone


def _garbage(index: Index, variable: str, model: str, read: Operation) -> list[Any]:
    value = read.reads[variable]
    if value == index.state[variable].initial:
        return []
    if model == "counter":
        bounds = _counter_bounds(index, variable, read)
        initial = index.state[variable].initial or 0
        return (
            [value]
            if bounds is None or value != bounds[0] or bounds[0] > bounds[2] or bounds[0] < initial
            else []
        )
    if model == "list" and not isinstance(value, list):
        return [value]
    return [v for v in _elements(model, value) if key(v) not in index.writers[variable]]


def _acknowledged(operation: Operation) -> str:
    return ", acknowledged" if operation.outcome == "ok" else " (outcome unknown)"
