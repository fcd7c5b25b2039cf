from __future__ import annotations

from harness.history import Workers, pair, phases, type_counts
from harness.records import Census, Effect, Error, Fail, Info, Invoke, ListDelta, Ok, RunEvent


def invoke(number: int, at: int, session: str = "s0-1") -> Invoke:
    return Invoke(id=number, session=session, action="click", phase="load", time_ns=at)


def event(kind: str, at: int, **detail: object) -> RunEvent:
    return RunEvent(time_ns=at, wall_ns=0, kind=kind, detail=dict(detail))


def test_invokes_meet_their_completions_in_any_order() -> None:
    error = Error(kind="app", message="no")
    history = pair(
        {
            "0": [
                invoke(1, 10),
                invoke(2, 11),
                Ok(id=2, time_ns=12, reads={"n": 1}),
                Fail(id=1, time_ns=15, error=error),
            ],
            "1": [invoke(1, 5, "s1-1"), Info(id=1, time_ns=9, error=Error(kind="timeout", message="late"))],
        }
    )
    assert [(o.worker, o.id, o.outcome) for o in history.operations] == [
        ("1", 1, "info"),
        ("0", 1, "fail"),
        ("0", 2, "ok"),
    ]
    assert history.operations[2].reads == {"n": 1}
    assert history.operations[1].latency_ns == 5
    assert history.problems == []


def test_every_stage_that_was_recorded_reaches_the_operation() -> None:
    stages = {"accepted_ns": 12, "started_ns": 13, "first_output_ns": 14, "event_ids": ["e1", "e2"]}
    invoked = Invoke(id=1, session="s0-1", action="click", phase="load", time_ns=10, intended_ns=7)
    error = Error(kind="app", message="no")
    for completion in (
        Ok(id=1, time_ns=15, **stages),
        Fail(id=1, time_ns=15, error=error, **stages),
        Info(id=1, time_ns=15, error=error, **stages),
    ):
        (operation,) = pair({"0": [invoked, completion]}).operations
        assert operation.intended_ns == 7
        assert {name: getattr(operation, name) for name in stages} == stages


def test_an_invoke_without_completion_is_pending_and_no_problem() -> None:
    history = pair({"0": [invoke(1, 10)]})
    assert history.operations[0].outcome == "pending"
    assert history.operations[0].may_have_happened
    assert history.problems == []


def test_what_does_not_fit_together_is_reported() -> None:
    assert "without" in pair({"0": [Ok(id=1, time_ns=3)]}).problems[0]
    assert "twice" in pair({"0": [invoke(1, 1), invoke(1, 2)]}).problems[0]
    assert (
        "more than once" in pair({"0": [invoke(1, 1), Ok(id=1, time_ns=2), Ok(id=1, time_ns=3)]}).problems[0]
    )
    assert "before it was invoked" in pair({"0": [invoke(1, 5), Ok(id=1, time_ns=2)]}).problems[0]


def test_only_a_refusal_proves_that_nothing_happened() -> None:
    def fail(kind: str) -> bool:
        error = Error(kind=kind, message="")  # type: ignore[arg-type]
        return pair({"0": [invoke(1, 1), Fail(id=1, time_ns=2, error=error)]}).operations[0].may_have_happened

    assert not fail("rejected")
    assert fail("app")


def test_phases_end_where_the_next_begins() -> None:
    spans = phases(
        [
            event("phase", 1, name="warm-up"),
            event("steady", 2),
            event("phase", 5, name="load"),
            event("steady", 7),
            event("phase", 9, name="end"),
        ]
    )
    assert [(s.name, s.begin_ns, s.end_ns, s.steady_ns) for s in spans] == [
        ("warm-up", 1, 5, 2),
        ("load", 5, 9, 7),
        ("end", 9, 9, None),
    ]


def test_a_run_that_broke_off_still_has_its_phases() -> None:
    spans = phases([event("phase", 1, name="load"), event("target_exit", 4)])
    assert [(s.begin_ns, s.end_ns, s.steady_ns) for s in spans] == [(1, 4, None)]
    assert phases([]) == []


def test_lists_recorded_as_differences_are_restored_for_each_session() -> None:
    letters = list("abcdefgh")
    other = Invoke(id=3, session="s0-2", action="click", phase="load", time_ns=12)
    history = pair(
        {
            "0": [
                invoke(1, 10),
                Ok(id=1, time_ns=11, reads={"log": letters}),
                other,
                Ok(id=3, time_ns=13, reads={"log": ["x"]}),
                invoke(2, 14),
                Ok(id=2, time_ns=15, deltas={"log": ListDelta(since=1, start=1, keep=7, then=["i"])}),
            ]
        }
    )
    assert [o.reads["log"] for o in history.operations] == [letters, ["x"], [*letters[1:], "i"]]
    assert history.problems == []


def test_a_difference_to_what_is_not_on_record_is_reported() -> None:
    delta = ListDelta(since=1, keep=8, then=["i"])
    history = pair({"0": [invoke(2, 14), Ok(id=2, time_ns=15, reads={"n": 1}, deltas={"log": delta})]})
    assert history.operations[0].reads == {"n": 1}
    assert history.problems == [
        "What operation 0:2 read of log cannot be restored: the reading before it is not on record."
    ]


def test_numbers_may_be_out_of_order_but_each_belongs_to_one_operation() -> None:
    assert pair({"0": [invoke(5, 10), invoke(2, 11), invoke(3, 12), invoke(6, 13)]}).problems == []
    assert pair({"0": [invoke(5, 10), invoke(2, 11), invoke(2, 12)]}).problems == [
        "Operation 0:2 was invoked twice."
    ]
    for number in (0, -1, 10**12):
        assert pair({"0": [invoke(number, 10)]}).problems == [
            f"Operation 0:{number} has no number that could be its own."
        ]


def begun(number: int, session: str, user: str = "") -> Invoke:
    return Invoke(id=number, session=session, action="open", phase="load", time_ns=number, user=user)


def test_sessions_that_a_shard_cannot_have_recorded_are_left_out_and_reported() -> None:
    mine, theirs = begun(1, "s0-1", "u-7f3a-0-1"), begun(2, "s1-1", "u-7f3a-1-1")
    history = pair({"0": [mine, theirs]}, workers=Workers(run_tag="7f3a"))
    assert [o.session for o in history.operations] == ["s0-1"]
    assert history.problems == ["history/0.jsonl holds sessions of worker 1."]
    assert history.damaged == {"0"}
    older = [begun(1, "s0-1", "u-beef-0-1"), begun(2, "s0-2", "u-beef-0-2")]
    history = pair({"0": older}, workers=Workers(run_tag="7f3a"))
    assert history.operations == []
    assert history.problems == ["history/0.jsonl holds sessions of another run."]
    whole = pair({"0": [mine], "1": [theirs]}, workers=Workers(run_tag="7f3a"))
    assert (whole.problems, whole.damaged) == ([], frozenset())


def test_a_shard_that_does_not_fit_together_is_damaged_and_the_others_are_not() -> None:
    shards = {
        "0": [invoke(1, 1), Ok(id=2, time_ns=3)],
        "1": [Invoke(id=1, session="s1-1", action="click", phase="load", time_ns=1)],
    }
    assert pair(shards).damaged == {"0"}
    assert pair(shards, damaged=["1"]).damaged == {"0", "1"}


def test_what_figures_do_not_need_can_be_left_out() -> None:
    both = {"own": Effect(op="write", value="x"), "shared": Effect(op="append", value="y")}
    records = [
        Invoke(id=1, session="s0-1", action="click", phase="load", time_ns=10, effects=both),
        Ok(id=1, time_ns=11, accepted_ns=10, event_ids=["e"], searched=2, reads={"own": "x"}),
    ]
    (operation,) = pair({"0": records}, only=["shared"]).operations
    assert (operation.effects, operation.reads, operation.event_ids) == ({"shared": both["shared"]}, {}, [])
    assert (operation.accepted_ns, operation.searched, operation.latency_ns) == (10, 2, 1)


def census(**values: object) -> Census:
    return Census(
        plateau=0,
        time_ns=0,
        containers=[],
        visited=0,
        known_bytes=0,
        opaque=0,
        complete_depth=None,
        pause_ms=0,
        **values,
    )  # type: ignore[arg-type]


def test_later_censuses_tell_only_which_types_there_are_more_or_fewer_of() -> None:
    first = census(objects=6, types={"dict": 3, "app.Turn": 1, "app.Gone": 2})
    later = census(objects=9, types={"app.Turn": 5, "app.Gone": 0, "app.New": 1})
    assert type_counts(first, first) == {"dict": 3, "app.Turn": 1, "app.Gone": 2}
    assert type_counts(first, later) == {"dict": 3, "app.Turn": 5, "app.New": 1}
    assert type_counts(first, census()) == {}
