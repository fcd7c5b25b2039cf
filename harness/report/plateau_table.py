"""All plateaus of a run in figures, as a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.records import Plateau

# Columns that need an explanation.
_COLUMNS = {
    "open": "Open: held sessions.",
    "sessions": "Sessions, requests: number begun since the start of the run.",
    "PSS": "PSS: like RSS, but shared memory is divided among the processes that share it.",
    "cgroup": (
        "cgroup: memory charged to the app’s control group, including page cache and other processes in the group."
    ),
    "given back": "Given back: resident memory that the allocator returned on request at that plateau.",
}


class PlateauRow(msgspec.Struct, frozen=True, kw_only=True):
    """A plateau. Its figures are in the order of the columns."""

    label: str
    counts: list[int | None]
    sizes: list[int | None]
    settle_s: float
    quiet: bool


class PlateauTable(msgspec.Struct, frozen=True, kw_only=True):
    """All plateaus, with the columns that have at least one figure."""

    counts: list[str]
    sizes: list[str]
    rows: list[PlateauRow]
    notes: str


def plateau_table(plateaus: Sequence[Plateau]) -> PlateauTable:
    """The table; without plateaus it has no rows."""
    counts: dict[str, list[int | None]] = {
        "open": [p.open_sessions for p in plateaus],
        "sessions": [p.sessions for p in plateaus],
        "requests": [p.requests for p in plateaus],
    }
    sizes: dict[str, list[int | None]] = {
        "live heap": [p.probe.live_bytes for p in plateaus],
        "USS": [p.process.uss_bytes for p in plateaus],
        "PSS": [p.process.pss_bytes for p in plateaus],
        "RSS": [p.process.rss_bytes for p in plateaus],
        "cgroup": [p.cgroup.current_bytes if p.cgroup is not None else None for p in plateaus],
        "given back": [p.returned_bytes for p in plateaus],
    }
    counted = {name: column for name, column in counts.items() if any(value is not None for value in column)}
    sized = {name: column for name, column in sizes.items() if any(value is not None for value in column)}
    return PlateauTable(
        counts=list(counted),
        sizes=list(sized),
        rows=[
            PlateauRow(
                label=p.label,
                counts=[column[i] for column in counted.values()],
                sizes=[column[i] for column in sized.values()],
                settle_s=p.settle_s,
                quiet=p.quiet,
            )
            for i, p in enumerate(plateaus)
        ],
        notes=" ".join(note for name, note in _COLUMNS.items() if name in counted or name in sized),
    )
