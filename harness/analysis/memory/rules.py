"""Rules that judge memory: each is a small function that returns a judgement, or None if it does not apply.

There are two ordered lists; in each, the first rule that applies decides. `GROWTH_RULES` judge one thing that grew: a container,
the objects of a type, or live bytes that no container accounts for. `VERDICT_RULES` judge the memory of the whole run.

To add a rule, write it here, put it into its list, and add its case to `tests/unit/analysis/memory/test_rules.py`. The rules in
words: docs/methods/memory.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness import units
from harness.analysis.memory.gradio_containers import SESSION_DATA, gradio_container
from harness.analysis.memory.growth_evidence import GrowthEvidence, RequestGrowth, statement
from harness.analysis.memory.growth_records import (
    BYTES,
    LIVE_HEAP,
    PER_REQUEST,
    PER_SESSION,
    TYPE,
    Growth,
    GrowthVerdict,
)
from harness.analysis.memory.session_cost import MemoryVerdict
from harness.analysis.memory.verdict_evidence import VerdictEvidence

# --- one thing that grew ---

# Kinds of containers that only gain entries unless the app removes some. In other kinds, growth by less than one entry per
# request or session can also come from a cache whose keys repeat.
APPENDED = {"list", "deque", "bytearray", "BytesIO", "StringIO", "ndarray", "bytes", "str", "array"}


class GrowthJudgement(NamedTuple):
    """The verdict on one thing that grew.

    Attributes:
        verdict: see `Growth.verdict`.
        reason: the reason for it, one sentence.
        within: access path of the container around it whose verdict it shares; None if the verdict is its own.
    """

    verdict: GrowthVerdict
    reason: str
    within: str | None = None


def known_gradio_container(e: GrowthEvidence) -> GrowthJudgement | None:
    """It is a Gradio container whose retention is known."""
    known = gradio_container(e.path)
    return None if known is None else GrowthJudgement(known.verdict, known.reason)


def known_capacity(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grows steadily, but cannot hold more than a known number of entries."""
    steady = (e.requests is not None and e.requests.steady) or (e.sessions is not None and e.sessions.steady)
    if e.cap is None or not steady:
        return None
    return GrowthJudgement("bounded", f"It can hold at most {e.cap:,} entries.")


def lost_from_sight(e: GrowthEvidence) -> GrowthJudgement | None:
    """The census no longer reached it at the end."""
    if e.lost_among is None:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"It grew to {e.longest:,}. At the end the census stopped before reaching it, after {e.lost_among:,} objects, so its last "
        "length is unknown.",
    )


def framework_keeps(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grows with sessions, and Gradio keeps as much for any session."""
    if e.grows_with != "session" or e.sessions is None:
        return None
    if e.baseline_rate is not None:
        if e.sessions.rate > e.baseline_rate:
            return None
        return GrowthJudgement(
            "framework-floor", f"{e.statement}. The baseline app also keeps at least as many."
        )
    if e.owner != "gradio":
        return None
    return GrowthJudgement("framework-floor", f"{e.statement}. It is Gradio's own and grows in any app.")


def framework_may_keep(e: GrowthEvidence) -> GrowthJudgement | None:
    """No baseline run, and the holder of the objects is unknown or may be about to end: they count as Gradio's own."""
    if e.grows_with != "session" or e.holding is None or e.baseline_rate is not None:
        return None
    if e.holding.recorded and not e.holding.temporary:
        return None
    return GrowthJudgement(
        "framework-floor",
        f"{e.statement}. They may be Gradio's own: there was no baseline run that could show it.",
    )


def declared_to_stay(e: GrowthEvidence) -> GrowthJudgement | None:
    """The workload adds exactly as many entries to a variable that outlives sessions."""
    growth = e.steady_growth
    if growth is None or growth.declared is None:
        return None
    return GrowthJudgement(
        "declared",
        f"{e.statement}. This is exactly what the workload adds to {growth.declared}, which outlives sessions by declaration.",
    )


def not_counted_after_close(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with requests, and was not counted after all sessions had closed."""
    requests = _with_requests(e)
    if requests is None or requests.kept is not None:
        return None
    return GrowthJudgement(
        "inconclusive", f"{e.statement}, but it was not counted after all sessions had closed."
    )


def gone_after_close(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with requests, and shrank when the sessions closed."""
    requests = _with_requests(e)
    if requests is None or requests.kept or not requests.gone_after_close:
        return None
    return GrowthJudgement(
        "transient",
        f"{e.statement}, but {requests.gone_after_close:,} were gone after all sessions had closed.",
    )


def gone_later(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew with requests, and shrank some time after the sessions had closed."""
    requests = _with_requests(e)
    if requests is None or not requests.gone_later:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{e.statement}. Of these, {requests.gone_later:,} were gone some time after all sessions had closed. This may be pending work, a leak "
        "or both. A longer run decides.",
    )


def stopped_under_load(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew over the batches of requests, but not with the requests of the timed phase."""
    requests = _with_requests(e)
    if requests is None or requests.kept:
        return None
    return GrowthJudgement(
        "bounded", f"{e.statement} at first, and then stopped growing. It never held more than {e.longest:,}."
    )


def repeated_keys(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew by less than one entry per request or session, as a cache with repeating keys does."""
    growth = e.steady_growth
    if growth is None or growth.exact or growth.rate >= 1 or e.kind in APPENDED:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{e.statement}. This may be a leak, or a cache with repeating keys that is not full yet. A longer run decides.",
    )


def entries_of_a_container(e: GrowthEvidence) -> GrowthJudgement | None:
    """The holder of the objects is unknown, and a container that is no leak gained as many entries."""
    outer = e.holding.same_rate if e.holding is not None and e.grows_with else None
    if outer is None:
        return None
    return GrowthJudgement(outer.verdict, f"{outer.path} gained as many entries.", outer.path)


def held_by_a_container(e: GrowthEvidence) -> GrowthJudgement | None:
    """A container that has been judged holds the objects; or their holder is unknown, and a container has the same leak."""
    if e.holding is None or e.leak is None:
        return None
    outer = e.holding.container or e.holding.leaking
    return (
        None
        if outer is None
        else GrowthJudgement(outer.verdict, f"These objects are inside {outer.path}.", outer.path)
    )


def holder_not_recorded(e: GrowthEvidence) -> GrowthJudgement | None:
    """The probe did not search for the holder of the objects, which may be a bounded container."""
    if e.holding is None or e.leak is None or e.holding.recorded:
        return None
    return GrowthJudgement("inconclusive", f"{e.statement}. What refers to them was not recorded.")


def held_outside_containers(e: GrowthEvidence) -> GrowthJudgement | None:
    """The objects of a type grow steadily and stay, and no counted container holds them."""
    if e.kind != TYPE or e.leak is None:
        return None
    return GrowthJudgement(
        e.leak, f"{e.statement}. None of the counted containers of the app or of Gradio holds them."
    )


def opaque_objects(e: GrowthEvidence) -> GrowthJudgement | None:
    """Unnamed live bytes grow steadily, and objects of extension modules, which may hold them, increased too."""
    if e.path != LIVE_HEAP or not e.opaque:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{e.statement}. Objects of extension modules, which the census cannot open, increased too.",
    )


def held_outside_python(e: GrowthEvidence) -> GrowthJudgement | None:
    """Unnamed live bytes grow steadily and stay."""
    if e.path != LIVE_HEAP or e.leak is None:
        return None
    return GrowthJudgement(e.leak, f"{e.statement}. The bytes are held outside Python, or in a library.")


def kept_for_each_request(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew in every batch and under load, and did not shrink when the sessions closed."""
    if e.grows_with != "request":
        return None
    return GrowthJudgement(
        PER_REQUEST,
        f"{e.statement}, kept growing under load, and did not shrink after all sessions had closed.",
    )


def kept_for_each_session(e: GrowthEvidence) -> GrowthJudgement | None:
    """It grew in every round of sessions, and what the first sessions had added was still there."""
    if e.grows_with != "session":
        return None
    return GrowthJudgement(
        PER_SESSION, f"{e.statement}, and the entries of earlier sessions were still there."
    )


def grew_occasionally(e: GrowthEvidence) -> GrowthJudgement | None:
    """A list grew in some batches and at the same rate under load, and never shrank."""
    if e.requests is None or e.kind not in APPENDED or not e.requests.occasional:
        return None
    return GrowthJudgement(
        "inconclusive",
        f"{statement(e.kind, e.requests.rate, 'request', exact=False)}. It did not grow in every batch, but under load it grew about as "
        "fast, and it never shrank. This may be a leak in something that happens occasionally. A longer run decides.",
    )


def back_after_close(e: GrowthEvidence) -> GrowthJudgement | None:
    """It is no longer than at plateau 0 after all sessions have closed."""
    if e.after_close is None or e.after_close > e.start:
        return None
    return GrowthJudgement("transient", "It was back at its initial length after all sessions had closed.")


def stopped_growing(e: GrowthEvidence) -> GrowthJudgement | None:
    """It does not grow steadily with requests or with sessions."""
    return GrowthJudgement(
        "bounded",
        f"It grew, but not steadily with requests or with sessions. It never held more than {e.longest:,}.",
    )


def _with_requests(e: GrowthEvidence) -> RequestGrowth | None:
    return e.requests if e.grows_with == "request" else None


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
    grew_occasionally,
    back_after_close,
    stopped_growing,
)


def judge_growth(evidence: GrowthEvidence) -> GrowthJudgement:
    """Return the judgement of the first growth rule that applies; the last rule always applies."""
    return next(found for rule in GROWTH_RULES if (found := rule(evidence)) is not None)


# --- the memory of the run ---


class MemoryJudgement(NamedTuple):
    """The verdict on the memory of a run.

    Attributes:
        verdict: see `MemoryFigures.verdict`.
        reason: the reason for it, in a sentence or two.
        next_step: the command that decides an inconclusive verdict; None if there is none.
    """

    verdict: MemoryVerdict
    reason: str
    next_step: str | None = None


# What a closed session leaves behind is reported from here on: Gradio's own tables grow in steps of a few KB.
KEPT_BYTES = 4096
# Without a baseline run, Gradio's share of what a closed session leaves behind is unknown. A page of 200 components costs
# Gradio 350 KB; more than this cannot be Gradio's alone.
UNKNOWN_FLOOR_BYTES = 1_000_000


def proven_leak(e: VerdictEvidence) -> MemoryJudgement | None:
    """Something leaks; leaks per request come before leaks per session."""
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
        f"{first.path} may be a leak. {first.reason}",
        _next(e, "soak"),
    )


def state_until_ttl(e: VerdictEvidence) -> MemoryJudgement | None:
    """A closed session keeps more than Gradio's own share, and its State has not expired yet."""
    if e.kept_per_session <= KEPT_BYTES or e.states_kept is None:
        return None
    states, ttl_s = e.states_kept
    return MemoryJudgement(
        "retained-until-ttl",
        f"A closed session keeps {units.byte_size(e.kept_per_session)} beyond Gradio's own share: its State, which Gradio frees "
        f"{ttl_s:,.0f} s after the last write. {states:,} values were still there.",
    )


def in_gradio_accounts(e: VerdictEvidence) -> MemoryJudgement | None:
    """A closed session keeps more than Gradio's own share, in accounts that Gradio keeps for a limited number of sessions."""
    if e.kept_per_session <= KEPT_BYTES or e.not_in_accounts > KEPT_BYTES:
        return None
    capacity = e.limits.state_session_capacity
    bound = f" for at most {capacity:,} sessions" if capacity is not None else ""
    return MemoryJudgement(
        "bounded",
        f"A closed session leaves {units.byte_size(e.kept_per_session)} beyond Gradio's own share in {SESSION_DATA}: the last values of its "
        f"page, which Gradio keeps{bound}.",
    )


def unexplained_after_close(e: VerdictEvidence) -> MemoryJudgement | None:
    """A closed session keeps more than Gradio's own share, and nothing explains it."""
    if e.kept_per_session <= KEPT_BYTES:
        return None
    return MemoryJudgement(
        "inconclusive",
        f"A closed session leaves {units.byte_size(e.kept_per_session)} beyond Gradio's own share, and no container that was counted grew "
        "with it.",
        f"{_next(e, 'soak')} --memray",
    )


def counted_state_until_ttl(e: VerdictEvidence) -> MemoryJudgement | None:
    """Gradio's own share is unknown, but State was counted, and has not expired yet."""
    state = e.memory.state_bytes_per_session or 0.0
    if e.floor_is_known or e.states_kept is None or state <= KEPT_BYTES:
        return None
    states, ttl_s = e.states_kept
    return MemoryJudgement(
        "retained-until-ttl",
        f"Gradio keeps the State of a closed session, {units.byte_size(state)}, until {ttl_s:,.0f} s after the last write. {states:,} values "
        "were still there.",
    )


def more_than_any_framework(e: VerdictEvidence) -> MemoryJudgement | None:
    """Gradio's own share is unknown, and a closed session keeps more than that share can be."""
    left = e.memory.bytes_per_closed_session.live
    if e.floor_is_known or left is None or left.low <= UNKNOWN_FLOOR_BYTES:
        return None
    return MemoryJudgement(
        "inconclusive",
        f"A closed session leaves {units.byte_size(left.estimate)}, and no container that was counted grew with it. Gradio's own share of "
        "this is unknown.",
        _next(e, "staircase"),
    )


def growth_beyond_the_heap(e: VerdictEvidence) -> MemoryJudgement | None:
    """Resident memory grows with requests, and the live heap does not."""
    beyond = e.beyond_heap_per_request
    if beyond is None:
        return None
    return MemoryJudgement(
        "inconclusive",
        f"Resident memory beyond the live heap grew by {units.byte_size(beyond)} per request, in every batch and under load. It may belong "
        "to child processes, or to a library that does not use malloc.",
        _next(e, "soak"),
    )


def kept_by_allocators(e: VerdictEvidence) -> MemoryJudgement | None:
    """The app released its objects, and the allocator kept their memory."""
    retained = e.allocator_retention
    if retained is None:
        return None
    return MemoryJudgement(
        "allocator-retention",
        f"The app freed its objects. After all sessions had closed, {units.byte_size(retained)} of free memory stayed resident, because the "
        "allocator did not return it to the system.",
    )


def bounded_by_capacity(e: VerdictEvidence) -> MemoryJudgement | None:
    """What grew has a known limit."""
    bounded = [g for g in e.growth if g.verdict == "bounded" and g.cap is not None]
    if not bounded:
        return None
    named = ", ".join(f"{g.path} (at most {g.cap:,})" for g in bounded[:3])
    return MemoryJudgement("bounded", f"Containers that grew have a limit: {named}.")


def half_judged(e: VerdictEvidence) -> MemoryJudgement | None:
    """Growth with requests, or growth with sessions, could not be judged."""
    if not e.basis.not_judged:
        return None
    name, why = next(iter(e.basis.not_judged.items()))
    return MemoryJudgement(
        "inconclusive",
        f"Whether there is a {name.replace('-', ' ')} is unknown. {_why(why)}",
        _next(e, "staircase"),
    )


def app_stopped_growing(e: VerdictEvidence) -> MemoryJudgement | None:
    """A container of the app grew, and stopped."""
    stopped = [g for g in e.growth if g.verdict == "bounded" and g.owner == "app"]
    if not stopped:
        return None
    return MemoryJudgement(
        "bounded", f"Containers that grew have stopped growing: {', '.join(g.path for g in stopped[:3])}."
    )


def nothing_grew(e: VerdictEvidence) -> MemoryJudgement | None:
    """Nothing grew but what Gradio itself keeps."""
    return MemoryJudgement(
        "flat",
        f"Apart from Gradio's own share, nothing grew over {e.basis.requests:,} requests and {e.basis.sessions:,} sessions that opened and "
        "closed.",
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
    """Return the judgement of the first verdict rule that applies; the last rule always applies."""
    return next(found for rule in VERDICT_RULES if (found := rule(evidence)) is not None)


def _next(e: VerdictEvidence, profile: str) -> str:
    return f"gradsoak run {e.scenario} --profile {profile}"


def _why(reason: str) -> str:
    """The reason alone, of a check that does not apply."""
    return reason.removeprefix("Does not apply: ")


def _leak_sentence(leaks: Sequence[Growth], unit: str) -> str:
    first = leaks[0]
    rate = first.per_request if unit == "request" else first.per_session
    pins = first.bytes_per_request if unit == "request" else first.bytes_per_session
    what = "objects" if first.kind == TYPE else "bytes" if first.kind in BYTES else "entries"
    size = f" ({units.byte_size(max(0.0, pins))})" if pins and first.kind not in BYTES else ""
    more = f" {units.plural(len(leaks) - 1, 'more leak')}." if len(leaks) > 1 else ""
    action = f"`{first.per_action}`" if unit == "request" and first.per_action else unit
    return f"{first.path} grows by {rate or 0:,.2f} {what}{size} per {action}, and no memory is freed.{more}"
