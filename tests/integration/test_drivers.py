"""Behaviour that both drivers share: GradioPage and the unmodified gradio_client, against one real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gradio_client import handle_file

from harness.app_under_test import Target, inspect_interpreter
from harness.page import GradioPage
from harness.page.page_errors import OperationFailed, OperationUnknown, PageMisuse
from harness.page.stock_client import StockPage
from tests.integration.scripted import CUT, Line, ScriptedServer, serve, starts

# One worker runs these tests, because they share a server.
pytestmark = pytest.mark.xdist_group("drivers")

APP = """
import os, time
import gradio as gr

GATE = os.environ["GATE"]

def remember(text, history):
    history = [*history, text]
    return history, text, len(history)

def grow(n):
    messages = []
    for i in range(int(n)):
        messages = [*messages, {"role": "assistant", "content": f"part {i}"}]
        yield messages, "x" * (i + 1)

def fail():
    raise gr.Error("planted")

def crash():
    raise ValueError("shown, since show_error is on")

def wait():
    while not os.path.exists(GATE):
        time.sleep(0.01)
    return "through"

def read(path):
    with open(path) as stream:
        return stream.read()

def write(text, request: gr.Request):
    path = os.path.join(os.path.dirname(GATE), "written.txt")
    with open(path, "w") as stream:
        stream.write(text)
    return path

def check(number):
    return gr.validate(number > 0, "must be positive")

with gr.Blocks() as demo:
    history = gr.State([])
    text, out, n = gr.Textbox(label="Text"), gr.Textbox(), gr.Number(label="N")
    given, made, chat = gr.File(), gr.File(), gr.Chatbot()
    text.submit(remember, [text, history], [history, out, n], api_name="remember")
    gr.Button().click(grow, n, [chat, out], api_name="grow", concurrency_limit=None)
    gr.Button().click(fail, None, out, api_name="fail")
    gr.Button().click(crash, None, out, api_name="crash")
    gr.Button().click(wait, None, out, api_name="wait", concurrency_limit=None)
    gr.Button().click(read, given, out, api_name="read")
    gr.Button().click(write, text, made, api_name="write")
    gr.Button().click(lambda number: number, n, out, api_name="positive", validator=check)
    gr.Button().click(lambda: "at once", None, out, api_name="direct", queue=False)

demo.launch(show_error=True)
"""

Driver = Callable[..., GradioPage | StockPage]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drivers")


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[Target]:
    (folder / "app.py").write_text(APP)
    target = Target(folder / "app.py", inspect_interpreter(), folder / "log", {"GATE": str(folder / "gate")})
    target.wait_ready(60)
    yield target
    target.stop()


@pytest.fixture(params=[GradioPage, StockPage], ids=["page", "stock"])
def driver(request: pytest.FixtureRequest) -> Driver:
    return request.param


@pytest.fixture
def page(driver: Driver, app: Target) -> Iterator[GradioPage | StockPage]:
    page = driver(app.url)
    page.open()
    yield page
    page.close()


def test_state_belongs_to_the_session_and_never_travels(
    driver: Driver, app: Target, page: GradioPage | StockPage
) -> None:
    other = driver(app.url)
    other.open()
    assert page.session_hash != other.session_hash
    assert page.call("/remember", "a") == ("a", 1)
    assert other.call("/remember", "b") == ("b", 1)
    assert page.call("/remember", "c") == ("c", 2)
    other.close()


def test_every_partial_output_of_a_generator(page: GradioPage | StockPage) -> None:
    messages, text = page.call("/grow", 4)
    assert text == "xxxx"
    assert [part["content"][0]["text"] for part in messages] == ["part 0", "part 1", "part 2", "part 3"]
    assert [partial[1] for partial in page.partials] == ["x", "xx", "xxx", "xxxx"]
    assert [len(partial[0]) for partial in page.partials] == [1, 2, 3, 4]
    # The next call starts afresh.
    page.call("/remember", "a")
    assert page.partials == []


def test_errors_of_the_app_and_of_its_validator(page: GradioPage | StockPage) -> None:
    with pytest.raises(OperationFailed, match="planted") as failed:
        page.call("/fail")
    assert failed.value.kind == "app"
    with pytest.raises(OperationFailed, match="shown, since") as failed:
        page.call("/crash")
    assert failed.value.kind == "app"
    with pytest.raises(OperationFailed, match="must be positive") as failed:
        page.call("/positive", -1)
    assert failed.value.kind == "rejected"
    assert page.call("/positive", 1) == "1"


def test_misuse_is_an_error_of_its_own(page: GradioPage | StockPage) -> None:
    with pytest.raises(PageMisuse, match=r"/nothing.*/grow.*/remember"):
        page.call("/nothing")
    with pytest.raises(PageMisuse):
        page.call("/remember", "one", "two")


def test_files_are_uploaded_and_returned(page: GradioPage | StockPage, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("my content")
    assert page.call("/read", handle_file(tmp_path / "mine.txt")) == "my content"
    made = page.call("/write", "their content")
    assert made["orig_name"] == "written.txt"


def test_an_event_that_does_not_use_the_queue(page: GradioPage | StockPage) -> None:
    assert page.call("/direct") == "at once"


def test_several_events_of_one_session_at_once(page: GradioPage | StockPage) -> None:
    calls = [gevent.spawn(page.call, "/grow", n) for n in (5, 2, 7)]
    gevent.joinall(calls, timeout=30)
    assert [len(call.value[1]) for call in calls] == [5, 2, 7]


def test_no_answer_in_time_is_unknown(driver: Driver, app: Target, folder: Path) -> None:
    page = driver(app.url, timeout_s=0.3)
    page.open()
    with pytest.raises(OperationUnknown) as unknown:
        page.call("/wait")
    assert unknown.value.kind == "timeout"
    (folder / "gate").touch()
    page.close()
    (folder / "gate").unlink()


def test_an_unreachable_server_is_a_refusal(driver: Driver) -> None:
    page = driver("http://127.0.0.1:9/", timeout_s=5)
    with pytest.raises(OperationFailed) as failed:
        page.open()
    assert failed.value.kind == "rejected"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(503, OperationFailed), (422, OperationFailed), (429, OperationFailed), (500, OperationUnknown)],
)
def test_refusals_and_unknown_outcomes(driver: Driver, status: int, outcome: type[Exception]) -> None:
    with serve(ScriptedServer(connect_heartbeat=False)) as server:
        page = driver(server.url)
        page.open()
        why = [{"is_valid": False, "message": "because"}] if status == 422 else "because"
        server.joins.append((status, {"detail": why}))
        with pytest.raises(outcome) as raised:
            page.call("/go", "a")
        assert raised.value.kind == ("rejected" if outcome is OperationFailed else "protocol")  # type: ignore[attr-defined]
        page.close()


@pytest.mark.parametrize(
    "lines",
    [
        [starts("e1"), CUT],
        [starts("e1"), {"msg": "unexpected_error", "event_id": None, "message": "Server stopped."}],
    ],
    ids=["cut", "stopped"],
)
def test_a_stream_that_breaks_leaves_the_outcome_unknown(driver: Driver, lines: list[Line]) -> None:
    with serve(ScriptedServer(connect_heartbeat=False)) as server:
        page = driver(server.url, timeout_s=5)
        page.open()
        server.streams.append(lambda _: lines)
        with pytest.raises(OperationUnknown):
            page.call("/go", "a")
        page.close()


def test_the_stock_driver_names_what_it_cannot_do(app: Target) -> None:
    page = StockPage(app.url)
    page.open()
    with pytest.raises(PageMisuse, match=r"no page.*--driver page"):
        page.click("Anything")
    page.close()
