"""What grew, and why: with each request, with each session, up to a bound, or only while sessions lasted.

The experiment varies one thing at a time. Batches of requests in sessions that are held show what a request leaves behind;
sessions that come and go, after all others have closed, show what a session does. Between the two lies the timed phase, with
many more requests than the batches: what is a leak has gone on growing there, what is a cache that was filling has stopped.
Counts are exact, so `+1 per request` is a statement and no estimate. See docs/methods/memory.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import msgspec

from harness.analysis.data import RunData
from harness.analysis.memory.experiment import (
    USERS_OF,
    Experiment,
    Moment,
    declared_by,
    exactly,
    experiment_of,
    goes_on,
    live_line,
    steps,
)
from harness.analysis.theil_sen import Line
from harness.records import (
    Container,
)

PER_REQUEST: Literal["leak-per-request"] = "leak-per-request"
PER_SESSION: Literal["leak-per-session"] = "leak-per-session"

# With fewer batches nobody can tell growth that goes on from growth that has stopped.
MIN_BATCHES = 5
MIN_ROUNDS = 3
# Of the growth that the batches foretell for the timed phase, so much must have come.
CAME = 0.5
# What grows now and then is worth a word if it did so in so many batches, and by so many entries under load.
MIN_GREW = 2
MIN_CAME = 5
# Live bytes that no container accounts for: below this per request they are what any server gathers while it warms up.
UNNAMED_BYTES_PER_REQUEST = 32_768
# Containers to which entries are only added, unless somebody takes care. Of others a growth of less than one entry per
# request is what a cache does whose keys repeat.
_APPENDED = {"list", "deque", "bytearray", "BytesIO", "StringIO", "ndarray", "bytes", "str", "array"}
BYTES = {"bytearray", "BytesIO", "StringIO", "ndarray", "bytes", "str", "array", "memoryview"}
LIVE_HEAP = "live heap"
# The kind of what stands for all objects of a type.
TYPE = "type"

GrowthVerdict = Literal[
    "leak-per-request",
    "leak-per-session",
    "bounded",
    "retained-until-ttl",
    "framework-floor",
    "transient",
    "declared",
    "inconclusive",
]
ORDER: tuple[GrowthVerdict, ...] = (
    "leak-per-request",
    "leak-per-session",
    "inconclusive",
    "bounded",
    "declared",
    "transient",
    "retained-until-ttl",
    "framework-floor",
)
# Where Gradio notes which temporary files are its own. Source: gradio/blocks.py, 6.31.
TEMPORARY_FILES = ("gradio.Blocks.temp_file_sets", "gradio.Blocks.upload_file_set")
# What Gradio itself holds, and how long. Source: gradio/state_holder.py and gradio/queueing.py, 6.31.
_GRADIO: tuple[tuple[str, GrowthVerdict, str], ...] = (
    (
        "gradio.StateHolder.session_data[*].state_data",
        "retained-until-ttl",
        "Gradio keeps the State of a session while its page is open, and until its time to live is over (an hour, by default) after that",
    ),
    (
        "gradio.StateHolder",
        "framework-floor",
        "Gradio keeps an account of each session until more sessions have come than its capacity (10,000, by default)",
    ),
    (
        "gradio.Queue.event_analytics",
        "bounded",
        "Gradio keeps figures of the last 10,000 events",
    ),
    (
        "gradio.Queue.pending_messages_per_session",
        "framework-floor",
        "Gradio keeps a queue of messages for each of the last 2,000 sessions",
    ),
    (
        "gradio.Queue.pending_event_ids_session",
        "framework-floor",
        "Gradio keeps a set of pending events for each session",
    ),
    *(
        (
            path,
            "framework-floor",
            "Gradio remembers the name of every file that was uploaded or that it has cached, and forgets and deletes them only if "
            "`gr.Blocks(delete_cache=(frequency, age))` says when",
        )
        for path in TEMPORARY_FILES
    ),
)


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """A container, or everything at one access path, that held more at some later plateau than at plateau 0.

    Attributes:
        path: how it is reached; `live heap` for bytes that no container accounts for; of objects counted by type, its name.
        kind: its type; `type` for the latter.
        owner: `app` or `gradio`.
        per_request: entries (of a buffer: bytes) per request over the batches; None without batches.
        per_action: the one action whose every operation adds the same, if not all do.
        per_session: entries per session that came and went; None without a second round.
        exact: whether every batch, or round, grew by the very same whole number for each request, or session.
        length: entries at the last plateau.
        cap: entries that it may hold at most, None without a known limit.
        pinned_bytes: what it and everything below occupy at the last plateau, roughly.
        bytes_per_request, bytes_per_session: how these grow.
        within: the container inside which it stands, if the verdict is about that one.
        verdict: `leak-per-request`, `leak-per-session`, `bounded`, `retained-until-ttl` (Gradio lets go of it later),
            `framework-floor` (Gradio's own cost of a session), `transient` (it went when the sessions closed), `declared` (the
            workload says that this state is meant to stay), or `inconclusive`.
        reason: why, in one sentence.
        retainer_path: why it is still there: from a root to it, and on to what it holds; empty if nobody asked.
        allocated_at: where what it holds was allocated, as `file.py:12 in function`, the most of it first; empty without a memray pass.
    """

    path: str
    kind: str
    owner: Literal["app", "gradio"]
    verdict: GrowthVerdict
    per_request: float | None
    per_action: str | None = None
    per_session: float | None
    exact: bool
    length: int
    cap: int | None
    pinned_bytes: int
    bytes_per_request: float | None = None
    bytes_per_session: float | None = None
    within: str | None = None
    reason: str
    retainer_path: list[str] = []
    allocated_at: list[str] = []


class GrowthBasis(msgspec.Struct, frozen=True, kw_only=True):
    """What the judgement on growth rests on.

    Attributes:
        batches, requests: of the requests phase; 0 where nothing can be said of requests.
        rounds, sessions: of the second round, likewise.
        paths: access paths that were counted.
        live_bytes_per_request: of the live heap over the batches, with everything that is no leak.
        unnamed_bytes_per_request: of that what no container accounts for.
        not_judged: check → why nothing can be said; empty where something can.
        not_applicable: those of these checks that this run was not asked, or could not be.
    """

    batches: int = 0
    requests: int = 0
    rounds: int = 0
    sessions: int = 0
    paths: int = 0
    live_bytes_per_request: Line | None = None
    unnamed_bytes_per_request: Line | None = None
    not_judged: dict[str, str] = {}
    not_applicable: list[str] = []


def rank(growth: Growth) -> tuple[int, bool, int, str, str]:
    """Where it stands among all that grew: the worst first, and of leaks the one that pins most."""
    weight = growth.pinned_bytes if growth.verdict in (PER_REQUEST, PER_SESSION) else 0
    return ORDER.index(growth.verdict), growth.within is not None, -weight, growth.owner, growth.path


def growth_figures(data: RunData) -> tuple[list[Growth], GrowthBasis]:
    """Judge every container that grew, and the live heap: the worst first, and what that rests on."""
    experiment = experiment_of(data)
    missing, inapplicable = _missing(data, experiment)
    if experiment is None or len(missing) == 2:
        return [], GrowthBasis(not_judged=missing, not_applicable=inapplicable)
    paths = sorted({path for moment in experiment.everything for path in moment.lengths})
    grown = [_judge(path, experiment) for path in paths]
    growth = _nested(_filling([found for found in grown if found is not None], experiment))
    batches, rounds = experiment.batches, experiment.rounds
    live = live_line(batches, lambda m: m.plateau.probe.live_bytes)
    unnamed = live_line(batches, lambda m: m.unnamed_bytes)
    if not any(found.verdict == PER_REQUEST for found in growth):
        growth += _unnamed(experiment, live, unnamed)
    growth.sort(key=rank)
    return growth, GrowthBasis(
        batches=max(0, len(batches) - 1),
        requests=batches[-1].requests - batches[0].requests if batches else 0,
        rounds=max(0, len(rounds) - 1),
        sessions=rounds[-1].sessions - rounds[0].sessions if rounds else 0,
        paths=len(paths),
        live_bytes_per_request=live,
        unnamed_bytes_per_request=unnamed,
        not_judged=missing,
        not_applicable=inapplicable,
    )


# --- what there is to go by ---


def _missing(data: RunData, experiment: Experiment | None) -> tuple[dict[str, str], list[str]]:
    """Check → why it cannot be answered, and those of them that this run was not asked, or could not be."""
    both = (PER_REQUEST, PER_SESSION)
    plan = data.manifest.profile.staircase
    if data.manifest.external is not None:
        why = "gradsoak did not start the app, and so cannot count what it holds."
        return dict.fromkeys(both, f"Does not apply: {why}"), list(both)
    found: dict[str, str] = {}
    unasked: list[str] = []
    batches = len(experiment.batches) - 1 if experiment is not None and experiment.batches else 0
    rounds = len(experiment.rounds) - 1 if experiment is not None and experiment.rounds else 0
    for name, planned, seen, least, what in (
        (PER_REQUEST, plan.request_batches, batches, MIN_BATCHES, "batches of requests"),
        (PER_SESSION, plan.rounds, rounds, MIN_ROUNDS, "rounds of sessions that came and went"),
    ):
        if not planned:
            found[name] = f"Does not apply: the profile asks for no {what}."
            unasked.append(name)
        elif seen < least:
            found[name] = f"What the app holds was counted after {seen} {what}, and it takes {least}."
        elif experiment is None or experiment.after is None:
            found[name] = "What the app holds was not counted after all sessions had closed."
    return found, unasked


# --- one path ---


def _judge(path: str, experiment: Experiment) -> Growth | None:
    base = experiment.start.length(path)
    if max(m.length(path) for m in experiment.everything) <= base:
        return None
    sample = next(m.lengths[path] for m in experiment.everything if path in m.lengths)
    cap = (
        max((m.lengths[path].cap or 0 for m in experiment.everything if path in m.lengths), default=0) or None
    )
    requests = over_requests(lambda m: m.length(path), experiment)
    sessions = over_sessions(lambda m: m.length(path), experiment, requests)
    common = _Common(path, sample, cap, experiment, requests, sessions)
    for prefix, verdict, reason in _GRADIO:
        if path == prefix or (path.startswith(prefix) and path[len(prefix)] in ".["):
            return common.growth(verdict, reason + ".")
    steady = requests is not None and requests.steady
    if cap is not None and (steady or (sessions is not None and sessions.steady)):
        return common.growth("bounded", f"It may hold {cap:,} entries at most.")
    unseen = _out_of_sight(path, experiment)
    if unseen is not None:
        return common.growth("inconclusive", unseen)
    if requests is not None and steady:
        return common.judged_by_request(requests)
    if sessions is not None and sessions.steady and sessions.kept:
        return common.judged_by_session(sessions)
    if requests is not None and sample.kind in _APPENDED and requests.now_and_then:
        return common.now_and_then(requests)
    if experiment.after is not None and experiment.after.length(path) <= base:
        return common.growth("transient", "It was back at its first length when all sessions had closed.")
    return common.growth("bounded", _stopped(path, experiment))


def _out_of_sight(path: str, experiment: Experiment) -> str | None:
    """Why nobody knows what became of it; None if somebody does."""
    end = [m for m in (experiment.after, experiment.last) if m is not None]
    lost = next((m for m in end if path not in m.lengths and m.census.complete_depth is not None), None)
    if lost is None:
        return None
    longest = max(m.length(path) for m in experiment.everything)
    return (
        f"It grew to {longest:,}, and what became of it is not known: the app came to hold more objects than a census looks into "
        f"({lost.census.visited:,} then)."
    )


def known_of_gradio(path: str) -> bool:
    """Whether an access path is one of those of which it is known what Gradio holds there, and how long."""
    return any(inside(path, prefix) or path == prefix for prefix, _, _ in _GRADIO)


def _stopped(path: str, experiment: Experiment) -> str:
    longest = max(m.length(path) for m in experiment.everything)
    return (
        f"It grew, and did not go on growing with requests or sessions: it never held more than {longest:,}."
    )


class OverRequests(msgspec.Struct, frozen=True, kw_only=True):
    """How a path grew over the batches of requests.

    Attributes:
        rate: entries per request, or per operation of `action`.
        steady: it grew in every batch, and not less and less.
        kept: it had grown on under load, as much as the rate foretells, when all sessions had closed; None if nobody looked.
        went: entries that were gone again then, of what the batches had added.
        now_and_then: it grew in several batches, if not in all, and as fast under load, and nothing of it went.
        later: entries that were gone only after that, when more sessions had come and gone; what is a leak never goes.
        declared: the variable of the workload to which exactly these entries were added on purpose.
    """

    rate: Fraction
    action: str | None
    exact: bool
    steady: bool
    kept: bool | None
    went: int
    later: int
    now_and_then: bool
    declared: str | None


def over_requests(length: Callable[[Moment], int], experiment: Experiment) -> OverRequests | None:
    """How something grew over the batches; None with too few of them."""
    batches = experiment.batches
    if len(batches) <= MIN_BATCHES:
        return None
    grew = steps(batches, length)
    asked = steps(batches, lambda m: m.requests)
    if not sum(asked):
        return None
    rate, action, exact, weights = Fraction(sum(grew), sum(asked)), None, exactly(grew, asked), asked
    names = sorted(set(batches[-1].actions))
    by_action = {name: steps(batches, lambda m, name=name: m.actions[name]) for name in names}  # type: ignore[misc]
    # What the history says must be what the generator counted, or it says nothing about batches.
    complete = [sum(step) for step in zip(*by_action.values(), strict=True)] == asked
    if not exact and complete:
        for name, counts in by_action.items():
            if sum(1 for count in counts if count) >= MIN_ROUNDS and exactly(grew, counts):
                rate, action, exact, weights = Fraction(sum(grew), sum(counts)), name, True, counts
    steady = sum(grew) > 0 and (exact or all(step > 0 for step in grew)) and goes_on(grew, weights)
    kept, went, later, now_and_then = None, 0, 0, False
    if experiment.after is not None:
        before, after = batches[-1], experiment.after
        more = after.actions[action] - before.actions[action] if action else after.requests - before.requests
        came = length(after) - length(before)
        kept = came >= CAME * rate * more if more > 0 else came >= 0
        went = max(0, -came)
        later = max(0, length(after) - length(experiment.last))
        kept = kept and not later
        now_and_then = (
            bool(kept)
            and all(step >= 0 for step in grew)
            and sum(1 for step in grew if step) >= MIN_GREW
            and came >= MIN_CAME
        )
    return OverRequests(
        rate=rate,
        action=action,
        exact=exact,
        steady=steady,
        kept=kept,
        went=went,
        later=later,
        now_and_then=now_and_then,
        declared=declared_by(grew, batches),
    )


class OverSessions(msgspec.Struct, frozen=True, kw_only=True):
    """How a path grew over sessions that came and went.

    Attributes:
        rate: entries per session.
        steady: it grew in every round, not less and less; by the very same for each session, or about as much as with every step of
            the stairs.
        kept: what the first sessions had added was still there when they had closed.
        declared: see `OverRequests`.
    """

    rate: Fraction
    exact: bool
    steady: bool
    kept: bool
    declared: str | None


def over_sessions(
    length: Callable[[Moment], int], experiment: Experiment, requests: OverRequests | None
) -> OverSessions | None:
    """How something grew over the rounds; None with too few of them."""
    rounds, after = experiment.rounds, experiment.after
    if len(rounds) <= MIN_ROUNDS or after is None:
        return None
    came = steps(rounds, lambda m: m.sessions)
    grew = [Fraction(step) for step in steps(rounds, length)]
    if not sum(came):
        return None
    stairs = [Fraction(step) for step in steps(experiment.stairs, length)]
    if requests is not None and requests.rate > 0 and requests.action is None:
        # What their requests add is not the sessions' own.
        grew = [
            step - requests.rate * asked
            for step, asked in zip(grew, steps(rounds, lambda m: m.requests), strict=True)
        ]
        stairs = [
            step - requests.rate * asked
            for step, asked in zip(stairs, steps(experiment.stairs, lambda m: m.requests), strict=True)
        ]
    rate, exact = Fraction(sum(grew)) / sum(came), exactly(grew, came)
    # What is added when a session closes does not show on the stairs. Then only the very same number each time is no chance.
    opened = experiment.stairs[-1].sessions - experiment.start.sessions
    alike = exact or (
        opened > 0
        and all(step > 0 for step in stairs)
        and CAME * rate * opened <= sum(stairs) <= rate * opened / Fraction(CAME)
    )
    all_opened = after.sessions - experiment.start.sessions
    left = length(after) - length(experiment.start)
    declared = declared_by(steps(rounds, length), rounds)
    if declared is not None and declared.startswith(USERS_OF):
        # A person who reloads the page is the same one in another session: which of the two was counted?
        users = after.declared[declared] - experiment.start.declared[declared]
        declared = declared if abs(left - users) <= abs(left - all_opened) else None
    return OverSessions(
        rate=rate,
        exact=exact,
        steady=all(step > 0 for step in grew) and goes_on(grew, came) and alike,
        kept=left >= CAME * rate * all_opened,
        declared=declared,
    )


class _Common:
    """What all verdicts on one path have in common."""

    def __init__(
        self,
        path: str,
        sample: Container,
        cap: int | None,
        experiment: Experiment,
        requests: OverRequests | None,
        sessions: OverSessions | None,
    ) -> None:
        self._path, self._sample, self._cap = path, sample, cap
        self._experiment, self._requests, self._sessions = experiment, requests, sessions

    def growth(self, verdict: GrowthVerdict, reason: str) -> Growth:
        last, requests, sessions = self._experiment.last, self._requests, self._sessions
        exact = sessions.exact if verdict == PER_SESSION and sessions else bool(requests and requests.exact)
        return Growth(
            path=self._path,
            kind=self._sample.kind,
            owner=self._sample.owner,
            verdict=verdict,
            per_request=float(requests.rate) if requests else None,
            per_action=requests.action if requests else None,
            per_session=float(sessions.rate) if sessions else None,
            exact=exact,
            length=last.length(self._path),
            cap=self._cap,
            pinned_bytes=last.pinned(self._path),
            bytes_per_request=self._bytes_per(self._experiment.batches, lambda m: m.requests),
            bytes_per_session=self._bytes_per(self._experiment.rounds, lambda m: m.sessions),
            reason=reason,
        )

    def judged_by_request(self, requests: OverRequests) -> Growth:
        """It grew in every batch of requests."""
        per = f"`{requests.action}`" if requests.action else "request"
        statement = self._statement(requests.rate, requests.exact, per)
        if requests.declared is not None:
            return self.growth(
                "declared",
                f"{statement}: as many as the workload adds to {requests.declared}, which is meant to stay.",
            )
        if requests.kept is None:
            return self.growth(
                "inconclusive", f"{statement}; nobody saw what became of it when all sessions had closed."
            )
        if not requests.kept and requests.went:
            return self.growth(
                "transient", f"{statement}, but {requests.went:,} were gone when all sessions had closed."
            )
        if requests.later:
            return self.growth(
                "inconclusive",
                f"{statement}, but {requests.later:,} were gone some time after all sessions had closed: it may be work that is still to be "
                "done, or a leak among it. A longer run tells.",
            )
        if not requests.kept:
            return self.growth(
                "bounded", f"{statement} at first, and then stopped: {_stopped(self._path, self._experiment)}"
            )
        if not requests.exact and requests.rate < 1 and self._sample.kind not in _APPENDED:
            return self.growth(
                "inconclusive",
                f"{statement}, which may be a leak, or a cache whose keys repeat and that is not full yet. A longer run tells.",
            )
        return self.growth(
            PER_REQUEST, f"{statement}, went on under load, and nothing went when all sessions had closed."
        )

    def now_and_then(self, requests: OverRequests) -> Growth:
        """It grew in some batches, as fast under load, and stayed."""
        statement = self._statement(requests.rate, exact=False, per="request")
        return self.growth(
            "inconclusive",
            f"{statement}, though not in every batch, about as fast under load, and nothing of it went: it may be a leak of what happens "
            "now and then. A longer run tells.",
        )

    def judged_by_session(self, sessions: OverSessions) -> Growth:
        """It grew in every round of sessions, and what the first ones had added was kept."""
        statement = self._statement(sessions.rate, sessions.exact, "session that came and went")
        if self._sample.owner == "gradio":
            return self.growth(
                "framework-floor", f"{statement}: Gradio's own, whatever the app does with its sessions."
            )
        if sessions.declared is not None:
            return self.growth(
                "declared",
                f"{statement}: as many as the workload adds to {sessions.declared}, which is meant to stay.",
            )
        if not sessions.exact and sessions.rate < 1 and self._sample.kind not in _APPENDED:
            return self.growth(
                "inconclusive",
                f"{statement}, which may be a leak, or a cache whose keys repeat and that is not full yet. A longer run tells.",
            )
        return self.growth(PER_SESSION, f"{statement}, and what earlier ones had added was kept.")

    def _statement(self, rate: Fraction, exact: bool, per: str) -> str:
        number = f"{float(rate):,.2f}"
        what = "bytes" if self._sample.kind in BYTES else "entries"
        return f"It grew by {'exactly' if exact else 'about'} {number} {what} per {per}"

    def _bytes_per(self, moments: Sequence[Moment], of: Callable[[Moment], int]) -> float | None:
        if len(moments) < 2 or of(moments[-1]) == of(moments[0]):
            return None
        more = moments[-1].pinned(self._path) - moments[0].pinned(self._path)
        return more / (of(moments[-1]) - of(moments[0]))


def _filling(growth: Sequence[Growth], experiment: Experiment) -> list[Growth]:
    """What grows only as a container with a known bound fills up has a bound itself: the rows of a deque with a `maxlen`, for example."""
    capped = [g for g in growth if g.verdict == "bounded" and g.cap is not None]
    found = []
    for g in growth:
        outer = next((o for o in capped if inside(g.path, o.path) and _as_it_fills(g, o, experiment)), None)
        if outer is not None:
            reason = f"It stands inside {outer.path}, and grew no faster than that was filled."
            g = msgspec.structs.replace(g, verdict="bounded", within=outer.path, reason=reason)
        found.append(g)
    return found


def _as_it_fills(growth: Growth, outer: Growth, experiment: Experiment) -> bool:
    """Whether a leak, as it seems, grew afterwards as much as its bounded container did, in proportion."""
    if growth.verdict not in (PER_REQUEST, PER_SESSION, "inconclusive"):
        return False
    measured, after = (
        (experiment.rounds, [experiment.start, experiment.after])
        if growth.verdict == PER_SESSION
        else (experiment.batches, [experiment.batches[-1], experiment.after])
    )
    ends = [m for m in after if m is not None]
    if len(ends) < 2 or len(measured) < 2:
        return False
    (inner, filled), (inner_then, filled_then) = (
        tuple(last.length(path) - first.length(path) for path in (growth.path, outer.path))
        for first, last in ((measured[0], measured[-1]), (ends[0], ends[1]))
    )
    return filled > 0 and filled_then > 0 and CAME * inner_then * filled <= inner * filled_then


def _nested(growth: Sequence[Growth]) -> list[Growth]:
    """What stands inside a container that is judged already shares its verdict: one leak is told once."""
    deciding = {
        g.path: g for g in growth if g.verdict in (PER_REQUEST, PER_SESSION, "declared", "inconclusive")
    }
    found = []
    for g in growth:
        outer = next(
            (d for p, d in sorted(deciding.items()) if inside(g.path, p) and not _proven_beside(g, d)), None
        )
        if outer is not None:
            reason = f"It stands inside {outer.path}."
            g = msgspec.structs.replace(g, verdict=outer.verdict, within=outer.path, reason=reason)
        found.append(g)
    return found


def _proven_beside(growth: Growth, outer: Growth) -> bool:
    """Whether the very same number each time shows a leak in a container that itself grows otherwise, and may be a cache."""
    leaks = growth.verdict in (PER_REQUEST, PER_SESSION)
    return leaks and growth.exact and outer.verdict == "inconclusive" and not outer.exact


def inside(path: str, outer: str) -> bool:
    """Whether an access path leads through another."""
    return len(path) > len(outer) and path.startswith(outer) and path[len(outer)] in ".["


# --- the live heap ---


def _unnamed(experiment: Experiment, live: Line | None, line: Line | None) -> list[Growth]:
    """Growth of the live heap that no container accounts for, as of buffers that an extension module holds."""
    batches, after = experiment.batches, experiment.after
    if live is None or line is None or after is None:
        return []
    # What the census found is known roughly: where that alone moves, the heap itself does not grow as much.
    if min(live.low, line.low) < UNNAMED_BYTES_PER_REQUEST:
        return []
    values = [m.unnamed_bytes or 0 for m in batches]
    asked = steps(batches, lambda m: m.requests)
    grew = [later - earlier for earlier, later in pairwise(values)]
    more = after.requests - batches[-1].requests
    came = (after.unnamed_bytes or 0) - values[-1]
    if not all(step > 0 for step in grew) or not goes_on(grew, asked) or came < CAME * line.low * more:
        return []
    hidden = steps(batches, lambda m: m.census.opaque)
    held = any(step > 0 for step in hidden)
    statement = (
        f"The live heap grew by {line.estimate:,.0f} bytes per request ({line.low:,.0f} to {line.high:,.0f}), in every batch and on "
        "under load, and no container accounts for it"
    )
    return [
        Growth(
            path=LIVE_HEAP,
            kind="bytes",
            owner="app",
            verdict="inconclusive" if held else PER_REQUEST,
            per_request=line.estimate,
            per_session=None,
            exact=False,
            length=values[-1],
            cap=None,
            pinned_bytes=max(0, (experiment.last.unnamed_bytes or 0) - (experiment.start.unnamed_bytes or 0)),
            bytes_per_request=line.estimate,
            reason=(
                f"{statement}; objects of extension modules, which cannot be looked into, became more too."
                if held
                else f"{statement}: it is held outside of Python, or in a library."
            ),
        )
    ]
