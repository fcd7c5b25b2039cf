"""The witness as a picture, of anomalies that the checkers themselves found."""

from __future__ import annotations

import msgspec
import pytest

from harness.records import Sighting, WitnessOperation
from harness.report.witness_timeline import WIDTH, timeline
from harness.tokens import mint
from harness.workload import answer, append_only_list, assigned, chain, counter, record, register
from tests.builders import HistoryBuilder
from tests.unit.report.builders import anomaly
from tests.unit.report.pictures import Picture, found, picture, touching

MS = 10**6
S = 10**9
LOG = {"log": append_only_list()}


def crossed(gap_ns: int = 20 * MS, took_ns: int = 10 * MS) -> HistoryBuilder:
    """Session b reads what session a has appended."""
    begin = took_ns + gap_ns
    return (
        HistoryBuilder()
        .append("a", "first-value", ["first-value"], begin=0, end=took_ns)
        .read("b", ["first-value"], begin=begin, end=begin + took_ns)
    )


def assert_joined(seen: Picture, source: str, target: str, *, missing: bool = False) -> None:
    """There is an arrow from one bar to the other: it begins and ends within their width, and points down."""
    for (x, y), (end_x, end_y) in seen.missing if missing else seen.links:
        a, b = seen.bars[source], seen.bars[target]
        if (
            a.left <= x <= a.right
            and y == a.bottom
            and b.left <= end_x <= b.right
            and a.bottom < end_y < b.top
        ):
            return
    raise AssertionError(f"no arrow from {source} to {target}")


def test_each_session_has_a_lane_and_an_arrow_says_what_crossed() -> None:
    seen = found(crossed(), "cross-session-read", **LOG)
    assert seen.said("session") == ["a", "b"]
    assert seen.said("letter") == ["A", "B"]
    assert seen.said("what") == ["appended first-value", "read [first-value]"]
    assert len(seen.lanes) == 2
    assert (len(seen.links), seen.missing) == (1, [])
    assert_joined(seen, "A", "B")
    assert "A: session a, 0 s to 0.01 s, appended first-value." in seen.description
    assert "What A wrote is seen in B." in seen.description
    assert touching(seen) == []


def test_where_room_allows_time_is_true_to_scale() -> None:
    seen = found(crossed(gap_ns=20 * MS, took_ns=10 * MS), "cross-session-read", **LOG)
    a, b = seen.bars["A"], seen.bars["B"]
    assert b.right - b.left == pytest.approx(a.right - a.left, abs=0.2)
    assert b.left - a.right == pytest.approx(2 * (a.right - a.left), abs=0.3)
    assert seen.said("time") == ["0.000", "0.030", "0.040", "0.010", "seconds since the first operation"]
    assert seen.broken == 0


@pytest.mark.parametrize("gap_ns", [7 * S, 3_600 * S])
def test_a_millisecond_next_to_an_hour_is_visible_and_the_axis_is_marked_as_broken(
    gap_ns: int,
) -> None:
    seen = found(crossed(gap_ns=gap_ns, took_ns=1 * MS), "cross-session-read", **LOG)
    a, b = seen.bars["A"], seen.bars["B"]
    assert min(a.right - a.left, b.right - b.left) >= 14
    assert a.right < b.left
    assert b.right <= WIDTH
    assert seen.broken == 1
    assert seen.said("time")[-1].endswith("not to scale")
    assert touching(seen) == []


def test_times_less_than_a_millisecond_apart_have_different_figures() -> None:
    seen = found(crossed(gap_ns=50_000, took_ns=3 * MS), "cross-session-read", **LOG)
    assert seen.said("time")[:2] == ["0.00000", "0.00305"]
    assert seen.bars["A"].right < seen.bars["B"].left


def test_operations_at_the_same_moment_are_one_above_the_other() -> None:
    history = HistoryBuilder().append("a", "a1", ["a1"], begin=5, end=5).read("b", ["a1"], begin=5, end=5)
    seen = found(history, "cross-session-read", **LOG)
    assert seen.bars["A"].left == seen.bars["B"].left
    assert not seen.bars["A"].meets(seen.bars["B"])
    assert touching(seen) == []


def test_what_overlaps_is_joined_where_both_were_under_way() -> None:
    history = (
        HistoryBuilder().append("a", "a1", begin=0, end=40 * MS).read("b", ["a1"], begin=20 * MS, end=60 * MS)
    )
    seen = found(history, "cross-session-read", **LOG)
    ((start, end),) = seen.links
    assert start[0] == end[0]
    assert seen.bars["B"].left < start[0] < seen.bars["A"].right


def test_a_lost_update_is_one_lane_with_what_is_missing() -> None:
    history = (
        HistoryBuilder()
        .append("a", "a1", begin=0, end=10 * MS)
        .read("a", [], begin=20 * MS, end=30 * MS)
        .read("a", [], begin=40 * MS, end=50 * MS)
    )
    seen = found(history, "lost-update", **LOG)
    assert len(seen.lanes) == 1
    assert (seen.links, len(seen.missing)) == ([], 1)
    assert_joined(seen, "A", "B", missing=True)
    assert "What A wrote is missing in B." in seen.description


def test_a_stale_read_is_missing_what_a_later_one_shows() -> None:
    history = (
        HistoryBuilder()
        .append("a", "a1", begin=0, end=10 * MS)
        .read("a", [], begin=20 * MS, end=30 * MS)
        .read("a", ["a1"], begin=40 * MS, end=50 * MS)
    )
    seen = found(history, "read-your-writes", **LOG)
    assert_joined(seen, "A", "B", missing=True)
    assert_joined(seen, "A", "C")
    assert touching(seen) == []


def test_what_a_write_should_have_followed_is_missing_where_it_is_not() -> None:
    history = HistoryBuilder().append("a", "first", begin=0, end=90 * MS)
    history.read("b", ["first"], begin=10 * MS, end=20 * MS)
    history.append("b", "second", begin=30 * MS, end=40 * MS).read(
        "c", ["second"], begin=50 * MS, end=60 * MS
    )
    history.read("c", ["first", "second"], begin=100 * MS, end=110 * MS)
    seen = found(history, "writes-follow-reads", log=append_only_list(scope="everyone"))
    assert (len(seen.links), len(seen.missing)) == (2, 1)
    assert_joined(seen, "A", "D", missing=True)
    assert "What A wrote is missing in D." in seen.description
    assert touching(seen) == []


def test_counts_carry_no_name_so_the_low_one_is_where_it_is_missing() -> None:
    history = (
        HistoryBuilder()
        .click("a", begin=0, end=10 * MS)
        .read("a", 0, "n", begin=20 * MS, end=30 * MS)
        .read("a", 1, "n", begin=40 * MS, end=50 * MS)
    )
    seen = found(history, "read-your-writes", n=counter())
    assert seen.said("what") == ["counted +1", "read 0", "read 1"]
    assert_joined(seen, "A", "B", missing=True)
    crossing = found(HistoryBuilder().click("a", 1).click("b", 2), "cross-session-read", n=counter())
    assert_joined(crossing, "A", "B")


def test_what_came_back_after_a_clear_leads_past_the_clear() -> None:
    history = (
        HistoryBuilder()
        .append("a", "a1", ["a1"], begin=0, end=10 * MS)
        .clear("a", seen=[], begin=20 * MS, end=30 * MS)
        .read("a", ["a1"], begin=40 * MS, end=50 * MS)
    )
    seen = found(history, "cleared-state-returns", **LOG)
    assert seen.said("what") == ["appended a1", "cleared", "read []", "read [a1]"]
    assert_joined(seen, "A", "C")
    assert len(seen.links) == 1


@pytest.mark.parametrize(
    ("history", "name", "state", "says"),
    [
        (
            HistoryBuilder().write("a", "mine", "mine").write("b", "yours", "mine"),
            "cross-session-read",
            {"r": register()},
            ["wrote mine", "wrote yours", "read mine"],
        ),
        (
            HistoryBuilder().put("a", {"x": "mine"}).put("b", {"x": "yours"}, {"x": "mine"}),
            "cross-session-read",
            {"form": record({"x": None})},
            ["put x = mine", "put x = yours", "read {x: mine}"],
        ),
        (
            HistoryBuilder().ask("a", "q1", "q1").ask("b", "q2", "q1"),
            "misdelivered-response",
            {"reply": answer()},
            ["asked q1", "asked q2", "read q1"],
        ),
        (
            HistoryBuilder().begin("a", "c1", ["c1"]).begin("b", "c2", ["c2", "c1"]),
            "non-atomic-chain",
            {"steps": chain()},
            ["began c1", "began c2", "read [c2, c1]"],
        ),
        (
            HistoryBuilder().read("a", "12:00", "at").read("b", "12:00", "at"),
            "cross-session-read",
            {"at": assigned()},
            ["read 12:00", "read 12:00"],
        ),
    ],
)
def test_every_model_shows_what_crossed(history, name, state, says) -> None:
    seen = found(history, name, **state)
    assert seen.said("what") == says
    assert_joined(seen, "A", "B")
    assert touching(seen) == []


def test_in_a_long_list_what_matters_is_shown() -> None:
    values = [f"value-number-{number}" for number in range(300)]
    history = HistoryBuilder()
    for number, value in enumerate(values):
        history.append("a", value, begin=number * MS, end=number * MS + 1)
    history.read("b", values[:200], begin=400 * MS, end=410 * MS)
    seen = found(history, "cross-session-read", **LOG)
    assert seen.said("what")[-1] == "read [value-number-0, …]"


@pytest.mark.parametrize(
    ("outcome", "error", "open_ended"),
    [("info", "timeout", True), ("pending", None, True), ("fail", "app", True), ("fail", "rejected", False)],
)
def test_what_may_have_happened_later_has_no_end(outcome: str, error: str | None, open_ended: bool) -> None:
    history = (
        HistoryBuilder()
        .append("a", "a1", outcome=outcome, error=error, begin=0, end=10 * MS)
        .read("b", ["a1"], begin=20 * MS, end=30 * MS)
    )
    operations = history.build().operations
    made = anomaly(1, variable="log", sessions=["a", "b"], witness=[_witness("A", o) for o in operations[:1]])
    seen = picture(made, *operations)
    assert bool(seen.open_ends) == open_ended
    assert seen.said("what") == [f"appended a1 ({outcome})"]
    if open_ended:
        # On and on to the edge of the picture.
        assert max(seen.open_ends[0][0::1]) >= WIDTH - 6
        assert seen.bars["A"].right < WIDTH - 14


def _witness(letter: str, operation) -> WitnessOperation:
    return WitnessOperation(
        name=letter,
        operation=f"{operation.worker}:{operation.id}",
        session=operation.session,
        action=operation.action,
        phase=operation.phase,
        outcome=operation.outcome,
        invoke_s=operation.invoke_ns / 1e9,
        complete_s=None if operation.complete_ns is None else operation.complete_ns / 1e9,
        effects={name: {"op": e.op, "value": e.value} for name, e in operation.effects.items()},
        reads=operation.reads,
    )


def test_a_token_in_an_unread_response_is_shown_with_its_place() -> None:
    token = mint("aaaa", 0, 1, 1)
    history = (
        HistoryBuilder()
        .write("s0-1", token, begin=0, end=10 * MS)
        .click("s0-2", 1, begin=20 * MS, end=30 * MS)
    )
    writer, reader = history.build().operations
    sighting = Sighting(kind="foreign-token", value=token, where="the error text")
    reader = msgspec.structs.replace(reader, searched=1, sightings=[sighting])
    witness = [_witness("A", writer), msgspec.structs.replace(_witness("B", reader), effects={}, reads={})]
    made = anomaly(1, variable="r", sessions=["s0-1", "s0-2"], witness=witness)
    seen = picture(made, writer, reader)
    assert seen.said("what") == [f"wrote {token}", f"got {token}", "in the error text"]
    assert_joined(seen, "A", "B")


def test_a_witness_that_is_not_on_record_is_drawn_from_the_anomaly_alone() -> None:
    seen = picture(anomaly(1))
    assert seen.said("what") == ["appended token-1", "read […, token-1]"]
    assert_joined(seen, "A", "B")


def test_without_a_witness_there_is_no_picture() -> None:
    assert timeline(anomaly(1, witness=[]), {}, "a") == ""


def test_pictures_of_one_page_share_no_id() -> None:
    for name in ("a0-1", "a0-2"):
        assert set(picture_ids(name)) == {f"{name}-title", f"{name}-desc"}


def picture_ids(name: str) -> list[str]:
    root = Picture(timeline(anomaly(1), {}, name)).root
    ids = [node.attrib["id"] for node in root.iter() if "id" in node.attrib]
    assert root.attrib["aria-labelledby"].split() == ids
    return ids
