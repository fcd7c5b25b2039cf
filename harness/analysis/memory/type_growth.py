"""What grew by type of object, where no container that was counted says it; and why what grew is still there.

A census of containers sees what can be reached from the user's modules and from Gradio. The collector's list of all objects sees
the rest, but only their types: a leak is what grows by the very same whole number with each request, or each session, whoever holds
it. How it is held, the retainers tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

import msgspec

from harness.analysis.data import RunData
from harness.analysis.memory.container_growth import (
    PER_REQUEST,
    PER_SESSION,
    TYPE,
    Growth,
    GrowthBasis,
    GrowthVerdict,
    OverRequests,
    OverSessions,
    growth_figures,
    inside,
    over_requests,
    over_sessions,
    rank,
)
from harness.analysis.memory.experiment import Experiment, Moment, experiment_of
from harness.records import Retainer

# What becomes of these is known, and it is no leak.
_KNOWN = ("bounded", "declared", "retained-until-ttl", "framework-floor")
_SAME = 1e-9
# These hold values only while somebody else holds the keys, or the values themselves.
_WEAK = (": weakref.WeakKeyDictionary", ": weakref.WeakValueDictionary")


def everything_grown(data: RunData) -> tuple[list[Growth], GrowthBasis]:
    """Judge all that grew, containers, the live heap and types: the worst first, each with how it is held; and what that rests on."""
    growth, basis = growth_figures(data)
    experiment = experiment_of(data)
    if experiment is not None and len(basis.not_judged) < 2:
        growth += type_growth(experiment, growth, data)
    return sorted(_explained(growth, data.retainers), key=rank), basis


def type_growth(experiment: Experiment, containers: Sequence[Growth], data: RunData) -> list[Growth]:
    """The types that leak, each within the container that holds them, if one of those leaks.

    Args:
        experiment: the plateaus of the run.
        containers: what is known of containers.
        data: the run, for its retainers and its control.
    """
    holders = {r.target: r for r in data.retainers if r.of == "type"}
    control = _control(data)
    found = []
    for name in sorted(set(experiment.last.types) | set(experiment.start.types)):
        if "." not in name:  # a dict may be anything
            continue
        count = partial(_objects, name)
        requests = over_requests(count, experiment)
        sessions = over_sessions(count, experiment, requests)
        verdict = _verdict(name, requests, sessions, control, holders.get(name))
        if verdict is None:
            continue
        if _is_accounted_for(verdict, requests, sessions, containers, holders.get(name)):
            continue
        around = _around(containers, holders.get(name))
        if around is not None and around.verdict != verdict:
            continue  # what becomes of them is known from the container
        holder = around.path if around is not None else _first_leak(verdict, containers, holders.get(name))
        by_request = verdict == PER_REQUEST
        rate = float(requests.rate if by_request and requests else sessions.rate if sessions else 0)
        more = (
            f"There were exactly {rate:,.2f} more with each "
            f"{'request' if by_request else 'session that came and went'}, and none of them went"
        )
        unasked = holder is None and name not in holders
        found.append(
            Growth(
                path=name,
                kind=TYPE,
                owner="gradio" if _is_gradios(name, holders.get(name)) else "app",
                # A container that is known to be bounded may be what holds them.
                verdict="inconclusive" if unasked else verdict,
                per_request=float(requests.rate) if requests else None,
                per_action=requests.action if requests else None,
                per_session=float(sessions.rate) if sessions else None,
                exact=True,
                length=experiment.last.types.get(name, 0),
                cap=None,
                pinned_bytes=(holders[name].pinned_bytes or 0) if name in holders else 0,
                within=holder,
                reason=(
                    f"They stand inside {holder}."
                    if holder is not None
                    else f"{more}; what holds them was not recorded."
                    if unasked
                    else f"{more}; no container of the app or of Gradio that was counted holds them."
                ),
            )
        )
    return found


def _objects(name: str, moment: Moment) -> int:
    return moment.types.get(name, 0)


def _control(data: RunData) -> Experiment | None:
    """The experiment of the state-free app, if there was one."""
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


def _verdict(
    name: str,
    requests: OverRequests | None,
    sessions: OverSessions | None,
    control: Experiment | None,
    held: Retainer | None,
) -> GrowthVerdict | None:
    if (
        requests is not None
        and requests.steady
        and requests.exact
        and requests.kept
        and requests.declared is None
    ):
        return PER_REQUEST
    if sessions is None or not (sessions.steady and sessions.exact and sessions.kept) or sessions.declared:
        return None
    floor = over_sessions(partial(_objects, name), control, None) if control is not None else None
    if floor is None:
        # Nobody knows what the framework keeps of each session, but that it has no objects of the app's own classes. And what
        # only a task or a thread holds may be about to end: Gradio's own wait for a heartbeat after their page has closed.
        if held is None or _is_gradios(name, held) or _is_under_way(held):
            return None
        return PER_SESSION
    return PER_SESSION if sessions.rate > floor.rate else None


def _path(held: Retainer) -> str:
    """The access path that a chain leads along."""
    return "".join(step.partition(": ")[0] for step in held.holders[0].chain) if held.holders else ""


def _is_under_way(held: Retainer) -> bool:
    """Whether a task or a thread holds it, and nothing else that was found sooner."""
    return bool(held.holders) and held.holders[0].chain[0].startswith(("task ", "thread "))


def _is_gradios(name: str, held: Retainer | None) -> bool:
    return name.startswith("gradio.") or (held is not None and _path(held).startswith("gradio."))


def _around(containers: Sequence[Growth], held: Retainer | None) -> Growth | None:
    """The outermost of the containers that grew too and hold these; None if there is none, or nobody knows."""
    if held is None:
        return None
    path = _path(held)
    around = [g for g in containers if path == g.path or inside(path, g.path)]
    return min(around, key=lambda g: len(g.path), default=None)


def _is_accounted_for(
    verdict: GrowthVerdict,
    requests: OverRequests | None,
    sessions: OverSessions | None,
    containers: Sequence[Growth],
    held: Retainer | None,
) -> bool:
    """Whether nobody knows what holds these, and a container that is no leak got as many entries: they may well be those."""
    if held is not None and held.holders:
        return False
    rate = (
        requests.rate
        if verdict == PER_REQUEST and requests
        else sessions.rate
        if sessions is not None
        else Fraction(0)
    )
    grew = [
        (g.per_request if verdict == PER_REQUEST else g.per_session)
        for g in containers
        if g.verdict in _KNOWN
    ]
    leaks = any(g.verdict == verdict for g in containers)
    return not leaks and any(abs((each or 0.0) - float(rate)) < _SAME for each in grew)


def _first_leak(verdict: GrowthVerdict, containers: Sequence[Growth], held: Retainer | None) -> str | None:
    """Where nobody knows what holds these, or only for as long as something else does: a container that leaks alike."""
    if (
        held is not None
        and held.holders
        and not any(kind in step for step in held.holders[0].chain for kind in _WEAK)
    ):
        return None
    return next((g.path for g in containers if g.verdict == verdict and g.within is None), None)


def _explained(growth: Sequence[Growth], retainers: Sequence[Retainer]) -> list[Growth]:
    """The same, each with how it is held, and with what exactly it pins."""
    known = {(r.target, r.of): r for r in retainers}
    found = []
    for g in growth:
        held = known.get((g.path, "type" if g.kind == TYPE else "container"))
        if held is not None and held.holders:
            g = msgspec.structs.replace(g, retainer_path=held.holders[0].chain)
            # A walk that ended early has seen some of it: that is a lower bound, as is what a census of nearer things found.
            if held.pinned_bytes is not None and (held.exact or held.pinned_bytes > g.pinned_bytes):
                g = _weighed(g, held.pinned_bytes, held.now)
        found.append(g)
    return found


def _weighed(growth: Growth, pinned_bytes: int, now: int) -> Growth:
    """The same, with what it was found to pin exactly; an entry more is taken to be like those that are there."""
    each = pinned_bytes / now if now else 0.0
    leaks = growth.verdict in (PER_REQUEST, PER_SESSION) and growth.within is None
    by_request = growth.bytes_per_request if growth.per_request is None else each * growth.per_request
    by_session = growth.bytes_per_session if growth.per_session is None else each * growth.per_session
    return msgspec.structs.replace(
        growth,
        pinned_bytes=pinned_bytes,
        bytes_per_request=by_request if leaks else growth.bytes_per_request,
        bytes_per_session=by_session if leaks else growth.bytes_per_session,
    )
