"""Evidence on one thing that grew, for the growth rules: its growth with requests and with sessions, its lengths, its holder."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec

from harness.analysis.memory.experiment import (
    USERS_OF,
    Experiment,
    Measurement,
    declared_by,
    increments,
    is_exact,
    keeps_growing,
)
from harness.analysis.memory.growth_records import BYTES, PER_REQUEST, PER_SESSION, Growth, GrowthVerdict

# What something can grow with.
Unit = Literal["request", "session"]
# With fewer batches or rounds, growth that continues cannot be told from growth that has stopped.
MIN_BATCHES = 5
MIN_ROUNDS = 3
# A leak continues under load: the timed phase must add at least this share of the growth that the batches predict for it.
CAME = 0.5
# Growth in some batches only is reported if it occurred in this many batches, and added this many entries under load.
OCCASIONAL_BATCHES = 2
OCCASIONAL_ENTRIES = 5
# Any server gathers up to this many live bytes per request while it warms up. Below it, unnamed bytes are not judged.
UNNAMED_BYTES_PER_REQUEST = 32_768


class RequestGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """Growth over the batches of requests.

    Attributes:
        rate: entries per request, or per operation of `action`.
        action: the one action whose operations alone add entries; None if there is no such action.
        exact: whether every batch added the same whole number per request or operation.
        steady: it grew in every batch without slowing down.
        kept: after all sessions had closed, the batches' entries were still there, and the timed phase had added at least half
            of what the rate predicts; None if nothing was counted after close.
        gone_after_close: entries fewer after all sessions had closed than after the last batch.
        gone_later: entries that disappeared after that, during the second round; a leak never shrinks.
        occasional: it grew in some batches and under load, and never shrank.
        declared: the workload variable to which the workload added exactly these entries; None if there is none.
    """

    rate: Fraction
    action: str | None
    exact: bool
    steady: bool
    kept: bool | None
    gone_after_close: int
    gone_later: int
    occasional: bool
    declared: str | None


class _Rate(NamedTuple):
    """A rate of growth, and what it counts per batch: requests, or operations of one action."""

    rate: Fraction
    action: str | None
    exact: bool
    counts: list[int]


def growth_with_requests(
    length: Callable[[Measurement], int], experiment: Experiment
) -> RequestGrowth | None:
    """Return how something grew over the batches of requests; None with fewer than `MIN_BATCHES`.

    Args:
        length: its entries at a measurement.
        experiment: the run's measurements.
    """
    batches = experiment.batches
    if len(batches) <= MIN_BATCHES or batches[-1].requests == batches[0].requests:
        return None
    grew = increments(batches, length)
    rate = _rate(grew, batches)
    always = rate.exact or all(step > 0 for step in grew)
    kept, gone_after_close, gone_later, occasional = None, 0, 0, False
    if experiment.after is not None:
        added = length(experiment.after) - length(batches[-1])
        gone_after_close = max(0, -added)
        gone_later = max(0, length(experiment.after) - length(experiment.last))
        kept = not gone_later and _grew_under_load(added, rate, batches[-1], experiment.after)
        occasional = (
            kept
            and all(step >= 0 for step in grew)
            and sum(1 for step in grew if step) >= OCCASIONAL_BATCHES
            and added >= OCCASIONAL_ENTRIES
        )
    return RequestGrowth(
        rate=rate.rate,
        action=rate.action,
        exact=rate.exact,
        steady=sum(grew) > 0 and always and keeps_growing(grew, rate.counts),
        kept=kept,
        gone_after_close=gone_after_close,
        gone_later=gone_later,
        occasional=occasional,
        declared=declared_by(grew, batches),
    )


def _rate(grew: list[int], batches: list[Measurement]) -> _Rate:
    """Growth per request; or per operation of the one action that alone explains it exactly, if requests do not."""
    requests = increments(batches, lambda m: m.requests)
    if is_exact(grew, requests):
        return _Rate(Fraction(sum(grew), sum(requests)), None, True, requests)
    names = sorted(set(batches[-1].actions))
    by_action = {name: increments(batches, lambda m, name=name: m.actions[name]) for name in names}  # type: ignore[misc]
    found = _Rate(Fraction(sum(grew), sum(requests)), None, False, requests)
    # The history must hold every request that the generator counted; otherwise its counts per batch are incomplete.
    if [sum(batch) for batch in zip(*by_action.values(), strict=True)] == requests:
        for name, counts in by_action.items():
            if sum(1 for count in counts if count) >= MIN_ROUNDS and is_exact(grew, counts):
                found = _Rate(Fraction(sum(grew), sum(counts)), name, True, counts)
    return found


def _grew_under_load(added: int, rate: _Rate, before: Measurement, after: Measurement) -> bool:
    """Whether the timed phase added at least `CAME` of what the rate predicts for it."""
    if rate.action is not None:
        more = after.actions[rate.action] - before.actions[rate.action]
    else:
        more = after.requests - before.requests
    return added >= CAME * rate.rate * more if more > 0 else added >= 0


class SessionGrowth(msgspec.Struct, frozen=True, kw_only=True):
    """Growth over the rounds of sessions that opened and closed.

    Attributes:
        rate: entries per session.
        exact: whether every round added the same whole number per session.
        steady: it grew in every round without slowing down, and either exactly or about as much as with each staircase step.
        kept: what the first sessions had added was still there after they had closed.
        declared: see `RequestGrowth`.
    """

    rate: Fraction
    exact: bool
    steady: bool
    kept: bool
    declared: str | None


def growth_with_sessions(
    length: Callable[[Measurement], int], experiment: Experiment, requests: RequestGrowth | None
) -> SessionGrowth | None:
    """Return how something grew over the rounds of sessions; None with fewer than `MIN_ROUNDS`.

    Args:
        length: its entries at a measurement.
        experiment: the run's measurements.
        requests: its growth with requests, which is subtracted first; None if there is none.
    """
    rounds, after, start = experiment.rounds, experiment.after, experiment.start
    if len(rounds) <= MIN_ROUNDS or after is None or rounds[-1].sessions == rounds[0].sessions:
        return None
    sessions = increments(rounds, lambda m: m.sessions)
    grew = _without_requests(length, rounds, requests)
    stairs = _without_requests(length, experiment.stairs, requests)
    rate, exact = Fraction(sum(grew)) / sum(sessions), is_exact(grew, sessions)
    # Entries that are added when a session closes do not show on the staircase: then only exact growth is evidence.
    opened = experiment.stairs[-1].sessions - start.sessions
    as_on_stairs = (
        opened > 0
        and all(step > 0 for step in stairs)
        and CAME * rate * opened <= sum(stairs) <= rate * opened / Fraction(CAME)
    )
    came = after.sessions - start.sessions
    left = length(after) - length(start)
    declared = declared_by(increments(rounds, length), rounds)
    if declared is not None and declared.startswith(USERS_OF):
        # A user who reloads the page begins another session: entries may be kept for each user, or for each session.
        users = after.declared[declared] - start.declared[declared]
        declared = declared if abs(left - users) <= abs(left - came) else None
    return SessionGrowth(
        rate=rate,
        exact=exact,
        steady=all(step > 0 for step in grew) and keeps_growing(grew, sessions) and (exact or as_on_stairs),
        kept=left >= CAME * rate * came,
        declared=declared,
    )


def _without_requests(
    length: Callable[[Measurement], int], measurements: list[Measurement], requests: RequestGrowth | None
) -> list[Fraction]:
    """Growth from each measurement to the next, without what the requests in between added."""
    grew = increments(measurements, length)
    rate = (
        requests.rate
        if requests is not None and requests.rate > 0 and requests.action is None
        else Fraction(0)
    )
    return [
        step - rate * made
        for step, made in zip(grew, increments(measurements, lambda m: m.requests), strict=True)
    ]


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the holder of a type's objects.

    Attributes:
        recorded: whether the probe searched for their holder at the end of the run.
        temporary: whether the nearest holder found is a task or a thread, which may be about to end.
        container: the outermost container around them that grew; None if there is none, or their holder is unknown.
        same_rate: if their holder is unknown, a container that is no leak and gained as many entries; else None.
        leaking: if their holder is unknown or a weak reference, a container with the same kind of leak; else None.
    """

    recorded: bool
    temporary: bool = False
    container: Growth | None = None
    same_rate: Growth | None = None
    leaking: Growth | None = None


class GrowthEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that grew: a container, the objects of a type, or live bytes that no container accounts for.

    Attributes:
        path, kind, owner, cap: as in `Growth`.
        grows_with: what it grows with steadily; None if with neither requests nor sessions. Objects of a type count only if
            they grow exactly, stay, and are not declared.
        statement: by how much it grew with these, as the start of a sentence; empty if `grows_with` is None.
        requests, sessions: its growth with each; None without enough plateaus.
        start, longest: entries at plateau 0, and the most entries at any plateau.
        after_close: entries after all sessions had closed; None if not counted.
        lost_among: objects the census visited at the end without reaching the container; None if it reached it.
        holding: for a type, the holder of its objects; else None.
        baseline_rate: for a type, objects per session that the baseline app keeps; None without a baseline run.
        opaque: for live bytes, whether objects of extension modules, which the census cannot open, increased too.
    """

    path: str
    kind: str
    owner: Literal["app", "gradio"]
    cap: int | None = None
    grows_with: Unit | None
    statement: str = ""
    requests: RequestGrowth | None = None
    sessions: SessionGrowth | None = None
    start: int = 0
    longest: int = 0
    after_close: int | None = None
    lost_among: int | None = None
    holding: Holding | None = None
    baseline_rate: Fraction | None = None
    opaque: bool = False

    @property
    def leak(self) -> GrowthVerdict | None:
        """The verdict if this growth is a leak; None if it does not grow steadily."""
        return {"request": PER_REQUEST, "session": PER_SESSION, None: None}[self.grows_with]

    @property
    def steady_growth(self) -> RequestGrowth | SessionGrowth | None:
        """Its growth with what it grows with steadily; None if it does not, and for live bytes."""
        return {"request": self.requests, "session": self.sessions, None: None}[self.grows_with]


def statement(kind: str, rate: Fraction, unit: str, *, exact: bool) -> str:
    """Return by how much a container grew, as the start of a sentence.

    Args:
        kind: type of the container.
        rate: entries (for a buffer: bytes) per unit.
        unit: `request`, the name of an action, or `session that opened and closed`.
        exact: whether every step added the same whole number per unit.
    """
    what = "bytes" if kind in BYTES else "entries"
    return f"It grew by {'exactly' if exact else 'about'} {float(rate):,.2f} {what} per {unit}"
