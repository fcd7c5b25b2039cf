"""`gradsoak scenarios`: list the bundled scenarios."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from rich.console import Console

from harness import scenario
from harness.cli import options, terminal_summary
from harness.scenario import Expectation, Scenario

# In a narrower column, a title says more than the beginning of a description.
_READABLE = 48
_HEAD = ("scenario", "patterns", "what it is", "expected")
_GAP = "  "


def scenarios(json: options.Json = False) -> None:
    """List the bundled scenarios, with the patterns that each shows and the outcome that it declares."""
    found = scenario.bundled()
    if json:
        terminal_summary.print_json(msgspec.json.encode([_as_json(s) for s in found]).decode())
        return
    # A pipe has no width, so nothing is cut.
    width = Console().width if sys.stdout.isatty() else None
    for line in lines(found, width):
        sys.stdout.write(line + "\n")


def lines(found: Sequence[Scenario], width: int | None) -> list[str]:
    """The list as lines: first the scenarios that show a pattern, then the planted faults, each group in columns.

    Args:
        found: the scenarios.
        width: columns of the terminal; None to cut nothing. A description that does not fit is cut, or replaced by the title if
            little would be left of it. Names and expected outcomes are never cut.
    """
    core = sum(s.core for s in found)
    text = []
    for group in ([s for s in found if s.patterns], [s for s in found if not s.patterns]):
        if group:
            text += [*_table(group, width), ""]
    text.append(
        f"{len(found)} scenarios. gradsoak bench runs {core} of them (core); with --all, all of them."
    )
    return text


def _table(group: Sequence[Scenario], width: int | None) -> list[str]:
    names = [s.name for s in group]
    patterns = [", ".join(map(str, s.patterns)) or "–" for s in group]
    expected = [str(_expected(s)) for s in group]
    columns = [_width(names, _HEAD[0]), _width(patterns, _HEAD[1]), 0, _width(expected, _HEAD[3])]
    room = None if width is None else max(width - sum(columns) - 3 * len(_GAP), len(_HEAD[2]))
    what = [_what(s, room) for s in group]
    columns[2] = _width(what, _HEAD[2])
    rows = [_HEAD, *zip(names, patterns, what, expected, strict=True)]
    return [
        _GAP.join(cell.ljust(column) for cell, column in zip(row, columns, strict=True)).rstrip()
        for row in rows
    ]


def _width(cells: Sequence[str], head: str) -> int:
    return max(map(len, [head, *cells]))


def _what(s: Scenario, room: int | None) -> str:
    text = " ".join((s.description or s.title).split())
    if room is None:
        return text
    if len(text) > room and room < _READABLE:
        text = s.title
    return text if len(text) <= room else text[: room - 1].rpartition(" ")[0].rstrip(" ,:;.") + "…"


def _expected(s: Scenario) -> Expectation:
    """The declared outcome; `pass` if a scenario declares none, as in `gradsoak bench`."""
    return s.expect or Expectation()


def _as_json(s: Scenario) -> dict[str, object]:
    expected = _expected(s)
    return {
        "name": s.name,
        "patterns": s.patterns,
        "expect": {"verdict": expected.verdict, "kind": expected.kind},
        "title": s.title,
        "description": s.description,
        "core": s.core,
    }
