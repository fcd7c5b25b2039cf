"""Guarantees on the pages: the table of a run, and the matrix of a bench. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from harness import units
from harness.records import GUARANTEES, BenchRow, Guarantee, GuaranteeStatus
from harness.report.page_templates import MARKS

# Anchor of the guarantees in the report of a run.
ANCHOR = "guarantees"
_WORDS: dict[GuaranteeStatus, str] = {
    "kept": "kept",
    "broken": "broken",
    "unknown": "unknown",
    "does-not-apply": "does not apply",
}
# A shape for each status, so that nothing depends on colour.
_MARKS: dict[GuaranteeStatus, str] = {
    "kept": MARKS["pass"],
    "broken": MARKS["fail"],
    "unknown": MARKS["unknown"],
    "does-not-apply": "–",
}
_MAX_REASON = 600


class GuaranteeCell(msgspec.Struct, frozen=True, kw_only=True):
    """One guarantee of one run, as the page shows it.

    Attributes:
        style: its CSS classes.
        mark, word: the status as a shape and as text.
        planted: the guarantee is broken, the scenario declares a fault, and the run found that fault.
    """

    name: str
    style: str
    mark: str
    word: str
    reason: str
    broken: bool
    planted: bool


class GuaranteeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the matrix; its cells are in the order of `harness.records.GUARANTEES`."""

    row: BenchRow
    link: str
    cells: list[GuaranteeCell]


class RowGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the matrix below one heading."""

    title: str
    lines: list[GuaranteeRow]


def cells(guarantees: Sequence[Guarantee], planted: bool = False) -> list[GuaranteeCell]:
    """The guarantees of a run.

    Args:
        guarantees: in the order of `harness.records.GUARANTEES`.
        planted: the scenario declares a fault, and the run gave the declared result.
    """
    return [_cell(guarantee, planted and guarantee.status == "broken") for guarantee in guarantees]


def matrix(rows: Sequence[BenchRow], report: str) -> list[RowGroup]:
    """Scenario × guarantee. Empty if the guarantees of no run were judged.

    Args:
        rows: the rows of a bench.
        report: path of a report inside its run folder.
    """
    judged = [row for row in rows if [p.name for p in row.guarantees] == list(GUARANTEES)]
    groups = (
        RowGroup(title="Patterns", lines=[_line(row, report) for row in judged if row.patterns]),
        RowGroup(
            title="Planted faults and other scenarios",
            lines=[_line(r, report) for r in judged if not r.patterns],
        ),
    )
    return [group for group in groups if group.lines]


def _line(row: BenchRow, report: str) -> GuaranteeRow:
    return GuaranteeRow(
        row=row,
        link=quote(f"{row.run}/{report}") + f"#{ANCHOR}",
        cells=cells(row.guarantees, planted=row.met and row.verdict == "fail"),
    )


def _cell(guarantee: Guarantee, planted: bool) -> GuaranteeCell:
    return GuaranteeCell(
        name=guarantee.name,
        style=f"{guarantee.status}{' planted' if planted else ''}",
        mark=_MARKS[guarantee.status],
        word=f"{_WORDS[guarantee.status]}{' (expected)' if planted else ''}",
        reason=units.clip(guarantee.reason, _MAX_REASON),
        broken=guarantee.status == "broken",
        planted=planted,
    )
