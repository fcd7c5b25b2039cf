"""`python -m tests.power` (`make power`): how many operations it takes to see a fault that occurs once in 1,000 operations.

Prints the tables of docs/methods/isolation.md. With --write it also puts them there, and every single count into
measured.json, which `make test` holds against the document and, for a few repetitions, against the checkers.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.run_dir import write_atomically
from tests.conftest import REPO
from tests.power.detection import (
    RATE,
    Row,
    Silence,
    fault_table,
    measure,
    measure_silence,
    planning_table,
    silence_table,
)
from tests.power.simulation import FAULTS, MODELS

DOCUMENT = REPO / "docs/methods/isolation.md"
MEASURED = Path(__file__).with_name("measured.json")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """`measured.json`: what a whole run of the command gave."""

    repetitions: int
    rows: list[Row]
    silences: list[Silence]

    def tables(self) -> dict[str, str]:
        """What the document shows: name of the place → Markdown."""
        return {
            "power": fault_table(self.rows),
            "silence": silence_table(self.silences),
            "planning": planning_table(),
        }


def place(name: str, text: str) -> tuple[re.Pattern[str], str]:
    """Where a table stands in a document, and what must stand there."""
    begin, end = f"<!-- {name}: printed by make power -->\n", f"\n<!-- /{name} -->"
    return re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL), begin + text + end


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 if anything was reported where nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200, help="of each fault (200)")
    parser.add_argument("--rate", type=float, default=RATE, help="of a fault, per operation (0.001)")
    parser.add_argument("--write", action="store_true", help="put the tables into the document")
    arguments = parser.parse_args(argv)
    if arguments.write and arguments.rate != RATE:
        parser.error(f"the document is about a rate of {RATE:g}")
    began = time.process_time()
    rows = []
    for fault in FAULTS:
        rows.append(measure(fault, arguments.repetitions, arguments.rate))
        print(f"measured: {fault.model}, {fault.name}", file=sys.stderr, flush=True)
    silences = [
        measure_silence(model, repetitions=max(1, arguments.repetitions // 10), operations=10_000)
        for model in MODELS
    ]
    measured = Measured(repetitions=arguments.repetitions, rows=rows, silences=silences)
    for text in measured.tables().values():
        print(text, end="\n\n")
    for row in rows:
        if row.other_names:
            named = ", ".join(f"{name} {count}" for name, count in row.other_names.items())
            print(f"{row.model}, {row.fault}: reported as well, in so many repetitions: {named}")
    alarms = sum(row.false_alarms for row in rows) + sum(silence.accused for silence in silences)
    histories = sum(len(row.strikes) for row in rows) + sum(silence.repetitions for silence in silences)
    print(
        f"False alarms: {alarms} of {histories} histories before anything was wrong. "
        f"Took {time.process_time() - began:.0f} s of processor time."
    )
    if arguments.write:
        write_atomically(MEASURED, msgspec.json.encode(measured) + b"\n")
        text = DOCUMENT.read_text()
        for name, table in measured.tables().items():
            pattern, content = place(name, table)
            text = pattern.sub(lambda _, content=content: content, text)  # type: ignore[misc]
        write_atomically(DOCUMENT, text.encode())
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
