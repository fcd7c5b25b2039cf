"""What no order explains, though every read by itself keeps its bounds."""

from __future__ import annotations

from typing import Any

import pytest

from harness import tokens
from harness.checkers import check_history
from harness.checkers.history_index import Index
from harness.checkers.linearizability.search import Entry, search
from harness.checkers.linearizability.states import states_of
from harness.checkers.models import Unavailable
from harness.checkers.screening import Scan
from harness.history import InMemoryHistory, Workers
from harness.records import Check, StateVariable
from harness.workload import Model, append_only_list, counter, record, register
from tests.builders import COMPLETED, HistoryBuilder

NAME = "non-linearizable"


def judged(built: HistoryBuilder, own: Any = None, **state: StateVariable) -> dict[str, Check]:
    checks = check_history(built.build(workers=Workers(run_tag="7f3a")), state, COMPLETED, own=own)
    return {check.name: check for check in checks.checks}


def kinds(built: HistoryBuilder, own: Any = None, **state: StateVariable) -> set[str]:
    return {name for name, check in judged(built, own, **state).items() if check.verdict == "fail"}


# --- each model ---


def two_clicks(first: int, second: int) -> HistoryBuilder:
    """Two clicks at once, with what each showed."""
    built = HistoryBuilder().click("a", 1)
    return built.click("a", first, begin=10, end=20).click("a", second, begin=11, end=21)


@pytest.mark.parametrize(("first", "second"), [(2, 3), (3, 2)])
def test_either_of_two_clicks_at_once_may_be_the_first(first: int, second: int) -> None:
    check = judged(two_clicks(first, second), n=counter())[NAME]
    assert check.verdict == "pass"
    assert check.evidence == {"reads_put_in_order": 3}


def test_two_clicks_cannot_both_be_the_second() -> None:
    check = judged(two_clicks(3, 3), n=counter())[NAME]
    assert check.verdict == "fail"
    (anomaly,) = check.anomalies
    assert [(w.name, w.reads) for w in anomaly.witness] == [
        ("A", {"n": 1}), ("B", {"n": 3}), ("C", {"n": 3})]  # fmt: skip
    assert anomaly.explanation == (
        "Operation A: session a incremented n (acknowledged), and read n = 1, while no other operation was running. "
        "Operation B: session a incremented n (acknowledged), and read n = 3. "
        "Operation C: session a incremented n (acknowledged), and read n = 3. "
        "Each operation takes effect at one moment between its invoke and its completion. No order of these explains how C could show 3."
    )


def test_two_reads_cannot_see_two_writes_in_opposite_orders() -> None:
    def reads(*shown: str) -> HistoryBuilder:
        built = HistoryBuilder().write("a", "x", begin=1, end=90).write("a", "y", begin=2, end=91)
        for number, value in enumerate(shown):
            built.read("a", value, "r", begin=10 + 10 * number)
        return built

    assert kinds(reads("x", "y"), r=register()) == set()
    assert kinds(reads("y", "x"), r=register()) == set()
    assert kinds(reads("x", "y", "x"), r=register()) == {NAME}


def test_two_reads_cannot_see_two_elements_in_opposite_orders() -> None:
    built = HistoryBuilder().append("a", "x", begin=1, end=90).append("a", "y", begin=2, end=91)
    built.read("a", ["x"], begin=10, end=30)
    assert kinds(built, log=append_only_list()) == set()
    built.read("a", ["y"], begin=11, end=31)
    assert kinds(built, log=append_only_list()) == {NAME}


def test_the_keys_of_a_record_that_were_put_together_are_seen_together() -> None:
    built = HistoryBuilder().put("a", {"x": "1", "y": "1"}, begin=1, end=90)
    built.put("a", {"x": "2", "y": "2"}, begin=2, end=91)
    assert kinds(built.read("a", {"x": "1", "y": "1"}, "form", begin=20), form=record()) == set()
    assert kinds(built.read("a", {"x": "1", "y": "2"}, "form", begin=30), form=record()) == {NAME}


def test_an_unacknowledged_operation_happens_once_or_not_at_all() -> None:
    built = HistoryBuilder().click("a", 1).click("a", outcome="info", error="timeout", begin=10, end=11)
    built.read("a", 2, "n", begin=20).read("a", 1, "n", begin=15, end=40)
    assert kinds(built, n=counter()) == set()
    built.clear("a", "n", 0).read("a", 0, "n")
    assert kinds(built, n=counter()) == set()
    built.read("a", 1, "n")
    assert kinds(built, n=counter()) == {NAME}


def test_shared_state_has_one_order_for_all_sessions() -> None:
    built = HistoryBuilder().append("a", "x", begin=1, end=90).append("b", "y", begin=2, end=91)
    built.read("c", ["x"], begin=10, end=30).read("d", ["y"], begin=11, end=31)
    assert kinds(built, log=append_only_list(scope="everyone")) == {NAME}


# --- weaker guarantees ---


def test_if_the_last_update_wins_an_answer_may_show_a_later_update() -> None:
    built = two_clicks(3, 3)
    assert kinds(built, n=counter(concurrent_updates="last-wins")) == set()
    assert kinds(built.read("a", 2, "n"), n=counter(concurrent_updates="last-wins")) == {NAME}
    # Where each has replaced the other, nobody can see both.
    replaced = two_clicks(2, 2).read("a", 3, "n")
    assert kinds(replaced, n=counter(concurrent_updates="last-wins")) == {NAME}


def test_if_writes_may_show_late_each_session_has_an_order_of_its_own() -> None:
    late = append_only_list(scope="user", within_s=100e-9)
    built = HistoryBuilder().open("a", "ann").open("b", "ann")
    built.append("a", "x", begin=10, end=11).append("b", "y", begin=12, end=13)
    built.read("a", ["x"], begin=20).read("b", ["y"], begin=22).read("a", ["x", "y"], begin=24)
    assert kinds(built, log=late) == set()
    # One session cannot have seen them in both orders.
    assert kinds(built.read("b", ["x", "y"], begin=26), log=late) == {NAME}


def test_an_answer_that_shows_another_value_than_was_written_shows_a_later_one() -> None:
    weak = register(concurrent_updates="last-wins")

    def answered(*, seen_before: bool) -> HistoryBuilder:
        built = HistoryBuilder().write("a", "x", outcome="pending", begin=1)
        if seen_before:
            built.read("a", "x", "r", begin=5, end=8)
        return built.write("a", "y", "x", begin=8, end=13)

    assert kinds(answered(seen_before=False), r=weak) == set()
    assert kinds(answered(seen_before=True), r=weak) == {NAME}


# --- what is not found out ---


def entries(count: int, *, shown: int) -> list[Entry]:
    """So many writes at once, none of which anybody saw; then a read of a value, and one more."""
    built = HistoryBuilder()
    for number in range(count):
        built.put("a", {"x": f"v{number}", f"y{number}": "z"}, begin=1, end=100 + number)
    built.read("a", {"x": f"v{shown}"}, "form", begin=300).read("a", {"x": "w"}, "form", begin=400)
    history, state = built.build(), {"form": record()}
    ledger = Index(history, state, Scan(InMemoryHistory(history), state, select_all=True)).log("form", "a")
    return [
        Entry(
            operation=o,
            begin=o.invoke_ns,
            end=o.complete_ns or 0,
            effect=o.effects.get("form"),
            reads="form" in o.reads,
            shown=o.reads.get("form"),
        )
        for o in ledger.operations
    ]


def test_a_search_abandons_a_long_window_and_resumes_where_the_state_is_known() -> None:
    few = search(entries(3, shown=9), states_of(record()))
    assert few.contradiction is not None
    assert few.undecided == 0
    many = search(entries(9, shown=9), states_of(record()), limit=500)
    assert many.undecided == 1
    assert many.contradiction is not None  # between the two reads nobody wrote
    assert many.contradiction.entry.shown == {"x": "w"}


def test_reads_of_an_abandoned_window_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.checkers.linearizability.check.MOST_CONFIGURATIONS", 1)
    check = judged(two_clicks(3, 2), n=counter())[NAME]
    assert check.verdict == "unknown"
    assert check.reason == "For 2 reads of n so many operations overlap that not all orders could be tried."


def test_without_reads_the_check_does_not_apply() -> None:
    check = judged(HistoryBuilder().click("a", begin=1, end=9).click("a", begin=2, end=8), n=counter())[NAME]
    assert (check.verdict, check.applies) == ("pass", False)


def test_a_fault_goes_by_one_name() -> None:
    """What is found under a name of its own is not found again, nor is what follows from it."""
    assert kinds(two_clicks(3, 3), n=counter()) == {NAME}
    assert kinds(two_clicks(3, 3).click("b", 4), n=counter()) == {"cross-session-read"}
    lost = two_clicks(2, 2).read("a", 2, "n")
    assert kinds(lost, n=counter()) == {"lost-update"}


# --- a model of the workload's own ---


class Stack(Model):
    initial = []

    def step(self, state: list[str], name: str, value: Any) -> list[str]:
        if name == "push":
            return [*state, value]
        state.pop()  # changes what it was given, as it should not, and may
        return state


class Top(Stack):
    def shows(self, state: list[str]) -> str | None:
        return state[-1] if state else None


def pushed(*done: tuple[str, Any, Any], session: str = "a") -> HistoryBuilder:
    built = HistoryBuilder()
    for name, value, seen in done:
        built.add(session, effects={"stack": ("does", [name, value])}, reads={"stack": seen})
    return built


GOOD = [("push", "x", ["x"]), ("push", "y", ["x", "y"]), ("pop", None, ["x"])]


def test_a_model_of_ones_own_is_checked_as_the_built_in_ones_are() -> None:
    stack = {"stack": Stack()}
    assert kinds(pushed(*GOOD), stack, stack=Stack().variable()) == set()
    check = judged(pushed(*GOOD, ("pop", None, ["y"])), stack, stack=Stack().variable())[NAME]
    assert check.verdict == "fail"
    assert check.anomalies[0].explanation.startswith(
        "Operation A: session a did pop on stack (acknowledged), and read stack = [x], while no other operation was running. "
        "Operation B: session a did pop on stack (acknowledged), and read stack = [y]."
    )
    overlapping = HistoryBuilder()
    for number, value in enumerate("xy"):
        overlapping.add("a", effects={"stack": ("does", ["push", value])}, begin=1 + number, end=20 + number)
    overlapping.read("a", ["y", "x"], "stack", begin=30)
    assert kinds(overlapping, stack, stack=Stack().variable()) == set()
    assert kinds(overlapping.read("a", ["x", "y"], "stack"), stack, stack=Stack().variable()) == {NAME}


def test_a_read_need_not_show_the_whole_state_of_a_model() -> None:
    own = {"stack": Top()}
    done = [("push", "x", "x"), ("push", "y", "y"), ("pop", None, "x"), ("pop", None, None)]
    assert kinds(pushed(*done), own, stack=Top().variable()) == set()
    assert kinds(pushed(*done[:-1], ("pop", None, "x")), own, stack=Top().variable()) == {NAME}


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({}, "There is no model of stack. The workload was not loaded."),
        ({"stack": Unavailable("The file is gone.")}, "There is no model of stack. The file is gone."),
        ({"stack": Stack()}, "The workload's model of stack failed:"),
    ],
    ids=["none", "gone", "raises"],
)
def test_without_a_working_model_the_check_is_unknown(own: dict[str, Any], reason: str) -> None:
    check = judged(pushed(("pop", None, [])), own, stack=Stack().variable())[NAME]
    assert check.verdict == "unknown"
    assert check.reason.startswith(reason)
    assert ("IndexError: pop from empty list" in check.reason) == isinstance(own.get("stack"), Stack)


def test_a_token_of_another_session_is_found_under_every_model() -> None:
    token = tokens.mint("7f3a", 0, 5, 3)
    built = pushed(("push", token, [token]), session="s0-5").read("b", [token], "stack")
    state = {"stack": Stack().variable()}
    check = judged(built, {"stack": Stack()}, **state)["cross-session-read"]
    assert kinds(built, {"stack": Stack()}, **state) == {"cross-session-read"}
    assert check.anomalies[0].explanation == (
        f"Operation A: session s0-5 did push({token}) on stack (acknowledged). Operation B: session b read stack = [{token}]. "
        f"B saw {token}, whose token names s0-5 as its writer: state crossed from s0-5 to b."
    )
    shared = {"stack": Stack(scope="everyone").variable()}
    assert kinds(built, {"stack": Stack()}, **shared) == set()
    again = HistoryBuilder().open("s0-5", "ann")
    again.add("s0-5", effects={"stack": ("does", ["push", token])}, reads={"stack": [token]})
    again.open("b", "ann").read("b", [token], "stack")
    assert kinds(again, {"stack": Stack()}, **state) == {"resurrected-state"}
    assert kinds(again, {"stack": Stack()}, stack=Stack(scope="user").variable()) == set()
