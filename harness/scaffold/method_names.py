"""Names for the methods and variables of a proposed workload. Pure."""

from __future__ import annotations

import keyword
import re

from harness.records import PAGE_ACTIONS
from harness.workload import Workload

# Names that a workload, the operations on a page, or the code of `scenario_text` already use. A method of that name would hide them.
_RESERVED = {*dir(Workload), *PAGE_ACTIONS, "self", "tokens", "json", "action", "last_token_in", "number_in"}


class UniqueNames:
    """Gives out names for methods and variables, each name once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, text: str, fallback: str) -> str:
        """A name made from a text, or `fallback` if that gives none; with a number if it is taken."""
        slug = slug_of(text) or fallback
        name, number = slug, 2
        while name in self._taken:
            name, number = f"{slug}_{number}", number + 1
        self._taken.add(name)
        return name


def slug_of(text: str) -> str:
    """A Python name made from a label; empty if the label has no usable characters."""
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].strip("_")
    if not words or not words.strip("0123456789_"):
        return ""
    if words[0].isdigit():
        words = f"n_{words}"
    return f"{words}_" if keyword.iskeyword(words) or words in _RESERVED else words
