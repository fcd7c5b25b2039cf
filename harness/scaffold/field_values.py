"""Values for the fields of a page: for the trial, and as Python code of a workload. Pure."""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec

FillKind = Literal["text", "message", "number", "choice", "choices", "flag", "file", "picture"]

# The smallest PNG: one grey pixel.
PICTURE_HEX = (
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a4944415478da6368000000820081da45083b0000000049454e44ae426082"
)


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One field that is filled in before an event is triggered.

    Attributes:
        name: name of the component for GradioPage.
        low, high, step: range of a number.
        choices: options of a choice, as shown.
        suffix: suffix of a file's name.
    """

    component: int
    name: str | int
    kind: FillKind
    low: float = 1
    high: float = 100
    step: float = 1
    choices: list[Any] = []
    suffix: str = ".txt"


def value_of(fill: Fill, token: str, rng: random.Random) -> Any:
    """A value for a field, the same as the code of `code_of` produces."""
    match fill.kind:
        case "text":
            return token
        case "message":
            return {"text": token, "files": []}
        case "number":
            if _whole(fill):
                return rng.randrange(int(fill.low), int(fill.high) + 1, int(fill.step))
            return round(rng.uniform(fill.low, fill.high), _decimals(fill))
        case "choice":
            return rng.choice(fill.choices)
        case "choices":
            return rng.sample(fill.choices, 1)
        case "flag":
            return rng.random() < 0.5
        case "file":
            return (f"{token}{fill.suffix}", token.encode())
        case "picture":
            return ("picture.png", bytes.fromhex(PICTURE_HEX))


def code_of(fill: Fill) -> str:
    """The Python expression for such a value in a method of a workload."""
    match fill.kind:
        case "text":
            return "token"
        case "message":
            return '{"text": token, "files": []}'
        case "number":
            if not _whole(fill):
                return f"round(self.random.uniform({_number(fill.low)}, {_number(fill.high)}), {_decimals(fill)})"
            step = f", {int(fill.step)}" if fill.step != 1 else ""
            return f"self.random.randrange({int(fill.low)}, {int(fill.high) + 1}{step})"
        case "choice":
            return f"self.random.choice({literal(fill.choices)})"
        case "choices":
            return f"self.random.sample({literal(fill.choices)}, 1)"
        case "flag":
            return "self.random.random() < 0.5"
        case "file":
            return f'(f"{{token}}{fill.suffix}", token.encode())'
        case "picture":
            return '("picture.png", PICTURE)'


def literal(value: Any) -> str:
    """Python literal of a text, a number or a list of these, with double quotes."""
    if isinstance(value, str):
        plain = '"' not in value and "\\" not in value and value.isprintable()
        return f'"{value}"' if plain else repr(value)
    if isinstance(value, list):
        return f"[{', '.join(literal(item) for item in value)}]"
    return repr(value)


def _whole(fill: Fill) -> bool:
    return all(float(v).is_integer() for v in (fill.low, fill.high, fill.step))


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _decimals(fill: Fill) -> int:
    text = f"{fill.step:f}".rstrip("0")
    return min(len(text.partition(".")[2]), 6) or 1
