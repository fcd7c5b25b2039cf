"""Lost updates and read-your-writes: does a session find what it wrote itself?

Every read must reflect the session's own writes that were acknowledged before it began, and its own effect (Terry et
al., "Session guarantees for weakly consistent replicated data", 1994). A missing write that shows up in a later read was
stale for a while: a read-your-writes violation. One that never shows up again is a lost update.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.checkers.findings import Findings, show
from harness.checkers.index import Index, key
from harness.records import Check, Operation, Verdict


class Miss(NamedTuple):
    """An acknowledged write that a read of the same session does not show.

    Attributes:
        recovered: a later read that shows it again, None if there is none.
        clause: what the write did.
        expected: what the read had to show.
    """

    variable: str
    write: Operation
    read: Operation
    recovered: Operation | None
    clause: str
    expected: str
    relevant: list[Any]


class LostUpdate:
    """An acknowledged write of a session is gone for good."""

    name = "lost-update"

    def check(self, index: Index) -> Check:
        """Look at every read that follows a write of the same session."""
        findings = Findings(self.name, index.history)
        misses, pairs = index.once("misses", lambda: find_misses(index))
        for miss in misses:
            if miss.recovered is None and findings.first(miss.variable, [miss.read.session]):
                own = " itself" if miss.write is miss.read else ""
                findings.describe(
                    variable=miss.variable,
                    sessions=[miss.read.session],
                    witness=_witness(miss),
                    conclusion=(
                        f"The read{own} had to show {miss.expected}, but it does not, and no later read of {miss.read.session} does: "
                        "the update is lost."
                    ),
                    relevant=miss.relevant,
                )
        return _conclude(self.name, index, findings, pairs, "an acknowledged write was lost")


class ReadYourWrites:
    """A read missed an own write for a while."""

    name = "read-your-writes"

    def check(self, index: Index) -> Check:
        """Look at every read that follows a write of the same session."""
        findings = Findings(self.name, index.history)
        misses, pairs = index.once("misses", lambda: find_misses(index))
        for miss in misses:
            if miss.recovered is not None and findings.first(miss.variable, [miss.read.session]):
                letter = "B" if miss.write is miss.read else "C"
                findings.describe(
                    variable=miss.variable,
                    sessions=[miss.read.session],
                    witness=[
                        *_witness(miss),
                        (
                            miss.recovered,
                            f"read {miss.variable} = {show(miss.recovered.reads[miss.variable], miss.relevant)}",
                        ),
                    ],
                    conclusion=(
                        f"The write was acknowledged before the read, so the read had to show {miss.expected}; "
                        f"only {letter} shows it again: the read was stale."
                    ),
                    relevant=miss.relevant,
                )
        return _conclude(
            self.name, index, findings, pairs, "a read missed a write that its session had made before"
        )


def find_misses(index: Index) -> tuple[list[Miss], int]:
    """All own writes that reads do not show, each once, and how many pairs of write and later read were examined."""
    misses: list[Miss] = []
    pairs = 0
    for variable, model in index.state.items():
        finder = {"list": _list_misses, "counter": _counter_misses, "register": _register_misses}[model.model]
        for reads in index.session_reads(variable).values():
            found, examined = finder(index, variable, reads)
            misses += found
            pairs += examined
    return misses, pairs


def _list_misses(index: Index, variable: str, reads: list[Operation]) -> tuple[list[Miss], int]:
    misses = _Episodes(variable)
    pairs = 0
    for read in reads:
        content = _members(read.reads[variable])
        for write in index.acknowledged_before(read, variable):
            pairs += 1
            element = write.effects[variable].value
            if key(element) in content:
                misses.shown(write, read)
            else:
                misses.missing(
                    write,
                    read,
                    f"appended {show(element)} to {variable}, acknowledged",
                    show(element),
                    [element],
                )
    return misses.all(), pairs


def _members(value: Any) -> set[Any]:
    return {v if type(v) is str else key(v) for v in value} if isinstance(value, list) else set()


def _counter_misses(index: Index, variable: str, reads: list[Operation]) -> tuple[list[Miss], int]:
    # Counts carry no names, so the first acknowledged increment stands for the one that is missing.
    misses = _Episodes(variable)
    pairs = 0
    initial = index.state[variable].initial or 0
    for read in reads:
        writes = [
            w for w in index.acknowledged_before(read, variable) if w.effects[variable].op == "increment"
        ]
        pairs += len(writes)
        value = read.reads[variable]
        if not writes or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        required = initial + sum(int(w.effects[variable].value) for w in writes)
        if value >= required:
            misses.shown(writes[0], read)
        else:
            last = next((w for w in reversed(writes) if w is not read), read)
            clause = f"incremented {variable}, acknowledged, the last of {len(writes)}"
            misses.missing(writes[0], read, clause, f"at least {required}", [], witness=last)
    return misses.all(), pairs


def _register_misses(index: Index, variable: str, reads: list[Operation]) -> tuple[list[Miss], int]:
    misses = _Episodes(variable)
    pairs = 0
    for read in reads:
        acknowledged = index.acknowledged_before(read, variable)
        if not acknowledged:
            continue
        pairs += 1
        write = read if variable in read.effects else max(acknowledged, key=lambda o: o.complete_ns or 0)
        value = key(read.reads[variable])
        wanted = write.effects[variable].value
        if value == key(wanted):
            misses.shown(write, read)
            continue
        writers = index.writers[variable].get(value, [])
        if any(w.session != read.session for w in writers):
            continue  # somebody else's value: a cross-session read, and reported as such
        if any(_concurrent(w, write) or _concurrent(w, read) for w in writers if w is not write):
            continue  # its own other write, with no order between them
        misses.missing(
            write, read, f"wrote {show(wanted)} to {variable}, acknowledged", show(wanted), [wanted]
        )
    return misses.all(), pairs


class _Episodes:
    """Follows each write through the reads of its session, in order: missing and back is stale, missing to the end is lost."""

    def __init__(self, variable: str) -> None:
        self._variable = variable
        self._open: dict[int, Miss] = {}
        self._stale: dict[int, Miss] = {}

    def missing(
        self,
        write: Operation,
        read: Operation,
        clause: str,
        expected: str,
        relevant: list[Any],
        witness: Operation | None = None,
    ) -> None:
        """A read does not show a write."""
        if write.id not in self._open:
            self._open[write.id] = Miss(
                self._variable, witness or write, read, None, clause, expected, relevant
            )

    def shown(self, write: Operation, read: Operation) -> None:
        """A read shows a write."""
        miss = self._open.pop(write.id, None)
        if miss is not None:
            self._stale.setdefault(write.id, miss._replace(recovered=read))

    def all(self) -> list[Miss]:
        """Every write that was stale, and every one that is lost; a write can be both."""
        return [*self._stale.values(), *self._open.values()]


def _concurrent(one: Operation, other: Operation) -> bool:
    """Neither was complete before the other began."""
    one_end = one.complete_ns if one.complete_ns is not None and one.outcome == "ok" else None
    other_end = other.complete_ns if other.complete_ns is not None and other.outcome == "ok" else None
    return (one_end is None or one_end > other.invoke_ns) and (other_end is None or other_end > one.invoke_ns)


def _witness(miss: Miss) -> list[tuple[Operation, str]]:
    seen = show(miss.read.reads[miss.variable], miss.relevant)
    if miss.write is miss.read:
        return [(miss.read, f"{miss.clause}, with {miss.variable} = {seen} in the answer")]
    return [(miss.write, miss.clause), (miss.read, f"then read {miss.variable} = {seen}")]


def _conclude(name: str, index: Index, findings: Findings, pairs: int, what: str) -> Check:
    verdict: Verdict
    if findings.total:
        verdict, reason = "fail", f"In {findings.sufferers} of {len(index.sessions)} sessions {what}."
    elif not pairs:
        verdict, reason = "unknown", "No session read what it had written before."
    else:
        verdict, reason = (
            "pass",
            f"In none of {pairs:,} pairs of a write and a later read by the same session {what}.",
        )
    return Check(
        name=name,
        verdict=verdict,
        reason=reason,
        evidence={"write_read_pairs": pairs},
        anomalies=findings.anomalies(),
        anomalies_total=findings.total,
        suffered=findings.suffered(),
    )
