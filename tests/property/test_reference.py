"""The checkers against a brute-force reference: on every small history, with a fault or without, they must agree."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from unittest import mock

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness.checkers import check_history
from harness.history import History
from harness.records import StateVariable
from tests.builders import COMPLETED, HistoryBuilder
from tests.property.reference import is_legal
from tests.property.simulator import (
    FAULTS,
    PEOPLE,
    VARIABLE,
    Fault,
    Server,
    change,
    faults,
    few_steps,
    fresh,
    models,
)

VARIABLES = st.sampled_from(sorted(VARIABLE.values()))
SCOPES = st.sampled_from(["session", "session", "user", "everyone"])
GUARANTEES = st.sampled_from(["atomic", "atomic", "last-wins"])
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
    @given(st.data(), VARIABLES, SCOPES, GUARANTEES, FAULT)
    def played(data: st.DataObject, variable: str, scope: str, guarantee: str, fault: Fault | None) -> None:
        built = Server(scope, guarantee, fault=fault).play(data.draw(few_steps(variable)))
        state = {variable: models(scope, guarantee)[variable]}
        agree(built, state, fault.kind if fault is not None else "no fault", seen)

    played()
    print(dict(sorted(seen.items())))
    assert seen["no fault, illegal"] == 0
    for kind in FAULTS:
        assert seen[f"{kind}, illegal"]
        assert seen[f"{kind}, legal"]
    return seen


def compare_anything(max_examples: int) -> Counter[str]:
    """Let sessions show whatever they like, some of it likely, and tell how many histories there were of each sort."""
    seen: Counter[str] = Counter()

    @settings(max_examples=max_examples)
    @given(st.data(), VARIABLES, SCOPES, GUARANTEES)
    def shown(data: st.DataObject, variable: str, scope: str, guarantee: str) -> None:
        # All schedules of more operations, each of three moments, are too many.
        acts = data.draw(st.lists(ACTS, min_size=2, max_size=6 if guarantee == "atomic" else 4))
        agree(whatever(variable, acts), {variable: models(scope, guarantee)[variable]}, variable, seen)

    shown()
    print(dict(sorted(seen.items())))
    for variable in VARIABLE.values():
        assert seen[f"{variable}, illegal"]
        assert seen[f"{variable}, legal"]
    return seen


@dataclass(frozen=True)
class Act:
    """What a session does, from when to when, and which of the states that there may have been it shows, if any."""

    session: str
    what: str
    begin: int
    length: int
    outcome: str
    shows: int | None


ACTS = st.builds(
    Act,
    session=st.sampled_from(["a"] * 6 + ["a2", "b"]),
    what=st.sampled_from(["change", "change", "change", "clear", "read", "read"]),
    begin=st.integers(0, 9),
    length=st.integers(1, 5),
    outcome=st.sampled_from(["ok"] * 7 + ["info", "pending"]),
    shows=st.sampled_from([0, 0, 0, 1, -1, None]),
)


def whatever(variable: str, acts: list[Act]) -> HistoryBuilder:
    """A history in which each read shows what was there in the order of the beginnings, or so many changes earlier or later."""
    change_of = {name: what for what, name in VARIABLE.items()}
    acts = sorted(acts, key=lambda act: act.begin)
    state = fresh()
    states, effects, places = [copy.deepcopy(state)], [], []
    for number, act in enumerate(acts):
        what = {"change": change_of[variable], "clear": f"clear {variable}", "read": "read"}[act.what]
        effects.append(change(state, what, f"v{number}"))
        if effects[-1]:
            states.append(copy.deepcopy(state))
        places.append(len(states) - 1)
    built = HistoryBuilder()
    for number, session in enumerate(PEOPLE):
        built.open(session, PEOPLE[session], begin=number - 9, end=number - 8)
    for act, effect, place in zip(acts, effects, places, strict=True):
        reads = {}
        outcome = act.outcome if effect else "ok"
        if outcome == "ok" and (act.shows is not None or not effect):
            at = min(max(place + (act.shows or 0), 0), len(states) - 1)
            reads = {variable: states[at][variable]}
        built.add(
            act.session,
            effects=effect,
            reads=reads,
            outcome=outcome,
            error="timeout" if outcome == "info" else None,
            begin=act.begin,
            end=act.begin + act.length,
        )
    return built


@given(st.lists(ACTS, min_size=2, max_size=8), GUARANTEES)
def test_a_register_is_judged_alike_with_a_search_and_without(acts: list[Act], guarantee: str) -> None:
    history, state = whatever("r", acts).build(), {"r": models("session", guarantee)["r"]}
    without = verdicts(history, state)
    with mock.patch("harness.checkers.linearizability.registers.order", return_value=None):
        assert verdicts(history, state) == without


def verdicts(history: History, state: dict[str, StateVariable]) -> dict[str, str]:
    return {check.name: check.verdict for check in check_history(history, state, COMPLETED).checks}


def test_the_checkers_find_an_anomaly_exactly_if_no_order_explains_the_history() -> None:
    assert compare(800).total() >= 800


def test_the_checkers_agree_with_the_reference_on_arbitrary_reads() -> None:
    assert compare_anything(500).total() >= 500


@pytest.mark.slow
def test_the_checkers_agree_with_the_reference_on_many_more_histories() -> None:
    assert compare(10_000).total() >= 10_000


@pytest.mark.slow
def test_the_checkers_agree_with_the_reference_on_many_arbitrary_reads() -> None:
    assert compare_anything(10_000).total() >= 10_000
