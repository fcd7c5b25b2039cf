"""Memory per session, from the plateaus of the staircase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from harness.analysis.fit import Line, theil_sen
from harness.analysis.ledger import LedgerEntry
from harness.records import ExternalApp, Plateau


class PerSession(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes per session, two ways; None where there are too few plateaus or the platform does not tell.

    Attributes:
        live: from bytes in use by objects.
        uss: from the process tree's unique set size, which includes what allocators keep.
    """

    live: Line | None
    uss: Line | None


MemoryVerdict = Literal[
    "flat",
    "bounded",
    "leak-per-request",
    "leak-per-session",
    "retained-until-ttl",
    "allocator-retention",
    "inconclusive",
]


class MeasuringCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the measuring itself cost the app. Nothing is counted during timed phases.

    Attributes:
        censuses: times that the app was counted.
        pause_ms, max_pause_ms: how long one took: the median, and the longest.
        objects: looked into or counted at the last one.
        pause_ms_per_million_objects: the median pause over what was counted in it.
        total_s: of all of them together, the settling at plateaus included.
    """

    censuses: int
    pause_ms: float
    max_pause_ms: float
    objects: int
    pause_ms_per_million_objects: float | None
    total_s: float


class MemoryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of the app.

    Attributes:
        not_measured: what of it could not be measured, and why, in a sentence or two; None if all could.
        verdict: what becomes of the app's memory, in a word: `flat`, `bounded` (it grew up to a known cap), `leak-per-request`,
            `leak-per-session`, `retained-until-ttl`, `allocator-retention` (its objects went, its memory did not), or `inconclusive`.
        reason: why, in one sentence.
        next_step: what to run to decide, if it is `inconclusive`; else None.
        bytes_per_open_session: what one more open session, with its state, costs.
        bytes_per_closed_session: what a session that came and went leaves behind.
        bytes_per_request: what one more request in a session that is open leaves behind.
        floor_per_open_session, floor_per_closed_session: the same of a state-free app with as many components: the framework's own.
        no_floor: why there is no floor, in a sentence; None if there is.
        state_bytes_per_session: what the values in gr.State of one session occupy, counted object by object; None if nobody could.
        ledger: where each megabyte went; see `harness.analysis.ledger`.
        measuring: what measuring cost the app; None without a probe.
        after_close_live_bytes: live bytes at the end, all tabs closed, above plateau 0. Gradio keeps a closed
            session's state for an hour by default, so most of it is expected to be there still.
    """

    verdict: MemoryVerdict = "inconclusive"
    reason: str = ""
    next_step: str | None = None
    bytes_per_open_session: PerSession
    bytes_per_closed_session: PerSession = PerSession(live=None, uss=None)
    bytes_per_request: PerSession = PerSession(live=None, uss=None)
    floor_per_open_session: PerSession = PerSession(live=None, uss=None)
    floor_per_closed_session: PerSession = PerSession(live=None, uss=None)
    no_floor: str | None = None
    state_bytes_per_session: float | None = None
    ledger: list[LedgerEntry] = []
    measuring: MeasuringCost | None = None
    after_close_live_bytes: int | None
    after_close_uss_bytes: int | None
    not_measured: str | None = None


def staircase(plateaus: Sequence[Plateau]) -> list[Plateau]:
    """The plateaus that enter the fit."""
    return [p for p in plateaus if p.label == "staircase"]


def live_bytes(plateau: Plateau) -> int | None:
    """Live heap at a plateau."""
    return plateau.probe.live_bytes


def uss_bytes(plateau: Plateau) -> int | None:
    """Unique set size at a plateau."""
    return plateau.process.uss_bytes


def loadgen_rss_bytes(plateau: Plateau) -> int | None:
    """Resident memory of the load generator at a plateau."""
    return plateau.loadgen_rss_bytes


def per_session(plateaus: Sequence[Plateau], measure: Callable[[Plateau], int | None]) -> Line | None:
    """Slope of a measure over open sessions; None if any plateau lacks it."""
    steps = staircase(plateaus)
    values = [measure(p) for p in steps]
    known = [v for v in values if v is not None]
    if len(known) != len(steps):
        return None
    return theil_sen([p.open_sessions for p in steps], known)


def not_measured(external: ExternalApp | None) -> str | None:
    """What cannot be known of an app that gradsoak did not start; None for one that it did."""
    if external is None:
        return None
    if external.pid is None:
        return f"Memory was not measured: the app was not started by gradsoak, and {external.not_sampled}."
    return (
        "The live heap was not measured: the app was not started by gradsoak, so there is no probe in it. "
        f"USS, RSS and CPU are those of process {external.pid} ({external.process}) with its children, seen from outside."
    )


def memory_figures(plateaus: Sequence[Plateau], external: ExternalApp | None = None) -> MemoryFigures:
    """All figures of memory."""
    return MemoryFigures(
        bytes_per_open_session=PerSession(
            live=per_session(plateaus, live_bytes), uss=per_session(plateaus, uss_bytes)
        ),
        after_close_live_bytes=_above_start(plateaus, live_bytes),
        after_close_uss_bytes=_above_start(plateaus, uss_bytes),
        not_measured=not_measured(external),
    )


def _above_start(plateaus: Sequence[Plateau], measure: Callable[[Plateau], int | None]) -> int | None:
    first = next((p for p in plateaus if p.label == "staircase"), None)
    last = next((p for p in plateaus if p.label == "after-close"), None)
    if first is None or last is None:
        return None
    before, after = measure(first), measure(last)
    return None if before is None or after is None else after - before
