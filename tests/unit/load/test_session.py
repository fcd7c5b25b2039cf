from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import msgspec
import pytest

from harness.errors import StorageError
from harness.history import pair
from harness.load.canary_registry import CanaryRegistry
from harness.load.canary_scanner import SessionWatcher
from harness.load.recorder import Recorder
from harness.load.session import LoadSession, SessionRetired
from harness.page.page_errors import OperationFailed, OperationUnknown, PageMisuse
from harness.page.timing import Timed, Timing
from harness.records import HistoryRecord
from harness.run_dir import JsonLinesWriter
from harness.workload import Workload, append, counter, increment


class FakePage(Timed):
    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def open(self) -> None:
        self.span.completed_ns = None

    def close(self) -> None:
        self.closed = True


class Bench:
    """A session with a fake page, and its records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reported: list[tuple[str, bool]] = []
        self.broken: list[StorageError] = []
        self.recorder = Recorder(JsonLinesWriter(path), on_broken=self.broken.append)
        self.watcher = SessionWatcher(CanaryRegistry("abcd"), worker=0, number=7, user="u-abcd-0-1")
        self.session = LoadSession(
            FakePage(),  # type: ignore[arg-type]
            self.recorder,
            run_tag="abcd",
            worker=0,
            number=7,
            rng=random.Random(1),
            params={},
            user="u-abcd-0-1",
            watcher=self.watcher,
            on_request=lambda name, _latency, error: self.reported.append((name, error is None)),
        )

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "0.jsonl")


def test_the_invoke_is_on_disk_before_the_operation_begins(bench: Bench) -> None:
    with bench.session.operation("click", {"n": increment()}) as seen:
        (invoke,) = bench.lines()
        seen["n"] = 1
    assert (invoke["type"], invoke["session"], invoke["effects"]) == (
        "invoke",
        "s0-7",
        {"n": {"op": "increment", "value": 1}},
    )
    done = bench.lines()[1]
    assert (done["type"], done["id"], done["reads"]) == ("ok", invoke["id"], {"n": 1})
    assert bench.reported == [("click", True)]


def test_texts_sent_without_a_token_are_recorded_for_every_outcome(bench: Bench) -> None:
    for outcome in (None, OperationFailed("app", "no"), OperationUnknown("timeout", "late")):
        with contextlib.suppress(SessionRetired), bench.session.operation("send", {}):
            bench.watcher.sent(bench.session.token())
            bench.watcher.sent("hello")
            bench.watcher.sent(b"")
            if outcome is not None:
                raise outcome
    records = [msgspec.json.decode(line, type=HistoryRecord) for line in bench.path.read_bytes().splitlines()]
    history = pair({"0": records})
    assert [(o.outcome, o.tokens_sent, o.untagged_sent) for o in history.operations] == [
        ("ok", 1, 2),
        ("fail", 1, 2),
        ("info", 1, 2),
    ]
    assert history.problems == []


def test_latency_ends_when_the_result_was_on_the_socket(bench: Bench) -> None:
    with bench.session.operation("click", {}):
        start = bench.lines()[0]["time_ns"]
        bench.session.page.span = Timing(accepted_ns=start + 1, started_ns=start + 2, completed_ns=start + 3)
    assert [bench.lines()[1][name] - start for name in ("accepted_ns", "started_ns", "time_ns")] == [1, 2, 3]


def test_stages_and_event_ids_of_failed_operations_are_recorded(bench: Bench) -> None:
    stages = {"accepted_ns": 1, "started_ns": 2, "first_output_ns": 3, "event_ids": ["e"]}
    with bench.session.operation("click", {}):
        bench.session.page.span = Timing(**stages)
    with bench.session.operation("click", {}):
        bench.session.page.span = Timing(**stages)
        raise OperationFailed("app", "no")

    def silence() -> None:
        with bench.session.operation("click", {}):
            bench.session.page.span = Timing(**stages)
            raise OperationUnknown("timeout", "silence")

    with pytest.raises(SessionRetired):
        silence()
    completions = [line for line in bench.lines() if line["type"] != "invoke"]
    assert [line["type"] for line in completions] == ["ok", "fail", "info"]
    for line in completions:
        assert {name: line[name] for name in stages} == stages


def test_the_intended_start_belongs_to_the_next_operation_and_no_other(bench: Bench) -> None:
    bench.session.intended_ns = 5
    for _ in range(2):
        with bench.session.operation("click", {}):
            pass
    bench.session.intended_ns = 6
    bench.session.close()
    invokes = [line for line in bench.lines() if line["type"] == "invoke"]
    assert [line.get("intended_ns") for line in invokes] == [5, None, None]


def test_latency_on_display_counts_from_the_intended_start_under_the_open_model(bench: Bench) -> None:
    for from_intended in (False, True):
        bench.recorder.from_intended = from_intended
        operation, since = bench.recorder.invoke("s0-7", "click", {}, 5)
        assert (since == 5) == from_intended
        assert bench.recorder.ok(operation, since, {}, Timing(completed_ns=since + 7)) == 7


@pytest.mark.parametrize("kind", ["app", "rejected"])
def test_a_reported_failure_is_a_failure_and_the_visit_goes_on(bench: Bench, kind: str) -> None:
    with bench.session.operation("click", {}):
        raise OperationFailed(kind, "no")  # type: ignore[arg-type]
    with bench.session.operation("click", {}):
        pass
    assert [line["type"] for line in bench.lines()] == ["invoke", "fail", "invoke", "ok"]
    assert bench.lines()[1]["error"] == {"kind": kind, "message": "no"}
    assert bench.session.errors == 1


@pytest.mark.parametrize("kind", ["timeout", "connection", "protocol"])
def test_no_answer_is_unknown_and_retires_the_session(bench: Bench, kind: str) -> None:
    with pytest.raises(SessionRetired), bench.session.operation("click", {}):
        raise OperationUnknown(kind, "silence")  # type: ignore[arg-type]
    assert [line["type"] for line in bench.lines()] == ["invoke", "info"]
    with pytest.raises(SessionRetired, match="retired"), bench.session.operation("click", {}):
        pytest.fail("a retired session must not act")
    assert len(bench.lines()) == 2
    bench.session.close()  # closing the tab is all that is left
    assert bench.session.page.closed
    assert [line["type"] for line in bench.lines()][2:] == ["invoke", "ok"]


def test_an_error_of_the_workload_is_recorded(bench: Bench) -> None:
    with pytest.raises(SessionRetired), bench.session.operation("click", {}):
        raise KeyError("typo")
    assert bench.lines()[1]["error"]["kind"] == "workload"
    assert "test_session.py:" in bench.lines()[1]["error"]["message"]
    bench.session.workload_broke(ValueError("between two operations"))
    assert [line["type"] for line in bench.lines()][2:] == ["invoke", "info"]


def test_misuse_of_the_page_is_recorded_and_raised(bench: Bench) -> None:
    with pytest.raises(PageMisuse), bench.session.operation("click", {}):
        raise PageMisuse("The app has no endpoint '/nope'.", "It has: /click(label).")
    assert [line["type"] for line in bench.lines()] == ["invoke", "info"]
    assert bench.lines()[1]["error"]["kind"] == "workload"
    assert "no endpoint '/nope'" in bench.lines()[1]["error"]["message"]
    assert bench.session.retired


def test_a_stopped_user_leaves_an_invoke_without_completion(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt), bench.session.operation("click", {}):
        raise KeyboardInterrupt
    assert [line["type"] for line in bench.lines()] == ["invoke"]


def test_a_history_that_cannot_be_written_is_reported_at_once() -> None:
    bench = Bench(Path("/dev/full"))
    with pytest.raises(StorageError), bench.session.operation("click", {}):
        pytest.fail("nothing may be sent that cannot be recorded")
    assert len(bench.broken) == 1


def test_tokens_of_a_session_are_numbered(bench: Bench) -> None:
    assert [bench.session.token().split("-")[:5] for _ in range(2)] == [
        ["t", "abcd", "0", "7", "1"],
        ["t", "abcd", "0", "7", "2"],
    ]


def test_the_recorder_counts(bench: Bench) -> None:
    for _ in range(10):
        with bench.session.operation("click", {}):
            pass
    with bench.session.operation("click", {}):
        raise OperationFailed("app", "no")
    status = bench.recorder.status(users=3, open_sessions=1)
    assert (status.users, status.open_sessions, status.operations, status.failures) == (3, 1, 11, 1)
    assert status.p95_ms is not None


def test_several_actions_of_one_operation_are_timed_as_one() -> None:
    span = Timing()
    span.extend(Timing(accepted_ns=10, started_ns=11, completed_ns=20, event_ids=["a"]))
    span.extend(Timing(completed_ns=25))  # set off nothing
    span.extend(Timing(accepted_ns=30, started_ns=31, first_output_ns=35, completed_ns=40, event_ids=["b"]))
    assert span == Timing(
        accepted_ns=10, started_ns=11, first_output_ns=35, completed_ns=40, event_ids=["a", "b"]
    )
    assert Timing().event_ids == []


@pytest.mark.parametrize(
    ("span", "kind", "may_have_happened"),
    [
        (Timing(), "rejected", False),
        (Timing(event_ids=["first"]), "partly", True),
        (Timing(accepted_ns=5), "partly", True),  # an event that does not use the queue has no id
    ],
)
def test_a_refusal_after_an_accepted_event_may_have_changed_state(
    bench: Bench, span: Timing, kind: str, may_have_happened: bool
) -> None:
    with bench.session.operation("chain", {}):
        bench.session.page.span = span
        raise OperationFailed("rejected", "the queue is full")
    shard = [msgspec.json.decode(json.dumps(line), type=HistoryRecord) for line in bench.lines()]
    (operation,) = pair({"0": shard}).operations
    assert operation.error is not None
    assert (operation.outcome, operation.error.kind) == ("fail", kind)
    assert operation.may_have_happened is may_have_happened


# --- several at once ---


def test_operations_of_one_session_overlap_and_each_has_its_own_stages(bench: Bench) -> None:
    session = bench.session
    second_has_begun, first_has_ended = gevent.event.Event(), gevent.event.Event()

    def first() -> None:
        with session.operation("first", {}) as seen:
            second_has_begun.wait()
            session.page.span.extend(Timing(accepted_ns=1, event_ids=["a"]))
            seen["n"] = 1
        first_has_ended.set()

    def second() -> None:
        with session.operation("second", {}) as seen:
            session.page.span.extend(Timing(accepted_ns=2, event_ids=["b"]))
            second_has_begun.set()
            first_has_ended.wait()
            seen["n"] = 2

    session.intended_ns = 5
    session.at_once([first, second])
    lines = bench.lines()
    assert [(line["type"], line["id"]) for line in lines] == [
        ("invoke", 1),
        ("invoke", 2),
        ("ok", 1),
        ("ok", 2),
    ]
    assert [line.get("intended_ns") for line in lines[:2]] == [5, None]
    assert [(line["accepted_ns"], line["event_ids"], line["reads"]) for line in lines[2:]] == [
        (1, ["a"], {"n": 1}),
        (2, ["b"], {"n": 2}),
    ]
    # Nothing of them is left to the operation that comes next.
    with session.operation("third", {}):
        pass
    assert "event_ids" not in bench.lines()[-1]


def test_a_failure_of_one_action_does_not_affect_the_others(bench: Bench) -> None:
    def refused() -> None:
        with bench.session.operation("refused", {}):
            raise OperationFailed("app", "no")

    def works() -> None:
        with bench.session.operation("works", {}):
            pass

    bench.session.at_once([refused, works, refused])
    assert sorted(line["type"] for line in bench.lines()) == [
        "fail",
        "fail",
        "invoke",
        "invoke",
        "invoke",
        "ok",
    ]


def test_when_one_action_retires_the_session_the_others_finish_and_begin_nothing(
    bench: Bench,
) -> None:
    session = bench.session
    retired = gevent.event.Event()

    def silence() -> None:
        try:
            with session.operation("silence", {}):
                raise OperationUnknown("timeout", "silence")
        finally:
            retired.set()

    def twice() -> None:
        with session.operation("before", {}):
            retired.wait()
        with session.operation("after", {}):
            pytest.fail("a retired session must not act")

    with pytest.raises(SessionRetired):
        session.at_once([twice, silence])
    assert [(line["type"], line.get("action")) for line in bench.lines()] == [
        ("invoke", "before"),
        ("invoke", "silence"),
        ("info", None),
        ("ok", None),
    ]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "error", [PageMisuse("no such button"), KeyError("typo"), StorageError("disk full", "")]
)
def test_the_cause_is_raised_and_not_an_error_that_follows_from_it(
    bench: Bench, error: Exception, order: int
) -> None:
    def wrong() -> None:
        raise error

    def retires() -> None:
        raise SessionRetired("gone")

    with pytest.raises(type(error)):
        bench.session.at_once([wrong, retires][::order])


def test_stopping_a_user_stops_all_its_actions(bench: Bench) -> None:
    session = bench.session
    begun: list[gevent.Greenlet] = []
    all_there = gevent.event.Event()

    def endless() -> None:
        with session.operation("endless", {}):
            begun.append(gevent.getcurrent())
            if len(begun) == 2:
                all_there.set()
            gevent.event.Event().wait()

    user = gevent.spawn(session.at_once, [endless, endless])
    all_there.wait()
    user.kill()
    assert all(greenlet.dead for greenlet in (user, *begun))
    assert [line["type"] for line in bench.lines()] == ["invoke", "invoke"]
    assert not session.page._apart


def test_a_time_out_stops_all_actions(bench: Bench) -> None:
    """gevent's Timeout is no `Exception`; it must not be taken for the end of an action."""

    def late() -> None:
        raise gevent.Timeout(1)

    with pytest.raises(gevent.Timeout):
        bench.session.at_once([late])


# --- leaving ---


class Leaver(Workload):
    state = {"open": counter(scope="everyone")}
    leaves: Any = {"open": increment()}

    def leave(self) -> Any:
        if isinstance(self.leaves, Exception):
            raise self.leaves
        return self.leaves


def leaver(bench: Bench, leaves: Any) -> Leaver:
    workload = Leaver(bench.session)  # type: ignore[arg-type]
    workload.leaves = leaves
    return workload


def test_the_effects_of_closing_are_recorded_on_the_close_operation(bench: Bench) -> None:
    bench.session.leave(leaver(bench, {"open": increment()}))
    close, done = bench.lines()
    assert (close["action"], close["effects"]) == ("close", {"open": {"op": "increment", "value": 1}})
    assert done["type"] == "ok"
    assert bench.session.page.closed


@pytest.mark.parametrize("retired", [False, True])
def test_a_session_without_a_workload_is_closed_without_effects(bench: Bench, retired: bool) -> None:
    bench.session.retired = retired
    bench.session.leave(None)
    assert "effects" not in bench.lines()[0]
    assert bench.session.page.closed


def test_a_retired_session_also_records_the_effects_of_closing(bench: Bench) -> None:
    bench.session.retired = True
    bench.session.leave(leaver(bench, {"open": increment()}))
    assert bench.lines()[0]["effects"] == {"open": {"op": "increment", "value": 1}}


@pytest.mark.parametrize(
    ("leaves", "said"),
    [
        (ValueError("typo"), "ValueError: typo"),
        ({"opne": increment()}, "`state` declares open"),
        ({"open": append("x")}, "append does not fit 'open'"),
        (None, "leave() returned None"),
    ],
)
def test_an_error_in_leave_is_recorded_and_the_page_is_closed(bench: Bench, leaves: Any, said: str) -> None:
    bench.session.leave(leaver(bench, leaves))
    lines = bench.lines()
    assert [(line["type"], line.get("action")) for line in lines] == [
        ("invoke", "workload"),
        ("info", None),
        ("invoke", "close"),
        ("ok", None),
    ]
    assert lines[1]["error"]["kind"] == "workload"
    assert said in lines[1]["error"]["message"]
    assert "effects" not in lines[2]
    assert bench.session.page.closed


def test_misuse_in_leave_is_raised_after_the_page_was_closed(bench: Bench) -> None:
    with pytest.raises(PageMisuse):
        bench.session.leave(leaver(bench, PageMisuse("no component 'Totl'")))
    assert bench.session.page.closed
