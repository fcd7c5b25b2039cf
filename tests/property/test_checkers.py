"""A small Gradio server with switchable faults; the checkers must be silent without a fault and find each planted one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import check_history
from harness.checkers.counter_reads import Floor
from harness.checkers.history_index import Index
from harness.checkers.screening import Scan
from harness.history import InMemoryHistory, WorkerFacts, Workers
from harness.records import StateVariable
from harness.workload import answer, append_only_list, assigned, chain, counter, register
from tests.builders import COMPLETED, HistoryBuilder
from tests.property.simulator import Server, Step, models, steps

SCOPES = st.sampled_from(["session", "user", "everyone"])
GUARANTEES = st.sampled_from(["atomic", "last-wins"])


def found_in(built: HistoryBuilder, state: dict[str, StateVariable]) -> set[str]:
    checks = check_history(built.build(), state, COMPLETED)
    assert not any("Traceback" in check.reason for check in checks.checks), checks.reason
    return {check.name for check in checks.checks if check.verdict == "fail"}


# --- without a fault ---


@given(steps(overlap=3), SCOPES, GUARANTEES)
def test_a_server_that_keeps_its_guarantee_is_never_accused(
    played: list[Step], scope: str, guarantee: str
) -> None:
    """Whoever owns the state, with operations of one session at a time or several, timeouts, failures and clears."""
    assert found_in(Server(scope, guarantee).play(played), models(scope, guarantee)) == set()


@pytest.mark.slow
@settings(max_examples=10_000)
@given(steps(overlap=4, max_size=20), SCOPES, GUARANTEES)
def test_a_server_that_keeps_its_guarantee_is_never_accused_in_many_more_histories(
    played: list[Step], scope: str, guarantee: str
) -> None:
    assert found_in(Server(scope, guarantee).play(played), models(scope, guarantee)) == set()


@given(steps(overlap=1, whats=("append", "click", "read", "read", "read")), SCOPES)
def test_a_server_that_takes_its_time_as_it_may_is_never_accused(played: list[Step], scope: str) -> None:
    built = Server(scope, within=300).play(played)
    assert found_in(built, models(scope, within=300)) == set()


@given(steps(overlap=2), SCOPES, GUARANTEES, st.integers(-9000, 9000), st.integers(0, 14))
def test_clock_offsets_and_a_new_phase_cause_no_anomaly(
    played: list[Step], scope: str, guarantee: str, ahead: int, split: int
) -> None:
    """Two machines, and what each person did in two phases; no operation of the first ends in the second."""
    workers = {"a": ("1", 0), "a2": ("1", 0), "b": ("2", ahead)}
    built = Server(scope, guarantee, workers=workers, split=split).play(played)
    facts = {name: WorkerFacts(name=name, clock=f"clock of {name}") for name in ("1", "2")}
    history = built.build(workers=Workers(run_tag="7f3a", facts=facts))
    checks = check_history(history, models(scope, guarantee), COMPLETED)
    assert {c.name: c.reason for c in checks.checks if c.anomalies_total or "Traceback" in c.reason} == {}


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "v1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.lists(st.tuples(st.sampled_from("ab"), ANYTHING), min_size=1, max_size=6), SCOPES)
def test_every_shown_value_is_judged_without_a_crash(shown: list[tuple[str, Any]], scope: str) -> None:
    """No value of any shape makes a checker fail: what is of the wrong shape is garbage."""
    state = {**models(scope), "start": assigned(), "reply": answer(), "steps": chain()}
    built = HistoryBuilder()
    for number, (session, value) in enumerate(shown):
        effects = {
            "log": ("append", f"v{number}"),
            "n": ("increment", 1),
            "r": ("write", f"v{number}"),
            "form": ("put", {"x": f"v{number}"}),
            "reply": ("ask", f"v{number}"),
            "steps": ("begin", f"v{number}"),
        }
        built.add(session, effects=effects, reads=dict.fromkeys(state, value))
    assert "garbage-read" in found_in(built, state)


# --- the bound where the last update wins ---


def least(updates: list[tuple[int, int, str]], at: int) -> int:
    """Brute force: the least that a counter can stand at, tried over all moments at which updates can read and write.

    An update is (begin, end, increment or clear); its moments of reading and writing lie between.
    """
    seen: set[tuple[Any, ...]] = set()
    results: list[int] = []

    def explore(now: int, value: int, held: tuple[Any, ...]) -> None:
        # held: for each update None (not begun to read), a value (read), or "done"
        if (now, value, held) in seen:
            return
        seen.add((now, value, held))
        if now == at:
            results.append(value)
            return
        for number, (begin, end, what) in enumerate(updates):
            if not begin <= now < end or held[number] == "done":
                continue
            changed = list(held)
            if held[number] is None:
                changed[number] = value
                explore(now, value, tuple(changed))
            else:
                changed[number] = "done"
                explore(now, held[number] + 1 if what == "click" else 0, tuple(changed))
        if all(held[n] == "done" for n, (_, end, _) in enumerate(updates) if end == now + 1):
            explore(now + 1, value, held)

    explore(0, 0, (None,) * len(updates))
    return min(results)


UPDATES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 4), st.sampled_from(["click", "click", "click", "clear"])),
    min_size=1,
    max_size=4,
)


@given(UPDATES, st.integers(1, 10))
def test_the_least_that_a_counter_can_stand_at_is_what_brute_force_finds(
    updates: list[tuple[int, int, str]], at: int
) -> None:
    intervals = [(begin, begin + length, what) for begin, length, what in updates]
    built = HistoryBuilder()
    for begin, end, what in intervals:
        effect = ("increment", 1) if what == "click" else ("clear", None)
        built.add("a", effects={"n": effect}, begin=begin, end=end)
    built.add("a", reads={"n": 0}, begin=at, end=at + 20)
    model = counter(concurrent_updates="last-wins")
    history, state = built.build(), {"n": model}
    ledger = Index(history, state, Scan(InMemoryHistory(history), state, select_all=True)).log("n", "a")
    ledger.prepare()  # what a plain one can do without
    floor = Floor(ledger, 0).at(ledger.reads[0])
    # The read may see the state at any moment from its begin on.
    assert floor == min(least(intervals, moment) for moment in range(at, 12))


# --- with a fault: one operation after another ---

LETTERS = st.sampled_from("abc")
SIMPLE = {"log": append_only_list(), "n": counter(), "r": register()}
MOVES = st.lists(
    st.tuples(LETTERS, st.sampled_from(["append", "append", "click", "write", "read", "timeout"])),
    min_size=1,
    max_size=20,
)
CERTAIN = st.lists(
    st.tuples(LETTERS, st.sampled_from(["append", "append", "click", "write", "read"])),
    min_size=1,
    max_size=20,
)


class Faulty:
    """Keeps a log, a count and a register per session, but for one fault, which happens at one step.

    Attributes:
        hit: whether the fault found something to spoil.
    """

    def __init__(self, fault: str | None = None, at: int = 0) -> None:
        self.fault = fault
        self.at = at
        self.step = 0
        self.state: dict[str, dict[str, Any]] = {}
        self.history = HistoryBuilder()
        self.hit = False
        self.pending: dict[str, str] = {}
        self.waited = 0

    def of(self, session: str) -> dict[str, Any]:
        owner = "everybody" if self.fault == "shared" else session
        return self.state.setdefault(owner, {"log": [], "n": 0, "r": None})

    def do(self, session: str, what: str, applied: bool = True) -> None:
        self.step += 1
        now = self.step == self.at
        mine = self.of(session)
        value = f"{session}{self.step}"
        if what in ("append", "timeout"):
            self._append(session, what, value, mine, now, applied)
        elif what == "click":
            lose = now and self.fault == "lose"
            mine["n"] += 0 if lose else 2 if now and self.fault == "duplicate" else 1
            self.hit |= now and self.fault in ("lose", "duplicate")
            self.history.click(session, mine["n"])
        elif what == "write":
            if now and self.fault == "lose":
                self.hit = True
            else:
                mine["r"] = value
            self.history.add(session, effects={"r": ("write", value)}, reads={"r": mine["r"]})
        else:
            self.history.add(session, reads={"log": list(mine["log"]), "n": mine["n"], "r": mine["r"]})
        if what in ("append", "read") and not now:
            self._catch_up(session, mine)

    def _append(
        self, session: str, what: str, value: str, mine: dict[str, Any], now: bool, applied: bool
    ) -> None:
        fault = self.fault if now and what == "append" else None
        before = list(mine["log"])
        if fault == "late":
            self.hit = True
            self.history.append(session, value, before)
            self.pending[session] = value
            return
        if fault == "lose":
            self.hit = True
        elif what == "append" or applied:
            mine["log"].append(value)
        if fault == "duplicate":
            self.hit = True
            mine["log"].append(value)
        if fault == "reorder" and len(mine["log"]) > 1:
            self.hit = True
            mine["log"][-2:] = reversed(mine["log"][-2:])
        if what == "timeout":
            self.history.append(session, value, outcome="info", error="timeout")
        else:
            self.history.append(session, value, list(mine["log"]))

    def _catch_up(self, session: str, mine: dict[str, Any]) -> None:
        """What is late takes effect after the second operation that follows it."""
        if session in self.pending:
            self.waited += 1
            if self.waited == 2:
                mine["log"].append(self.pending.pop(session))


def run(server: Faulty, moves: list[tuple[str, str]], applied: bool = True) -> set[str]:
    for session, what in moves:
        server.do(session, what, applied)
    return found_in(server.history, SIMPLE)


@given(MOVES, st.booleans())
def test_without_a_fault_it_is_not_accused_either(moves: list[tuple[str, str]], applied: bool) -> None:
    assert run(Faulty(), moves, applied) == set()


@given(MOVES)
def test_shared_state_is_found_whenever_it_could_be_seen(moves: list[tuple[str, str]]) -> None:
    """Brute force: somebody read after somebody else had written to the same variable."""
    visible = False
    log_by: set[str] = set()
    clicks_by: set[str] = set()
    last_writer = None
    for session, what in moves:
        if what in ("append", "timeout"):
            log_by.add(session)
        if what == "click":
            clicks_by.add(session)
        if what == "write":
            last_writer = session
        if what in ("append", "read") and log_by - {session}:
            visible = True
        if what in ("click", "read") and clicks_by - {session}:
            visible = True
        if what == "read" and last_writer not in (None, session):
            visible = True
    assert ("cross-session-read" in run(Faulty("shared"), moves)) == visible


@given(MOVES, st.integers(1, 20))
def test_a_lost_update_is_found_at_once(moves: list[tuple[str, str]], at: int) -> None:
    server = Faulty("lose", at)
    found = run(server, moves)
    assert found == ({"lost-update"} if server.hit else set())


@given(MOVES, st.integers(1, 20))
def test_an_effect_that_takes_place_twice_is_found_at_once(moves: list[tuple[str, str]], at: int) -> None:
    server = Faulty("duplicate", at)
    found = run(server, moves)
    if server.hit and moves[at - 1][1] == "click":
        # A count does not say whose it is: if others clicked meanwhile, it may be theirs.
        assert len(found) == 1
        assert found <= {"duplicate-effect", "cross-session-read"}
        if not any(what == "click" and session != moves[at - 1][0] for session, what in moves):
            assert found == {"duplicate-effect"}
    else:
        assert found == ({"duplicate-effect"} if server.hit else set())


@given(CERTAIN, st.integers(1, 20))
def test_appends_in_another_order_are_found_at_once(moves: list[tuple[str, str]], at: int) -> None:
    server = Faulty("reorder", at)
    found = run(server, moves)
    assert found == ({"monotonic-writes"} if server.hit else set())


@given(CERTAIN, st.integers(1, 20))
def test_a_late_write_is_stale_out_of_order_or_lost(moves: list[tuple[str, str]], at: int) -> None:
    server = Faulty("late", at)
    found = run(server, moves)
    if not server.hit:
        assert found == set()
        return
    session = moves[at - 1][0]
    after = [what for who, what in moves[at:] if who == session and what in ("append", "read")]
    # It is applied after the second of them, so that the third shows it.
    if len(after) < 3:
        assert found == {"lost-update"}
    elif "append" in after[:2]:
        assert found == {"monotonic-writes"}
    else:
        assert found == {"read-your-writes"}


# --- faults of a whole session ---


class Tabs:
    """People who come back in new sessions, and clear things; with faults of the server's memory.

    A fault: `reset` (at a step, the session's state is back at its defaults), `resurrect` (a new session of the same user
    starts with what the one before had), `returns` (at a step, a clear empties only what is shown), `stale` (at a step,
    a read shows the state as it was one change before).
    """

    def __init__(self, fault: str | None = None, at: int = 0) -> None:
        self.fault = fault
        self.at = at
        self.step = 0
        self.history = HistoryBuilder()
        self.sessions: dict[str, int] = {}
        self.state: dict[str, Any] = {}
        self.older: dict[str, Any] = {}
        self.hit = False
        # What an operation other than its writer has shown since it was last cleared, and what there is to be shown.
        self.persisted: dict[str, bool] = {}

    def do(self, person: str, what: str) -> None:
        self.step += 1
        now = self.step == self.at
        if person not in self.sessions or what == "reload":
            number = self.sessions.get(person, 0) + 1
            self.sessions[person] = number
            self.history.open(f"{person}{number}", person)
            old = self.state.get(person)
            if self.fault != "resurrect" or old is None:
                self.state[person] = {"log": [], "n": 0, "r": None}
            self.older[person] = copy.deepcopy(self.state[person])
            self.persisted[person] = False
        session = f"{person}{self.sessions[person]}"
        mine = self.state[person]
        if self.fault == "reset" and now:
            self.hit = self.persisted[person]
            mine.update(log=[], n=0, r=None)
        before = copy.deepcopy(mine)
        value = f"{session}-{self.step}"
        if what == "append":
            mine["log"].append(value)
            self.history.append(session, value, list(mine["log"]))
        elif what == "click":
            mine["n"] += 1
            self.history.click(session, mine["n"])
        elif what == "clear":
            self.persisted[person] = False
            if self.fault == "returns" and now:
                self.hit = bool(mine["log"])
            else:
                mine["log"] = []
            self.history.clear(session, "log", [])
        elif what == "read":
            shown = mine
            if self.fault == "stale" and now:
                shown = self.older[person]
                self.hit = shown != mine
            self.persisted[person] |= bool(mine["log"]) or mine["n"] > 0
            self.history.add(session, reads={"log": list(shown["log"]), "n": shown["n"]})
        if mine != before:
            self.older[person] = before


VISITS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["append", "append", "click", "read", "read", "clear", "reload"]),
    ),
    min_size=1,
    max_size=20,
)
TAB = {"log": append_only_list(), "n": counter()}


def visit(tabs: Tabs, visits: list[tuple[str, str]]) -> set[str]:
    for person, what in visits:
        tabs.do(person, what)
    return found_in(tabs.history, TAB)


@given(VISITS)
def test_tabs_that_start_anew_are_not_accused(visits: list[tuple[str, str]]) -> None:
    assert visit(Tabs(), visits) == set()


@given(VISITS)
def test_resurrected_state_is_found_whenever_it_could_be_seen(visits: list[tuple[str, str]]) -> None:
    """Brute force: a session saw what an earlier one of the same user had left behind."""
    log: dict[str, list[int]] = {}
    clicks: dict[str, list[int]] = {}
    number: dict[str, int] = {}
    visible = False
    for person, what in visits:
        number[person] = number.get(person, 0) + (what == "reload" or person not in number)
        if what == "append":
            log.setdefault(person, []).append(number[person])
        if what == "click":
            clicks.setdefault(person, []).append(number[person])
        if what == "clear":
            log[person] = []
        visible |= what in ("append", "read") and any(n < number[person] for n in log.get(person, []))
        visible |= what in ("click", "read") and any(n < number[person] for n in clicks.get(person, []))
    found = visit(Tabs("resurrect"), visits)
    assert found == ({"resurrected-state"} if visible else set())


@given(VISITS, st.integers(1, 20))
def test_a_reset_is_found_if_the_state_is_read_again(visits: list[tuple[str, str]], at: int) -> None:
    """Brute force: what a read had shown is gone at the next operation that shows it, unless it was to be cleared before."""
    tabs = Tabs("reset", at)
    found = visit(tabs, visits)
    assert found <= {"reset", "lost-update"}
    if not tabs.hit or visits[at - 1][1] in ("reload", "clear"):
        return
    if visits[at - 1][1] == "read":
        assert "reset" in found


@given(VISITS, st.integers(1, 20))
def test_cleared_state_that_returns_is_found_if_it_is_read(visits: list[tuple[str, str]], at: int) -> None:
    tabs = Tabs("returns", at)
    found = visit(tabs, visits)
    seen = False
    if tabs.hit:
        person = visits[at - 1][0]
        for who, what in visits[at:]:
            if who == person and what in ("reload", "clear"):
                break
            seen |= who == person and what in ("append", "read")
    assert found == ({"cleared-state-returns"} if seen else set())


@given(VISITS, st.integers(1, 20))
def test_a_read_that_goes_back_is_found(visits: list[tuple[str, str]], at: int) -> None:
    tabs = Tabs("stale", at)
    found = visit(tabs, visits)
    if not tabs.hit:
        assert found == set()
        return
    assert found
    assert found <= {
        "monotonic-reads",
        "read-your-writes",
        "lost-update",
        "reset",
        "cleared-state-returns",
    }


# --- answers and chains ---

QUESTIONS = st.lists(st.tuples(LETTERS, st.sampled_from(["ask", "search"])), min_size=1, max_size=12)


@given(QUESTIONS, st.integers(1, 12), st.booleans())
def test_answers_and_steps_that_belong_to_another_operation(
    questions: list[tuple[str, str]], at: int, fault: bool
) -> None:
    """At one step, what is shown last is what the operation before had asked, or begun with."""
    built = HistoryBuilder()
    asked: dict[str, tuple[str, str]] = {}
    expected: set[str] = set()
    for number, (session, what) in enumerate(questions, start=1):
        value = f"{session}{number}"
        shown = [value, value]
        if fault and number == at and what in asked:
            whose, shown[-1] = asked[what]
            if what == "ask":
                expected = {"misdelivered-response"}
            else:
                expected = {"non-atomic-chain"} | ({"cross-session-read"} if whose != session else set())
        asked[what] = session, value
        (built.ask if what == "ask" else built.begin)(session, value, shown)
    assert found_in(built, {"reply": answer(), "steps": chain()}) == expected
