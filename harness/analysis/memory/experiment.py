"""The memory experiment, as it was carried out: its plateaus by what they are for, and how something grew from one to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import msgspec

from harness.analysis.data import RunData
from harness.analysis.theil_sen import Slope, theil_sen
from harness.history import type_counts
from harness.records import TAB_ACTIONS, Census, Container, Operation, Plateau, StateVariable

# Growth goes on if its later half is at least so large, compared with its first half: a leak grows alike, a cache that
# fills grows less and less.
GOES_ON = 0.5
USERS_OF = "the users of "


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """A plateau with its census, and what had happened until then.

    Attributes:
        lengths: access path → the containers there.
        requests, sessions: begun so far.
        actions: action → operations of it so far.
        declared: variable → entries that were put into it on purpose, where it outlives sessions.
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
        """Entries at an access path."""
        container = self.lengths.get(path)
        return container.length if container is not None else 0

    def pinned(self, path: str) -> int:
        """Bytes that what stands at an access path occupies with everything below."""
        container = self.lengths.get(path)
        return container.pinned_bytes if container is not None else 0

    @property
    def unnamed_bytes(self) -> int | None:
        """Live bytes that nothing that was counted accounts for."""
        live = self.plateau.probe.live_bytes
        return None if live is None else live - self.census.known_bytes


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """The plateaus by what they are for; all of one process of the app."""

    start: Measurement
    stairs: list[Measurement]
    batches: list[Measurement]
    after: Measurement | None
    rounds: list[Measurement]

    @property
    def last(self) -> Measurement:
        """The last of them."""
        tail = [self.after] if self.after is not None else []
        return [self.start, *self.batches, *tail, *self.rounds[1:]][-1]

    @property
    def everything(self) -> list[Measurement]:
        """All, in order, but for the steps of the staircase."""
        return [self.start, *self.batches, *([self.after] if self.after else []), *self.rounds[1:]]


def experiment_of(data: RunData) -> Experiment | None:
    """Put the plateaus of a run that were counted in their places; None if there is not even the first."""
    by_number = {census.plateau: census for census in data.census}
    operations = sorted(data.history.operations, key=lambda o: o.invoke_ns)
    measurements: list[Measurement] = []
    actions: Counter[str] = Counter()
    declared: Counter[str] = Counter()
    users: set[str] = set()
    done = 0
    first: dict[int | None, Census] = {}
    for number, plateau in enumerate(data.plateaus):
        while done < len(operations) and operations[done].invoke_ns <= plateau.process.time_ns:
            operation = operations[done]
            done += 1
            if operation.action not in TAB_ACTIONS:
                actions[operation.action] += 1
            _declare(operation, data.manifest.state, declared, users)
        census = by_number.get(number)
        if census is None or plateau.requests is None or plateau.sessions is None:
            continue
        whole = first.setdefault(plateau.pid, census)
        measurements.append(
            Measurement(
                plateau=plateau,
                lengths={container.path: container for container in census.containers},
                census=census,
                requests=plateau.requests,
                sessions=plateau.sessions,
                actions=Counter(actions),
                declared=Counter(declared),
                types=type_counts(whole, census),
            )
        )
    stairs = [m for m in measurements if m.plateau.label == "staircase"]
    if not stairs:
        return None
    begun = stairs[0]
    measurements = [m for m in measurements if m.plateau.pid == begun.plateau.pid]
    stairs = [m for m in measurements if m.plateau.label == "staircase"]
    batches = [m for m in measurements if m.plateau.label == "requests"]
    after = next((m for m in measurements if m.plateau.label == "after-close"), None)
    rounds = [m for m in measurements if m.plateau.label == "second-round"]
    return Experiment(
        start=begun,
        stairs=stairs,
        batches=[stairs[-1], *batches] if batches else [],
        after=after,
        rounds=[after, *rounds] if after is not None and rounds else [],
    )


def _declare(
    operation: Operation, state: Mapping[str, StateVariable], declared: Counter[str], users: set[str]
) -> None:
    """Add what an operation puts, by declaration, into state that outlives sessions: variable → entries."""
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
    """Slope of a measure over requests; None if one of the measurements lacks it."""
    values = [value for m in measurements if (value := measure(m)) is not None]
    if len(values) != len(measurements):
        return None
    return theil_sen([m.requests for m in measurements], values)


def steps(measurements: Sequence[Measurement], of: Callable[[Measurement], int]) -> list[int]:
    """By how much something grew from each measurement to the next."""
    return [of(later) - of(earlier) for earlier, later in pairwise(measurements)]


def exactly(grew: Sequence[int | Fraction], weights: Sequence[int]) -> bool:
    """Whether every step grew by the very same whole number for each unit of its weight."""
    rates = {Fraction(step) / weight for step, weight in zip(grew, weights, strict=True) if weight}
    whole = len(rates) == 1 and next(iter(rates)).denominator == 1
    return whole and all(not step for step, weight in zip(grew, weights, strict=True) if not weight)


def goes_on(grew: Sequence[int | Fraction], weights: Sequence[int]) -> bool:
    """Whether the later half of the steps grew at least `GOES_ON` times as fast as the first half."""
    half = len(grew) // 2
    early, late = sum(weights[:half]), sum(weights[-half:])
    if not early or not late:
        return False
    return Fraction(sum(grew[-half:])) / late >= GOES_ON * Fraction(sum(grew[:half])) / early


def declared_by(grew: Sequence[int], measurements: Sequence[Measurement]) -> str | None:
    """The variable to which exactly as many entries were added on purpose, in every step."""
    for name in sorted(measurements[-1].declared):
        added = steps(measurements, lambda m, name=name: m.declared[name])  # type: ignore[misc]
        if sum(added) and added == list(grew):
            return name
    return None
