"""All plateaus of a run in figures, as a table. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.records import Plateau

# What the columns mean that do not say it themselves.
_COLUMNS = {
    "open": "Open: sessions that were held.",
    "sessions": "Sessions, requests: begun so far in the whole run.",
    "PSS": "PSS: what is shared between processes, divided among them.",
    "cgroup": (
        "cgroup: what the kernel charges to the control group of the app, with its page cache and everybody else in it."
    ),
    "given back": "Given back: resident memory that the allocator returned at that plateau when it was asked to.",
}


class PlateauRow(msgspec.Struct, frozen=True, kw_only=True):
    """A plateau: figures stand in the order of the columns of its table."""

    label: str
    counts: list[int | None]
    sizes: list[int | None]
    settle_s: float
    quiet: bool


class PlateauTable(msgspec.Struct, frozen=True, kw_only=True):
    """All plateaus, with the columns that any of them has something in."""

    counts: list[str]
    sizes: list[str]
    rows: list[PlateauRow]
    notes: str


def plateau_table(plateaus: Sequence[Plateau]) -> PlateauTable:
    """Make the table; it has no rows for a run without plateaus."""
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
    told = {name: column for name, column in counts.items() if any(value is not None for value in column)}
    sized = {name: column for name, column in sizes.items() if any(value is not None for value in column)}
    return PlateauTable(
        counts=list(told),
        sizes=list(sized),
        rows=[
            PlateauRow(
                label=p.label,
                counts=[column[i] for column in told.values()],
                sizes=[column[i] for column in sized.values()],
                settle_s=p.settle_s,
                quiet=p.quiet,
            )
            for i, p in enumerate(plateaus)
        ],
        notes=" ".join(note for name, note in _COLUMNS.items() if name in told or name in sized),
    )
