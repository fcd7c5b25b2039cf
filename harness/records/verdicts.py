"""Verdicts, with the evidence that they rest on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import msgspec

# `inconclusive`: nothing contradicts the guarantees, but the run measured the load generator instead of the app.
Verdict = Literal["pass", "fail", "unknown", "inconclusive"]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts: the first that occurs of fail, unknown, inconclusive, pass. No verdict at all gives unknown."""
    seen = set(verdicts)
    if "fail" in seen:
        return "fail"
    if "unknown" in seen or not seen:
        return "unknown"
    return "inconclusive" if "inconclusive" in seen else "pass"


class WitnessOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a witness, shortened for reading.

    Attributes:
        name: the letter that the explanation uses for it.
        operation: `worker:id`; the full record is in `history/<worker>.jsonl`.
        session: id of its session.
        action: name of its action.
        phase: phase of the run in which it was invoked.
        outcome: `ok`, `fail`, `info` or `pending`.
        invoke_s: when it began, seconds since the first operation of the run.
        complete_s: when it ended, seconds since the first operation of the run; null if it never completed.
        effects: state variable → what it asked of it.
        reads: state variable → what it saw; long lists are cut down to the elements that matter.
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
    """A contradiction between the recorded operations and a guarantee.

    Attributes:
        kind: standard name of the anomaly, for example `cross-session-read`.
        sessions: the sessions involved; the one that suffered comes last.
        variable: the state variable that shows it.
        occurrences: how often this kind happened between these sessions on this variable.
        witness: the few operations that prove the first occurrence.
        explanation: the proof as prose.
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
        first: id of the first session.
        last: id of the last session; the same as `first` in a group of one.
        sessions: number of sessions in the group.
    """

    first: str
    last: str
    sessions: int


class Crossings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose state was seen by which session, over all anomalies of a check, including those that are not kept.

    Attributes:
        sessions: number of sessions involved.
        pairs: number of different pairs (session whose state it was, session that saw it).
        occurrences: number of occurrences in all.
        groups: these sessions in the order in which they began, in at most `harness.checkers.session_matrix.MAX_GROUPS` groups.
        seen: matrix of occurrences: row = group whose state it was, column = group that saw it.
    """

    sessions: int
    pairs: int
    occurrences: int
    groups: list[SessionGroup]
    seen: list[list[int]]


def not_applying(checks: Iterable[Check]) -> dict[str, str]:
    """Each check that does not apply → why, as a sentence."""
    return {check.name: why for check in checks if (why := check.why_not()) is not None}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one checker.

    Attributes:
        name: name of the check.
        verdict: its verdict.
        reason: the reason for the verdict, one sentence.
        evidence: counts that the verdict rests on, for example reads examined.
        anomalies: at most `harness.checkers.MAX_ANOMALIES` anomalies, ordered by time.
        anomalies_total: number of anomalies found.
        suffered: worker → number of its sessions that suffered from an anomaly.
        applies: false if the anomaly could not happen in this run: no variable of such a model, or no occasion. `pass` then
            says nothing, and `reason` names the cause.
        crossings: the sessions between which anomalies are; null if no anomaly concerns more than one session.
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
        """Why the check does not apply, as a sentence; None if it applies."""
        if self.applies or self.verdict != "pass":
            return None
        text = self.reason.removeprefix("Does not apply: ")
        return text[:1].upper() + text[1:]


class WorkerVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on the sessions of one worker, in a run with several workers.

    Attributes:
        worker: number of the worker, the name of its shard.
        verdict: `fail` if one of its sessions suffered from an anomaly, `unknown` if its record is incomplete.
        sessions: number of its sessions: those in its shard, or in its last report if that is more.
        reason: the reason for the verdict, one sentence.
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
    """The status of one guarantee.

    Attributes:
        name: name of the guarantee.
        status: (`standing` in the file) `kept` (examined, and nothing contradicts it), `broken` (with a witness), `unknown` (too
            little to examine), or `does-not-apply` (the app has nothing that it concerns).
        reason: why, in a sentence or two.
        broken_by: names of the checks that found anomalies.
        evidence: counts that the status rests on.
    """

    name: GuaranteeName
    status: GuaranteeStatus = msgspec.field(name="standing")
    reason: str
    broken_by: list[str] = []
    evidence: dict[str, int] = {}


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """`derived/checks.json`: the verdicts of a run.

    Attributes:
        schema_version: version of this format.
        verdict: verdict of the run: the first that occurs of `fail`, `unknown`, `inconclusive`, `pass`.
        reason: the reason for the verdict, one or more sentences.
        checks: the outcome of each check.
        workers: one verdict for each worker, in a run with several workers; otherwise empty.
        guarantees: (`promises` in the file) the status of each guarantee, in the order of `GUARANTEES`; empty before
            they are judged.
    """

    schema_version: int
    verdict: Verdict
    reason: str
    checks: list[Check]
    workers: list[WorkerVerdict] = []
    guarantees: list[Guarantee] = msgspec.field(name="promises", default_factory=list)
