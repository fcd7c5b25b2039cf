from __future__ import annotations

from unittest import mock

import pytest

from harness.checkers import CHECKERS, check_history, count_anomalies
from harness.checkers.history_index import Index
from harness.checkers.screening import Scan
from harness.history import InMemoryHistory
from harness.records import Check, Checks
from harness.workload import append_only_list, assigned, counter, register
from tests.builders import COMPLETED, HistoryBuilder

STATE = {"log": append_only_list(), "n": counter(), "r": register()}
CLEAN = {"log": append_only_list(), "n": counter()}


def judge(builder: HistoryBuilder) -> Checks:
    """Judge by the variables that the history uses: one that is declared and never read would be unknown."""
    history = builder.build()
    used = {name for o in history.operations for name in (*o.effects, *o.reads)}
    return check_history(
        history, {name: model for name, model in STATE.items() if name in used} or STATE, COMPLETED
    )


def named(checks: Checks, name: str) -> Check:
    return next(check for check in checks.checks if check.name == name)


def kinds(checks: Checks) -> set[str]:
    return {check.name for check in checks.checks if check.verdict == "fail"}


def two_clean_sessions() -> HistoryBuilder:
    return (
        HistoryBuilder()
        .append("a", "a1", ["a1"])
        .append("b", "b1", ["b1"])
        .append("a", "a2", ["a1", "a2"])
        .click("a", 1)
        .click("b", 1)
    )


def test_a_list_that_is_read_after_its_session_closed_is_checked() -> None:
    history = two_clean_sessions().add("a", action="close").read("a", []).read("a", [])
    assert kinds(judge(history)) == {"reset"}
    assert kinds(judge(two_clean_sessions().add("a", action="close").read("a", ["a1", "a2"]))) == set()


def test_two_sessions_that_keep_to_themselves_pass() -> None:
    checks = judge(two_clean_sessions())
    assert {check.verdict for check in checks.checks} == {"pass"}
    assert {check.name for check in checks.checks if check.applies} == {
        "completeness",
        "cross-session-read",
        "garbage-read",
        "lost-update",
        "read-your-writes",
        "monotonic-reads",
        "monotonic-writes",
        "duplicate-effect",
        "reset",
        "non-linearizable",
    }
    assert checks.verdict == "pass"


def test_a_token_of_another_session_is_a_cross_session_read_with_its_witness() -> None:
    checks = judge(
        HistoryBuilder().append("a", "a1", ["a1"]).append("b", "b1", ["a1", "b1"]).read("b", ["a1", "b1"])
    )
    assert kinds(checks) == {"cross-session-read"}
    (anomaly,) = named(checks, "cross-session-read").anomalies
    assert anomaly.sessions == ["a", "b"]
    assert anomaly.occurrences == 2
    assert [(w.name, w.operation) for w in anomaly.witness] == [("A", "0:1"), ("B", "0:2")]
    assert anomaly.explanation == (
        "Operation A: session a appended a1 to log (acknowledged). Operation B: session b read log = [a1, b1]. "
        "B saw a1, which only a wrote: state crossed from a to b."
    )


def test_a_register_with_the_value_of_another_session_is_a_cross_session_read_and_nothing_else() -> None:
    assert kinds(judge(HistoryBuilder().write("a", "x", "x").write("b", "y", "y").read("a", "y", "r"))) == {
        "cross-session-read"
    }


def test_counts_that_only_other_sessions_explain_are_a_cross_session_read() -> None:
    checks = judge(HistoryBuilder().click("a", 1).click("b", 2))
    assert kinds(checks) == {"cross-session-read"}
    (anomaly,) = named(checks, "cross-session-read").anomalies
    assert anomaly.sessions == ["a", "b"]
    assert "at most n = 1" in anomaly.explanation


def test_counts_that_no_session_explains_are_garbage() -> None:
    assert kinds(judge(HistoryBuilder().click("a", 1).click("b", 3))) == {"garbage-read"}
    assert kinds(judge(HistoryBuilder().click("a", 1).click("b", 1).read("a", "many", "n"))) >= {
        "garbage-read"
    }
    assert kinds(judge(HistoryBuilder().click("a", 1).click("b", 1).read("a", True, "n"))) >= {"garbage-read"}


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1.5, True, "1", None])
def test_what_is_no_count_is_garbage_and_breaks_nothing(value: object) -> None:
    checks = judge(HistoryBuilder().click("a", 1).click("b", 1).read("b", value, "n"))
    assert kinds(checks) == {"garbage-read"}
    assert not any("Traceback" in check.reason for check in checks.checks)


def test_returning_counts_are_searched_in_the_users_own_sessions() -> None:
    """Among everybody's, each of these reads would cost a look at all that others have counted since."""
    history = HistoryBuilder()
    for person in "abc":
        history.open(f"{person}1", person).click(f"{person}1", 1)
    for person in "abc":
        history.open(f"{person}2", person).click(f"{person}2", 2).click(f"{person}2", 3)
    with mock.patch("harness.checkers.increments.Tally.latest_before", side_effect=AssertionError):
        checks = judge(history)
    assert kinds(checks) == {"resurrected-state"}
    assert [a.sessions for a in named(checks, "resurrected-state").anomalies] == [
        ["a1", "a2"],
        ["b1", "b2"],
        ["c1", "c2"],
    ]


def test_an_element_that_is_written_twice_causes_no_anomaly() -> None:
    """As by a workload that appends no tokens: the first attempt is not answered, or fails, and the second is acknowledged."""
    again = HistoryBuilder().append("b", "z", ["z"]).append("a", "x", outcome="fail", error="app")
    assert kinds(judge(again.append("a", "x", ["x"]).read("a", ["x"]))) == set()
    at_once = HistoryBuilder().append("b", "z", ["z"]).append("a", "x", begin=10, end=15)
    at_once.append("a", "x", begin=14, end=20).read("a", ["x", "x"], begin=16, end=18).read("a", ["x", "x"])
    assert kinds(judge(at_once)) == set()


def test_an_element_that_is_written_again_is_missed_and_counted_all_the_same() -> None:
    twice = HistoryBuilder().append("b", "z", ["z"]).append("a", "x", ["x"]).append("a", "x", ["x", "x"])
    assert kinds(judge(twice.read("a", ["x"]))) == {"non-linearizable"}
    more = HistoryBuilder().append("b", "z", ["z"]).append("a", "x", ["x"]).append("a", "x", ["x", "x"])
    checks = judge(more.read("a", ["x", "x", "x"]))
    assert kinds(checks) == {"duplicate-effect"}
    assert "x was appended 2 times, but the read shows it more often" in (
        named(checks, "duplicate-effect").anomalies[0].explanation
    )


def test_a_count_that_is_shown_as_3_0_needs_no_closer_look() -> None:
    history = HistoryBuilder().click("a", 1.0).click("b", 1.0).click("a", 2.0).build()  # type: ignore[arg-type]
    scan = Scan(InMemoryHistory(history), {"n": counter()})
    assert scan.selected().operations == []
    assert check_history(history, {"n": counter()}, COMPLETED).verdict == "pass"
    odd = HistoryBuilder().click("a", True).click("b", 1).build()
    assert kinds(check_history(odd, {"n": counter()}, COMPLETED)) == {"garbage-read"}


def test_what_the_app_never_gave_is_no_evidence() -> None:
    history = HistoryBuilder()
    for _ in range(3):
        history.read("a", None, "t").read("b", None, "t")
    checks = check_history(history.build(), {"t": assigned()}, COMPLETED)
    assert named(checks, "cross-session-read").evidence["read_after_a_foreign_write"] == 0
    assert named(checks, "completeness").reason == "The app gave no session a value for t."
    assert checks.verdict == "unknown"
    given = check_history(
        history.read("a", "x", "t").read("b", "y", "t").build(), {"t": assigned()}, COMPLETED
    )
    assert named(given, "cross-session-read").evidence["read_after_a_foreign_write"] == 1
    assert given.verdict == "pass"


def test_values_that_no_operation_wrote_are_garbage() -> None:
    assert kinds(judge(two_clean_sessions().read("a", ["a1", "a2", "?"]))) == {"garbage-read"}
    assert kinds(judge(HistoryBuilder().write("a", "x", "x").write("b", "y", "y").read("b", "z", "r"))) >= {
        "garbage-read"
    }
    assert kinds(judge(two_clean_sessions().read("a", "a1"))) >= {"garbage-read"}


def test_a_write_that_the_server_refused_cannot_be_read() -> None:
    refused = (
        HistoryBuilder()
        .append("a", "a1", outcome="fail", error="rejected")
        .append("b", "b1", ["b1"])
        .append("a", "a2", ["a1", "a2"])
    )
    assert kinds(judge(refused)) == {"garbage-read"}


@pytest.mark.parametrize(("outcome", "error"), [("info", "timeout"), ("pending", None), ("fail", "app")])
@pytest.mark.parametrize("seen", [["a1", "a2"], ["a2"]])
def test_a_write_of_unknown_outcome_may_show_or_not(outcome: str, error: str | None, seen: list[str]) -> None:
    history = (
        HistoryBuilder()
        .append("a", "a1", outcome=outcome, error=error)
        .append("b", "b1", ["b1"])
        .append("a", "a2", seen)
    )
    assert judge(history).verdict == "pass"


def test_an_acknowledged_write_that_never_shows_again_is_a_lost_update() -> None:
    checks = judge(
        HistoryBuilder()
        .append("b", "b1", ["b1"])
        .append("a", "a1", ["a1"])
        .append("a", "a2", ["a2"])
        .read("a", ["a2"])
    )
    assert kinds(checks) == {"lost-update"}
    (anomaly,) = named(checks, "lost-update").anomalies
    assert anomaly.sessions == ["a"]
    assert [w.operation for w in anomaly.witness] == ["0:2", "0:3"]
    assert "appended a1" in anomaly.explanation


def test_a_write_that_is_missing_for_a_while_violates_read_your_writes() -> None:
    checks = judge(
        HistoryBuilder().append("b", "b1", ["b1"]).append("a", "a1", ["a1"]).read("a", []).read("a", ["a1"])
    )
    assert kinds(checks) == {"read-your-writes"}
    (anomaly,) = named(checks, "read-your-writes").anomalies
    assert [w.operation for w in anomaly.witness] == ["0:2", "0:3", "0:4"]


def test_an_answer_that_lacks_its_own_write_is_a_lost_update() -> None:
    checks = judge(HistoryBuilder().append("b", "b1", ["b1"]).append("a", "a1", []))
    assert kinds(checks) == {"lost-update"}


def test_counters_lose_updates_and_are_stale_too() -> None:
    lost = HistoryBuilder().click("b", 1).click("a", 1).click("a", 1)
    assert kinds(judge(lost)) == {"lost-update"}
    stale = HistoryBuilder().click("b", 1).click("a", 1).read("a", 0, "n").read("a", 1, "n")
    assert kinds(judge(stale)) == {"read-your-writes"}


def test_registers_lose_updates_and_are_stale_too() -> None:
    before = HistoryBuilder().write("b", "y", "y").write("a", "x1", "x1").write("a", "x2", "x2")
    assert kinds(judge(before.read("a", "x1", "r"))) == {"lost-update"}
    before = HistoryBuilder().write("b", "y", "y").write("a", "x1", "x1").write("a", "x2", "x2")
    assert kinds(judge(before.read("a", "x1", "r").read("a", "x2", "r"))) == {"read-your-writes"}
    before = HistoryBuilder().write("b", "y", "y").write("a", "x1", "x1")
    assert kinds(judge(before.read("a", None, "r"))) == {"lost-update"}


def test_concurrent_writes_of_one_session_have_no_order() -> None:
    for seen in ("x1", "x2"):
        overlapping = (
            HistoryBuilder()
            .write("b", "y", "y")
            .write("a", "x1", begin=10, end=20)
            .write("a", "x2", begin=11, end=19)
            .read("a", seen, "r", begin=30)
        )
        assert judge(overlapping).verdict == "pass", seen


def test_a_concurrent_read_need_not_show_a_write_but_a_later_one_must() -> None:
    base = HistoryBuilder().append("b", "b1", ["b1"]).append("a", "a1", ["a1"], begin=10, end=20)
    assert judge(base.read("a", [], begin=15, end=16)).verdict == "pass"
    base = HistoryBuilder().append("b", "b1", ["b1"]).append("a", "a1", ["a1"], begin=10, end=20)
    assert judge(base.read("a", [], begin=21, end=22)).verdict == "fail"


def test_zero_evidence_is_unknown_never_pass() -> None:
    empty = judge(HistoryBuilder())
    assert {check.name for check in empty.checks if check.verdict == "unknown"} == {
        "completeness",
        "cross-session-read",
        "garbage-read",
        "lost-update",
        "read-your-writes",
    }
    assert not any(check.applies for check in empty.checks if check.verdict == "pass")
    assert empty.verdict == "unknown"
    alone = judge(HistoryBuilder().append("a", "a1", ["a1"]))
    assert named(alone, "cross-session-read").verdict == "unknown"
    assert named(alone, "lost-update").verdict == "pass"
    assert alone.verdict == "unknown"


def test_a_failure_is_not_hidden_by_what_is_unknown() -> None:
    history = HistoryBuilder().append("a", "a1", ["a1"]).append("b", "b1", ["a1", "b1"])
    checks = check_history(history.build(), STATE, None)
    assert named(checks, "completeness").verdict == "unknown"
    assert checks.verdict == "fail"


@pytest.mark.parametrize(
    "ended", ["interrupted", "target_failed", "load_failed", "storage_failed", "internal_error"]
)
def test_a_run_that_ended_early_is_never_a_pass(ended: str) -> None:
    import msgspec

    seal = msgspec.structs.replace(COMPLETED, ended=ended, reason="it broke")
    checks = check_history(two_clean_sessions().build(), CLEAN, seal)
    assert checks.verdict == "unknown"
    assert "it broke" in checks.reason


@pytest.mark.parametrize("problem", ["history/0.jsonl line 7 cannot be read.", "history/1.jsonl is missing."])
def test_a_history_that_is_not_whole_is_never_a_pass(problem: str) -> None:
    assert check_history(two_clean_sessions().build(), CLEAN, COMPLETED, [problem]).verdict == "unknown"
    checks = check_history(two_clean_sessions().build([problem]), CLEAN, COMPLETED)
    assert checks.verdict == "unknown"
    assert problem in checks.reason


def test_an_error_of_the_workload_itself_is_never_a_pass() -> None:
    checks = judge(two_clean_sessions().add("a", outcome="info", error="workload"))
    assert checks.verdict == "unknown"
    assert "workload" in checks.reason


def test_an_undeclared_state_is_never_a_pass() -> None:
    assert check_history(two_clean_sessions().build(), {}, COMPLETED).verdict == "unknown"


def test_a_checker_that_raises_is_unknown_with_its_traceback() -> None:
    class Broken:
        name = "broken"

        def check(self, index: Index) -> Check:
            raise ZeroDivisionError("planted")

    checks = check_history(two_clean_sessions().build(), CLEAN, COMPLETED, checkers=[*CHECKERS, Broken()])
    assert named(checks, "broken").verdict == "unknown"
    assert "ZeroDivisionError: planted" in named(checks, "broken").reason
    assert checks.verdict == "unknown"


def test_many_anomalies_are_counted_in_full_and_kept_in_part() -> None:
    from harness.checkers import MAX_ANOMALIES

    history = HistoryBuilder()
    everything: list[str] = []
    for number in range(40):
        everything.append(f"v{number}")
        history.append(f"s{number}", f"v{number}", list(everything))
    checks = judge(history)
    check = named(checks, "cross-session-read")
    assert check.anomalies_total == 40 * 39 // 2
    assert len(check.anomalies) == MAX_ANOMALIES
    assert count_anomalies(InMemoryHistory(history.build()), STATE) == check.anomalies_total
    longest = max(check.anomalies, key=lambda a: len(a.explanation))
    assert len(longest.explanation) < 600
    assert all(len(w.reads["log"]) <= 12 for a in check.anomalies for w in a.witness if w.reads)


def test_what_was_only_seen_in_the_warm_up_is_no_evidence() -> None:
    history = HistoryBuilder()
    for session in "ab":
        history.append(session, f"{session}1", [f"{session}1"], phase="warm-up")
    history.append("a", "a2", outcome="fail", error="app").append("b", "b2", outcome="info", error="timeout")
    checks = judge(history)
    assert checks.verdict == "unknown"
    assert "under load" in checks.reason


def test_an_app_that_mostly_fails_is_never_a_pass() -> None:
    history = two_clean_sessions()
    for number in range(6):
        history.append("a", f"x{number}", outcome="fail", error="app")
    checks = judge(history)
    assert checks.verdict == "unknown"
    assert "6 of 11 operations of the load phase failed" in checks.reason


def test_a_declared_variable_that_is_never_read_is_named() -> None:
    checks = check_history(two_clean_sessions().build(), STATE, COMPLETED)
    assert checks.verdict == "unknown"
    assert "declares r and never reads it" in checks.reason


def test_reads_before_anybody_else_wrote_cannot_show_a_leak() -> None:
    history = HistoryBuilder().append("a", "a1", ["a1"]).append("b", "b1")
    assert named(judge(history), "cross-session-read").verdict == "unknown"
    unacknowledged = HistoryBuilder().append("b", "b1", outcome="fail", error="app").append("a", "a1", ["a1"])
    assert named(judge(unacknowledged), "cross-session-read").verdict == "unknown"


def test_a_write_can_be_stale_first_and_lost_later() -> None:
    counted = (
        HistoryBuilder()
        .click("b", 1)
        .click("a", 1)
        .read("a", 0, "n")
        .read("a", 1, "n")
        .click("a", 2)
        .click("a", 2)
    )
    assert kinds(judge(counted)) == {"read-your-writes", "lost-update"}
    listed = HistoryBuilder().append("b", "b1", ["b1"]).append("a", "a1", []).read("a", ["a1"]).read("a", [])
    assert kinds(judge(listed)) == {"read-your-writes", "reset"}


def test_half_a_count_is_garbage_and_nothing_else() -> None:
    assert kinds(judge(HistoryBuilder().click("a", 1).click("b", 1).read("b", 1.5, "n"))) == {"garbage-read"}


def test_sessions_that_do_not_answer_at_the_end_are_never_a_pass() -> None:
    """An app that hangs half-way fails few operations of the load phase, since everybody waits."""

    def drained(answered: int, silent: int) -> str:
        history = two_clean_sessions()
        for number in range(answered):
            history.append(f"h{number}", f"t{number}", [f"t{number}"], phase="drain")
        for number in range(silent):
            history.append(f"x{number}", f"u{number}", outcome="info", error="timeout", phase="drain")
        return judge(history).verdict

    assert drained(3, 2) == "pass"
    assert drained(2, 3) == "unknown"


def test_held_sessions_without_a_later_read_are_never_a_pass() -> None:
    def held(*phases: str) -> Check:
        history = two_clean_sessions()
        for number, phase in enumerate(phases):
            history.append("h", f"t{number}", [f"t{n}" for n in range(number + 1)], phase=phase)
        history.add("h", action="close", phase=phases[-1])
        return named(judge(history), "completeness")

    assert held("staircase", "drain").verdict == "pass"
    never = held("staircase")
    assert never.verdict == "unknown"
    assert "No held session acted again" in never.reason


@pytest.mark.parametrize(
    ("gone", "of", "error", "expected"),
    [
        (1, 2, "timeout", "pass"),
        (2, 20, "timeout", "pass"),
        (3, 20, "timeout", "unknown"),
        (2, 19, "connection", "unknown"),
        (10, 20, "app", "pass"),
    ],
)
def test_many_sessions_that_the_app_stopped_answering_are_never_a_pass(
    gone: int, of: int, error: str, expected: str
) -> None:
    """Each acts ten times, so that few operations fail, and whoever was cut off never looks again."""
    history = HistoryBuilder()
    for number in range(of):
        seen = [f"{number}-{step}" for step in range(10)]
        for step, value in enumerate(seen):
            history.append(f"s{number}", value, seen[: step + 1])
        if number < gone:
            history.append(f"s{number}", f"{number}-lost", outcome="info", error=error)
        history.add(f"s{number}", action="close")
    check = named(judge(history), "completeness")
    assert check.verdict == expected
    assert (f"{gone} of {of} sessions of the load phase ended with" in check.reason) == (
        expected == "unknown"
    )
