"""Growth by type of object, for objects that no counted container accounts for.

The census counts containers that can be reached from the user's modules and from Gradio. The garbage collector lists all other
objects too, but only by type. A type leaks if the number of its objects grows by the same whole number per request, or per
session. The retainers recorded at the end of the run tell what holds these objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from harness.analysis.memory.experiment import Experiment, Measurement, experiment_of
from harness.analysis.memory.gradio_containers import gradio_container
from harness.analysis.memory.growth_evidence import (
    GrowthEvidence,
    Holding,
    RequestGrowth,
    SessionGrowth,
    Unit,
    growth_with_requests,
    growth_with_sessions,
)
from harness.analysis.memory.growth_records import PER_REQUEST, TYPE, Growth, inside
from harness.analysis.memory.rules import GrowthJudgement, judge_growth
from harness.history import History, InMemoryHistory, type_counts
from harness.recorded_run import RecordedRun
from harness.records import Census, Retainer

# Verdicts that explain growth and are no leak.
_EXPLAINED = ("bounded", "declared", "retained-until-ttl", "framework-floor")
# Rates are exact fractions, stored as floats: they are equal below this difference.
_SAME = 1e-9
# Holders that keep their values only as long as another object holds the keys or the values.
_WEAK = (": weakref.WeakKeyDictionary", ": weakref.WeakValueDictionary")


def suspicious(first: Census, last: Census, requests: int) -> bool:
    """Return whether anything grew between two censuses besides what Gradio keeps of each session and request.

    A short run asks the app for retainers only if so, since that takes the app seconds.

    Args:
        first: first census of the process.
        last: last census of the same process.
        requests: requests between the two. A type with as many more objects may leak one per request.
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


def type_growth(experiment: Experiment, containers: Sequence[Growth], data: RecordedRun) -> list[Growth]:
    """Return the types that leak, each within the leaking container that holds its objects if there is one.

    Args:
        experiment: the run's measurements.
        containers: judgements on containers, worst first.
        data: the run, for its retainers and its baseline run.
    """
    holders = {r.target: r for r in data.retainers if r.of == "type"}
    baseline = _baseline(data)
    found = []
    for name in sorted(set(experiment.last.types) | set(experiment.start.types)):
        if "." not in name:  # built-in types: a dict may belong to anything
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
    """Return the evidence on the objects of a type; None unless they grow exactly and steadily, and stay.

    Args:
        name: name of the type.
        experiment: the run's measurements.
        baseline: those of the baseline run; None without one.
        containers: judgements on containers, worst first.
        held: what holds the objects; None if not recorded.
    """
    count = partial(_objects, name)
    requests = growth_with_requests(count, experiment)
    sessions = growth_with_sessions(count, experiment, requests)
    grows_with = _exact_growth(requests, sessions)
    if grows_with is None:
        return None
    floor = growth_with_sessions(count, baseline, None) if baseline is not None else None
    evidence = GrowthEvidence(
        path=name,
        kind=TYPE,
        owner="gradio" if name.startswith("gradio.") or _access_path(held).startswith("gradio.") else "app",
        grows_with=grows_with,
        requests=requests,
        sessions=sessions,
        baseline_rate=floor.rate if floor is not None else None,
    )
    unit = "request" if grows_with == "request" else "session that opened and closed"
    rate = float(evidence.steady_growth.rate) if evidence.steady_growth is not None else 0.0
    return msgspec.structs.replace(
        evidence,
        statement=f"Their number grew by exactly {rate:,.2f} per {unit} and never fell",
        holding=_holding(evidence, containers, held),
    )


def _exact_growth(requests: RequestGrowth | None, sessions: SessionGrowth | None) -> Unit | None:
    """What the number of objects grows with exactly, steadily and for good; None if with neither, or if it is declared."""
    rates: tuple[tuple[Unit, RequestGrowth | SessionGrowth | None], ...] = (
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
    """Whether a type is reported: it leaks (alone, or as its container does), or its holder is unknown. Its container covers the rest."""
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


def _baseline(data: RecordedRun) -> Experiment | None:
    """The experiment of the baseline run, if there was one."""
    if data.baseline is None:
        return None
    return experiment_of(
        msgspec.structs.replace(
            data,
            manifest=data.baseline.manifest,
            plateaus=data.baseline.plateaus,
            census=data.baseline.census,
            recorded=InMemoryHistory(History(operations=[], problems=[])),
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
    """The access path along a chain of holders; empty if the chain is unknown."""
    if held is None or not held.holders:
        return ""
    return "".join(step.partition(": ")[0] for step in held.holders[0].chain)


def _as_fast(evidence: GrowthEvidence, containers: Sequence[Growth]) -> Growth | None:
    """The first container that is no leak and gained as many entries, which may be these objects; None if there is none."""
    rate = float(evidence.steady_growth.rate) if evidence.steady_growth is not None else 0.0
    for g in containers:
        grew = g.per_request if evidence.leak == PER_REQUEST else g.per_session
        if g.verdict in _EXPLAINED and abs((grew or 0.0) - rate) < _SAME:
            return g
    return None
