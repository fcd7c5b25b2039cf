"""Each kind of anomaly by hand, for each model to which it can happen, beside what looks alike and is none."""

from __future__ import annotations

import msgspec
import pytest

from harness import tokens
from harness.checkers import check_history
from harness.checkers.models import key
from harness.history import WorkerFacts, Workers
from harness.records import Anomaly, Check, Checks, StateVariable
from harness.workload import answer, append_only_list, assigned, chain, counter, record, register
from tests.builders import COMPLETED, HistoryBuilder

STATE = {
    "log": append_only_list(),
    "n": counter(),
    "r": register(),
    "form": record(),
    "start": assigned(),
    "reply": answer(),
    "steps": chain(),
}


def judge(builder: HistoryBuilder, **state: StateVariable) -> Checks:
    """Judge by the variables that the history uses, with other models where they are given."""
    history = builder.build()
    used = {name for o in history.operations for name in (*o.effects, *o.reads)}
    return check_history(
        history, {name: model for name, model in {**STATE, **state}.items() if name in used}, COMPLETED
    )


def named(checks: Checks, name: str) -> Check:
    return next(check for check in checks.checks if check.name == name)


def kinds(builder: HistoryBuilder, **state: StateVariable) -> set[str]:
    checks = judge(builder, **state)
    assert not any("Traceback" in check.reason for check in checks.checks), checks.reason
    return {check.name for check in checks.checks if check.verdict == "fail"}


def only(builder: HistoryBuilder, kind: str, **state: StateVariable) -> Anomaly:
    """The only anomaly that there is."""
    assert kinds(builder, **state) == {kind}
    (anomaly,) = named(judge(builder, **state), kind).anomalies
    return anomaly


def history() -> HistoryBuilder:
    return HistoryBuilder()


# --- monotonic reads ---


def test_a_list_that_goes_back_for_a_while() -> None:
    went_back = history().append("a", "x", ["x"]).read("a", ["x"]).read("a", []).read("a", ["x"])
    anomaly = only(went_back, "monotonic-reads")
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2", "0:3", "0:4"]
    assert anomaly.explanation == (
        "Operation A: session a appended x to log (acknowledged). Operation B: session a read log = [x]. "
        "Operation C: session a then read log = []. Operation D: session a read log = [x]. "
        "B had shown x, and C began later, so C had to show it: for a while, an older state was read."
    )


def test_what_was_never_acknowledged_must_stay_once_it_was_seen() -> None:
    unknown = history().append("a", "x", outcome="info", error="timeout")
    assert kinds(unknown.read("a", ["x"]).read("a", [])) == {"monotonic-reads"}
    unknown = history().append("a", "x", outcome="info", error="timeout")
    assert kinds(unknown.read("a", []).read("a", ["x"])) == set()
    unknown = history().append("a", "x", outcome="info", error="timeout")
    assert kinds(unknown.read("a", ["x"], begin=10, end=20).read("a", [], begin=15, end=25)) == set()


def test_counts_and_registers_go_back_too() -> None:
    counted = history().click("a", outcome="info", error="timeout").read("a", 1, "n").read("a", 0, "n")
    assert only(counted, "monotonic-reads").explanation.endswith(
        "No operation reduced the count, so B had to show at least as much as A: an older state was read."
    )
    stale = history().click("a", 1).click("a", 2).click("a", 3).read("a", 1, "n").read("a", 3, "n")
    assert kinds(stale) == {"monotonic-reads"}
    written = history().write("a", "x", "x").write("a", "y", outcome="info", error="timeout")
    assert kinds(written.read("a", "y", "r").read("a", "x", "r")) == {"monotonic-reads"}
    written = history().write("a", "x", "x").write("a", "y", outcome="info", error="timeout")
    assert kinds(written.read("a", "x", "r").read("a", "y", "r")) == set()
    filled = history().put("a", {"name": "x"}, {"name": "x"}).put("a", {"name": "y"}, {"name": "y"})
    filled.read("a", {"name": "y"}, "form").read("a", {"name": "x"}, "form").read("a", {"name": "y"}, "form")
    assert kinds(filled) == {"monotonic-reads"}


# --- monotonic writes ---


def test_appends_that_stand_in_another_order_than_they_were_made() -> None:
    anomaly = only(history().append("a", "x").append("a", "y", ["y", "x"]), "monotonic-writes")
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2"]
    assert "x was appended before y, but the read shows it after" in anomaly.explanation


def test_overlapping_appends_may_stand_in_any_order() -> None:
    for seen in (["x", "y"], ["y", "x"]):
        both = history().append("a", "x", begin=1, end=9).append("a", "y", begin=2, end=8)
        assert kinds(both.read("a", seen)) == set()


def test_a_write_that_comes_after_a_later_one() -> None:
    late = history().append("a", "x").append("a", "y", ["y"]).read("a", ["x", "y"])
    anomaly = only(late, "monotonic-writes")
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2", "0:3"]


# --- duplicates ---


def test_an_effect_that_took_place_twice() -> None:
    anomaly = only(history().append("a", "x", ["x", "x"]), "duplicate-effect")
    assert "more than once" in anomaly.explanation
    assert kinds(history().click("a", 2).click("a", 4)) == {"duplicate-effect"}
    assert kinds(history().click("b", 1).click("a", 1).click("a", 3)) == {"duplicate-effect"}


# --- reset ---


def test_a_state_that_is_back_where_it_began() -> None:
    log = history().append("a", "x", ["x"]).append("a", "y", ["x", "y"]).append("a", "z", ["z"])
    anomaly = only(log.read("a", ["z"]), "reset")
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2", "0:3"]
    assert anomaly.explanation.endswith(
        "B had shown x, but the later read C shows the initial value with only later writes: the state was reset."
    )
    assert kinds(history().click("a", 1).click("a", 2).click("a", 1).click("a", 2)) == {"reset"}
    assert kinds(history().write("a", "x", "x").read("a", "x", "r").read("a", None, "r")) == {"reset"}
    form = history().put("a", {"name": "x"}, {"name": "x"}).put("a", {"age": "7"}, {"name": "x", "age": "7"})
    assert kinds(form.read("a", {}, "form")) == {"reset"}
    start = history().read("a", "09:00", "start").read("a", "09:05", "start").read("a", "09:05", "start")
    assert only(start, "reset").occurrences == 2


def test_what_no_later_operation_ever_showed_was_lost_and_not_reset() -> None:
    assert kinds(history().append("a", "x", ["x"]).append("a", "y", ["y"]).append("a", "z", ["z"])) == {
        "lost-update"
    }
    assert kinds(history().click("a", 1).click("a", 1).click("a", 1)) == {"lost-update"}
    part = history().append("a", "x", ["x"]).append("a", "y", ["x", "y"]).append("a", "z", ["x", "z"])
    assert kinds(part.read("a", ["x", "z"])) == {"lost-update"}


# --- whose state it is ---


def returning() -> HistoryBuilder:
    return history().open("s1", "ann").open("t1", "bob")


def test_the_state_of_an_earlier_session_of_the_same_person() -> None:
    log = returning().append("s1", "x", ["x"]).open("s2", "ann").append("s2", "y", ["x", "y"])
    anomaly = only(log, "resurrected-state")
    assert anomaly.sessions == ["s1", "s2"]
    assert anomaly.explanation.endswith(
        "s2 is a later session of the same user and must start with new state. But B saw x, which only s1 wrote: "
        "its state was resurrected."
    )
    count = returning().click("t1", 1).click("s1", 1).click("s1", 2).open("s2", "ann").click("s2", 3)
    assert only(count, "resurrected-state").sessions == ["s1", "s2"]
    start = returning().read("s1", "09:00", "start").read("t1", "09:01", "start").open("s2", "ann")
    assert kinds(start.read("s2", "09:00", "start")) == {"resurrected-state"}
    other = returning().append("s1", "x", ["x"]).append("t1", "y", ["x", "y"])
    assert kinds(other) == {"cross-session-read"}


def test_what_belongs_to_a_user_outlives_the_session() -> None:
    mine = append_only_list(scope="user")
    log = returning().append("s1", "x", ["x"]).open("s2", "ann").append("s2", "y", ["x", "y"])
    assert kinds(log, log=mine) == set()
    lost = returning().append("s1", "x", ["x"]).open("s2", "ann").append("s2", "y", ["y"]).read("s2", ["y"])
    anomaly = only(lost, "lost-update", log=mine)
    assert anomaly.sessions == ["s1", "s2"]
    crossed = returning().append("s1", "x", ["x"]).append("t1", "y", ["x", "y"])
    assert kinds(crossed, log=mine) == {"cross-session-read"}
    count = returning().click("s1", 1).open("s2", "ann").click("s2", 2).click("t1", 1)
    assert kinds(count, n=counter(scope="user")) == set()
    start = returning().read("s1", "09:00", "start").open("s2", "ann").read("s2", "09:00", "start")
    assert kinds(start, start=assigned(scope="user")) == set()


def test_shared_state_is_not_foreign() -> None:
    shared = append_only_list(scope="everyone")
    log = history().append("a", "x", ["x"]).append("b", "y", ["x", "y"]).read("a", ["x", "y"])
    checks = judge(log, log=shared)
    assert checks.verdict == "pass"
    assert not named(checks, "cross-session-read").applies
    lost = history().append("a", "x", ["x"]).append("b", "y", ["y"]).read("a", ["y"])
    assert kinds(lost, log=shared) == {"lost-update"}
    count = counter(scope="everyone")
    assert kinds(history().click("a", 1).click("b", 2).click("a", 3), n=count) == set()
    assert kinds(history().click("a", 1).click("b", 1).click("a", 2), n=count) == {"lost-update"}
    assert kinds(history().click("a", 1).click("b", 5), n=count) == {"garbage-read"}


def test_an_assigned_value_that_another_owner_has_is_an_anomaly() -> None:
    start = history().read("a", "09:00", "start").read("b", "09:00", "start")
    anomaly = only(start, "cross-session-read")
    assert anomaly.sessions == ["a", "b"]
    assert (
        kinds(history().read("a", None, "start").read("a", "09:00", "start").read("b", "09:01", "start"))
        == set()
    )


# --- clearing ---


def test_what_was_cleared_and_came_back() -> None:
    log = history().append("a", "x", ["x"]).clear("a", "log", []).append("a", "y", ["x", "y"])
    anomaly = only(log, "cleared-state-returns")
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2", "0:3"]
    assert anomaly.explanation.endswith(
        "B cleared x, and no operation wrote it again, but the read shows it: cleared state came back."
    )
    at_once = history().append("a", "x", ["x"]).clear("a", "log", ["x"])
    assert kinds(at_once) == {"cleared-state-returns"}
    count = history().click("a", 1).click("a", 2).clear("a", "n", 0).click("a", 3)
    assert kinds(count) == {"cleared-state-returns"}
    written = history().write("a", "x", "x").clear("a", "r", None).read("a", "x", "r")
    assert kinds(written) == {"cleared-state-returns"}
    form = (
        history()
        .put("a", {"name": "x"}, {"name": "x"})
        .clear("a", "form", {})
        .read("a", {"name": "x"}, "form")
    )
    assert kinds(form) == {"cleared-state-returns"}


def test_what_was_cleared_is_gone_and_what_came_since_is_there() -> None:
    log = history().append("a", "x", ["x"]).clear("a", "log", []).append("a", "y", ["y"]).read("a", ["y"])
    assert kinds(log) == set()
    assert kinds(history().click("a", 1).clear("a", "n", 0).click("a", 1).click("a", 2)) == set()
    assert kinds(history().click("a", 1).clear("a", "n", 0).click("a", 1).click("a", 1)) == {"lost-update"}
    assert kinds(history().write("a", "x", "x").clear("a", "r", None).write("a", "y", "y")) == set()
    form = (
        history()
        .put("a", {"name": "x"}, {"name": "x"})
        .clear("a", "form", {})
        .put("a", {"age": "7"}, {"age": "7"})
    )
    assert kinds(form) == set()
    perhaps = history().append("a", "x", ["x"]).clear("a", "log", outcome="info", error="timeout")
    assert kinds(perhaps.read("a", ["x"]).read("a", [])) == set()
    meanwhile = history().append("a", "x", ["x"]).clear("a", "log", begin=10, end=20)
    assert kinds(meanwhile.append("a", "y", ["x", "y"], begin=11, end=19).read("a", [])) == set()


# --- weaker guarantees ---


def test_overlapping_updates_may_overwrite_each_other_where_the_app_says_so() -> None:
    def double(*later: int, second: int = 2) -> HistoryBuilder:
        built = history().click("a", 1).click("a", 2, begin=10, end=20).click("a", second, begin=11, end=19)
        for count in later:
            built.click("a", count)
        return built

    weak = counter(concurrent_updates="last-wins")
    assert kinds(double(3, 4), n=weak) == set()
    assert kinds(double(4, 5, second=3), n=weak) == set()
    assert kinds(double(4, 5), n=weak) == {
        "non-linearizable"
    }  # each replaced the other, and yet both are there
    assert kinds(double(3, 4)) == {"lost-update"}
    assert kinds(double(2, 3), n=weak) == {"lost-update"}
    log = (
        history()
        .append("a", "x", begin=1, end=9)
        .append("a", "y", begin=2, end=8)
        .append("a", "z", ["y", "z"])
    )
    assert kinds(log, log=append_only_list(concurrent_updates="last-wins")) == set()
    log.append("a", "w", ["y", "w"]).read("a", ["y", "w"])
    assert kinds(log, log=append_only_list(concurrent_updates="last-wins")) == {"lost-update"}


def test_a_write_may_take_as_long_to_show_as_the_app_says() -> None:
    late = append_only_list(within_s=10e-9)
    log = history().append("a", "x", [], begin=1, end=2).read("a", [], begin=5, end=6)
    assert kinds(log.read("a", ["x"], begin=20), log=late) == set()
    log = history().append("a", "x", [], begin=1, end=2).read("a", [], begin=13, end=14)
    assert kinds(log.read("a", ["x"], begin=20), log=late) == {"read-your-writes"}
    assert kinds(history().append("a", "x", []).read("a", ["x", "x"]), log=late) == {"duplicate-effect"}


def test_what_may_take_a_while_keeps_the_order_of_each_session_only() -> None:
    late = append_only_list(scope="everyone", within_s=100e-9)

    def two(first: str, second: str, later_ns: int = 3) -> HistoryBuilder:
        built = (
            history().append(first, "x", begin=1, end=2).append(second, "y", begin=later_ns, end=later_ns + 1)
        )
        return built.read("c", ["y", "x"], begin=500)

    assert kinds(two("a", "b"), log=late) == set()
    assert kinds(two("a", "a"), log=late) == {"monotonic-writes"}
    assert kinds(two("a", "b", later_ns=200), log=late) == {"monotonic-writes"}


def test_only_what_is_above_the_threshold_is_accepted() -> None:
    bounded = append_only_list(above=5)

    def offers(*seen: str) -> HistoryBuilder:
        built = history().add("a", effects={"log": ("offer", [7, "high"])}, reads={"log": ["high"]})
        return built.add("a", effects={"log": ("offer", [5, "low"])}, reads={"log": list(seen)}).read(
            "a", list(seen)
        )

    assert kinds(offers("high"), log=bounded) == set()
    assert kinds(offers("high", "low"), log=bounded) == {"garbage-read"}
    anomaly = only(offers("high", "low"), "garbage-read", log=bounded)
    assert "The list accepts only numbers above 5" in anomaly.explanation
    assert kinds(offers(), log=bounded) == {"lost-update"}


# --- answers and chains ---


def test_an_answer_that_belongs_to_another_operation() -> None:
    assert kinds(history().ask("a", "x", "x").ask("b", "y", ["y", "y"])) == set()
    crossed = history().ask("a", "x", ["x"]).ask("b", "y", ["y", "x", "y"])
    anomaly = only(crossed, "misdelivered-response")
    assert anomaly.sessions == ["a", "b"]
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2"]
    assert anomaly.explanation == (
        "Operation A: session a asked for x in reply (acknowledged). Operation B: session b asked for y, and was shown [y, x, y] in reply. "
        "The answer to B contained x, for which a, another session, had asked: the response was misdelivered."
    )
    own = only(history().ask("a", "x", "x").ask("a", "y", "x"), "misdelivered-response")
    assert own.sessions == ["a"]
    assert kinds(history().ask("a", "x", "x").ask("a", "y", "z")) == {"garbage-read"}


def test_a_step_that_saw_what_another_operation_began_with() -> None:
    assert kinds(history().begin("a", "x", ["x", "x"]).begin("b", "y", ["y", "y"])) == set()
    mixed = history().begin("a", "x", ["x", "y"], begin=1, end=9).begin("a", "y", ["y", "y"], begin=2, end=8)
    anomaly = only(mixed, "non-atomic-chain")
    assert anomaly.explanation.endswith(
        "A step of B used y, with which A had started its chain: two chains of a were mixed."
    )
    crossed = history().begin("a", "x", ["x", "x"]).begin("b", "y", ["y", "x"])
    assert kinds(crossed) == {"cross-session-read", "non-atomic-chain"}
    assert kinds(history().begin("a", "x", ["x", "z"])) >= {"garbage-read"}
    assert kinds(history().begin("a", "x", ["x", None])) >= {"lost-update"}


# --- records ---


def test_the_entries_of_a_record_are_checked_one_by_one() -> None:
    good = history().put("a", {"name": "x"}, {"name": "x"}).put("a", {"age": "7"}, {"name": "x", "age": "7"})
    assert kinds(good) == set()
    assert kinds(history().put("a", {"name": "x"}, None).put("a", {"age": "7"}, {"age": "7"})) == {
        "lost-update"
    }
    crossed = history().put("a", {"name": "x"}, {"name": "x"}).put("b", {"name": "y"}, {"name": "x"})
    assert kinds(crossed) == {"cross-session-read"}
    swapped = history().put("a", {"name": "x", "age": "7"}, {"name": "7", "age": "x"})
    assert kinds(swapped) >= {"garbage-read"}
    begun = record({"step": "start"})
    assert kinds(history().read("a", {"step": "start"}, "form").put("b", {"x": "y"}), form=begun) == set()


# --- what looks like an anomaly and is none ---


def test_the_initial_value_is_not_owed_to_a_clear_that_had_only_begun() -> None:
    register_ = history().add("a", effects={"r": ("write", "w1")}, begin=500, end=590)
    register_.read("a", None, "r", begin=550, end=620).clear("a", "r", begin=600, end=750)
    register_.read("a", "w1", "r", begin=700, end=800)
    assert kinds(register_) == set()
    form = history().put("a", {"x": "w1"}, begin=500, end=590).read("a", {}, "form", begin=550, end=620)
    form.clear("a", "form", begin=600, end=750).read("a", {"x": "w1"}, "form", begin=700, end=800)
    assert kinds(form) == set()
    # Nothing but the clear explains the initial value, once the write was over.
    gone = history().write("a", "w1", "w1").clear("a", "r", outcome="info", error="timeout")
    gone.read("a", None, "r").read("a", "w1", "r")
    assert kinds(gone) == {"monotonic-reads"}


def test_values_that_are_equal_in_json_are_the_same_value() -> None:
    turn, turned = {"role": "user", "of": [1]}, {"of": [1.0], "role": "user"}
    assert key(turn) == key(turned)
    assert key([1, {"a": 2.0}]) == key([1.0, {"a": 2}])
    assert len({key(v) for v in ([1], [True], ["1"], [1.5], [None], {"a": 1}, [2.0**70])}) == 7
    timed_out = {"outcome": "info", "error": "timeout"}
    log = history().append("a", "u", **timed_out)
    log.add("a", effects={"log": ("append", turn)}, reads={"log": [turned]}).read("a", [turned])
    assert kinds(log) == set()
    value = history().add("a", effects={"r": ("write", [0])}, **timed_out)
    value.add("a", effects={"r": ("write", [1, 2])}, reads={"r": [1.0, 2.0]})
    assert kinds(value) == set()


def test_an_entry_of_a_record_without_a_value_is_not_there() -> None:
    assert kinds(history().put("a", {"name": "x"}, {"name": "x", "age": None})) == set()
    cleared = history().put("a", {"name": "x"}, {"name": "x"}).clear("a", "form", {})
    assert kinds(cleared.read("a", {"name": None}, "form")) == set()
    begun = record({"step": "start"})
    assert "garbage-read" in kinds(history().read("a", {"step": None}, "form"), form=begun)
    assert "lost-update" in kinds(history().put("a", {"name": "x"}).read("a", {"name": None}, "form"))


def test_a_count_that_is_lost_was_not_stale_as_well() -> None:
    """The increment of b is lost; what d reads first is explained by c's alone, which was under way."""
    n = history().click("a", 1, begin=1, end=2).click("b", 1, begin=3, end=4).click("c", begin=10, end=20)
    n.read("d", 2, "n", begin=13, end=14).read("d", 2, "n", begin=30, end=31)
    lost = only(n, "lost-update", n=counter(scope="everyone"))
    assert "neither does a later read" in lost.explanation
    # Without the last read nobody can tell.
    open_end = history().click("a", 1, begin=1, end=2).click("b", 1, begin=3, end=4)
    open_end.click("c", begin=10, end=20).read("d", 2, "n", begin=13, end=14)
    stale = only(open_end, "read-your-writes", n=counter(scope="everyone"))
    assert "no later read shows whether the write was lost or late" in stale.explanation
    # One is lost, another only late.
    both = history().click("a", 1).click("a", 1).click("a", 2).click("a", 2).click("a", 4)
    assert kinds(both) == {"lost-update", "read-your-writes"}
    (late,) = named(judge(both), "read-your-writes").anomalies
    assert late.witness[-1].reads == {"n": 4}


# --- what a pass says ---


def test_a_pass_says_how_rare_a_fault_must_be_to_have_been_missed() -> None:
    many, few = history(), history().click("a", 1).click("b", 1).click("a", 2).click("b", 2)
    for count in range(1, 21):
        many.click("a", count).click("b", count)
    assert judge(many).reason == (
        "No anomaly among 40 operations; a fault that shows in 1 of 13 would have been found with 95 % certainty."
    )
    assert judge(few).reason == "No anomaly among 4 operations."


# --- what says nothing ---


@pytest.mark.parametrize(
    ("seen", "variable", "model"),
    [
        (history().append("a", "x", ["x"]).read("a", []), "log", append_only_list(scope="everyone")),
        (history().write("a", "x", "x").read("a", None, "r"), "r", register(scope="everyone")),
        (history().put("a", {"x": "y"}, {"x": "y"}).read("a", {}, "form"), "form", record(scope="everyone")),
        (
            history().click("a", 1).click("a", 1),
            "n",
            counter(scope="everyone", concurrent_updates="last-wins"),
        ),
        (
            history().append("a", "x", ["x"]).append("a", "y", ["y"]),
            "log",
            append_only_list(scope="everyone", concurrent_updates="last-wins"),
        ),
    ],
)
def test_sessions_of_a_lost_worker_may_have_overwritten_what_everyone_shares(
    seen: HistoryBuilder, variable: str, model: StateVariable
) -> None:
    assert kinds(seen, **{variable: model})
    lost = Workers(
        facts={
            "0": WorkerFacts(name="0", clock="c"),
            "2": WorkerFacts(
                name="2", clock="c", lost="was killed by SIGKILL", missing="Its shard is missing."
            ),
        }
    )
    checks = check_history(seen.build(workers=lost), {variable: model}, COMPLETED)
    assert [check.name for check in checks.checks if check.verdict == "fail"] == []
    open_ones = [check for check in checks.checks if "unrecorded operations" in check.reason]
    assert open_ones
    assert {check.verdict for check in open_ones} == {"unknown"}


def test_where_records_are_missing_a_clear_may_be_among_them() -> None:
    """A session of a worker whose shard is not whole: it finds nothing, as it would after a clear."""
    log = history().append("a", "x", ["x"]).clear("a", "log", []).append("a", "y", ["y"]).read("a", ["y"])
    log.read("a", [])
    assert kinds(log) == {"reset"}
    broken = Workers(facts={"0": WorkerFacts(name="0", missing="Line 9 cannot be read.")})
    checks = check_history(log.build(workers=broken), {"log": STATE["log"]}, COMPLETED)
    assert checks.verdict == "unknown"
    assert [check.name for check in checks.checks if check.verdict == "fail"] == []


def test_where_lines_of_a_shard_are_lost_a_value_may_have_been_written_there() -> None:
    """Of a run with one process: its token says whose it is, and the line that wrote it may be one that is lost."""
    value = tokens.mint("7f3a", 0, 1, 9)
    log = (
        history()
        .append("s0-1", "x", ["x"])
        .append("s0-1", "y", ["x", value, "y"])
        .click("s0-1", 4)
        .build(workers=Workers(run_tag="7f3a"))
    )
    state = {"log": STATE["log"], "n": STATE["n"]}
    whole = check_history(log, state, COMPLETED)
    assert {check.name for check in whole.checks if check.verdict == "fail"} == {"garbage-read"}
    torn = msgspec.structs.replace(log, damaged=frozenset("0"), problems=["Line 9 cannot be read."])
    checks = check_history(torn, state, COMPLETED)
    assert checks.verdict == "unknown"
    assert [check.name for check in checks.checks if check.verdict == "fail"] == []


def test_an_effect_that_no_model_knows_is_unknown_and_no_crash() -> None:
    strange = history().add("a", effects={"log": ("offer", ["many", "x"])}, reads={"log": ["x"]})
    checks = judge(strange, log=append_only_list(above=5))
    assert checks.verdict == "unknown"
    assert "TypeError" in named(checks, "lost-update").reason


def test_a_check_that_cannot_find_anything_says_so_and_does_not_spoil_the_verdict() -> None:
    checks = judge(history().click("a", 1).click("b", 1).click("a", 2))
    assert checks.verdict == "pass"
    for name in ("monotonic-writes", "misdelivered-response", "non-atomic-chain"):
        check = named(checks, name)
        assert (check.verdict, check.applies) == ("pass", False)
        assert check.reason == "Does not apply: no declared variable can show this anomaly."
    cleared = named(checks, "cleared-state-returns")
    assert (cleared.verdict, cleared.applies) == ("pass", False)
    assert cleared.reason == "Does not apply: no state was read after a clear."
    assert named(checks, "monotonic-reads").applies


@pytest.mark.parametrize("kind", ["misdelivered-response", "non-atomic-chain"])
def test_answers_and_chains_that_were_never_shown_are_unknown(kind: str) -> None:
    silent = history().add("a", effects={"reply": ("ask", "x")}).add("a", effects={"steps": ("begin", "y")})
    assert named(judge(silent), kind).verdict == "unknown"


def test_what_belongs_to_a_user_belongs_to_the_account_where_people_log_in() -> None:
    def notes(account: int) -> HistoryBuilder:
        built = HistoryBuilder().open("a", "ann", account=account).open("b", "bob", account=account)
        return built.append("a", "x", ["x"]).append("b", "y", ["x", "y"]).read("a", ["x", "y"])

    rows = append_only_list(scope="user")
    assert {check.name for check in judge(notes(0), log=rows).checks if check.verdict == "fail"} == {
        "cross-session-read"
    }
    assert {c.verdict for c in judge(notes(1), log=rows).checks if c.name != "cross-session-read"} == {"pass"}
    # What is a session's own stays so.
    assert named(judge(notes(1), log=append_only_list()), "cross-session-read").verdict == "fail"
    assert judge(notes(1).read("b", ["y"]), log=rows).verdict == "fail"


@pytest.mark.parametrize("parts", [False, True])
def test_what_was_asked_may_be_a_list(parts: bool) -> None:
    asked = history().ask("b", ["z"], ["z"]).ask("a", ["x", "y"], [["x", "y"]] * 2 if parts else ["x", "y"])
    assert kinds(asked) == set()
    assert kinds(history().ask("b", ["z"], ["z"]).ask("a", ["x", "y"], ["x"])) == {"garbage-read"}
