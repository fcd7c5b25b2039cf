"""The records of an operation as JSON lines, as in the run folder. Long values are cut, with a mark. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

import markupsafe
import msgspec

from harness.history import Workers
from harness.records import Fail, HistoryRecord, Info, Invoke, Ok, Operation
from harness.report.witness_values import holds

# A longer list shows its ends and relevant elements; a longer text shows its ends.
MAX_ELEMENTS = 16
MAX_CHARACTERS = 400
_END_ELEMENTS = 2
_END_CHARACTERS = 120


class RecordLine(msgspec.Struct, frozen=True, kw_only=True):
    """One record.

    Attributes:
        json: the line, escaped for the page.
        cut: a part is left out.
    """

    json: markupsafe.Markup
    cut: bool


def records_of(operation: Operation, workers: Workers) -> list[HistoryRecord]:
    """The recorded invoke of an operation, and its completion if it has one.

    Args:
        operation: from a history.
        workers: the workers. Loading a history shifts times to the master's clock; here they are shifted back.
    """
    facts = workers.facts.get(operation.worker)
    shift_ns = facts.offset_ns if facts is not None else 0

    def own(time_ns: int | None) -> int | None:
        return None if time_ns is None else time_ns + shift_ns

    invoke = Invoke(
        id=operation.id,
        session=operation.session,
        action=operation.action,
        phase=operation.phase,
        time_ns=operation.invoke_ns + shift_ns,
        intended_ns=own(operation.intended_ns),
        user=operation.user,
        account=operation.account,
        effects=operation.effects,
    )
    if operation.complete_ns is None:
        return [invoke]
    common: dict[str, Any] = {
        "id": operation.id,
        "time_ns": operation.complete_ns + shift_ns,
        "accepted_ns": own(operation.accepted_ns),
        "started_ns": own(operation.started_ns),
        "first_output_ns": own(operation.first_output_ns),
        "event_ids": operation.event_ids,
        "searched": operation.searched,
        "sightings": operation.sightings,
        "tokens_sent": operation.tokens_sent,
        "untagged_sent": operation.untagged_sent,
        "own_tokens_seen": operation.own_tokens_seen,
    }
    if operation.outcome == "ok" or operation.error is None:
        return [invoke, Ok(reads=operation.reads, **common)]
    kind = Fail if operation.outcome == "fail" else Info
    return [invoke, kind(error=operation.error, **common)]


def line(record: HistoryRecord, relevant: Sequence[Any]) -> RecordLine:
    """A record as JSON for the page.

    Args:
        record: as it was recorded.
        relevant: values that stay visible in a long list.
    """
    writer = _Writer(relevant)
    text = writer.json(msgspec.to_builtins(record))
    return RecordLine(json=text, cut=writer.cut)


class _Writer:
    """Writes JSON. An HTML element marks a part that is left out; no recorded text can imitate it."""

    def __init__(self, relevant: Sequence[Any]) -> None:
        self._relevant = relevant
        self.cut = False

    def json(self, value: Any) -> markupsafe.Markup:
        if isinstance(value, dict):
            entries = [(f"{_json(str(name))}: ", part) for name, part in value.items()]
            return markupsafe.Markup("{{{}}}").format(self._joined(entries, "entries"))
        if isinstance(value, list):
            return markupsafe.Markup("[{}]").format(self._joined([("", part) for part in value], "elements"))
        if isinstance(value, str) and len(value) > MAX_CHARACTERS:
            left_out = len(value) - 2 * _END_CHARACTERS
            start, end = value[:_END_CHARACTERS], value[-_END_CHARACTERS:]
            return (
                _escaped(_json(start)[:-1])
                + self._mark(f"{left_out:,} characters")
                + _escaped(_json(end)[1:])
            )
        return _escaped(_json(value))

    def _joined(self, parts: Sequence[tuple[str, Any]], what: str) -> markupsafe.Markup:
        """Parts of a value, each with its prefix. Of many parts, only the ends and the relevant ones."""
        places: Sequence[int] = range(len(parts))
        if len(parts) > MAX_ELEMENTS:
            ends = {*places[:_END_ELEMENTS], *places[-_END_ELEMENTS:]}
            matter = [place for place in places if holds(parts[place][1], self._relevant)]
            places = sorted({*ends, *matter[:MAX_ELEMENTS]})
        shown: list[markupsafe.Markup] = []
        previous = -1
        for place in places:
            if place > previous + 1:
                shown.append(self._mark(f"{place - previous - 1:,} {what}"))
            shown.append(_escaped(parts[place][0]) + self.json(parts[place][1]))
            previous = place
        return markupsafe.Markup(", ").join(shown)

    def _mark(self, what: str) -> markupsafe.Markup:
        self.cut = True
        return markupsafe.Markup('<span class="cut">… {} left out …</span>').format(what)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _escaped(text: str) -> markupsafe.Markup:
    # markupsafe would also escape quotation marks: every fifth character of JSON, and needless between tags.
    return markupsafe.Markup(escape(text))
