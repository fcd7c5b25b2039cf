"""The memory breakdown as rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness import units
from harness.analysis.memory.breakdown import BreakdownEntry, BreakdownItem, BreakdownMoment

MOMENTS: dict[BreakdownMoment, str] = {"held": "all sessions open", "closed": "all sessions closed"}
ITEMS: dict[BreakdownItem, str] = {
    "interpreter": "interpreter, imports",
    "framework": "Gradio’s own share",
    "state": "State of sessions",
    "retained-after-close": "retained after close",
    "leaked-per-request": "leaked per request",
    "allocator-retention": "allocator retention",
    "fragmentation": "fragmentation",
    "unexplained": "unexplained",
}
TOTAL = "RSS"
_MB = 1e6


class BreakdownCell(msgspec.Struct, frozen=True, kw_only=True):
    """An item at one moment. `product` is how it was calculated, such as `71.5 KB × 40 sessions`; empty if it is no product."""

    bytes: int
    product: str


class BreakdownRow(msgspec.Struct, frozen=True, kw_only=True):
    """An item at both moments.

    Attributes:
        name: as shown.
        cells: moment → figure; None if the breakdown at that moment lacks the item.
        basis: how the figure was obtained: `(moment in words, sentence)`. The moment is empty if the sentence applies to both.
    """

    name: str
    cells: dict[BreakdownMoment, BreakdownCell | None]
    basis: list[tuple[str, str]]


def moments(breakdown: Sequence[BreakdownEntry]) -> list[BreakdownMoment]:
    """The moments that the breakdown has entries for, in order."""
    known = {entry.moment for entry in breakdown}
    return [moment for moment in MOMENTS if moment in known]


def rows(breakdown: Sequence[BreakdownEntry]) -> list[BreakdownRow]:
    """One row for each item that occurs, in the order of the page. Their cells add up to `totals`."""
    found = []
    for item, name in ITEMS.items():
        entries = {
            moment: [e for e in breakdown if e.item == item and e.moment == moment]
            for moment in moments(breakdown)
        }
        if any(entries.values()):
            found.append(
                BreakdownRow(
                    name=name,
                    cells={moment: _cell(here) for moment, here in entries.items()},
                    basis=_basis(entries),
                )
            )
    return found


def totals(breakdown: Sequence[BreakdownEntry]) -> dict[BreakdownMoment, int]:
    """BreakdownMoment → sum of its entries: resident memory in bytes."""
    return {moment: sum(e.bytes for e in breakdown if e.moment == moment) for moment in moments(breakdown)}


def megabytes(value: float, *, signed: bool = False) -> str:
    """MB with two decimals, so that amounts can be added: `191.50`, `+3.12`, `−0.40`. Exactly zero is `0`."""
    text = f"{value / _MB:{'+' if signed else ''},.2f}"
    if text.lstrip("+-") == "0.00":
        text = "0.00" if value else "0"
    return text.replace("-", "−")


def _cell(entries: Sequence[BreakdownEntry]) -> BreakdownCell | None:
    if not entries:
        return None
    products = [
        f"{units.byte_size(e.each_bytes)} × {units.plural(e.count, e.unit) if e.unit else units.count(e.count)}"
        for e in entries
        if e.each_bytes and e.count is not None
    ]
    return BreakdownCell(bytes=sum(e.bytes for e in entries), product=" + ".join(products))


def _basis(entries: dict[BreakdownMoment, list[BreakdownEntry]]) -> list[tuple[str, str]]:
    said = {moment: " ".join(e.basis for e in here) for moment, here in entries.items() if here}
    if len(set(said.values())) == 1:
        return [("", next(iter(said.values())))]
    return [(MOMENTS[moment], sentence) for moment, sentence in said.items()]
