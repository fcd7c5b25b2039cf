"""GradioPage against a real Gradio server, without Locust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from harness.app_under_test import Target, inspect_interpreter
from harness.page import GradioPage, transport
from harness.page.page_errors import OperationFailed, OperationUnknown, PageMisuse
from tests.integration.waiting import eventually

# One worker runs these tests, because they share a server.
pytestmark = pytest.mark.xdist_group("page")

APP = """
import os, time
import gradio as gr

LEFT = os.environ["LEFT"]
GATE = os.environ["GATE"]

def echo(text, history):
    history = [*history, text]
    return history, text, len(history)

def count(n):
    for i in range(int(n)):
        yield "x" * (i + 1)

def fail():
    raise gr.Error("planted")

def crash():
    raise ValueError("hidden from visitors")

def wait_for_gate():
    while not os.path.exists(GATE):
        time.sleep(0.01)
    return "through"

def left(request: gr.Request):
    with open(LEFT, "a") as stream:
        stream.write(request.session_hash + "\\n")

with gr.Blocks() as demo:
    history = gr.State([])
    text, out, n = gr.Textbox(), gr.Textbox(), gr.Number()
    text.submit(echo, [text, history], [history, out, n], api_name="echo")
    gr.Button("count").click(count, n, out, api_name="count", concurrency_limit=None)
    gr.Button("fail").click(fail, None, out, api_name="fail")
    gr.Button("crash").click(crash, None, out, api_name="crash")
    gr.Button("wait").click(wait_for_gate, None, out, api_name="wait", concurrency_limit=1)
    demo.unload(left)

demo.queue(max_size=3)
demo.launch()
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Target]:
    """An app for one test."""
    yield from start(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def shared_app(folder: Path) -> Iterator[Target]:
    """One app for all tests that do not change it."""
    yield from start(folder)


def start(tmp_path: Path) -> Iterator[Target]:
    (tmp_path / "app.py").write_text(APP)
    target = Target(
        tmp_path / "app.py",
        inspect_interpreter(),
        tmp_path / "log",
        {"LEFT": str(tmp_path / "left"), "GATE": str(tmp_path / "gate")},
    )
    target.wait_ready(60)
    yield target
    target.stop()


@pytest.fixture
def page(app: Target) -> Iterator[GradioPage]:
    page = GradioPage(app.url, timeout_s=30)
    page.open()
    yield page
    page.close()


@pytest.fixture
def shared_page(shared_app: Target) -> Iterator[GradioPage]:
    page = GradioPage(shared_app.url, timeout_s=30)
    page.open()
    yield page
    page.close()


def test_a_page_from_opening_to_closing(shared_app: Target, shared_page: GradioPage, folder: Path) -> None:
    app, page = shared_app, shared_page
    before = app.probe.measure().sessions or 0
    # State stays on the server: two outputs, not three, and the session's own history grows.
    assert page.call("/echo", "hello") == ("hello", 1)
    assert page.call("/echo", "again") == ("again", 2)
    timing = page.last
    assert timing.accepted_ns is not None
    assert timing.started_ns is not None
    assert timing.completed_ns is not None
    assert timing.started_ns <= timing.completed_ns

    other = GradioPage(app.url)
    other.open()
    assert other.call("/echo", "mine") == ("mine", 1)
    assert other.session_hash != page.session_hash
    assert app.probe.measure().sessions == before + 2

    # A generator ends with its last value.
    assert page.call("/count", 5) == "xxxxx"

    # An error of the app is an answer, and the session lives on.
    with pytest.raises(OperationFailed, match="planted") as failed:
        page.call("/fail")
    assert failed.value.kind == "app"
    with pytest.raises(OperationFailed) as failed:
        page.call("/crash")
    assert failed.value.kind == "app"
    assert page.call("/echo", "still here") == ("still here", 3)

    # The error for an unknown endpoint lists the endpoints of the app.
    with pytest.raises(PageMisuse, match=r"/nothing.*It has.*/count.*/echo\("):
        page.call("/nothing")
    with pytest.raises(PageMisuse, match=r"Did you mean /echo\?"):
        page.call("ecoh")
    with pytest.raises(PageMisuse, match=r"^/echo takes 1 argument \(.*\), 0 were given\."):
        page.call("/echo")
    with pytest.raises(PageMisuse, match=r"^/fail takes no arguments, 1 were given\."):
        page.call("/fail", "a")
    with pytest.raises(PageMisuse, match=r"^/echo takes 1 argument \(.*\), 3 were given\."):
        page.call("/echo", "a", "b", "c")

    # Several events of one session share one stream; each result finds its caller.
    calls = [gevent.spawn(page.call, "/count", n) for n in (3, 7, 5)]
    gevent.joinall(calls, timeout=20)
    assert [len(call.value) for call in calls] == [3, 7, 5]

    # The server notices a closed page at once, not at its next heartbeat.
    gone = other.session_hash
    other.close()
    assert eventually(lambda: (folder / "left").exists() and gone in (folder / "left").read_text())
    assert page.session_hash not in (folder / "left").read_text()


def test_a_slow_answer_is_unknown_and_a_full_queue_is_a_refusal(
    app: Target, page: GradioPage, tmp_path: Path
) -> None:
    hasty = GradioPage(app.url)
    hasty.open()
    hasty._timeout_s = 0.2  # nobody opens the gate in that time
    with pytest.raises(OperationUnknown, match="no result within") as unknown:
        hasty.call("/wait")
    assert unknown.value.kind == "timeout"
    hasty.close()

    # One event runs behind the gate and three wait. That fills the queue, in any order of the eight calls.
    calls = [gevent.spawn(page.call, "/wait") for _ in range(8)]
    assert eventually(lambda: any(call.ready() for call in calls))
    (tmp_path / "gate").touch()
    gevent.joinall(calls, timeout=60)
    refused = [call.exception for call in calls if not call.successful()]
    assert refused
    assert {(type(error), getattr(error, "kind", None)) for error in refused} == {
        (OperationFailed, "rejected")
    }
    assert all("503" in str(error) for error in refused)
    assert {call.value for call in calls if call.successful()} == {"through"}


def test_a_server_that_dies_during_an_operation_leaves_an_unknown_outcome(
    app: Target, page: GradioPage
) -> None:
    call = gevent.spawn(page.call, "/wait")
    assert eventually(lambda: any(event.started_ns for event in page._queue._pending.values()))
    os.kill(app.pid, signal.SIGKILL)
    call.join(timeout=20)
    assert isinstance(call.exception, OperationUnknown)
    assert call.exception.kind == "connection"
    # From now on nothing is sent, so the server can have done nothing.
    with pytest.raises((OperationFailed, OperationUnknown)):
        page.call("/echo", "anybody?")
    dead = GradioPage(app.url, timeout_s=5)
    with pytest.raises(OperationFailed, match="cannot be reached"):
        dead.open()


def test_an_idle_page_keeps_only_the_heartbeat_open(
    shared_page: GradioPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shared_page
    assert page.call("/echo", "one") == ("one", 1)
    monkeypatch.setattr(transport, "_IDLE_LIMIT_S", 0.0)
    assert eventually(lambda: page._transport._pool is None)
    assert page.connected
    assert page.call("/echo", "two") == ("two", 2)


LOCUSTFILE = """
import gevent
from locust import between, task
from harness.load import GradioUser


class Visitor(GradioUser):
    wait_time = between(0.05, 0.1)
    history_path = "{history}"

    @task
    def greet(self):
        if self.environment.stats.get("greet", "gradio").num_requests >= 12:
            # Not from the user's own greenlet, which quitting would kill before it is done.
            gevent.spawn(self.environment.runner.quit)
        with self.session.operation("greet", {{}}) as seen:
            _, seen["n"] = self.page.call("/echo", "hello")
"""


def test_a_plain_locustfile_can_use_the_user(shared_app: Target, tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    (tmp_path / "locustfile.py").write_text(LOCUSTFILE.format(history=history))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "locust",
            "-f",
            "locustfile.py",
            "--headless",
            "-u",
            "2",
            "-r",
            "2",
            "-t",
            "60s",
            "--host",
            shared_app.url,
            "--json",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stats = {row["name"]: row for row in json.loads(done.stdout)}
    assert stats["greet"]["num_requests"] >= 12
    assert stats["greet"]["num_failures"] == 0
    records = [json.loads(line) for line in history.read_text().splitlines()]
    assert len({r["user"] for r in records if r.get("action") == "open"}) == 2
    # Each session counts its own greetings: 1, 2, 3 …
    session_of = {r["id"]: r["session"] for r in records if r["type"] == "invoke" and r["action"] == "greet"}
    counts: dict[str, list[int]] = {}
    for record in records:
        if record["type"] == "ok" and record["id"] in session_of:
            counts.setdefault(session_of[record["id"]], []).append(record["reads"]["n"])
    assert len(counts) == 2
    assert all(seen == list(range(1, len(seen) + 1)) for seen in counts.values())
