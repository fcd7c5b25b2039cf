"""The operations of a witness as lines of text, and the arrows from writes to the reads that show or miss them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.checkers.anomaly_catalogue import CATALOGUE
from harness.records import Anomaly, Operation, WitnessOperation
from harness.report.plot_style import plain
from harness.report.witness_values import clip, effects_of, holds, names_in, short

# Maximum width of a line of text, in cells; the picture has the same width.
LINE_CELLS = 50

# Anomalies whose proof is that a value is not where it had to be.
_LOSSES = {entry.name for entry in CATALOGUE if entry.loss}
_VERBS = {"append": "appended", "write": "wrote", "ask": "asked", "begin": "began"}


class DrawnOperation(msgspec.Struct, kw_only=True):
    """An operation of the witness, as the timeline draws it.

    Attributes:
        end_s: when it completed; its invoke if that is unknown.
        open_ended: it may have taken effect at any time after its invoke.
        written: values that only this operation wrote.
        seen: values that it showed.
        counted: it changed or showed a count, which identifies no writer.
        lines: what it did, each at most `LINE_CELLS` wide.
        last: it is the last operation of the proof.
        sentence: the same, as one sentence.
    """

    letter: str
    session: str
    begin_s: float
    end_s: float
    open_ended: bool
    written: list[Any]
    seen: list[Any]
    counted: bool
    lines: list[str]
    last: bool
    sentence: str


class Arrow(msgspec.Struct, frozen=True, kw_only=True):
    """From a write to an operation that shows its value, or had to show it."""

    source: str
    target: str
    missing: bool

    @property
    def sentence(self) -> str:
        """The same, as a sentence."""
        if self.missing:
            return f"What {self.source} wrote is missing in {self.target}."
        return f"What {self.source} wrote is seen in {self.target}."


def drawn_operation(
    w: WitnessOperation, anomaly: Anomaly, recorded: Mapping[str, Operation]
) -> DrawnOperation:
    """An operation of a witness, with lines of text for what it did and showed.

    Args:
        w: the operation.
        anomaly: the anomaly that it proves.
        recorded: `worker:id` → operation, for the operations of the witness that are on record.
    """
    known = recorded.get(w.operation)
    others = [
        value
        for other in anomaly.witness
        if other is not w
        for value in names_in(effects_of(other, recorded))
    ]
    own = names_in(effects_of(w, recorded))
    reads = known.reads if known is not None else {}
    seen = [reads.get(name, value) for name, value in w.reads.items()]
    sightings = known.sightings if known is not None else []
    effects = [effect for effect in w.effects.values() if isinstance(effect, dict)]
    lines = [_did(effect, others + own) for effect in effects]
    last = w is anomaly.witness[-1]
    # A write that shows its own value needs no line.
    shown = [v for v in seen if last or not own or holds(v, others) or not holds(v, own)]
    lines += [f"read {short(value, others + own, LINE_CELLS - 5)}" for value in shown]
    shown_sightings = [
        s
        for s in sightings
        if not any(holds(value, [s.value]) for value in seen)
        and (not lines or any(holds(value, [s.value]) for value in others))
    ]
    if shown_sightings:
        lines += [
            f"got {short(shown_sightings[0].value, others, LINE_CELLS - 4)}",
            f"in {shown_sightings[0].where}",
        ]
    if not lines:
        lines = [_did(effect, own) for effect in effects_of(w, recorded)] or [w.action]
    if w.outcome != "ok":
        lines[0] = f"{clip(lines[0], LINE_CELLS - len(w.outcome) - 3)} ({w.outcome})"
    end_s = w.invoke_s if w.complete_s is None else max(w.complete_s, w.invoke_s)
    until = "never completed" if w.complete_s is None else f"to {w.complete_s:.6g} s"
    return DrawnOperation(
        letter=w.name,
        session=w.session,
        begin_s=w.invoke_s,
        end_s=end_s,
        open_ended=_open_ended(w, known),
        written=own,
        seen=[*seen, *(s.value for s in shown_sightings)],
        counted=any(effect.get("op") == "increment" for effect in effects),
        lines=[clip(plain(line), LINE_CELLS) for line in lines],
        last=last,
        sentence=f"{w.name}: session {w.session}, {w.invoke_s:.6g} s {until}, {'; '.join(lines)}.",
    )


def _open_ended(w: WitnessOperation, known: Operation | None) -> bool:
    """Whether it may have taken effect after its completion; see docs/methods/isolation.md."""
    if w.outcome == "fail":
        return known is not None and known.may_have_happened
    return w.outcome != "ok"


def _did(effect: dict[str, Any], relevant: Sequence[Any]) -> str:
    op, value = effect.get("op"), effect.get("value")
    if op == "clear":
        return "cleared"
    if op == "increment":
        return f"counted {value:+}" if isinstance(value, (int, float)) else f"counted {value}"
    if op == "put" and isinstance(value, dict):
        return f"put {', '.join(f'{k} = {short(v, relevant, 30)}' for k, v in value.items())}"
    if op == "offer" and isinstance(value, list) and value:
        return f"offered {short(value[-1], relevant, LINE_CELLS - 20)} with {short(value[0], [], 10)}"
    verb = _VERBS.get(str(op), str(op))
    return f"{verb} {short(value, relevant, LINE_CELLS - len(verb) - 1)}"


def arrows_between(acts: Sequence[DrawnOperation], anomaly: Anomaly) -> list[Arrow]:
    """Arrows to the reads that show each written value; for a missing value, to the read that lacks it."""
    links = []
    for number, source in enumerate(acts):
        readers = [act for act in acts[number + 1 :] if act.seen]
        if source.counted:
            links += _arrows_from_a_count(source, readers, anomaly)
        # A value that the app gave to one session and then to another was written by neither.
        given = source.seen if number == 0 and source.session != acts[-1].session else []
        values = source.written or given
        if not values:
            continue
        shows = {act.letter: any(holds(seen, values) for seen in act.seen) for act in readers}
        links += [
            Arrow(source=source.letter, target=letter, missing=False)
            for letter, shown in shows.items()
            if shown
        ]
        lacking = [letter for letter, shown in shows.items() if not shown]
        if lacking and source.written and anomaly.kind in _LOSSES:
            links.append(Arrow(source=source.letter, target=lacking[-1], missing=True))
    return links


def _arrows_from_a_count(
    source: DrawnOperation, readers: Sequence[DrawnOperation], anomaly: Anomaly
) -> list[Arrow]:
    """A count identifies no writer. The proof is about the lowest read, or the last one."""
    if not readers:
        return []
    if anomaly.kind not in _LOSSES:
        return [Arrow(source=source.letter, target=readers[-1].letter, missing=False)]

    def shown(act: DrawnOperation) -> float:
        value = act.seen[0]
        return value if isinstance(value, (int, float)) else math.inf

    return [Arrow(source=source.letter, target=min(readers, key=shown).letter, missing=True)]
