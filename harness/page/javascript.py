"""The forms of an event's `js=` that need no JavaScript engine: constants and rearranged inputs.

ClearButton is one of them (`() => [null, null, []]`). A page cannot run any other JavaScript.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

Function = Callable[[Sequence[Any]], list[Any]]

_ARROW = re.compile(r"^\s*(?:async\s*)?(?:\(\s*([\w$\s,]*)\)|([\w$]+))\s*=>\s*(.+?)\s*;?\s*$", re.DOTALL)
_SINGLE_QUOTED = re.compile(r"'((?:[^'\\\"]|\\.)*)'")


def interpret(source: str, *, wrap: bool) -> Function | None:
    """A function from input values to output values, equivalent to the JavaScript.

    Args:
        source: the text of `js=`.
        wrap: whether Gradio puts a result that is no list into one: true with a single receiver.

    Returns:
        None unless the source is a constant, an input, or a list of these.
    """
    arrow = _ARROW.match(source)
    if arrow is None:
        return None
    names = [
        name.strip() for name in (arrow[1] if arrow[1] is not None else arrow[2]).split(",") if name.strip()
    ]
    body = arrow[3].strip()
    while body.startswith("(") and body.endswith(")"):
        body = body[1:-1].strip()
    if body.startswith("[") and body.endswith("]") and (parts := _elements(body[1:-1])) is not None:
        terms = [_term(part, names) for part in parts]
        if all(term is not None for term in terms):
            return lambda inputs: [term(inputs) for term in terms if term is not None]
    term = _term(body, names)
    if term is None:
        return None

    def single(inputs: Sequence[Any]) -> list[Any]:
        result = term(inputs)
        return result if isinstance(result, list) and not wrap else [result]

    return single


def _term(text: str, names: Sequence[str]) -> Callable[[Sequence[Any]], Any] | None:
    text = text.strip()
    if text in names:
        place = names.index(text)
        return lambda inputs: inputs[place] if place < len(inputs) else None
    if text == "undefined":
        return lambda inputs: None
    try:
        # `{}` as the body of an arrow is an empty block, not an object: JSON would read it wrongly.
        constant = json.loads(_SINGLE_QUOTED.sub(r'"\1"', text)) if not text.startswith("{") else None
    except ValueError:
        return None
    if text.startswith("{"):
        return None
    return lambda inputs: json.loads(json.dumps(constant)) if isinstance(constant, list) else constant


def _elements(inside: str) -> list[str] | None:
    """The elements of a list literal; None if brackets or quotes do not match."""
    parts, depth, quote, start = [], 0, "", 0
    for place, char in enumerate(inside):
        if quote:
            if char == quote and inside[place - 1] != "\\":
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(inside[start:place])
            start = place + 1
    if depth or quote:
        return None
    last = inside[start:]
    return [*parts, last] if last.strip() else parts
