"""Applies the diffs that Gradio sends for the second and later values of a generator (protocols sse_v2 and later).

A diff is a list of edits `[action, path, value]`; the actions are `replace`, `append`, `add` and `delete`. Only the parts
on the path are copied, and earlier partial outputs stay unchanged. gradio_client copies the whole value for each diff,
which takes quadratic time for a long chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Edit = tuple[str, Sequence[int | str], Any]


def apply(value: Any, edits: Sequence[Edit]) -> Any:
    """The value after the edits; the given value stays unchanged.

    Raises:
        ValueError: an edit has an unknown action, or does not fit the value.
    """
    try:
        for action, path, operand in edits:
            value = _apply(value, path, action, operand)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"the edit does not fit: {error!r}") from error
    return value


def joints(value: Any, edits: Sequence[Edit], margin: int) -> Iterator[str]:
    """The surroundings of each place where an edit has appended to a text.

    Args:
        value: after the edits.
        edits: the edits that led to it.
        margin: number of characters before and after the place.
    """
    for action, path, operand in edits:
        if action != "append" or not isinstance(operand, str):
            continue
        text = value
        try:
            for name in path:
                text = text[int(name) if isinstance(text, list) else name]
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # a later edit has removed the text
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
