"""Everything that grew in a run, worst first, and the evidence behind it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.analysis.memory.container_growth import container_growth
from harness.analysis.memory.experiment import Experiment, experiment_of
from harness.analysis.memory.growth_evidence import MIN_BATCHES, MIN_ROUNDS
from harness.analysis.memory.growth_records import (
    LEAKS,
    PER_REQUEST,
    PER_SESSION,
    TYPE,
    Growth,
    GrowthBasis,
    rank,
)
from harness.analysis.memory.type_growth import type_growth
from harness.analysis.memory.unnamed_bytes import live_slope, unnamed_growth, unnamed_slope
from harness.recorded_run import RecordedRun
from harness.records import Retainer


def growth_figures(data: RecordedRun) -> tuple[list[Growth], GrowthBasis]:
    """Return the judgements on everything that grew, worst first and each with its holder, and the evidence behind them.

    Unnamed bytes are judged only if no container leaks with requests: that container may hold them.
    """
    experiment = experiment_of(data)
    missing, inapplicable = _missing(data, experiment)
    if experiment is None or len(missing) == len(LEAKS):
        return [], GrowthBasis(not_judged=missing, not_applicable=inapplicable)
    growth = container_growth(experiment)
    if not any(found.verdict == PER_REQUEST for found in growth):
        unnamed = unnamed_growth(experiment)
        growth += [unnamed] if unnamed is not None else []
    growth.sort(key=rank)
    growth += type_growth(experiment, growth, data)
    batches, rounds = experiment.batches, experiment.rounds
    return sorted(_with_holders(growth, data.retainers), key=rank), GrowthBasis(
        batches=max(0, len(batches) - 1),
        requests=batches[-1].requests - batches[0].requests if batches else 0,
        rounds=max(0, len(rounds) - 1),
        sessions=rounds[-1].sessions - rounds[0].sessions if rounds else 0,
        paths=len({path for measurement in experiment.everything for path in measurement.lengths}),
        live_bytes_per_request=live_slope(experiment),
        unnamed_bytes_per_request=unnamed_slope(experiment),
        not_judged=missing,
        not_applicable=inapplicable,
    )


def _missing(data: RecordedRun, experiment: Experiment | None) -> tuple[dict[str, str], list[str]]:
    """Leak check → why it cannot be judged; and those of these checks that do not apply to this run."""
    both = (PER_REQUEST, PER_SESSION)
    plan = data.manifest.profile.staircase
    if data.manifest.external is not None:
        why = "gradsoak did not start the app, so it cannot count the app's objects."
        return dict.fromkeys(both, f"Does not apply: {why}"), list(both)
    found: dict[str, str] = {}
    left_out: list[str] = []
    batches = len(experiment.batches) - 1 if experiment is not None and experiment.batches else 0
    rounds = len(experiment.rounds) - 1 if experiment is not None and experiment.rounds else 0
    for name, planned, seen, least, what in (
        (PER_REQUEST, plan.request_batches, batches, MIN_BATCHES, "batches of requests"),
        (PER_SESSION, plan.rounds, rounds, MIN_ROUNDS, "rounds of sessions that opened and closed"),
    ):
        if not planned:
            found[name] = f"Does not apply: the profile has no {what}."
            left_out.append(name)
        elif seen < least:
            found[name] = f"The app's objects were counted after {seen} {what}; at least {least} are needed."
        elif experiment is None or experiment.after is None:
            found[name] = "The app's objects were not counted after all sessions had closed."
    return found, left_out


def _with_holders(growth: Sequence[Growth], retainers: Sequence[Retainer]) -> list[Growth]:
    """The same, each with its retainer path and with the exact size of what it pins, where these were recorded."""
    known = {(r.target, r.of): r for r in retainers}
    found = []
    for g in growth:
        held = known.get((g.path, "type" if g.kind == TYPE else "container"))
        if held is not None and held.holders:
            g = msgspec.structs.replace(g, retainer_path=held.holders[0].chain)
            # A search that ended early gives a lower bound, as the census does: the larger one counts.
            if held.pinned_bytes is not None and (held.exact or held.pinned_bytes > g.pinned_bytes):
                g = _weighed(g, held.pinned_bytes, held.now)
        found.append(g)
    return found


def _weighed(growth: Growth, pinned_bytes: int, now: int) -> Growth:
    """The same with an exact size; growth is that size per entry times the entries that were added."""
    each = pinned_bytes / now if now else 0.0
    leaks = growth.verdict in LEAKS and growth.within is None
    by_request = growth.bytes_per_request if growth.per_request is None else each * growth.per_request
    by_session = growth.bytes_per_session if growth.per_session is None else each * growth.per_session
    return msgspec.structs.replace(
        growth,
        pinned_bytes=pinned_bytes,
        bytes_per_request=by_request if leaks else growth.bytes_per_request,
        bytes_per_session=by_session if leaks else growth.bytes_per_session,
    )
