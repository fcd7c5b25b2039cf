"""The memory experiment as it was carried out: its plateaus, each with its census, grouped by purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import msgspec

from harness.analysis.theil_sen import Slope, theil_sen
from harness.history import type_counts
from harness.recorded_run import RecordedRun
from harness.records import PAGE_ACTIONS, Census, Container, Operation, Plateau, StateVariable

# A leak grows at a constant rate, a cache that fills slows down. Growth counts as continuing if the rate over the later half
# of the steps is at least this share of the rate over the first half.
KEEPS_GROWING = 0.5
# Prefix in `Measurement.declared`: the users for whom a variable of scope `user` was kept.
USERS_OF = "the users of "


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """A plateau with its census, and the load up to that point.

    Attributes:
        lengths: access path → the containers there.
        requests, sessions: begun so far.
        actions: action → operations so far.
        declared: variable → entries that the workload added so far, for variables that outlive sessions.
        types: type → objects.
    """

    plateau: Plateau
    lengths: Mapping[str, Container]
    census: Census
    requests: int
    sessions: int
    actions: Counter[str]
    declared: Counter[str]
    types: Mapping[str, int] = {}

    def length(self, path: str) -> int:
        """Return the entries at an access path; 0 if the census has no container there."""
        container = self.lengths.get(path)
        return container.length if container is not None else 0

    def pinned(self, path: str) -> int:
        """Return the estimated bytes of what stands at an access path, with everything reached only through it."""
        container = self.lengths.get(path)
        return container.pinned_bytes if container is not None else 0

    @property
    def unnamed_bytes(self) -> int | None:
        """Live bytes that no container accounts for; None if live bytes are unknown."""
        live = self.plateau.probe.live_bytes
        return None if live is None else live - self.census.known_bytes


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of a run by purpose, all of one process of the app.

    Attributes:
        start: plateau 0.
        stairs: plateau 0, and the plateau after each staircase step.
        batches: the last staircase step, and the plateau after each batch of requests; empty without batches.
        after: all sessions closed; None if the run did not get there.
        rounds: all sessions closed, and the plateau after each round of sessions; empty without rounds.
    """

    start: Measurement
    stairs: list[Measurement]
    batches: list[Measurement]
    after: Measurement | None
    rounds: list[Measurement]

    @property
    def everything(self) -> list[Measurement]:
        """All measurements in order, without the staircase steps before the last."""
        return [self.start, *self.batches, *([self.after] if self.after else []), *self.rounds[1:]]

    @property
    def last(self) -> Measurement:
        """The last measurement."""
        return self.everything[-1]


def experiment_of(data: RecordedRun) -> Experiment | None:
    """Return the experiment of a run; None if it has no staircase plateau with a census."""
    found = _measurements(data)
    start = next((m for m in found if m.plateau.label == "staircase"), None)
    if start is None:
        return None
    by_label: dict[str, list[Measurement]] = {}
    for measurement in found:
        if measurement.plateau.pid == start.plateau.pid:
            by_label.setdefault(measurement.plateau.label, []).append(measurement)
    stairs, batches = by_label["staircase"], by_label.get("requests", [])
    after = next(iter(by_label.get("after-close", [])), None)
    rounds = by_label.get("second-round", [])
    return Experiment(
        start=start,
        stairs=stairs,
        batches=[stairs[-1], *batches] if batches else [],
        after=after,
        rounds=[after, *rounds] if after is not None and rounds else [],
    )


def _measurements(data: RecordedRun) -> list[Measurement]:
    """Every plateau that has a census and complete counts of requests and sessions, in order."""
    censuses = {census.plateau: census for census in data.census}
    operations = sorted(data.history.operations, key=lambda o: o.invoke_ns)
    found: list[Measurement] = []
    actions: Counter[str] = Counter()
    declared: Counter[str] = Counter()
    users: set[str] = set()
    begun = 0
    # A process's first census counts all types, later ones only those whose number has changed.
    first: dict[int | None, Census] = {}
    for number, plateau in enumerate(data.plateaus):
        while begun < len(operations) and operations[begun].invoke_ns <= plateau.process.time_ns:
            operation = operations[begun]
            begun += 1
            if operation.action not in PAGE_ACTIONS:
                actions[operation.action] += 1
            _count_declared(operation, data.manifest.state, declared, users)
        census = censuses.get(number)
        if census is None or plateau.requests is None or plateau.sessions is None:
            continue
        found.append(
            Measurement(
                plateau=plateau,
                lengths={container.path: container for container in census.containers},
                census=census,
                requests=plateau.requests,
                sessions=plateau.sessions,
                actions=Counter(actions),
                declared=Counter(declared),
                types=type_counts(first.setdefault(plateau.pid, census), census),
            )
        )
    return found


def _count_declared(
    operation: Operation, state: Mapping[str, StateVariable], declared: Counter[str], users: set[str]
) -> None:
    """Count the entries that an operation adds to variables that outlive sessions: variable → entries."""
    for name, effect in operation.effects.items():
        variable = state.get(name)
        if variable is None or variable.scope == "session":
            continue
        if effect.op in ("append", "offer", "write", "store"):
            declared[name] += 1
        elif effect.op == "put" and isinstance(effect.value, dict):
            declared[name] += len(effect.value)
    if operation.user and operation.user not in users:
        users.add(operation.user)
        for name, variable in state.items():
            if variable.scope == "user":
                declared[USERS_OF + name] += 1


def live_line(
    measurements: Sequence[Measurement], measure: Callable[[Measurement], int | None]
) -> Slope | None:
    """Return the slope of a measure over requests; None if a measurement lacks it."""
    values = [value for m in measurements if (value := measure(m)) is not None]
    if len(values) != len(measurements):
        return None
    return theil_sen([m.requests for m in measurements], values)


def increments(measurements: Sequence[Measurement], of: Callable[[Measurement], int]) -> list[int]:
    """Return the growth from each measurement to the next."""
    return [of(later) - of(earlier) for earlier, later in pairwise(measurements)]


def is_exact(grew: Sequence[int | Fraction], counts: Sequence[int]) -> bool:
    """Whether every step added the same whole number per unit.

    Args:
        grew: growth of each step.
        counts: units of each step: requests, sessions, or operations of an action.
    """
    rates = {Fraction(step) / count for step, count in zip(grew, counts, strict=True) if count}
    whole = len(rates) == 1 and next(iter(rates)).denominator == 1
    return whole and all(not step for step, count in zip(grew, counts, strict=True) if not count)


def keeps_growing(grew: Sequence[int | Fraction], counts: Sequence[int]) -> bool:
    """Whether the later half of the steps grew at `KEEPS_GROWING` of the first half's rate or more; see `is_exact`."""
    half = len(grew) // 2
    early, late = sum(counts[:half]), sum(counts[-half:])
    if not early or not late:
        return False
    return Fraction(sum(grew[-half:])) / late >= KEEPS_GROWING * Fraction(sum(grew[:half])) / early


def declared_by(grew: Sequence[int], measurements: Sequence[Measurement]) -> str | None:
    """Return the variable to which the workload added exactly as many entries in every step; None if there is none."""
    for name in sorted(measurements[-1].declared):
        added = increments(measurements, lambda m, name=name: m.declared[name])  # type: ignore[misc]
        if sum(added) and added == list(grew):
            return name
    return None
