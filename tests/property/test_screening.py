"""Screening followed by the check of selected sessions gives the result of a full check, also for histories with differences."""

from __future__ import annotations

import copy
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness.checkers import check
from harness.checkers.screening import Scan
from harness.history import History, InMemoryHistory, ShardHistory, WorkerFacts, Workers
from harness.history.list_delta import Shortener
from harness.records import Checks, HistoryRecord, Ok, Sighting, StateVariable
from harness.workload import answer, assigned, blob, chain
from tests.builders import COMPLETED, HistoryBuilder
from tests.property.simulator import Server, Step, models, steps

SCOPES = st.sampled_from(["session", "session", "user", "everyone"])
GUARANTEES = st.sampled_from(["atomic", "last-wins"])
MORE = {"picture": blob(), "reply": answer(), "steps": chain(), "given": assigned()}
# What may befall the reads of one operation: (which operation, what).
FAULTS = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from(
            [
                "another's",
                "nothing",
                "unwritten",
                "twice",
                "shorter",
                "reversed",
                "higher",
                "sighting",
                "none",
            ]
        ),
    ),
    max_size=3,
)


def dressed(history: History, faults: list[tuple[int, str]], *, one_account: bool) -> History:
    """A history in which everything also stores, asks, begins and reads a value of its own, and some reads are spoilt."""
    operations = []
    for number, operation in enumerate(history.operations):
        reads = copy.deepcopy(operation.reads)
        if reads:
            reads |= {
                "picture": f"v{number}",
                "reply": f"v{number}",
                "steps": [f"v{number}"] * 2,
                "given": f"for {operation.session}",
            }
        effects = dict(operation.effects)
        if operation.action != "open":
            effects["picture"] = msgspec.convert({"op": "store", "value": [f"v{number}", []]}, type(_EFFECT))
            effects["reply"] = msgspec.convert({"op": "ask", "value": f"v{number}"}, type(_EFFECT))
            effects["steps"] = msgspec.convert({"op": "begin", "value": f"v{number}"}, type(_EFFECT))
        account = int(one_account and operation.action == "open")
        operations.append(msgspec.structs.replace(operation, reads=reads, effects=effects, account=account))
    for at, fault in faults:
        with_reads = [n for n, o in enumerate(operations) if o.reads]
        if with_reads:
            n = with_reads[at % len(with_reads)]
            other = operations[with_reads[(at * 7 + 3) % len(with_reads)]]
            operations[n] = spoilt(operations[n], other, fault)
    return msgspec.structs.replace(history, operations=operations)


_EFFECT = HistoryBuilder().append("a", "x").build().operations[0].effects["log"]


def spoilt(operation: Any, other: Any, fault: str) -> Any:
    reads = dict(operation.reads)
    if fault == "sighting":
        seen = Sighting(kind="foreign-token", value="t-ab12-0-1-1-8f8c", where="somewhere")
        return msgspec.structs.replace(operation, sightings=[seen], searched=3)
    for name, value in reads.items():
        if fault == "another's":
            reads[name] = other.reads.get(name, value)
        elif fault == "nothing":
            reads[name] = [] if isinstance(value, list) else {} if isinstance(value, dict) else None
        elif fault == "unwritten":
            reads[name] = [*value, "x"] if isinstance(value, list) else "x"
        elif fault == "twice" and isinstance(value, list):
            reads[name] = [*value, *value]
        elif fault == "shorter" and isinstance(value, list):
            reads[name] = value[1:]
        elif fault == "reversed" and isinstance(value, list):
            reads[name] = value[::-1]
        elif fault == "higher" and isinstance(value, int):
            reads[name] = value + 1
    return msgspec.structs.replace(operation, reads=reads)


def recorded(history: History, *, min_kept: int) -> ShardHistory:
    """The history as its files would hold it."""
    with mock.patch("harness.history.list_delta.MIN_KEPT", min_kept):
        lines: dict[str, bytes] = {}
        for worker, pairs in InMemoryHistory(history).pairs([]):
            moments: list[tuple[float, int, HistoryRecord]] = []
            shorteners: dict[str, Shortener] = {}
            for invoke, done in pairs:
                moments.append((invoke.time_ns, 0, invoke))
                if isinstance(done, Ok):
                    shortener = shorteners.setdefault(invoke.session, Shortener())
                    whole, deltas = shortener.shorten(invoke.id, done.reads)
                    done = msgspec.structs.replace(done, reads=whole, deltas=deltas)
                if done is not None:
                    moments.append((done.time_ns, 1, done))
            moments.sort(key=lambda moment: moment[:2])
            lines[worker] = b"".join(msgspec.json.encode(record) + b"\n" for *_, record in moments)
    decoder: msgspec.json.Decoder[HistoryRecord] = msgspec.json.Decoder(HistoryRecord)
    return ShardHistory(
        {w: lambda _, text=text: decoder.decode_lines(text) for w, text in lines.items()}, history.workers
    )


def agree(history: History, state: dict[str, StateVariable]) -> Checks:
    short = check(InMemoryHistory(history), state, COMPLETED)
    with (
        mock.patch("harness.checkers.owner_log.OwnerLog._run_model", return_value=None),
        mock.patch("harness.checkers.history_index.grows", return_value=False),
    ):
        same(check(InMemoryHistory(history), state, COMPLETED, select_all=True), short)
    assert not any("Traceback" in c.reason for c in short.checks), [c.reason for c in short.checks]
    # With so few sessions, half of them are hardly ever left out.
    with mock.patch("harness.checkers.screening._MAX_SELECTED_SHARE", 2.0):
        same(check(recorded(history, min_kept=1), state, COMPLETED), short)
    return short


def same(one: Checks, other: Checks) -> None:
    for mine, theirs in zip(one.checks, other.checks, strict=True):
        assert (mine.name, mine.evidence) == (theirs.name, theirs.evidence)
        assert mine == theirs
    assert one == other


def examine(
    played: list[Step],
    scope: str,
    guarantee: str,
    faults: list[tuple[int, str]],
    *,
    one_account: bool = False,
) -> None:
    state = models(scope, guarantee) | MORE
    history = dressed(Server(scope, guarantee).play(played).build(), faults, one_account=one_account)
    checks = agree(history, state)
    event(f"{scope}: {checks.verdict}")
    selected = Scan(InMemoryHistory(history), state).selected().operations
    event(
        "all selected"
        if len(selected) == len(history.operations)
        else "some selected"
        if selected
        else "none"
    )


@given(steps(overlap=0, max_size=24), SCOPES, GUARANTEES, FAULTS)
def test_screening_and_the_full_check_agree_on_sequential_sessions(
    played: list[Step], scope: str, guarantee: str, faults: list[tuple[int, str]]
) -> None:
    examine(played, scope, guarantee, faults)


@given(steps(overlap=2), SCOPES, GUARANTEES, FAULTS, st.booleans())
def test_screening_and_the_full_check_agree_on_overlapping_operations(
    played: list[Step], scope: str, guarantee: str, faults: list[tuple[int, str]], one_account: bool
) -> None:
    examine(played, scope, guarantee, faults, one_account=one_account)


@pytest.mark.slow
@settings(max_examples=5_000)
@given(steps(overlap=1, max_size=30), SCOPES, GUARANTEES, FAULTS)
def test_screening_and_the_full_check_agree_on_many_histories(
    played: list[Step], scope: str, guarantee: str, faults: list[tuple[int, str]]
) -> None:
    examine(played, scope, guarantee, faults)


def test_a_reader_of_foreign_values_and_their_writer_are_selected_and_nothing_else() -> None:
    built = HistoryBuilder()
    for name in "abcdefgh":
        built.open(name, f"person {name}")
    for turn in range(3):
        for name in "abcdefgh":
            built.append(name, f"{name}{turn}", [f"{name}{n}" for n in range(turn + 1)])
    state = {"log": models()["log"]}
    assert Scan(InMemoryHistory(built.build()), state).selected().operations == []
    built.read("c", ["c0", "c1", "c2", "f1"])
    selected = Scan(InMemoryHistory(built.build()), state).selected()
    assert {operation.session for operation in selected.operations} == {"c", "f"}
    assert selected.started_ns == built.build().started_ns
    checks = agree(built.build(), state)
    assert {c.name for c in checks.checks if c.verdict == "fail"} == {"cross-session-read"}


def test_a_count_that_another_session_explains_is_found_without_selecting_all_sessions() -> None:
    built = HistoryBuilder()
    for turn in range(1, 4):
        for name in "abcdefgh":
            built.click(name, turn)
    built.read("c", 5, "n").click("c", 6)
    state = {"n": models()["n"]}
    selected = Scan(InMemoryHistory(built.build()), state)
    assert {operation.session for operation in selected.selected().operations} == {"c"}
    assert selected.counted_apart == {"n"}
    checks = agree(built.build(), state)
    (failed,) = [c for c in checks.checks if c.verdict == "fail"]
    assert failed.name == "cross-session-read"
    assert failed.anomalies[0].sessions == ["h", "c"]
    assert failed.anomalies[0].witness[0].reads == {"n": 3}


@given(
    steps(overlap=3, max_size=24, whats=("append", "append", "read", "click")),
    st.sampled_from(["session", "user", "everyone"]),
    FAULTS,
)
def test_the_fast_path_for_append_only_lists_agrees_with_the_full_check(
    played: list[Step], scope: str, faults: list[tuple[int, str]]
) -> None:
    examine(played, scope, "atomic", faults[:1])


def test_all_sessions_are_selected_if_a_worker_was_lost() -> None:
    built = HistoryBuilder().append("a", "a1", ["a1"]).append("b", "b1", ["b1"])
    lost = Workers(facts={"0": WorkerFacts(name="0", lost="was killed")})
    state = {"log": models()["log"]}
    assert len(Scan(InMemoryHistory(built.build(workers=lost)), state).selected().operations) == 2


def test_sessions_that_began_with_a_reload_and_read_their_own_state_are_counted() -> None:
    built = (
        HistoryBuilder()
        .add("s0-1", action="open")
        .append("s0-1", "a", ["a"])
        .add("s0-2", action="reload")
        .append("s0-2", "b", ["b"])
        .add("s0-3", action="reload")
        .append("s0-3", "c")
    )
    checks = check(InMemoryHistory(built.build()), {"log": models()["log"]}, COMPLETED)
    evidence = next(c.evidence for c in checks.checks if c.name == "resurrected-state")
    assert evidence["reloaded_sessions"] == 1


def test_a_phase_without_a_name_is_one_like_any_other() -> None:
    built = HistoryBuilder().append("a", "x", ["x"], phase="").append("b", "y", ["y"], phase="")
    checks = check(InMemoryHistory(built.build()), {"log": models()["log"]}, COMPLETED)
    assert checks.verdict == "unknown"  # nothing was seen under load
    assert checks.checks[0].evidence["ok"] == 2
