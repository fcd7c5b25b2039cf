"""Values of a witness: which of them are relevant, where they occur, and shortened for a line. Pure."""

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
    """Effects of an operation on the variable of the anomaly; if the anomaly has no variable, all its effects."""
    named = [effect for effect in w.effects.values() if isinstance(effect, dict)]
    if named or w.operation not in recorded:
        return named
    return [{"op": e.op, "value": e.value} for e in recorded[w.operation].effects.values()]


def names_in(effects: Iterable[dict[str, Any]]) -> list[Any]:
    """The values that identify effects. The amount of an increment identifies nothing."""
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
    """Whether a value contains one of the wanted values, at any depth. A text may also be part of a longer text."""
    # A short text can be part of another by chance.
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
    """A value shortened to `room` cells. A list or a long text keeps its relevant part."""
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
    """Cut a text to `room` cells."""
    if cells(text) <= room:
        return text
    cut = units.clip(text, max(1, room))
    while len(cut) > 1 and cells(cut) > room:
        cut = cut[:-2] + _ELLIPSIS
    return cut


def cells(text: str) -> int:
    """Width of a text in a monospaced face, in cells. A wide character, such as a Chinese one, takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
