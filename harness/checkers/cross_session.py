"""Cross-session reads and garbage reads: was a value seen that this session did not write?

A value that another session wrote is a cross-session read. A value that nobody wrote is a garbage read. Unique values
(tokens) prove where a list element or register came from. A counter has no such mark: there, more counts than the
session itself can have caused are foreign as far as other sessions' increments can explain them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness import tokens
from harness.checkers.findings import Findings, show
from harness.checkers.index import Index, earlier_phase, key
from harness.records import PHASES, Check, Operation, Verdict


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
        writers = {o.session for o in index.history.operations if o.effects and o.outcome == "ok"}
        reads = sum(len(reads) for reads in index.reads.values())
        exposed = sum(_exposed(index, variable) for variable in index.state)
        evidence = {
            "values_read": reads,
            "read_after_a_foreign_write": exposed,
            "sessions_reading": len(readers),
            "sessions_writing": len(writers),
        }
        verdict: Verdict
        if findings.total:
            verdict, reason = (
                "fail",
                f"{findings.sufferers} of {len(readers)} sessions saw what other sessions wrote.",
            )
        elif not exposed:
            verdict, reason = (
                "unknown",
                f"{len(readers)} sessions read and {len(writers)} wrote, but none read after another had written: nothing could have crossed.",
            )
        else:
            verdict, reason = (
                "pass",
                f"None of {exposed:,} values read after a foreign write, by {len(readers)} sessions, came from another of {len(writers)} sessions.",
            )
        return Check(
            name=self.name,
            verdict=verdict,
            reason=reason,
            evidence=evidence,
            anomalies=findings.anomalies(),
            anomalies_total=findings.total,
            suffered=findings.suffered(),
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
        verdict: Verdict
        if findings.total:
            verdict, reason = "fail", f"{findings.sufferers} sessions saw values that nobody wrote."
        elif not reads:
            verdict, reason = "unknown", "Nothing was read."
        else:
            verdict, reason = (
                "pass",
                f"Each of {reads:,} values read is a default or was written by a recorded operation.",
            )
        return Check(
            name=self.name,
            verdict=verdict,
            reason=reason,
            evidence={"values_read": reads},
            anomalies=findings.anomalies(),
            anomalies_total=findings.total,
            suffered=findings.suffered(),
        )


def _exposed(index: Index, variable: str) -> int:
    """Reads that began after another session's write to the variable was acknowledged: only these can show a leak.

    "After" is by one clock, or by the phases of the run; times of different clocks are never compared.
    """
    fleet = index.history.fleet
    first: dict[str, Operation] = {}
    for operation in index.history.operations:
        if variable in operation.effects and operation.outcome == "ok" and operation.complete_ns is not None:
            before = first.get(operation.session)
            if before is None or operation.complete_ns < (before.complete_ns or 0):
                first[operation.session] = operation
    # Of two sessions at least one is not the reader's.
    by_clock: dict[str, list[Operation]] = {}
    for write in sorted(first.values(), key=lambda o: o.complete_ns or 0):
        by_clock.setdefault(fleet.clock(write.worker), []).append(write)
    earliest = {clock: writes[:2] for clock, writes in by_clock.items()}
    first_phase = {
        clock: min((w for w in writes if not fleet.lost(w.worker)), key=_place, default=None)
        for clock, writes in by_clock.items()
    }

    def shows(read: Operation) -> bool:
        ours = fleet.clock(read.worker)
        for clock in by_clock:
            if clock == ours:
                if any(
                    w.session != read.session and (w.complete_ns or 0) <= read.invoke_ns
                    for w in earliest[clock]
                ):
                    return True
            elif (write := first_phase[clock]) is not None and earlier_phase(fleet, write, read):
                return True  # by another worker, so of another session
        return False

    return sum(shows(read) for read in index.reads[variable])


def _place(write: Operation) -> int:
    return PHASES.index(write.phase) if write.phase in PHASES else len(PHASES)


def _elements(model: str, value: Any) -> list[Any]:
    """The unique values in a read: a list's elements, or a register's value."""
    return value if model == "list" and isinstance(value, list) else [value]


def _foreign_values(index: Index, variable: str, read: Operation, findings: Findings) -> None:
    model = index.state[variable]
    observed = read.reads[variable]
    if observed == model.initial:
        return
    own = index.own_values[variable].get(read.session, set())
    for value in _elements(model.model, observed):
        value_key = value if type(value) is str else key(value)
        if value_key in own:
            continue
        writers = index.writers[variable].get(value_key, [])
        if not writers:
            _by_its_token(index, variable, read, value, findings)
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


def _by_its_token(index: Index, variable: str, read: Operation, value: Any, findings: Findings) -> None:
    """A value that no record explains, but whose token names a session whose records may be incomplete."""
    for session, worker in _incomplete_writers(index, read, value):
        sessions = [session, read.session]
        if not findings.first(variable, sessions):
            continue
        findings.describe(
            variable=variable,
            sessions=sessions,
            witness=[(read, f"read {variable} = {show(read.reads[variable], [value])}")],
            conclusion=(
                f"A saw {show(value)}, whose token names {session} as its writer: state crossed from {session} to "
                f"{read.session}. The write itself is not on record, since the records of worker {worker} are incomplete."
            ),
            relevant=[value],
        )


def _incomplete_writers(index: Index, read: Operation, value: Any) -> list[tuple[str, str]]:
    """Sessions, with their workers, that tokens in a value name as writers, and whose records may be incomplete."""
    fleet = index.history.fleet
    unknown = {facts.name for facts in fleet.unknown}
    if not unknown:
        return []
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    found = []
    for name in tokens.find(text):
        token = tokens.parse(name)
        if token is not None and token.run == fleet.run_tag and str(token.worker) in unknown:
            found.append((token.session_id, str(token.worker)))
    return [(session, worker) for session, worker in dict.fromkeys(found) if session != read.session]


def _foreign_increments(index: Index, variable: str, read: Operation, findings: Findings) -> None:
    bounds = _counter_bounds(index, variable, read)
    if bounds is None:
        return
    value, own, everyone = bounds
    if value <= own or (value > everyone and not _uncounted(index)):
        return
    writer = index.increments[variable].foreign_before(read)
    if writer is None or value > everyone:
        _by_the_uncounted(index, variable, read, value, own, findings)
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


def _uncounted(index: Index) -> list[str]:
    """Workers whose records are not all there, so that nobody knows how often they incremented."""
    return [facts.name for facts in index.history.fleet.unknown if facts.missing is not None]


def _by_the_uncounted(
    index: Index, variable: str, read: Operation, value: int, own: int, findings: Findings
) -> None:
    """A count that no record explains, while the records of some workers are missing."""
    workers = _uncounted(index)
    if not workers:
        return
    sessions = [f"sessions of worker {', '.join(workers)}", read.session]
    if not findings.first(variable, sessions):
        return
    findings.describe(
        variable=variable,
        sessions=sessions,
        witness=[(read, f"read {variable} = {value}")],
        conclusion=(
            f"By then {read.session} itself can have brought {variable} to at most {own}, and all recorded increments "
            f"together do not explain {value}; those of worker {', '.join(workers)} are missing: state crossed to {read.session}."
        ),
    )


def _counter_bounds(index: Index, variable: str, read: Operation) -> tuple[int, int, int] | None:
    """What was read, the most that the session itself explains, the most that everybody together explains."""
    value = read.reads[variable]
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or value != int(value)
        or read.complete_ns is None
    ):
        return None
    initial = index.state[variable].initial or 0
    own = initial + index.own_increments[variable][read.session].possible_before(read)
    everyone = initial + index.increments[variable].possible_before(read)
    return int(value), own, everyone


def _garbage(index: Index, variable: str, model: str, read: Operation) -> list[Any]:
    value = read.reads[variable]
    if value == index.state[variable].initial:
        return []
    if model == "counter":
        bounds = _counter_bounds(index, variable, read)
        initial = index.state[variable].initial or 0
        if bounds is None or bounds[0] < initial:
            return [value]
        return [value] if bounds[0] > bounds[2] and not _uncounted(index) else []
    if model == "list" and not isinstance(value, list):
        return [value]
    writers = index.writers[variable]
    return [
        v
        for v in _elements(model, value)
        if (v if type(v) is str else key(v)) not in writers and not _explained_by_token(index, v)
    ]


def _explained_by_token(index: Index, value: Any) -> bool:
    """Whether a token in the value says who wrote it, though the record of that is not there."""
    fleet = index.history.fleet
    unknown = {facts.name for facts in fleet.unknown}
    if not unknown:
        return False
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    parsed = [tokens.parse(name) for name in tokens.find(text)]
    return any(t is not None and t.run == fleet.run_tag and str(t.worker) in unknown for t in parsed)


def _acknowledged(operation: Operation) -> str:
    return ", acknowledged" if operation.outcome == "ok" else " (outcome unknown)"
