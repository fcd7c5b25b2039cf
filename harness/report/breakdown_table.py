"""The ledger of memory in rows and words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness import units
from harness.analysis.memory.breakdown import BreakdownEntry, BreakdownItem, BreakdownMoment

MOMENTS: dict[BreakdownMoment, str] = {"held": "all sessions held", "closed": "all closed"}
ITEMS: dict[BreakdownItem, str] = {
    "interpreter": "interpreter, imports",
    "framework": "framework",
    "state": "users’ State",
    "retained-after-close": "retained after close",
    "leaked-per-request": "leaked per request",
    "allocator-retention": "allocator retention",
    "fragmentation": "fragmentation",
    "unexplained": "unexplained",
}
TOTAL = "RSS"
_MB = 1e6


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """An item at one moment: `product` is what it was multiplied from, as `71.5 KB × 40 sessions`; empty for what was not."""

    bytes: int
    product: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An item at both moments.

    Attributes:
        name: for people.
        cells: moment → figure; None where the ledger of that moment has no such item.
        basis: how it is known: `(moment in words, sentence)`; the moment is empty where the sentence holds of all.
    """

    name: str
    cells: dict[BreakdownMoment, Cell | None]
    basis: list[tuple[str, str]]


def moments(ledger: Sequence[BreakdownEntry]) -> list[BreakdownMoment]:
    """Those that the ledger tells of, in order."""
    told = {entry.moment for entry in ledger}
    return [moment for moment in MOMENTS if moment in told]


def rows(ledger: Sequence[BreakdownEntry]) -> list[Row]:
    """The items that occur, in the order in which they are shown. Their cells add up to `totals`."""
    found = []
    for item, name in ITEMS.items():
        entries = {
            moment: [e for e in ledger if e.item == item and e.moment == moment] for moment in moments(ledger)
        }
        if any(entries.values()):
            found.append(
                Row(
                    name=name,
                    cells={moment: _cell(here) for moment, here in entries.items()},
                    basis=_basis(entries),
                )
            )
    return found


def totals(ledger: Sequence[BreakdownEntry]) -> dict[BreakdownMoment, int]:
    """Moment → the sum of its entries: resident memory."""
    return {moment: sum(e.bytes for e in ledger if e.moment == moment) for moment in moments(ledger)}


def megabytes(value: float, *, signed: bool = False) -> str:
    """An amount that is added to others, so all with two decimals: `191.50`, `+3.12`, `−0.40`; exactly nothing is `0`."""
    text = f"{value / _MB:{'+' if signed else ''},.2f}"
    if text.lstrip("+-") == "0.00":
        text = "0.00" if value else "0"
    return text.replace("-", "−")


def _cell(entries: Sequence[BreakdownEntry]) -> Cell | None:
    if not entries:
        return None
    products = [
        f"{units.byte_size(e.each_bytes)} × {units.plural(e.count, e.unit) if e.unit else units.count(e.count)}"
        for e in entries
        if e.each_bytes is not None and e.count is not None
    ]
    return Cell(bytes=sum(e.bytes for e in entries), product=" + ".join(products))


def _basis(entries: dict[BreakdownMoment, list[BreakdownEntry]]) -> list[tuple[str, str]]:
    said = {moment: " ".join(e.basis for e in here) for moment, here in entries.items() if here}
    if len(set(said.values())) == 1:
        return [("", next(iter(said.values())))]
    return [(MOMENTS[moment], sentence) for moment, sentence in said.items()]
