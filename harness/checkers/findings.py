"""Collecting anomalies: one per kind, variable and pair of sessions, with its first witness and a count."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.blobs import named
from harness.checkers.models import put_there
from harness.checkers.session_matrix import crossings
from harness.history import History
from harness.records import Anomaly, Crossings, Effect, Operation, WitnessOperation

# More are counted but not kept: a shared global makes one for every pair of sessions.
MAX_ANOMALIES = 200
_MAX_SHOWN = 6


class Findings:
    """The anomalies of one kind.

    Args:
        kind: standard name of the anomaly.
        history: where the witnesses come from.
    """

    def __init__(self, kind: str, history: History) -> None:
        self.kind = kind
        self._started_ns = history.started_ns
        self._history = history
        self._found: dict[tuple[str, ...], Anomaly] = {}
        self._occurrences: dict[tuple[str, ...], int] = {}

    def first(self, variable: str, sessions: list[str]) -> bool:
        """Count an occurrence; True if it is the first of its place and must be described by `describe`.

        A shared global yields an occurrence for nearly every read, so prose is written for the first only.

        Args:
            variable: where it showed.
            sessions: those involved, the one that suffered last.
        """
        place = (variable, *sessions)
        count = self._occurrences.get(place, 0)
        self._occurrences[place] = count + 1
        return count == 0 and len(self._found) < MAX_ANOMALIES

    def describe(
        self,
        *,
        variable: str,
        sessions: list[str],
        witness: list[tuple[Operation, str]],
        conclusion: str,
        relevant: list[Any] | None = None,
    ) -> None:
        """Describe the first occurrence.

        Args:
            variable: where it showed.
            sessions: those involved, the one that suffered last.
            witness: operations that prove it, each with what it did, as a clause (`appended x (acknowledged)`).
            conclusion: why they contradict each other, as a sentence; may use the letters A, B, C.
            relevant: elements of long lists that must stay visible in the witness.
        """
        letters = [chr(ord("A") + i) for i in range(len(witness))]
        lets = " ".join(
            f"Operation {letter}: session {operation.session} {clause}."
            for letter, (operation, clause) in zip(letters, witness, strict=True)
        )
        self._found[(variable, *sessions)] = Anomaly(
            kind=self.kind,
            sessions=sessions,
            variable=variable,
            occurrences=1,
            witness=[
                _witness(letter, operation, variable, relevant or [], self._started_ns)
                for letter, (operation, _) in zip(letters, witness, strict=True)
            ],
            explanation=f"{lets} {conclusion}",
        )

    @property
    def total(self) -> int:
        """How many different anomalies there were, kept or not."""
        return len(self._occurrences)

    @property
    def sufferers(self) -> int:
        """How many sessions suffered from one."""
        return len({place[-1] for place in self._occurrences})

    def concern(self, variable: str) -> bool:
        """Whether there is one of this variable."""
        return any(place[0] == variable for place in self._occurrences)

    def sufferers_of(self, variable: str) -> set[str]:
        """The sessions that suffered from one of this variable."""
        return {place[-1] for place in self._occurrences if place[0] == variable}

    def suffered(self) -> dict[str, int]:
        """Worker → how many of its sessions suffered from one."""
        sufferers = {place[-1] for place in self._occurrences}
        if not sufferers:
            return {}
        worker_of = {o.session: o.worker for o in self._history.operations if o.session in sufferers}
        counts: dict[str, int] = {}
        for session in sorted(sufferers):
            counts[worker_of[session]] = counts.get(worker_of[session], 0) + 1
        return counts

    def crossings(self, *others: Findings) -> Crossings | None:
        """Between which sessions they are, kept or not; together with those of other kinds, if one check finds several."""
        found = [(place[1:], n) for f in (self, *others) for place, n in f._occurrences.items()]
        if all(len(sessions) < 2 for sessions, _ in found):
            return None
        order = dict.fromkeys(operation.session for operation in self._history.operations)
        return crossings(found, {session: number for number, session in enumerate(order)})

    def anomalies(self) -> list[Anomaly]:
        """Those kept, with their occurrences counted, by the time at which they were seen."""
        kept = [
            msgspec.structs.replace(anomaly, occurrences=self._occurrences[place])
            for place, anomaly in self._found.items()
        ]
        return sorted(kept, key=lambda anomaly: anomaly.witness[-1].invoke_s)


class Found:
    """Results of the detectors on one history: the anomalies of every kind, and the evidence counted.

    Args:
        history: that the detectors examine.

    Attributes:
        evidence: what was counted (see `harness.checkers.evidence`) → how many.
        undecided: kind → why something that matters was not found out, a sentence each.
        unexplained: kind → what looks like it, but may be owed to operations of which there is no record → how many.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._findings: dict[str, Findings] = {}
        self.evidence: dict[str, int] = {}
        self.unexplained: dict[str, int] = {}
        self.undecided: dict[str, list[str]] = {}

    def of(self, kind: str) -> Findings:
        """The anomalies of one kind."""
        if kind not in self._findings:
            self._findings[kind] = Findings(kind, self._history)
        return self._findings[kind]

    def count(self, what: str, number: int = 1) -> None:
        """Count evidence: one of the names in `harness.checkers.evidence`."""
        self.evidence[what] = self.evidence.get(what, 0) + number

    def sufferers(self, variable: str) -> set[str]:
        """The sessions that suffered from an anomaly of a variable."""
        return {s for findings in self._findings.values() for s in findings.sufferers_of(variable)}

    def leave_undecided(self, kind: str, why: str) -> None:
        """Record why a kind of anomaly could not be decided."""
        self.undecided.setdefault(kind, []).append(why)

    def leave_open(self, kind: str, number: int = 1) -> None:
        """Count suspected cases that unrecorded operations may explain."""
        if number:
            self.unexplained[kind] = self.unexplained.get(kind, 0) + number


def involved(*operations: Operation) -> list[str]:
    """The sessions of operations, each once. The session of the last operation comes last."""
    sessions = [operation.session for operation in operations]
    return [*dict.fromkeys(s for s in sessions[:-1] if s != sessions[-1]), sessions[-1]]


def acknowledged(operation: Operation) -> str:
    """Return the end of a clause about a write: whether the app acknowledged it."""
    return " (acknowledged)" if operation.outcome == "ok" else " (outcome unknown)"


def wrote(operation: Operation, variable: str, name: str = "") -> str:
    """Return a clause that says what an operation did to a variable, or to one key of a record."""
    effect = operation.effects[variable]
    if effect.op == "clear":
        return f"cleared {variable}{acknowledged(operation)}"
    if effect.op == "increment":
        return f"incremented {variable}{acknowledged(operation)}"
    if effect.op == "put" and not name:
        return f"put {show(effect.value)} into {variable}{acknowledged(operation)}"
    if effect.op == "does":
        what, value = effect.value
        return (
            f"did {what}{'' if value is None else f'({show(value)})'} on {variable}{acknowledged(operation)}"
        )
    if effect.op == "put":
        return f"put {name} = {show(effect.value[name])} into {variable}{acknowledged(operation)}"
    if effect.op in ("append", "offer"):
        return f"appended {show(put_there(effect))} to {variable}{acknowledged(operation)}"
    verb = {"write": "wrote", "store": "stored", "ask": "asked for", "begin": "started a chain with"}[
        effect.op
    ]
    place = f" to {variable}" if effect.op in ("write", "store") else f" in {variable}"
    return f"{verb} {show(put_there(effect))}{place}{acknowledged(operation)}"


def saw(operation: Operation, variable: str, relevant: list[Any] | None = None) -> str:
    """Return a clause that says which value an operation read, and whether it incremented a counter itself."""
    effect = operation.effects.get(variable)
    itself = f"incremented {variable}, and " if effect is not None and effect.op == "increment" else ""
    return f"{itself}read {variable} = {show(operation.reads[variable], relevant)}"


def show(value: Any, relevant: list[Any] | None = None) -> str:
    """Return a value as text. A long list is cut to its end and the elements in `relevant`."""
    return _text(shorten(value, relevant or []))


def shorten(value: Any, relevant: list[Any]) -> Any:
    """Cut a long list to its end and the elements in `relevant`. `…` stands for the other elements."""
    if not isinstance(value, list) or len(value) <= _MAX_SHOWN:
        return value
    keep = sorted({i for i, v in enumerate(value) if v in relevant} | {0, len(value) - 2, len(value) - 1})[
        -_MAX_SHOWN:
    ]
    cut: list[Any] = []
    previous = -1
    for position in keep:
        if position > previous + 1:
            cut.append("…")
        cut.append(value[position])
        previous = position
    return cut


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(repr(v) if isinstance(v, str) and "," in v else _text(v) for v in value) + "]"
    if (blob := named(value)) is not None:
        return blob
    return value if isinstance(value, str) and value and value.isprintable() else repr(value)


def _witness(
    letter: str, operation: Operation, variable: str, relevant: list[Any], started_ns: int
) -> WitnessOperation:
    def seconds(time_ns: int) -> float:
        return round((time_ns - started_ns) / 1e9, 6)

    effects: dict[str, Any] = {
        name: _effect(effect) for name, effect in operation.effects.items() if name == variable
    }
    reads = {name: shorten(value, relevant) for name, value in operation.reads.items() if name == variable}
    return WitnessOperation(
        name=letter,
        operation=f"{operation.worker}:{operation.id}",
        session=operation.session,
        action=operation.action,
        phase=operation.phase,
        outcome=operation.outcome,
        invoke_s=seconds(operation.invoke_ns),
        complete_s=None if operation.complete_ns is None else seconds(operation.complete_ns),
        effects=effects,
        reads=reads,
    )


def _effect(effect: Effect) -> dict[str, Any]:
    return {"op": effect.op, "value": effect.value}
