"""Rules that judge memory: each a small function from evidence to a judgement, or None where it does not apply.

Two ordered lists, of which the first rule that applies decides: `GROWTH_RULES` judge one thing that grew (a container, the objects of
a type, or bytes that no container accounts for), `VERDICT_RULES` the memory of the whole run. To add a rule, write it here, put it
into its list, and give it a test in `tests/unit/analysis/memory/test_rules.py`. What the rules mean: docs/methods/memory.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.analysis.memory.gradio_containers import SESSION_DATA, gradio_container
from harness.analysis.memory.growth import (
    BYTES,
    LIVE_HEAP,
    PER_REQUEST,
    PER_SESSION,
    TYPE,
    Growth,
    GrowthVerdict,
)
from harness.analysis.memory.growth_evidence import GrowthEvidence, OverRequests, statement
from harness.analysis.memory.session_cost import MemoryVerdict
from harness.analysis.memory.verdict_evidence import VerdictEvidence

# --- one thing that grew ---

# Containers to which entries are only added unless the app takes care. In others, growth by less than one entry per request is
# also what a cache shows whose keys repeat.
APPENDED = {"list", "deque", "bytearray", "BytesIO", "StringIO", "ndarray", "bytes", "str", "array"}


class GrowthJudgement(NamedTuple):
    """The verdict on one thing that grew.

    Attributes:
        reason: why, in one sentence.
        within: the container whose verdict this is, if it is shared.
    """

    verdict: GrowthVerdict
    reason: str
    within: str | None = None


def known_gradio_container(e: GrowthEvidence) -> GrowthJudgement | None:
    """It is a container of Gradio's own, of which it is known how long it keeps its entries."""
    known = gradio_container(e.path)
    return None if known is None else GrowthJudgement(known.verdict, known.reason)


def known_capacity(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grows steadily, and cannot hold more than a known number of entries."""
    steady = (e.requests is not None and e.requests.steady) or (e.sessions is not None and e.sessions.steady)
    if e.cap is None or not steady:
        return None
    return GrowthJudgement("bounded", f"It may hold {e.cap:,} entries at most.")


def lost_from_sight(e: GrowthEvidence) -> GrowthJudgement | None:
    """The census no longer came to it at the end."""
    if e.lost_among is None:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"It grew to {e.longest:,}, and what became of it is not known: the app came to hold more objects than a census looks into "
        f"({e.lost_among:,} then).",
    )


def framework_keeps(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grows with sessions, and Gradio keeps as much of any session."""
    if e.grows_with != "session" or e.sessions is None:
        return None
    if e.baseline_rate is not None:
        if e.sessions.rate > e.baseline_rate:
            return None
        return GrowthJudgement("framework-floor", f"{e.statement}; of the baseline app no fewer are kept.")
    if e.owner != "gradio":
        return None
    return GrowthJudgement(
        "framework-floor", f"{e.statement}: Gradio's own, whatever the app does with its sessions."
    )


def framework_may_keep(e: GrowthEvidence) -> GrowthJudgement | None:
    """Without a baseline run, objects count as Gradio's own if their holder is unknown, or is a task or thread that may be about to end."""
    if e.grows_with != "session" or e.holding is None or e.baseline_rate is not None:
        return None
    if e.holding.recorded and not e.holding.temporary:
        return None
    return GrowthJudgement(
        "framework-floor", f"{e.statement}; without a baseline run, they may be Gradio's own."
    )


def declared_to_stay(e: GrowthEvidence) -> GrowthJudgement | None:
    """The workload adds as many entries to a variable that is meant to outlive sessions."""
    if e.rates is None or e.rates.declared is None:
        return None
    return GrowthJudgement(
        "declared",
        f"{e.statement}: as many as the workload adds to {e.rates.declared}, which is meant to stay.",
    )


def not_counted_after_close(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with requests, and was not counted when all sessions had closed."""
    requests = _with_requests(e)
    if requests is None or requests.kept is not None:
        return None
    return GrowthJudgement(
        "inconclusive", f"{e.statement}; nobody saw what became of it when all sessions had closed."
    )


def gone_after_close(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with requests, and some of that went when sessions closed."""
    requests = _with_requests(e)
    if requests is None or requests.kept or not requests.went:
        return None
    return GrowthJudgement(
        "transient", f"{e.statement}, but {requests.went:,} were gone when all sessions had closed."
    )


def gone_later(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with requests, and some of that went some time after sessions had closed."""
    requests = _with_requests(e)
    if requests is None or not requests.later:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{e.statement}, but {requests.later:,} were gone some time after all sessions had closed: it may be work that is still to be "
        "done, or a leak among it. A longer run tells.",
    )


def stopped_under_load(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with the batches of requests, and not with those of the timed phase."""
    requests = _with_requests(e)
    if requests is None or requests.kept:
        return None
    return GrowthJudgement("bounded", f"{e.statement} at first, and then stopped: {_never_more_than(e)}")


def repeated_keys(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew by less than one entry per request or session, as a cache does that meets some keys again."""
    if e.rates is None or e.rates.exact or e.rates.rate >= 1 or e.kind in APPENDED:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{e.statement}, which may be a leak, or a cache whose keys repeat and that is not full yet. A longer run tells.",
    )


def entries_of_a_container(e: GrowthEvidence) -> GrowthJudgement | None:
    """What holds the objects is unknown, and a container that is no leak got as many entries."""
    outer = e.holding.same_rate if e.holding is not None and e.grows_with else None
    if outer is None:
        return None
    return GrowthJudgement(outer.verdict, f"{outer.path} got as many entries.", outer.path)


def held_by_a_container(e: GrowthEvidence) -> GrowthJudgement | None:
    """The objects stand in a container that has been judged, or their holder is unknown and a container leaks alike."""
    if e.holding is None or e.leak is None:
        return None
    outer = e.holding.container or e.holding.leaking
    return (
        None
        if outer is None
        else GrowthJudgement(outer.verdict, f"They stand inside {outer.path}.", outer.path)
    )


def holder_not_recorded(e: GrowthEvidence) -> GrowthJudgement | None:
    """The app was not asked what holds the objects: it may be a container that is known to be bounded."""
    if e.holding is None or e.leak is None or e.holding.recorded:
        return None
    return GrowthJudgement("inconclusive", f"{e.statement}; what holds them was not recorded.")


def held_outside_containers(e: GrowthEvidence) -> GrowthJudgement | None:
    """The objects of a type grow steadily and are kept, and no container that was counted holds them."""
    if e.kind != TYPE or e.leak is None:
        return None
    return GrowthJudgement(
        e.leak, f"{e.statement}; no container of the app or of Gradio that was counted holds them."
    )


def opaque_objects(e: GrowthEvidence) -> GrowthJudgement | None:
    """Bytes that no container accounts for may be held by objects of extension modules, which became more too."""
    if e.path != LIVE_HEAP or not e.opaque:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{e.statement}; objects of extension modules, which cannot be looked into, became more too.",
    )


def held_outside_python(e: GrowthEvidence) -> GrowthJudgement | None:
    """Bytes that no container accounts for grow steadily and are kept."""
    if e.path != LIVE_HEAP or e.leak is None:
        return None
    return GrowthJudgement(e.leak, f"{e.statement}: it is held outside of Python, or in a library.")


def kept_for_each_request(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew in every batch of requests and on under load, and nothing went when sessions closed."""
    if e.grows_with != "request":
        return None
    return GrowthJudgement(
        PER_REQUEST, f"{e.statement}, went on under load, and nothing went when all sessions had closed."
    )


def kept_for_each_session(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew in every round of sessions, and what the first sessions had added was kept."""
    if e.grows_with != "session":
        return None
    return GrowthJudgement(PER_SESSION, f"{e.statement}, and what earlier ones had added was kept.")


def grew_now_and_then(e: GrowthEvidence) -> GrowthJudgement | None:
    """A list grew in some batches only, as fast under load, and nothing of it went."""
    if e.requests is None or e.kind not in APPENDED or not e.requests.now_and_then:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{statement(e.kind, e.requests.rate, 'request', exact=False)}, though not in every batch, about as fast under load, and nothing "
        "of it went: it may be a leak of what happens now and then. A longer run tells.",
    )


def back_after_close(e: GrowthEvidence) -> GrowthJudgement | None:
    """It is no longer than at first when all sessions have closed."""
    if e.after_close is None or e.after_close > e.start:
        return None
    return GrowthJudgement("transient", "It was back at its first length when all sessions had closed.")


def stopped_growing(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with neither requests nor sessions, in the end."""
    return GrowthJudgement("bounded", _never_more_than(e))


def _with_requests(e: GrowthEvidence) -> OverRequests | None:
    return e.requests if e.grows_with == "request" else None


def _never_more_than(e: GrowthEvidence) -> str:
    return f"It grew, and did not go on growing with requests or sessions: it never held more than {e.longest:,}."


GROWTH_RULES: tuple[Callable[[GrowthEvidence], GrowthJudgement | None], ...] = (
    known_gradio_container,
    known_capacity,
    lost_from_sight,
    framework_keeps,
    framework_may_keep,
    declared_to_stay,
    not_counted_after_close,
    gone_after_close,
    gone_later,
    stopped_under_load,
    repeated_keys,
    entries_of_a_container,
    held_by_a_container,
    holder_not_recorded,
    held_outside_containers,
    opaque_objects,
    held_outside_python,
    kept_for_each_request,
    kept_for_each_session,
    grew_now_and_then,
    back_after_close,
    stopped_growing,
)


def judge_growth(evidence: GrowthEvidence) -> GrowthJudgement:
    """Return what the first growth rule that applies says; the last one always applies."""
    return next(found for rule in GROWTH_RULES if (found := rule(evidence)) is not None)


# --- the memory of the run ---


class MemoryJudgement(NamedTuple):
    """The verdict on the memory of a run.

    Attributes:
        reason: why, in one sentence.
        next_step: the command that decides it, where it is inconclusive.
    """

    verdict: MemoryVerdict
    reason: str
    next_step: str | None = None


# What a closed session leaves behind is reported from here on; tables of Gradio's own grow in leaps of a few KB.
KEPT_BYTES = 4096
# Without a baseline run, Gradio's share of that is unknown: a page of 200 components costs it 350 KB. Above this it is not Gradio's.
UNKNOWN_FLOOR_BYTES = 1_000_000


def proven_leak(e: VerdictEvidence) -> MemoryJudgement | None:
    """Something is a leak; those with requests come first."""
    for verdict, unit in ((PER_REQUEST, "request"), (PER_SESSION, "session")):
        leaks = [g for g in e.growth if g.verdict == verdict]
        if leaks:
            return MemoryJudgement(verdict, _leak_sentence(leaks, unit))
    return None


def nothing_judged(e: VerdictEvidence) -> MemoryJudgement | None:
    """Neither growth with requests nor growth with sessions could be judged."""
    if len(e.basis.not_judged) < 2:
        return None
    return MemoryJudgement(
        "inconclusive",
        " ".join(dict.fromkeys(_why(reason) for reason in e.basis.not_judged.values())),
        None if e.basis.not_applicable else _next(e, "staircase"),
    )


def doubtful_growth(e: VerdictEvidence) -> MemoryJudgement | None:
    """Something that grew may be a leak."""
    first = next((g for g in e.growth if g.verdict == "inconclusive"), None)
    if first is None:
        return None
    return MemoryJudgement(
        "inconclusive",
        f"{first.path} may leak, or not: {first.reason[:1].lower()}{first.reason[1:]}",
        _next(e, "soak"),
    )


def state_until_ttl(e: VerdictEvidence) -> MemoryJudgement | None:
    """A closed session keeps more than Gradio's own, and its State is still there, waiting to expire."""
    if e.kept_per_session <= KEPT_BYTES or e.states_kept is None:
        return None
    states, ttl_s = e.states_kept
    return MemoryJudgement(
        "retained-until-ttl",
        f"A closed session keeps {_size(e.kept_per_session)} beyond the framework's own: its State, which Gradio lets go of {ttl_s:,.0f} s "
        f"after it was written last; {states:,} values were still there.",
    )


def in_gradio_accounts(e: VerdictEvidence) -> MemoryJudgement | None:
    """A closed session keeps more than Gradio's own, in Gradio's account of it, which is kept of a limited number of sessions."""
    if e.kept_per_session <= KEPT_BYTES or e.not_in_accounts > KEPT_BYTES:
        return None
    capacity = e.limits.state_session_capacity
    bound = f" of at most {capacity:,} sessions" if capacity is not None else ""
    return MemoryJudgement(
        "bounded",
        f"A closed session leaves {_size(e.kept_per_session)} behind beyond the framework's own, in {SESSION_DATA}: what its page held last, "
        f"which Gradio keeps{bound}.",
    )


def unexplained_after_close(e: VerdictEvidence) -> MemoryJudgement | None:
    """A closed session keeps more than Gradio's own, and nothing explains it."""
    if e.kept_per_session <= KEPT_BYTES:
        return None
    return MemoryJudgement(
        "inconclusive",
        f"A closed session leaves {_size(e.kept_per_session)} behind beyond the framework's own, and no container that was counted grew with it.",
        f"{_next(e, 'soak')} --memray",
    )


def counted_state_until_ttl(e: VerdictEvidence) -> MemoryJudgement | None:
    """Gradio's share is unknown, but State was counted, and is still there, waiting to expire."""
    state = e.memory.state_bytes_per_session or 0.0
    if e.floor_is_known or e.states_kept is None or state <= KEPT_BYTES:
        return None
    states, ttl_s = e.states_kept
    return MemoryJudgement(
        "retained-until-ttl",
        f"Gradio keeps the State of a closed session, {_size(state)}, until {ttl_s:,.0f} s after it was written last; {states:,} values "
        "were still there.",
    )


def more_than_any_framework(e: VerdictEvidence) -> MemoryJudgement | None:
    """Gradio's share is unknown, and a closed session keeps more than that can be."""
    left = e.memory.bytes_per_closed_session.live
    if e.floor_is_known or left is None or left.low <= UNKNOWN_FLOOR_BYTES:
        return None
    return MemoryJudgement(
        "inconclusive",
        f"A closed session leaves {_size(left.estimate)} behind, and no container that was counted grew with it; how much of that is "
        "the framework's own is not known.",
        _next(e, "staircase"),
    )


def growth_beyond_the_heap(e: VerdictEvidence) -> MemoryJudgement | None:
    """Resident memory grows with requests, and the live heap does not."""
    beyond = e.beyond_heap_per_request
    if beyond is None:
        return None
    return MemoryJudgement(
        "inconclusive",
        f"Resident memory grew by {_size(beyond)} per request beyond the live heap, in every batch and on under load: memory of "
        "child processes, or of a library that does not allocate with malloc.",
        _next(e, "soak"),
    )


def kept_by_allocators(e: VerdictEvidence) -> MemoryJudgement | None:
    """The objects went, and their memory did not."""
    retained = e.allocator_retention
    if retained is None:
        return None
    return MemoryJudgement(
        "allocator-retention",
        f"The app's objects went, but not its memory: when all sessions had closed, {_size(retained)} were resident that no object "
        "used, and the allocator had not given back.",
    )


def bounded_by_capacity(e: VerdictEvidence) -> MemoryJudgement | None:
    """What grew cannot grow beyond a known number of entries."""
    bounded = [g for g in e.growth if g.verdict == "bounded" and g.cap is not None]
    if not bounded:
        return None
    named = ", ".join(f"{g.path} (at most {g.cap:,})" for g in bounded[:3])
    return MemoryJudgement("bounded", f"What grew has a bound: {named}.")


def half_judged(e: VerdictEvidence) -> MemoryJudgement | None:
    """Growth with requests, or growth with sessions, could not be judged."""
    if not e.basis.not_judged:
        return None
    name, why = next(iter(e.basis.not_judged.items()))
    return MemoryJudgement(
        "inconclusive",
        f"Whether there is a {name.replace('-', ' ')} is not known. {_why(why)}",
        _next(e, "staircase"),
    )


def app_stopped_growing(e: VerdictEvidence) -> MemoryJudgement | None:
    """Something of the app's own grew, and stopped."""
    stopped = [g for g in e.growth if g.verdict == "bounded" and g.owner == "app"]
    if not stopped:
        return None
    return MemoryJudgement("bounded", f"What grew stopped growing: {', '.join(g.path for g in stopped[:3])}.")


def nothing_grew(e: VerdictEvidence) -> MemoryJudgement | None:
    """Nothing grew but what Gradio itself keeps."""
    return MemoryJudgement(
        "flat",
        f"Nothing grew with {e.basis.requests:,} requests or {e.basis.sessions:,} sessions that came and went, but what Gradio itself keeps "
        "of them.",
    )


VERDICT_RULES: tuple[Callable[[VerdictEvidence], MemoryJudgement | None], ...] = (
    proven_leak,
    nothing_judged,
    doubtful_growth,
    state_until_ttl,
    in_gradio_accounts,
    unexplained_after_close,
    counted_state_until_ttl,
    more_than_any_framework,
    growth_beyond_the_heap,
    kept_by_allocators,
    bounded_by_capacity,
    half_judged,
    app_stopped_growing,
    nothing_grew,
)


def judge_memory(evidence: VerdictEvidence) -> MemoryJudgement:
    """Return what the first verdict rule that applies says; the last one always applies."""
    return next(found for rule in VERDICT_RULES if (found := rule(evidence)) is not None)


def _next(e: VerdictEvidence, profile: str) -> str:
    return f"gradsoak run {e.scenario} --profile {profile}"


def _why(reason: str) -> str:
    """The reason of a check that does not apply, without that statement."""
    return reason.removeprefix("Does not apply: ")


def _leak_sentence(leaks: Sequence[Growth], unit: str) -> str:
    first = leaks[0]
    rate = first.per_request if unit == "request" else first.per_session
    pins = first.bytes_per_request if unit == "request" else first.bytes_per_session
    what = "objects" if first.kind == TYPE else "bytes" if first.kind in BYTES else "entries"
    bytes_text = f", {_size(max(0.0, pins))} each time," if pins else ""
    more = f" And {len(leaks) - 1} more." if len(leaks) > 1 else ""
    action = f"`{first.per_action}`" if unit == "request" and first.per_action else unit
    return f"{first.path} grows by {rate or 0:,.2f} {what} per {action}{bytes_text} and nothing of it is let go.{more}"


def _size(value: float) -> str:
    """Bytes for a sentence, to three digits."""
    for unit in ("B", "KB", "MB"):
        if abs(value) < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
