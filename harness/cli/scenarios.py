"""`gradsoak scenarios`: what is bundled."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from harness import scenario
from harness.cli import options, summary


def scenarios(json: options.Json = False) -> None:
    """List the bundled scenarios, with what each is expected to show."""
    found = scenario.bundled()
    if json:
        rows = [
            {
                "name": s.name,
                "title": s.title,
                "description": s.description,
                "expect": msgspec.to_builtins(s.expect),
            }
            for s in found
        ]
        summary.print_json(msgspec.json.encode(rows).decode())
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("scenario", "what it is", "expected"):
        table.add_column(column, no_wrap=column == "scenario")
    for s in found:
        table.add_row(s.name, s.description or s.title, str(s.expect) if s.expect else "–")
    Console(highlight=False).print(table)
