"""Records of a server without a fault, damaged at random: never a pass where it shows, and nobody is accused."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import check_history
from harness.history import Workers, pair
from harness.records import HistoryRecord, Invoke, Ok
from tests.builders import COMPLETED
from tests.power.simulation import MODELS, RUN_TAG, VARIABLE, App

CLEARED = {"list", "counter", "register", "record"}


@cache
def shard(model: str, seed: int) -> list[HistoryRecord]:
    """What a process would have written of ten people, in the order of writing."""
    app = App(MODELS[model], None, 0.0, f"damage {seed}", clears=model in CLEARED)
    app.run(lambda: len(app.completed) >= 100)
    lines: list[tuple[int, int, HistoryRecord]] = []
    for o in app.operations:
        if not o.reads and not o.user:
            continue  # it is under way, and nobody knows yet what it does
        assert o.complete_ns is not None
        user = f"u-{RUN_TAG}-0-{o.user[1:]}" if o.user else ""
        invoke = Invoke(
            id=o.id,
            session=o.session,
            action=o.action,
            phase="load",
            time_ns=o.invoke_ns,
            user=user,
            effects=o.effects,
        )
        lines += [
            (o.invoke_ns, 0, invoke),
            (o.complete_ns, 1, Ok(id=o.id, time_ns=o.complete_ns, reads=o.reads)),
        ]
    return [record for *_, record in sorted(lines, key=lambda line: line[:2])]


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(MODELS)),
    st.integers(0, 5),
    st.lists(
        st.tuples(st.sampled_from(["lost", "twice", "late"]), st.integers(0, 10_000)), min_size=1, max_size=3
    ),
)
def test_damaged_records_cause_no_anomaly(model: str, seed: int, damages: list[tuple[str, int]]) -> None:
    records = list(shard(model, seed))
    torn = False
    for damage, number in damages:
        at = number % len(records)
        line = records.pop(at)
        torn |= damage == "lost"
        if damage == "twice":
            records[at:at] = [line, line]
        elif damage == "late":
            records.append(line)
    history = pair(
        {"0": records},
        ["Line 7 cannot be read."] if torn else [],
        Workers(run_tag=RUN_TAG),
        damaged=["0"] if torn else [],
    )
    checks = check_history(history, {VARIABLE: MODELS[model].variable}, COMPLETED)
    assert {c.name: c.reason for c in checks.checks if c.verdict == "fail" or "Traceback" in c.reason} == {}
    if history.problems:
        assert checks.verdict == "unknown"
    if torn or any(damage == "twice" for damage, _ in damages):
        assert history.problems
