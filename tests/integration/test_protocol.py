"""Answers that a real server gives too rarely for a test: refusals, broken streams, messages out of order."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator

import gevent
import pytest

from harness.page import GradioPage
from harness.page.browser import Browser
from harness.page.page_errors import OperationFailed, OperationUnknown
from tests.integration.scripted import CLOSE, CUT, Line, ScriptedServer, completed, serve, starts
from tests.integration.waiting import eventually


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serve(ScriptedServer()) as server:
        yield server


@pytest.fixture
def page(server: ScriptedServer) -> Iterator[GradioPage]:
    page = GradioPage(server.url, timeout_s=20)
    page.open()
    yield page
    page.close()


def says(*lines: Line) -> Callable[[ScriptedServer], Iterable[Line]]:
    return lambda server: lines


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (503, "rejected", "queue is full or stopped"),
        (422, "rejected", "input is not valid"),
        (429, "rejected", "limits the rate"),
        (401, "rejected", "401"),
        (404, "rejected", "404"),
    ],
)
def test_a_refused_event_is_a_failure_and_the_session_lives_on(
    server: ScriptedServer, page: GradioPage, status: int, kind: str, text: str
) -> None:
    server.joins.append((status, {"detail": "because"}))
    with pytest.raises(OperationFailed, match=text) as failed:
        page.call("/go", "a")
    assert failed.value.kind == kind
    server.streams.append(says(completed("e1", "b"), CLOSE))
    assert page.call("/go", "b") == "b"


def test_a_server_error_leaves_the_outcome_unknown(server: ScriptedServer, page: GradioPage) -> None:
    server.joins.append((500, "oops"))
    with pytest.raises(OperationUnknown, match="500") as unknown:
        page.call("/go", "a")
    assert unknown.value.kind == "protocol"


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([starts("e1"), CUT], "connection"),
        ([starts("e1")], "connection"),  # the end of the stream, in good order, but too early
        ([b'data: {"msg": "process_com\n\n'], "connection"),
        (
            [starts("e1"), {"msg": "unexpected_error", "event_id": None, "message": "Server stopped."}],
            "protocol",
        ),
        ([{"msg": "unexpected_error", "event_id": "e1", "message": "Session not found."}], "protocol"),
    ],
    ids=["cut", "ended", "garbled", "stopped", "no session"],
)
def test_a_stream_that_breaks_leaves_the_outcome_unknown(
    server: ScriptedServer, page: GradioPage, lines: list[Line], kind: str
) -> None:
    server.streams.append(says(*lines))
    with pytest.raises(OperationUnknown) as unknown:
        page.call("/go", "a")
    assert unknown.value.kind == kind
    # A broken stream is not used again.
    server.streams.append(says(completed("e2", "b"), CLOSE))
    assert page.call("/go", "b") == "b"


@pytest.mark.parametrize("answer", [{}, [], "e1", {"event_id": 7}], ids=repr)
def test_an_answer_without_an_event_is_unknown(
    server: ScriptedServer, page: GradioPage, answer: object
) -> None:
    server.joins.append((200, answer))
    with pytest.raises(OperationUnknown, match="queue/join") as unknown:
        page.call("/go", "a")
    assert unknown.value.kind == "protocol"


@pytest.mark.parametrize(
    "line",
    [
        {"event_id": "e1"},
        {"msg": 7, "event_id": "e1"},
        b'data: ["a list"]\n\n',
        {"msg": "process_completed", "event_id": "e1", "success": True, "output": "text"},
        {"msg": "process_completed", "event_id": "e1", "success": True, "output": {"data": "text"}},
        {"msg": "process_completed", "event_id": "e1", "success": True, "output": None},
        {"msg": "process_completed", "event_id": "e1", "success": True, "output": {"data": []}},
        {"msg": "process_generating", "event_id": "e1", "success": True, "output": [1]},
    ],
    ids=str,
)
def test_a_message_that_gradio_never_sends_leaves_the_outcome_unknown(
    server: ScriptedServer, page: GradioPage, line: Line
) -> None:
    server.streams.append(says(line, CLOSE))
    with pytest.raises(OperationUnknown) as unknown:
        page.call("/go", "a")
    assert unknown.value.kind == "protocol"


def test_unknown_and_unimportant_messages_have_no_effect_and_are_reported_once(
    server: ScriptedServer, page: GradioPage
) -> None:
    for event in ("e1", "e2"):
        server.streams.append(
            says(
                b": a comment\n\n",
                {"msg": "estimation", "event_id": event, "rank": 0, "queue_size": 1, "rank_eta": None},
                {"msg": "heartbeat", "event_id": None},
                {"msg": "horoscope", "event_id": event},
                {"msg": "weather", "event_id": None},
                {"msg": "progress", "event_id": event, "progress_data": []},
                {"msg": "process_starts", "event_id": "somebody else's"},
                completed(event, "done"),
                CLOSE,
            )
        )
    assert page.call("/go", "a") == "done"
    assert page.call("/go", "a") == "done"
    assert [notice for notice in page.notices if "unknown kind" in notice] == [
        "a message of the unknown kind 'horoscope' about an event",
        "a message of the unknown kind 'weather' without an event",
    ]


def test_several_events_share_a_stream_in_any_order_of_messages(
    server: ScriptedServer, page: GradioPage
) -> None:
    def script(server: ScriptedServer) -> Iterable[Line]:
        server.wait_for_events(3)
        yield starts("e2")
        yield starts("e1")
        yield completed("e3", "third")
        yield completed("e1", "first")
        yield completed("e2", "second")
        yield CLOSE

    server.streams.append(script)
    names = ("first", "second", "third")
    calls = [gevent.spawn(page.call, "/go", name) for name in names]
    gevent.joinall(calls, timeout=20)
    sent = [body["data"][0] for path, body in server.requests if "queue/join" in path]
    events = {name: f"e{number}" for number, name in enumerate(sent, start=1)}
    said = {"e1": "first", "e2": "second", "e3": "third"}
    assert [call.value for call in calls] == [said[events[name]] for name in names]


def test_a_stream_that_stays_open_for_the_next_event_is_used_for_it(
    server: ScriptedServer, page: GradioPage
) -> None:
    """The server only closes the stream if nothing is pending: an event that follows at once finds it open."""

    def script(server: ScriptedServer) -> Iterable[Line]:
        yield completed("e1", "one")
        server.wait_for_events(2)
        yield completed("e2", "two")
        yield CLOSE

    server.streams.append(script)
    assert page.call("/go", "a") == "one"
    assert page.call("/go", "b") == "two"
    assert sum("queue/data" in path for path, _ in server.requests) == 1


def test_a_stream_that_was_closed_before_the_event_is_opened_again(
    server: ScriptedServer, page: GradioPage
) -> None:
    server.streams.append(says(completed("e1", "one"), CLOSE))
    server.streams.append(says(CLOSE))
    server.streams.append(says(completed("e2", "two"), CLOSE))
    assert page.call("/go", "a") == "one"
    assert page.call("/go", "b") == "two"


def test_a_rate_limit_on_the_page_itself(server: ScriptedServer) -> None:
    server.config_status = 429
    with pytest.raises(OperationFailed, match="429"):
        GradioPage(server.url).open()


def test_an_unsupported_protocol_is_named() -> None:
    with serve(ScriptedServer(protocol="sse", version="4.8.0")) as server:
        page = GradioPage(server.url)
        with pytest.raises(OperationFailed, match=r"Gradio 4\.8\.0.*'sse'.*sse_v1, sse_v2"):
            page.open()
        page.close()


def test_cookies_outlive_the_page_in_the_same_browser(server: ScriptedServer) -> None:
    server.config_headers["Set-Cookie"] = "replica=b7; Path=/"
    browser = Browser()
    for _ in range(2):
        page = GradioPage(server.url, browser=browser)
        page.open()
        page.close()
    sent = [
        headers.get("Cookie")
        for (path, _), headers in zip(server.requests, server.headers, strict=True)
        if path == "/config"
    ]
    assert sent == [None, "replica=b7"]


def test_cookies_are_sent_back_unchanged(server: ScriptedServer) -> None:
    server.config_headers["Set-Cookie"] = "replica=b7; Path=/; HttpOnly"
    page = GradioPage(server.url)
    page.open()
    server.streams.append(says(completed("e1", "one"), CLOSE))
    page.call("/go", "a")
    page.close()
    after = [
        headers.get("Cookie") for (path, _), headers in zip(server.requests, server.headers, strict=True)
    ]
    assert after[0] is None
    assert set(after[1:]) == {"replica=b7"}


def test_a_heartbeat_that_the_server_ends_is_noticed(server: ScriptedServer, page: GradioPage) -> None:
    assert page.connected
    assert eventually(lambda: bool(server.heartbeats))
    server.heartbeats[0].sendall(b"f\r\ndata: ALIVE\n\n\r\n")
    gevent.sleep(0)
    assert page.connected
    server.heartbeats[0].shutdown(socket.SHUT_RDWR)
    assert eventually(lambda: not page.connected)


def test_partial_outputs_are_diffs_or_whole_depending_on_the_protocol() -> None:
    def generating(event: str, data: list[object]) -> Line:
        return {"msg": "process_generating", "event_id": event, "success": True, "output": {"data": data}}

    diffed = [["a"], [[["append", [], "b"]]], [[["append", [], "c"]]]]
    whole = [["a"], ["ab"], ["abc"]]
    for protocol, partials in (("sse_v3", diffed), ("sse_v2", diffed), ("sse_v1", whole)):
        with serve(ScriptedServer(protocol=protocol)) as server:
            page = GradioPage(server.url)
            page.open()
            server.streams.append(
                says(*(generating("e1", data) for data in partials), completed("e1", "abc"), CLOSE)
            )
            assert page.call("/go", "x") == "abc", protocol
            assert page.partials == ["a", "ab", "abc"], json.dumps(page.partials)
            assert page.last.first_output_ns is not None
            assert page.last.first_output_ns <= (page.last.completed_ns or 0)
            page.close()


def test_two_pages_of_one_browser_share_only_its_storage(server: ScriptedServer) -> None:
    browser = Browser()
    one, two = GradioPage(server.url, browser=browser), GradioPage(server.url, browser=browser)
    one.open()
    two.open()
    one._frontend._values._storage["key"] = "kept"
    assert two._frontend._values._storage == {"key": "kept"}
    assert one.session_hash != two.session_hash
    one.close()
    two.close()
