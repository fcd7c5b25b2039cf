"""The checkers against a brute-force reference: on every small history, with a fault or without, they must agree."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness.checkers import check_history
from harness.records import StateVariable
from tests.builders import COMPLETED, HistoryBuilder
from tests.property.reference import is_legal
from tests.property.simulator import FAULTS, VARIABLE, Fault, Server, faults, few_steps, models

VARIABLES = st.sampled_from(sorted(VARIABLE.values()))
SCOPES = st.sampled_from(["session", "session", "user", "everyone"])
PROMISES = st.sampled_from(["atomic", "atomic", "last-wins"])
FAULT = st.one_of(st.none(), *(faults(kind) for kind in FAULTS))


def agree(built: HistoryBuilder, state: dict[str, StateVariable], what: str, seen: Counter[str]) -> None:
    """The checkers find an anomaly if and only if no order explains the history."""
    history = built.build()
    legal = is_legal(history, state)
    checks = check_history(history, state, COMPLETED)
    found = {check.name for check in checks.checks if check.verdict == "fail"}
    assert not any("Traceback" in check.reason for check in checks.checks), checks.reason
    seen[f"{what}, {'legal' if legal else 'illegal'}"] += 1
    event(f"{what}, {'legal' if legal else 'illegal'}")
    assert bool(found) != legal, (found, [c.anomalies for c in checks.checks if c.anomalies])


def compare(max_examples: int) -> Counter[str]:
    """Play as many histories, and tell how many there were of each sort."""
    seen: Counter[str] = Counter()

    @settings(max_examples=max_examples)
    @given(st.data(), VARIABLES, SCOPES, PROMISES, FAULT)
    def played(data: st.DataObject, variable: str, scope: str, promise: str, fault: Fault | None) -> None:
        built = Server(scope, promise, fault=fault).play(data.draw(few_steps(variable)))
        state = {variable: models(scope, promise)[variable]}
        agree(built, state, fault.kind if fault is not None else "no fault", seen)

    played()
    print(dict(sorted(seen.items())))
    assert seen["no fault, illegal"] == 0
    for kind in FAULTS:
        assert seen[f"{kind}, illegal"]
        assert seen[f"{kind}, legal"]
    return seen


def test_the_checkers_find_an_anomaly_exactly_if_no_order_explains_the_history() -> None:
    assert compare(500).total() >= 500


@pytest.mark.slow
def test_the_checkers_agree_with_the_reference_on_many_more_histories() -> None:
    assert compare(10_000).total() >= 10_000
