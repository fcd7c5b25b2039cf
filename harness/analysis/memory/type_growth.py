"""What grew by type of object, where no container that was counted says it.

A census of containers sees what can be reached from the user's modules and from Gradio. The collector's list of all objects sees
the rest, but only their types: a leak is what grows by the very same whole number with each request, or each session, whoever holds
it. How it is held, the retainers tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from harness.analysis.data import RunData
from harness.analysis.memory.experiment import Experiment, Measurement, experiment_of
from harness.analysis.memory.gradio_containers import gradio_container
from harness.analysis.memory.growth import PER_REQUEST, TYPE, Growth, inside
from harness.analysis.memory.growth_evidence import (
    GrowthEvidence,
    Holding,
    OverRequests,
    OverSessions,
    Unit,
    over_requests,
    over_sessions,
)
from harness.analysis.memory.rules import GrowthJudgement, judge_growth
from harness.history import type_counts
from harness.records import Census, Retainer

# What becomes of these is known, and it is no leak.
_KNOWN = ("bounded", "declared", "retained-until-ttl", "framework-floor")
_SAME = 1e-9
# These hold values only while somebody else holds the keys, or the values themselves.
_WEAK = (": weakref.WeakKeyDictionary", ": weakref.WeakValueDictionary")


def suspicious(first: Census, last: Census, requests: int) -> bool:
    """Whether anything grew from the first census to the last but what Gradio keeps of each session and each request.

    Args:
        first: of the process.
        last: of the same.
        requests: that came between the two. A type of which there are as many more may leak with each of them.
    """
    before = {container.path: container.length for container in first.containers}
    if any(
        container.length > before.get(container.path, 0) and gradio_container(container.path) is None
        for container in last.containers
    ):
        return True
    counts = type_counts(first, first)
    return requests > 0 and any(
        "." in name and number - counts.get(name, 0) >= requests
        for name, number in type_counts(first, last).items()
    )


def type_growth(experiment: Experiment, containers: Sequence[Growth], data: RunData) -> list[Growth]:
    """The types that leak, each within the container that holds them, if one of those leaks.

    Args:
        experiment: the plateaus of the run.
        containers: what is known of containers, the worst first.
        data: the run, for its retainers and its baseline run.
    """
    holders = {r.target: r for r in data.retainers if r.of == "type"}
    baseline = _baseline(data)
    found = []
    for name in sorted(set(experiment.last.types) | set(experiment.start.types)):
        if "." not in name:  # a dict may be anything
            continue
        evidence = type_evidence(name, experiment, baseline, containers, holders.get(name))
        if evidence is None:
            continue
        judgement = judge_growth(evidence)
        if _is_reported(evidence, judgement):
            found.append(_grown(evidence, judgement, experiment, holders.get(name)))
    return found


def type_evidence(
    name: str,
    experiment: Experiment,
    baseline: Experiment | None,
    containers: Sequence[Growth],
    held: Retainer | None,
) -> GrowthEvidence | None:
    """Return what is known of the objects of a type; None if they do not grow exactly and steadily, or do not stay.

    Args:
        name: of the type.
        experiment: the plateaus of the run.
        baseline: those of the baseline run; None without one.
        containers: what is known of containers, the worst first.
        held: how the objects are held; None if the app was not asked.
    """
    count = partial(_objects, name)
    requests = over_requests(count, experiment)
    sessions = over_sessions(count, experiment, requests)
    grows_with = _exact_growth(requests, sessions)
    if grows_with is None:
        return None
    floor = over_sessions(count, baseline, None) if baseline is not None else None
    evidence = GrowthEvidence(
        path=name,
        kind=TYPE,
        owner="gradio" if name.startswith("gradio.") or _access_path(held).startswith("gradio.") else "app",
        grows_with=grows_with,
        requests=requests,
        sessions=sessions,
        baseline_rate=floor.rate if floor is not None else None,
    )
    unit = "request" if grows_with == "request" else "session that came and went"
    rate = float(evidence.rates.rate) if evidence.rates is not None else 0.0
    return msgspec.structs.replace(
        evidence,
        statement=f"There were exactly {rate:,.2f} more with each {unit}, and none of them went",
        holding=_holding(evidence, containers, held),
    )


def _exact_growth(requests: OverRequests | None, sessions: OverSessions | None) -> Unit | None:
    """What the number of objects grew with by the very same whole number each time, and stayed; None if with neither."""
    rates: tuple[tuple[Unit, OverRequests | OverSessions | None], ...] = (
        ("request", requests),
        ("session", sessions),
    )
    return next(
        (
            unit
            for unit, found in rates
            if found is not None and found.steady and found.exact and found.kept and found.declared is None
        ),
        None,
    )


def _objects(name: str, measurement: Measurement) -> int:
    return measurement.types.get(name, 0)


def _is_reported(evidence: GrowthEvidence, judgement: GrowthJudgement) -> bool:
    """Whether the type says more than its container does: it leaks, alone or as its container does, or its holder is unknown."""
    return judgement.verdict == evidence.leak or (
        judgement.verdict == "inconclusive" and judgement.within is None
    )


def _grown(
    evidence: GrowthEvidence, judgement: GrowthJudgement, experiment: Experiment, held: Retainer | None
) -> Growth:
    requests, sessions = evidence.requests, evidence.sessions
    return Growth(
        path=evidence.path,
        kind=evidence.kind,
        owner=evidence.owner,
        verdict=judgement.verdict,
        per_request=float(requests.rate) if requests else None,
        per_action=requests.action if requests else None,
        per_session=float(sessions.rate) if sessions else None,
        exact=True,
        length=experiment.last.types.get(evidence.path, 0),
        cap=None,
        pinned_bytes=(held.pinned_bytes or 0) if held is not None else 0,
        within=judgement.within,
        reason=judgement.reason,
    )


def _baseline(data: RunData) -> Experiment | None:
    """The experiment of the baseline run, if there was one."""
    if data.control is None:
        return None
    return experiment_of(
        msgspec.structs.replace(
            data,
            manifest=data.control.manifest,
            plateaus=data.control.plateaus,
            census=data.control.census,
            history=type(data.history)(operations=[], problems=[]),
        )
    )


def _holding(evidence: GrowthEvidence, containers: Sequence[Growth], held: Retainer | None) -> Holding:
    chain = held.holders[0].chain if held is not None and held.holders else []
    path = _access_path(held)
    around = [g for g in containers if path == g.path or inside(path, g.path)] if held is not None else []
    alike = [g for g in containers if g.verdict == evidence.leak]
    weak = any(kind in step for step in chain for kind in _WEAK)
    return Holding(
        recorded=held is not None,
        temporary=bool(chain) and chain[0].startswith(("task ", "thread ")),
        container=min(around, key=lambda g: len(g.path), default=None),
        same_rate=None if chain or alike else _as_fast(evidence, containers),
        leaking=next((g for g in alike if g.within is None), None) if weak or not chain else None,
    )


def _access_path(held: Retainer | None) -> str:
    """The access path that a chain of holders leads along; empty if it is unknown."""
    if held is None or not held.holders:
        return ""
    return "".join(step.partition(": ")[0] for step in held.holders[0].chain)


def _as_fast(evidence: GrowthEvidence, containers: Sequence[Growth]) -> Growth | None:
    """A container that is no leak, and that got as many entries: these may well be the objects."""
    rate = float(evidence.rates.rate) if evidence.rates is not None else 0.0
    for g in containers:
        grew = g.per_request if evidence.leak == PER_REQUEST else g.per_session
        if g.verdict in _KNOWN and abs((grew or 0.0) - rate) < _SAME:
            return g
    return None
