"""Evidence on the memory of a run, for the verdict rules: its figures, what grew, and what follows from these."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from harness.analysis.memory.gradio_containers import SESSION_DATA
from harness.analysis.memory.growth_evidence import CAME, UNNAMED_BYTES_PER_REQUEST
from harness.analysis.memory.growth_records import Growth, GrowthBasis
from harness.analysis.memory.session_cost import MemoryFigures, batches, live_bytes, uss_bytes
from harness.analysis.theil_sen import Slope
from harness.records import GradioLimits, Plateau

# A run waits for State to expire if its time to live after close is no longer than this.
SHORT_TTL_S = 10.0
# Memory that allocators keep is reported from this size on, if it is at least this share of what the sessions had added.
RETENTION_BYTES = 10_000_000
RETENTION_SHARE = 0.5


class VerdictEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of a run.

    Attributes:
        memory: its figures, with the breakdown.
        growth: what grew and is not inside something else that grew, worst first.
        basis: the evidence behind the growth verdicts.
        plateaus: plateaus of the run.
        limits: how long the app keeps State, and for how many sessions.
        scenario: the scenario as the user named it, for the next command.
    """

    memory: MemoryFigures
    growth: Sequence[Growth]
    basis: GrowthBasis
    plateaus: Sequence[Plateau]
    limits: GradioLimits
    scenario: str

    @property
    def floor_is_known(self) -> bool:
        """Whether a baseline run measured what Gradio itself keeps of a closed session."""
        return self.memory.floor_per_closed_session.live is not None

    @property
    def kept_per_session(self) -> float:
        """Bytes that a closed session leaves behind beyond Gradio's own share; 0 if the intervals overlap or either is unknown."""
        line, floor = self.memory.bytes_per_closed_session.live, self.memory.floor_per_closed_session.live
        return 0.0 if line is None or floor is None else _beyond(line, floor)

    @property
    def not_in_accounts(self) -> float:
        """Lower bound of the bytes that a closed session leaves behind outside Gradio's account of it."""
        line = self.memory.bytes_per_closed_session.live
        return (line.low if line is not None else 0.0) - _in_accounts(self.growth)

    @property
    def states_kept(self) -> tuple[int, float] | None:
        """State values at the last plateau, and their time to live after close in seconds; None if none is waiting to expire."""
        states = self.plateaus[-1].probe.states if self.plateaus else None
        ttl_s = self.limits.state_ttl_when_closed_s
        return (states, ttl_s) if states and ttl_s is not None and ttl_s > SHORT_TTL_S else None

    @property
    def beyond_heap_per_request(self) -> float | None:
        """Growth of resident memory beyond the live heap, bytes per request; None unless in every batch and under load."""
        uss, live = self.memory.bytes_per_request.uss, self.memory.bytes_per_request.live
        if uss is None or live is None or uss.low - live.high < UNNAMED_BYTES_PER_REQUEST:
            return None
        after = next((p for p in self.plateaus if p.label == "after-close"), None)
        held = [*batches(self.plateaus), *([after] if after is not None else [])]
        levels = [level for p in held if (level := _beyond_heap(p)) is not None]
        if after is None or len(levels) != len(held) or not all(b > a for a, b in pairwise(levels)):
            return None
        predicted = (uss.low - live.high) * ((after.requests or 0) - (held[-2].requests or 0))
        return uss.estimate - live.estimate if levels[-1] - levels[-2] >= CAME * predicted else None

    @property
    def allocator_retention(self) -> float | None:
        """Bytes that the allocator kept after all sessions had closed, without child processes; None if too few to report."""
        closed: dict[str, int] = {}
        for entry in self.memory.ledger:
            if entry.moment == "closed":
                closed[entry.item] = closed.get(entry.item, 0) + entry.bytes
        held = sum(e.bytes for e in self.memory.ledger if e.moment == "held" and e.item != "interpreter")
        kept = (
            closed.get("allocator-retention", 0)
            + closed.get("fragmentation", 0)
            - _of_children(self.plateaus)
        )
        return kept if kept >= RETENTION_BYTES and kept >= RETENTION_SHARE * held else None


def _in_accounts(growth: Sequence[Growth]) -> float:
    """Bytes per session that opened and closed in Gradio's own accounts of sessions, as counted by the census."""
    own = {g.path: g.bytes_per_session or 0.0 for g in growth if g.verdict == "framework-floor"}
    if SESSION_DATA not in own:
        return 0.0
    # The figure of a container includes those inside it.
    return sum(
        size for path, size in own.items() if not any(path.startswith((f"{p}[", f"{p}.")) for p in own)
    )


def _beyond(line: Slope, floor: Slope) -> float:
    """Difference of two slopes; 0 unless the first interval lies above the second."""
    return line.estimate - floor.estimate if line.low > floor.high else 0.0


def _beyond_heap(plateau: Plateau) -> int | None:
    uss, live = uss_bytes(plateau), live_bytes(plateau)
    return None if uss is None or live is None else uss - live


def _of_children(plateaus: Sequence[Plateau]) -> float:
    """Growth of the app's child processes from plateau 0 to the last plateau, bytes; 0 if unknown."""
    ends = [next((p for p in plateaus if p.label == "staircase"), None), plateaus[-1] if plateaus else None]
    others = [p.process.rss_bytes - p.probe.rss_bytes for p in ends if p is not None and p.probe.rss_bytes]
    return max(0, others[1] - others[0]) if len(others) == len(ends) else 0
