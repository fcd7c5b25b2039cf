"""Verdicts: what was concluded, with the evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import msgspec

# `inconclusive`: nothing contradicts the guarantee, but the run cannot stand for what it was made for, since the
# generator and not the app was what it measured.
Verdict = Literal["pass", "fail", "unknown", "inconclusive"]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts: the first that occurs of fail, unknown, inconclusive, pass; nothing at all is unknown."""
    seen = set(verdicts)
    if "fail" in seen:
        return "fail"
    if "unknown" in seen or not seen:
        return "unknown"
    return "inconclusive" if "inconclusive" in seen else "pass"


class WitnessOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a witness, short enough to read.

    Attributes:
        name: the letter under which the explanation speaks of it.
        operation: `worker:id`, to be looked up in `history/<worker>.jsonl`.
        invoke_s: seconds since the first operation of the run.
        complete_s: likewise, None if it never completed.
        reads: what it saw; long lists are cut down to the elements that matter.
    """

    name: str
    operation: str
    session: str
    action: str
    phase: str
    outcome: str
    invoke_s: float
    complete_s: float | None
    effects: dict[str, Any]
    reads: dict[str, Any]


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """A contradiction between what happened and what isolation guarantees.

    Attributes:
        kind: standard name of the anomaly, for example `cross-session-read`.
        sessions: the sessions involved, the one that suffered last.
        variable: the state variable in which it showed.
        occurrences: how often this kind happened between these sessions on this variable.
        witness: the few operations of the first occurrence that prove it.
        explanation: the proof, as prose.
    """

    kind: str
    sessions: list[str]
    variable: str
    occurrences: int
    witness: list[WitnessOperation]
    explanation: str


class SessionGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that share a row and a column of `Crossings`: neighbours in the order in which they began.

    Attributes:
        first, last: their names; the same if it is only one.
        sessions: how many they are.
    """

    first: str
    last: str
    sessions: int


class Crossings(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions' state was seen in which others, over all anomalies of a check, those that are not kept included.

    Attributes:
        sessions: how many sessions had a part in it.
        pairs: how many different pairs of whose state it was and who saw it.
        occurrences: how often, in all.
        groups: those sessions in the order in which they began, in at most `harness.checkers.session_matrix.MAX_GROUPS` groups.
        seen: row (group whose state it was) → column (group that saw it) → occurrences.
    """

    sessions: int
    pairs: int
    occurrences: int
    groups: list[SessionGroup]
    seen: list[list[int]]


def not_applying(checks: Iterable[Check]) -> dict[str, str]:
    """Checks that do not apply → why, as a sentence."""
    return {check.name: why for check in checks if (why := check.why_not()) is not None}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one checker.

    Attributes:
        reason: why the verdict is what it is, one sentence.
        evidence: counts that the verdict rests on, for example reads examined.
        anomalies: at most `harness.checkers.MAX_ANOMALIES`, ordered by time.
        anomalies_total: how many there were.
        suffered: worker → how many of its sessions suffered from one.
        applies: False if it could not happen here, so that a verdict of `pass` says nothing: no variable of such a model, or
            no occasion for it in the whole run. The reason says which.
        crossings: between which sessions, where anomalies concern more than one; None if none does.
    """

    name: str
    verdict: Verdict
    reason: str
    evidence: dict[str, int]
    anomalies: list[Anomaly] = []
    anomalies_total: int = 0
    suffered: dict[str, int] = {}
    applies: bool = True
    crossings: Crossings | None = None

    def why_not(self) -> str | None:
        """Why it does not apply, as a sentence; None if it does."""
        if self.applies or self.verdict != "pass":
            return None
        text = self.reason.removeprefix("Does not apply: ")
        return text[:1].upper() + text[1:]


class WorkerVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the sessions of one worker, where several made the load.

    Attributes:
        verdict: `fail` if one of its sessions suffered from an anomaly, `unknown` if its sessions are not known in full.
        sessions: it had; those in its shard, or by its last report if that is more.
        reason: one sentence.
    """

    worker: str
    verdict: Verdict
    sessions: int
    reason: str


GuaranteeName = Literal[
    "session-specific",
    "reset-on-reload",
    "invisible",
    "any-python-object",
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "no-lost-update",
    "memory-returns",
]
GUARANTEES: tuple[GuaranteeName, ...] = get_args(GuaranteeName)

GuaranteeStatus = Literal["kept", "broken", "unknown", "does-not-apply"]


class Guarantee(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one guarantee.

    Attributes:
        status: (`standing` in the file) `kept` (looked at, and nothing contradicts it), `broken` (with a witness), `unknown` (there was too little
            to look at), or `does-not-apply` (the app has nothing that it could be about).
        reason: why, in a sentence or two.
        broken_by: names of the checks that found anomalies.
        evidence: counts that it rests on.
    """

    name: GuaranteeName
    status: GuaranteeStatus = msgspec.field(name="standing")
    reason: str
    broken_by: list[str] = []
    evidence: dict[str, int] = {}


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """`derived/checks.json`.

    Attributes:
        workers: one for each worker, where several made the load; otherwise empty.
        guarantees: (`promises` in the file) what became of each, in the order of `harness.records.GUARANTEES`; empty before they were judged.
    """

    schema_version: int
    verdict: Verdict
    reason: str
    checks: list[Check]
    workers: list[WorkerVerdict] = []
    guarantees: list[Guarantee] = msgspec.field(name="promises", default_factory=list)
