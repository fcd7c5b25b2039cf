"""Writes follow reads: by hand, beside what looks alike and is none, or goes by another name."""

from __future__ import annotations

from unittest import mock

import pytest

from harness.checkers import check_history, writes_follow_reads
from harness.history import WorkerFacts, Workers
from harness.records import StateVariable
from harness.workload import append_only_list, register
from tests.builders import COMPLETED, HistoryBuilder
from tests.unit.checkers.test_catalogue import judge, kinds, named, only

WFR = "writes-follow-reads"
AT_ONCE = append_only_list(scope="everyone")
# Longer than any of these histories: time alone requires nothing.
IN_A_WHILE = append_only_list(scope="everyone", within_s=1.0)


def answered() -> HistoryBuilder:
    """b has read what a wrote, and answers."""
    return HistoryBuilder().append("a", "x").read("b", ["x"]).append("b", "y")


def test_an_answer_that_is_there_before_its_question() -> None:
    anomaly = only(answered().read("c", ["y"]), WFR, log=IN_A_WHILE)
    assert anomaly.sessions == ["a", "b", "c"]
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2", "0:3", "0:4"]
    assert anomaly.explanation == (
        "Operation A: session a appended x to log (acknowledged). Operation B: session b read log = [x]. "
        "Operation C: session b then appended y to log (acknowledged). Operation D: session c read log = [y]. "
        "B had shown x before C began, so a read of y must also show x, and before it. But D shows y without it: "
        "a write was visible without a value that its session had read before."
    )
    assert kinds(answered().read("c", ["x", "y"]).read("c", ["x", "y"]), log=IN_A_WHILE) == set()
    assert kinds(answered().read("c", []).read("d", ["x"]), log=IN_A_WHILE) == set()


@pytest.mark.parametrize("model", [AT_ONCE, IN_A_WHILE], ids=["at once", "in a while"])
def test_an_answer_that_stands_before_its_question(model: StateVariable) -> None:
    anomaly = only(answered().read("c", ["y", "x"]), WFR, log=model)
    assert anomaly.explanation.endswith(
        "But D shows x after y: a write was visible without a value that its session had read before."
    )
    in_its_own_answer = HistoryBuilder().append("a", "x").read("b", ["x"]).append("b", "y", ["y", "x"])
    anomaly = only(in_its_own_answer, WFR, log=model)
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2", "0:3"]


def test_without_a_read_only_the_order_in_time_counts() -> None:
    unread = HistoryBuilder().append("a", "x").append("b", "y").read("b", ["x", "y"]).read("c", ["y", "x"])
    assert kinds(unread, log=IN_A_WHILE) == set()
    assert kinds(unread, log=AT_ONCE) == {"monotonic-writes"}
    meanwhile = HistoryBuilder().append("a", "x", begin=1, end=2).read("b", ["x"], begin=3, end=9)
    assert kinds(meanwhile.append("b", "y", begin=8, end=10).read("c", ["y"]), log=IN_A_WHILE) == set()
    others = HistoryBuilder().append("a", "x").read("d", ["x"]).append("b", "y").read("c", ["y"])
    assert kinds(others, log=IN_A_WHILE) == set()


def test_what_had_been_read_need_not_have_been_acknowledged() -> None:
    late = HistoryBuilder().append("a", "x", begin=1, end=90).read("b", ["x"], begin=2, end=3)
    late.append("b", "y", begin=4, end=5).read("c", ["y"], begin=6, end=7)
    assert kinds(late, log=AT_ONCE) == {WFR}
    unknown = HistoryBuilder().append("a", "x", outcome="info", error="timeout").read("b", ["x"])
    assert kinds(unknown.append("b", "y").read("c", ["y", "x"]), log=AT_ONCE) == {WFR}


def test_of_one_sessions_own_writes_the_order_is_wrong() -> None:
    raised = HistoryBuilder().append("a", "x", outcome="fail", error="app").read("a", ["x"]).append("a", "y")
    anomaly = only(raised.read("c", ["y"]), "monotonic-writes", log=AT_ONCE)
    assert anomaly.explanation.endswith(
        "D shows y without it: the writes took effect in another order than the session made them."
    )
    own = HistoryBuilder().append("a", "x").append("a", "y", ["x", "y"]).read("c", ["y", "x"])
    assert kinds(own, log=IN_A_WHILE) == {"monotonic-writes"}


def test_a_fault_goes_by_one_name() -> None:
    for_a_while = answered().read("c", ["y"]).read("c", ["x", "y"])
    anomaly = only(for_a_while, WFR, log=AT_ONCE)
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2", "0:3", "0:4", "0:5"]
    assert "D does not, but the later read E does" in anomaly.explanation
    seen_before = answered().read("c", ["x", "y"]).read("c", ["y"]).read("c", ["x", "y"])
    for model in (AT_ONCE, IN_A_WHILE):
        assert kinds(seen_before, log=model) == {"monotonic-reads"}
    gone = answered().read("c", ["y"]).read("b", ["y"]).read("a", ["y"])
    assert kinds(gone, log=AT_ONCE) == {"reset"}
    stale = HistoryBuilder().append("a", "x").read("b", []).append("b", "y").read("c", ["x", "y"])
    assert kinds(stale, log=AT_ONCE) == {"read-your-writes"}


def test_what_may_have_been_cleared_or_overwritten_need_not_be_there() -> None:
    cleared = answered().clear("d").read("c", ["y"])
    assert kinds(cleared, log=IN_A_WHILE) == set()
    perhaps = HistoryBuilder().append("a", "x").read("b", ["x"]).clear("d", outcome="info", error="timeout")
    assert kinds(perhaps.append("b", "y").read("c", ["y"]), log=AT_ONCE) == set()
    weak = append_only_list(scope="everyone", concurrent_updates="last-wins")
    overwritten = HistoryBuilder().append("a", "x", begin=1, end=9).append("d", "z", begin=2, end=12)
    overwritten.read("b", ["x"], begin=10, end=11).append("b", "y", ["z", "y"], begin=13, end=14)
    assert kinds(overwritten.read("c", ["z", "y"]), log=weak) == set()
    long_ago = HistoryBuilder().append("d", "w").clear("d").append("a", "x", begin=2 * 10**9)
    assert kinds(long_ago.read("b", ["x"]).append("b", "y").read("c", ["y"]), log=IN_A_WHILE) == {WFR}


def test_a_person_in_several_sessions_has_followers_too() -> None:
    mine = append_only_list(scope="user", within_s=1.0)
    two = HistoryBuilder().open("s1", "ann").open("s2", "ann").append("s1", "x").read("s2", ["x"])
    two.append("s2", "y").open("s3", "ann").read("s3", ["y"])
    assert only(two, WFR, log=mine).sessions == ["s1", "s2", "s3"]


def test_what_a_lost_worker_may_have_cleared_is_unknown() -> None:
    facts = {"1": WorkerFacts(name="1"), "2": WorkerFacts(name="2", lost="was killed by SIGKILL")}

    def verdict(*seen: str) -> str:
        built = HistoryBuilder().append("a", "x", worker="1").read("b", ["x"], worker="1")
        built.append("b", "y", worker="1").read("c", [*seen], worker="1").append("d", "z", worker="2")
        history = built.build(workers=Workers(run_tag="7f3a", facts=facts))
        return named(check_history(history, {"log": IN_A_WHILE}, COMPLETED), WFR).verdict

    assert verdict("y") == "unknown"
    assert verdict("y", "x") == "fail"  # nothing that was cleared comes back
    assert verdict("x", "y") == "pass"


def test_it_says_how_much_there_was_to_look_at_and_when_there_was_nothing() -> None:
    check = named(judge(answered().read("c", ["x", "y"]).read("c", ["x", "y"]), log=AT_ONCE), WFR)
    assert (check.verdict, check.applies) == ("pass", True)
    assert check.evidence == {"writes_shown_that_followed_a_read": 2}
    alone = HistoryBuilder().append("a", "x", ["x"]).append("a", "y", ["x", "y"])
    assert not named(judge(alone, log=AT_ONCE), WFR).applies
    for own in (append_only_list(), register(scope="everyone")):
        assert "no declared variable" in named(judge(alone, log=own), WFR).reason


def test_values_that_are_not_unique_or_unwritten_cause_no_anomaly() -> None:
    twice = HistoryBuilder().append("a", "x").append("d", "x").read("b", ["x", "x"]).append("b", "y")
    assert WFR not in kinds(twice.read("c", ["y", "x"]), log=IN_A_WHILE)
    garbage = HistoryBuilder().read("b", ["?"]).append("b", "y").read("c", ["y", "?"])
    assert kinds(garbage, log=IN_A_WHILE) == {"garbage-read"}


def test_a_list_that_only_grows_costs_each_of_its_elements_a_few_looks() -> None:
    """Not each element of each read, which would be the square of the length."""
    built, elements = HistoryBuilder(), [f"v{n}" for n in range(300)]
    for number, element in enumerate(elements, start=1):
        session = "abcdefg"[number % 7]
        built.append(session, element, elements[:number])
        built.read(session, elements[:number])
    with mock.patch.object(writes_follow_reads, "key", wraps=writes_follow_reads.key) as looks:
        assert kinds(built, log=AT_ONCE) == set()
    assert 300 <= looks.call_count <= 4 * 300
