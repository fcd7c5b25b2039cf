"""What is known of one thing that grew, before it is judged: rates over requests and sessions, lengths, and what holds it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import msgspec

from harness.analysis.memory.experiment import (
    USERS_OF,
    Experiment,
    Measurement,
    declared_by,
    exactly,
    goes_on,
    steps,
)
from harness.analysis.memory.growth import BYTES, PER_REQUEST, PER_SESSION, Growth, GrowthVerdict

# What something can grow with.
Unit = Literal["request", "session"]
# With fewer batches, growth that goes on cannot be told from growth that has stopped.
MIN_BATCHES = 5
MIN_ROUNDS = 3
# Of the growth that the batches predict for the timed phase, this share must have come.
CAME = 0.5
# Occasional growth is reported if it occurred in this many batches, and by this many entries under load.
MIN_GREW = 2
MIN_CAME = 5
# Live bytes that no container accounts for: below this per request they are what any server gathers while it warms up.
UNNAMED_BYTES_PER_REQUEST = 32_768


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


def over_requests(length: Callable[[Measurement], int], experiment: Experiment) -> OverRequests | None:
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
    length: Callable[[Measurement], int], experiment: Experiment, requests: OverRequests | None
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


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how the objects of a type are held, and of containers that may hold them.

    Attributes:
        recorded: whether the app was asked what holds them at the end of the run.
        temporary: whether a task or a thread holds them, and nothing else that the search came to first.
        container: the outermost container that grew and that they stand in; None if there is none, or it is unknown.
        same_rate: where their holder is unknown, a container that is no leak and got as many entries; None if there is none.
        leaking: where their holder is unknown or weak, a container that leaks alike; None if there is none.
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
        grows_with: what it grew with steadily, as far as that counts for such a thing; None if with neither.
        statement: by how much it grew with that, as the beginning of a sentence; empty without it.
        requests, sessions: its rates; None without enough plateaus.
        start, longest: entries at plateau 0, and at the plateau with the most.
        after_close: entries when all sessions had closed; None if they were not counted.
        lost_among: objects that the census visited when it no longer came to the container; None if it always did.
        holding: of a type, what holds its objects.
        baseline_rate: of a type, objects that the baseline app keeps of each session; None without a baseline run.
        opaque: of live bytes, whether objects of extension modules, which cannot be looked into, became more too.
    """

    path: str
    kind: str
    owner: Literal["app", "gradio"]
    cap: int | None = None
    grows_with: Unit | None
    statement: str = ""
    requests: OverRequests | None = None
    sessions: OverSessions | None = None
    start: int = 0
    longest: int = 0
    after_close: int | None = None
    lost_among: int | None = None
    holding: Holding | None = None
    baseline_rate: Fraction | None = None
    opaque: bool = False

    @property
    def leak(self) -> GrowthVerdict | None:
        """The verdict on it if it is a leak; None if it does not grow steadily."""
        return {"request": PER_REQUEST, "session": PER_SESSION, None: None}[self.grows_with]

    @property
    def rates(self) -> OverRequests | OverSessions | None:
        """Its rates over what it grew with."""
        return {"request": self.requests, "session": self.sessions, None: None}[self.grows_with]


def statement(kind: str, rate: Fraction, unit: str, *, exact: bool) -> str:
    """By how much a container grew, as the beginning of a sentence.

    Args:
        kind: of the container.
        rate: entries (of a buffer: bytes) per unit.
        unit: `request`, the name of an action, or `session that came and went`.
        exact: whether each step grew by the very same whole number.
    """
    what = "bytes" if kind in BYTES else "entries"
    return f"It grew by {'exactly' if exact else 'about'} {float(rate):,.2f} {what} per {unit}"
