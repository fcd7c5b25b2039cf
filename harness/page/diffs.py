"""The diffs in which Gradio sends what a generator yields after its first value (protocols sse_v2 and later).

A diff is a list of edits `[action, path, value]`; the actions are `replace`, `append`, `add` and `delete`. The edits are
applied to a copy of whatever lies on the path, so that every partial output stays what it was: gradio_client copies
the whole value for each diff, which makes a long chat quadratic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Edit = tuple[str, Sequence[int | str], Any]


def apply(value: Any, edits: Sequence[Edit]) -> Any:
    """The value after the edits; the one given is left alone.

    Raises:
        ValueError: an edit is of an unknown kind, or does not fit the value.
    """
    try:
        for action, path, operand in edits:
            value = _apply(value, path, action, operand)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"the edit does not fit: {error!r}") from error
    return value


def joints(value: Any, edits: Sequence[Edit], margin: int) -> Iterator[str]:
    """The places where edits have appended something to a text: the text for so many characters before and after.

    Args:
        value: after the edits.
        edits: those that made it.
        margin: characters on either side.
    """
    for action, path, operand in edits:
        if action != "append" or not isinstance(operand, str):
            continue
        text = value
        try:
            for name in path:
                text = text[int(name) if isinstance(text, list) else name]
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # another edit has taken it away
        if isinstance(text, str):
            at = len(text) - len(operand)
            yield text[max(0, at - margin) : at + margin]


def _apply(target: Any, path: Sequence[int | str], action: str, operand: Any) -> Any:
    if not path:
        if action == "replace":
            return operand
        if action == "append":
            return target + operand
        raise ValueError(f"unknown action {action!r} on a whole value")
    head, rest = path[0], path[1:]
    changed = list(target) if isinstance(target, list) else dict(target)
    place: Any = int(head) if isinstance(changed, list) else head
    if rest:
        changed[place] = _apply(changed[place], rest, action, operand)
    elif action == "replace":
        changed[place] = operand
    elif action == "append":
        changed[place] = changed[place] + operand
    elif action == "add":
        if isinstance(changed, list):
            changed.insert(place, operand)
        else:
            changed[place] = operand
    elif action == "delete":
        del changed[place]
    else:
        raise ValueError(f"unknown action {action!r}")
    return changed
