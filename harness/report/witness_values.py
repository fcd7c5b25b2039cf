"""Values of witnesses, for people: which of them matter, where they stand, and short enough for a line. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from harness import tokens, units
from harness.records import Operation, WitnessOperation

_ELLIPSIS = "…"
_NO_CHANCE = 8


def effects_of(w: WitnessOperation, recorded: Mapping[str, Operation]) -> list[dict[str, Any]]:
    """What an operation did: to the variable that the anomaly is about, or, of a place that is no variable, at all."""
    named = [effect for effect in w.effects.values() if isinstance(effect, dict)]
    if named or w.operation not in recorded:
        return named
    return [{"op": e.op, "value": e.value} for e in recorded[w.operation].effects.values()]


def names_in(effects: Iterable[dict[str, Any]]) -> list[Any]:
    """The values by which effects can be told from all others. An amount tells nothing of who counted."""
    found: list[Any] = []
    for effect in effects:
        value = effect.get("value")
        if effect.get("op") in ("increment", "clear") or value is None:
            continue
        if effect.get("op") == "offer" and isinstance(value, list) and value:
            value = value[-1]
        found += value.values() if effect.get("op") == "put" and isinstance(value, dict) else [value]
    return found + [token for value in found for token in tokens.all_in(value) if token != value]


def holds(value: Any, wanted: Sequence[Any]) -> bool:
    """Whether one of the wanted values stands in a value, however deep; a text also within a text."""
    # A short one can stand within another by chance.
    long = [want for want in wanted if isinstance(want, str) and len(want) >= _NO_CHANCE]
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if part in wanted or (isinstance(part, str) and any(want in part for want in long)):
            return True
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, (list, tuple)):
            waiting += part
    return False


def short(value: Any, relevant: Sequence[Any], room: int) -> str:
    """A value in so many cells; of a list or a long text the part that matters."""
    if isinstance(value, str):
        if cells(value) <= room:
            return value
        needle = next((r for r in relevant if isinstance(r, str) and r and r in value), None)
        if needle is None:
            return clip(value, room)
        before, _, after = value.partition(needle)
        return clip((_ELLIPSIS if before else "") + needle + (_ELLIPSIS if after else ""), room)
    if isinstance(value, list):
        whole = "[" + ", ".join(short(item, relevant, room) for item in value[:room]) + "]"
        if len(value) <= room and cells(whole) <= room:
            return whole
        keep = [i for i, item in enumerate(value) if holds(item, relevant)][-4:] or [len(value) - 1]
        shown: list[str] = []
        previous = -1
        for position in keep:
            if position > previous + 1:
                shown.append(_ELLIPSIS)
            shown.append(short(value[position], relevant, room // len(keep) - 4))
            previous = position
        if previous < len(value) - 1:
            shown.append(_ELLIPSIS)
        return clip(f"[{', '.join(shown)}]", room)
    if isinstance(value, dict):
        inner = ", ".join(f"{k}: {short(v, relevant, room)}" for k, v in value.items())
        if cells(inner) + 2 > room:
            matter = [(k, v) for k, v in value.items() if holds(v, relevant)] or list(value.items())[:1]
            inner = ", ".join(f"{k}: {short(v, relevant, room - 8)}" for k, v in matter)
        return clip(f"{{{inner}}}", room)
    try:
        return clip(msgspec.json.encode(value).decode(), room)
    except (TypeError, ValueError, OverflowError):
        return clip(repr(value), room)


def clip(text: str, room: int) -> str:
    """Cut a text to the cells that it may take."""
    if cells(text) <= room:
        return text
    cut = units.clip(text, max(1, room))
    while len(cut) > 1 and cells(cut) > room:
        cut = cut[:-2] + _ELLIPSIS
    return cut


def cells(text: str) -> int:
    """The room that a text takes in a monospaced face: a wide character, as of Chinese, takes two cells."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
