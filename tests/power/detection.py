"""How many operations does it take until a fault is reported that strikes once in so many?"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable

import msgspec
import numpy as np

from harness.checkers import check_history
from harness.records import Check
from tests.builders import COMPLETED
from tests.power.simulation import MODELS, VARIABLE, App, Fault

RATE = 1 / 1000
# A fault that was not reported after so many strikes is given up.
MOST_STRIKES = 50


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """One simulated app, watched until its fault was reported.

    Attributes:
        operations: that were complete when it was reported first; None if it was given up.
        strikes: of the fault until then, the one that was reported included.
        false_alarm: whether any check reported an anomaly before the first strike.
        other_names: checks beside the right one that reported an anomaly by the next strike.
    """

    operations: int | None
    strikes: int
    false_alarm: bool = False
    other_names: list[str] = []


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What repetitions with one fault gave.

    Attributes:
        model, fault, check: see `tests.power.simulation.Fault`.
        rate: of the fault, per operation.
        operations, strikes: of each repetition; see `Detection`.
        false_alarms: repetitions in which there was one.
        other_names: check → repetitions in which it reported something as well.
    """

    model: str
    fault: str
    check: str
    rate: float
    operations: list[int | None]
    strikes: list[int]
    false_alarms: int
    other_names: dict[str, int]

    @property
    def seen(self) -> float:
        """The share of strikes that were reported under the right name: one for each repetition, of all until then."""
        return sum(count is not None for count in self.operations) / sum(self.strikes)

    def measured(self, share: float) -> float | None:
        """Operations after which that share of the repetitions had reported the fault; None if fewer ever did."""
        counts = np.asarray([math.inf if count is None else count for count in self.operations])
        value = float(np.quantile(counts, share, method="inverted_cdf"))
        return value if math.isfinite(value) else None

    def expected(self, share: float) -> float:
        """What the geometric distribution gives, if each strike is seen or not whatever became of the others.

        The least n with 1 - (1 - p)^n >= share, where p = rate × share of strikes that are seen.
        """
        return math.log(1 - share) / math.log1p(-self.rate * self.seen)


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """What repetitions without a fault gave.

    Attributes:
        accused: repetitions in which any check reported an anomaly.
    """

    model: str
    repetitions: int
    operations: int
    accused: int


def watch(fault: Fault, seed: str, rate: float = RATE) -> Detection:
    """Simulate an app with a fault until the right check reports it; find the operation at which it did so first."""
    app = App(MODELS[fault.model], fault, rate, seed, fault.clears)
    false_alarm = False
    silent = 0  # so many operations, and nothing was reported
    checks: dict[str, Check] = {}
    for strikes in range(MOST_STRIKES + 1):
        app.run(lambda count=strikes: len(app.strikes) > count)  # type: ignore[misc]
        # All that can come of the strikes so far, but nothing of the one that is under way.
        count = app.strikes[strikes]
        checks = _failed(app, count)
        if not strikes:
            false_alarm = bool(checks)
        elif fault.check in checks:
            first = _first(app, fault.check, silent, count, checks[fault.check])
            return Detection(
                operations=first,
                strikes=bisect.bisect_left(app.strikes, first),
                false_alarm=false_alarm,
                other_names=sorted(checks.keys() - {fault.check}),
            )
        silent = count
    return Detection(
        operations=None, strikes=MOST_STRIKES, false_alarm=false_alarm, other_names=sorted(checks)
    )


def _failed(app: App, count: int) -> dict[str, Check]:
    """The checks that report an anomaly when so many operations are complete."""
    checks = check_history(app.history(count), {VARIABLE: app.model.variable}, COMPLETED)
    failed = {check.name: check for check in checks.checks if check.verdict == "fail"}
    broken = [check.reason for check in checks.checks if "Traceback" in check.reason]
    if broken:
        raise RuntimeError(broken[0])
    return failed


def _first(app: App, name: str, silent: int, reported: int, check: Check) -> int:
    """The least number of operations at which a check reports an anomaly, between one that is silent and one that reports."""
    # It can be told no sooner than when the last operation of a witness is complete, which is mostly the moment itself.
    positions = {f"0:{app.operations[n].id}": place for place, n in enumerate(app.completed, start=1)}
    told = min(max(positions[w.operation] for w in anomaly.witness) for anomaly in check.anomalies)
    if silent < told < reported and name in _failed(app, told):
        reported = told
        if told - 1 > silent and name not in _failed(app, told - 1):
            return told
    while reported - silent > 1:
        middle = (silent + reported) // 2
        if name in _failed(app, middle):
            reported = middle
        else:
            silent = middle
    return reported


def measure(fault: Fault, repetitions: int, rate: float = RATE) -> Row:
    """Watch as many apps as there are repetitions; the number of each is its seed."""
    found = [watch(fault, f"{fault.model}, {fault.name}, {number}", rate) for number in range(repetitions)]
    return Row(
        model=fault.model,
        fault=fault.name,
        check=fault.check,
        rate=rate,
        operations=[d.operations for d in found],
        strikes=[d.strikes for d in found],
        false_alarms=sum(d.false_alarm for d in found),
        other_names=dict(Counter(name for d in found for name in d.other_names).most_common()),
    )


def measure_silence(model: str, repetitions: int, operations: int) -> Silence:
    """Watch apps without a fault; in every other one people clear the state now and then, where it can be cleared."""
    accused = 0
    for number in range(repetitions):
        clears = number % 2 == 1 and model not in ("assigned", "answer", "chain")
        app = App(MODELS[model], None, 0.0, f"{model}, no fault, {number}", clears)
        app.run(lambda app=app: len(app.completed) >= operations)  # type: ignore[misc]
        accused += bool(_failed(app, operations))
    return Silence(model=model, repetitions=repetitions, operations=operations, accused=accused)


def fault_table(rows: Iterable[Row]) -> str:
    """What it takes to see each fault, as Markdown."""
    lines = [
        "| model | what goes wrong | check | of the faults, seen | operations until it is reported: median | p90 | p95 | expected: median | p95 |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        measured = " | ".join(
            "–" if (value := row.measured(share)) is None else f"{value:,.0f}" for share in (0.5, 0.9, 0.95)
        )
        expected = " | ".join(f"{row.expected(share):,.0f}" for share in (0.5, 0.95))
        lines.append(
            f"| {row.model} | {row.fault} | {row.check} | {row.seen:.0%} | {measured} | {expected} |"
        )
    return "\n".join(lines)


def silence_table(found: Iterable[Silence]) -> str:
    """How often nobody was accused, as Markdown."""
    lines = ["| model | histories without a fault | operations in each | accused |", "|---|--:|--:|--:|"]
    lines += [f"| {s.model} | {s.repetitions} | {s.operations:,} | {s.accused} |" for s in found]
    return "\n".join(lines)


def planning_table() -> str:
    """How many operations without an anomaly rule out a fault of some rate, as Markdown."""
    shares = (1.0, 0.5, 0.1)
    lines = [
        "| a fault that strikes once in | all of them seen | half of them | one in ten |",
        "|--:|--:|--:|--:|",
    ]
    for once_in in (100, 1_000, 10_000, 100_000):
        needed = " | ".join(f"{operations_needed(1 / once_in, share):,}" for share in shares)
        lines.append(f"| {once_in:,} | {needed} |")
    return "\n".join(lines)


def operations_needed(rate: float, seen: float = 1.0, certainty: float = 0.95) -> int:
    """Operations after which a fault has been seen at least once, with that certainty.

    The least n with 1 - (1 - rate × seen)^n >= certainty; the other way round it is `harness.checkers.detection_limit`, which names its source.
    """
    return math.ceil(math.log(1 - certainty) / math.log1p(-rate * seen))
