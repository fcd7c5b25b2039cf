"""Between which sessions: every pair is counted, kept or not, and the table stays small."""

from __future__ import annotations

import msgspec

from harness.checkers import MAX_ANOMALIES, check_history
from harness.checkers.session_matrix import MAX_GROUPS, crossings
from harness.records import Crossings, Sighting
from harness.tokens import mint
from harness.workload import append_only_list, counter
from tests.builders import COMPLETED, HistoryBuilder
from tests.unit.checkers.test_isolation import judge, named


def named_one_each(found: Crossings) -> dict[tuple[str, str], int]:
    """Whose state, by whom → occurrences, where each group is a single session."""
    assert all(group.sessions == 1 and group.first == group.last for group in found.groups)
    names = [group.first for group in found.groups]
    return {
        (names[row], names[column]): times
        for row, line in enumerate(found.seen)
        for column, times in enumerate(line)
        if times
    }


def test_each_pair_is_counted_in_its_direction() -> None:
    history = (
        HistoryBuilder().append("b", "b1", ["b1"]).append("a", "a1", ["b1", "a1"]).read("a", ["b1", "a1"])
    )
    found = named(judge(history), "cross-session-read").crossings
    assert found is not None
    assert [group.first for group in found.groups] == ["b", "a"]  # in the order in which they began
    assert named_one_each(found) == {("b", "a"): 2}
    assert (found.sessions, found.pairs, found.occurrences) == (2, 1, 2)


def test_what_concerns_one_session_alone_crosses_nothing() -> None:
    lost = judge(
        HistoryBuilder().append("a", "a1", ["a1"]).append("b", "b1", ["b1"]).read("a", []).read("a", [])
    )
    assert named(lost, "lost-update").crossings is None
    assert named(judge(HistoryBuilder().append("a", "a1", ["a1"])), "garbage-read").crossings is None


def test_pairs_that_are_not_kept_as_anomalies_are_counted_all_the_same() -> None:
    """Everybody sees everybody who came before: far more pairs than anomalies are kept."""
    history, log = HistoryBuilder(), []
    for number in range(40):
        log.append(f"v{number}")
        history.append(f"s{number}", f"v{number}", list(log))
    check = named(judge(history), "cross-session-read")
    assert len(check.anomalies) == MAX_ANOMALIES < check.anomalies_total == 40 * 39 // 2
    assert check.crossings is not None
    assert (check.crossings.pairs, check.crossings.occurrences) == (780, 780)
    assert all(
        times == (row < column)
        for row, line in enumerate(check.crossings.seen)
        for column, times in enumerate(line)
    )


def test_many_sessions_share_rows_and_columns_and_none_is_lost() -> None:
    names = [f"s0-{number}" for number in range(503)]
    began = {name: number for number, name in enumerate(names)}
    found = crossings([([names[0], name], 2) for name in names[1:]], began)
    assert found is not None
    assert len(found.groups) == len(found.seen) <= MAX_GROUPS
    assert sum(group.sessions for group in found.groups) == found.sessions == 503
    assert (found.groups[0].first, found.groups[-1].last) == ("s0-0", "s0-502")
    assert sum(map(sum, found.seen)) == found.occurrences == 2 * 502
    assert found.pairs == 502
    assert not any(any(line) for line in found.seen[1:])


def test_an_anomaly_between_several_counts_for_each_and_one_who_left_no_record_comes_last() -> None:
    found = crossings([(["a", "ghost", "b"], 3), (["b"], 9)], {"a": 0, "b": 1})
    assert found is not None
    assert named_one_each(found) == {("a", "b"): 3, ("ghost", "b"): 3}
    assert [group.first for group in found.groups] == ["a", "b", "ghost"]


def test_tokens_of_others_and_of_earlier_sessions_stand_in_one_table() -> None:
    theirs, earlier = mint("aaaa", 0, 1, 1), mint("aaaa", 0, 2, 1)
    built = (
        HistoryBuilder()
        .open("s0-1", "u1")
        .append("s0-1", theirs, [theirs])
        .open("s0-2", "u2")
        .append("s0-2", earlier, [earlier])
        .open("s0-3", "u2")
        .click("s0-3", 1)
        .click("s0-3", 2)
        .build()
    )
    *before, one, other = built.operations
    seen = [
        msgspec.structs.replace(
            o, searched=1, sightings=[Sighting(kind="foreign-token", value=value, where="result")]
        )
        for o, value in ((one, theirs), (other, earlier))
    ]
    history = msgspec.structs.replace(built, operations=[*before, *seen])
    checks = check_history(history, {"log": append_only_list(), "n": counter()}, COMPLETED)
    check = named(checks, "canary")
    assert {anomaly.kind for anomaly in check.anomalies} == {"cross-session-read", "resurrected-state"}
    assert check.crossings is not None
    assert named_one_each(check.crossings) == {("s0-1", "s0-3"): 1, ("s0-2", "s0-3"): 1}
