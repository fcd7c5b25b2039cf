"""Names for the methods and variables of a proposed workload. Pure."""

from __future__ import annotations

import keyword
import re

from harness.records import TAB_ACTIONS
from harness.workload import Workload

# What a workload has already, what tabs do by themselves, and what `text` writes into the class: a method of such a name would
# take its place.
_RESERVED = {*dir(Workload), *TAB_ACTIONS, "self", "tokens", "json", "action", "last_token_in", "number_in"}


class UniqueNames:
    """Names for methods and variables: each once, and none that means something already."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, text: str, fallback: str) -> str:
        """The name that a text gives, with a number if that is taken; of `fallback`, if it gives none."""
        slug = slug_of(text) or fallback
        name, number = slug, 2
        while name in self._taken:
            name, number = f"{slug}_{number}", number + 1
        self._taken.add(name)
        return name


def slug_of(text: str) -> str:
    """A Python name from a label; empty if there is nothing to make it from."""
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].strip("_")
    if not words or not words.strip("0123456789_"):
        return ""
    if words[0].isdigit():
        words = f"n_{words}"
    return f"{words}_" if keyword.iskeyword(words) or words in _RESERVED else words
