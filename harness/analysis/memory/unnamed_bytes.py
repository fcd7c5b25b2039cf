"""Growth of the live heap that no container accounts for, for example buffers that an extension module holds."""

from __future__ import annotations

from itertools import pairwise

from harness.analysis.memory.experiment import Experiment, increments, keeps_growing, live_line
from harness.analysis.memory.growth_evidence import CAME, UNNAMED_BYTES_PER_REQUEST, GrowthEvidence
from harness.analysis.memory.growth_records import LIVE_HEAP, Growth
from harness.analysis.memory.rules import judge_growth
from harness.analysis.theil_sen import Slope


def live_slope(experiment: Experiment) -> Slope | None:
    """Return the slope of live bytes over the batches, bytes per request; None if they are unknown."""
    return live_line(experiment.batches, lambda m: m.plateau.probe.live_bytes)


def unnamed_slope(experiment: Experiment) -> Slope | None:
    """Return the slope of live bytes outside all counted containers, bytes per request; None if they are unknown."""
    return live_line(experiment.batches, lambda m: m.unnamed_bytes)


def unnamed_growth(experiment: Experiment) -> Growth | None:
    """Return the judgement on live bytes that no container accounts for; None if they do not grow steadily with requests."""
    line = unnamed_slope(experiment)
    if line is None or not _is_steady(experiment, line):
        return None
    evidence = GrowthEvidence(
        path=LIVE_HEAP,
        kind="bytes",
        owner="app",
        grows_with="request",
        statement=(
            f"The live heap grew by {line.estimate:,.0f} bytes per request ({line.low:,.0f} to {line.high:,.0f}), in every batch and "
            "under load; no container that was counted accounts for it"
        ),
        opaque=any(step > 0 for step in increments(experiment.batches, lambda m: m.census.opaque)),
    )
    found = judge_growth(evidence)
    return Growth(
        path=evidence.path,
        kind=evidence.kind,
        owner=evidence.owner,
        verdict=found.verdict,
        per_request=line.estimate,
        per_session=None,
        exact=False,
        length=experiment.batches[-1].unnamed_bytes or 0,
        cap=None,
        pinned_bytes=max(0, (experiment.last.unnamed_bytes or 0) - (experiment.start.unnamed_bytes or 0)),
        bytes_per_request=line.estimate,
        reason=found.reason,
    )


def _is_steady(experiment: Experiment, line: Slope) -> bool:
    """Whether unnamed bytes grew in every batch without slowing down, and kept growing under load."""
    batches, after, live = experiment.batches, experiment.after, live_slope(experiment)
    if live is None or after is None:
        return False
    # Sizes in the census are estimates. If only these shrink, unnamed bytes seem to grow while the heap does not.
    if min(live.low, line.low) < UNNAMED_BYTES_PER_REQUEST:
        return False
    values = [m.unnamed_bytes or 0 for m in batches]
    grew = [later - earlier for earlier, later in pairwise(values)]
    more = after.requests - batches[-1].requests
    added = (after.unnamed_bytes or 0) - values[-1]
    return (
        all(step > 0 for step in grew)
        and keeps_growing(grew, increments(batches, lambda m: m.requests))
        and added >= CAME * line.low * more
    )
