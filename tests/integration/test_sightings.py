"""Values that a server must not send, in every place of a response, planted by a scripted server.

At the end, the mistakes that a real app makes by itself.
"""

from __future__ import annotations

import base64
import copy
import functools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from harness import tokens
from harness.app_under_test import Target, inspect_interpreter
from harness.load.canary_registry import CanaryRegistry
from harness.load.canary_scanner import SessionWatcher
from harness.page import GradioPage
from harness.page.page_errors import OperationFailed
from harness.records import Sighting
from tests.integration.scripted import CLOSE, Line, ScriptedServer, completed, serve, starts

OURS = tokens.mint("7f3a", 0, 7, 1)
THEIRS = tokens.mint("7f3a", 0, 8, 1)
ELSEWHERE = tokens.mint("7f3b", 0, 8, 1)


@functools.cache
def app() -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and endpoint descriptions of an app with State."""
    with gr.Blocks() as blocks:
        text, out = gr.Textbox(label="Text"), gr.Textbox(label="Out", elem_id="shown")
        board = gr.Textbox(label="Board")
        state = gr.State([])
        gr.Button("Go").click(lambda *a: a, [text, state], [out, state, board], api_name="go")
        gr.Button("At once").click(lambda *a: a, [text, state], [out, state, board], queue=False)
    return blocks.get_config_file(), blocks.get_api_info()


class Server(ScriptedServer):
    """That app, with scripted answers."""

    def __init__(self) -> None:
        config, info = copy.deepcopy(app())
        super().__init__(**config)
        self.info = self._info = info
        self.config = self._config
        self.state()["props"]["time_to_live"] = None  # infinite, of which JSON knows nothing
        self.at_once: Any = {"data": ["", None, ""]}

    def component(self, label: str) -> dict[str, Any]:
        return next(c for c in self.config["components"] if c["props"].get("label") == label)

    def state(self) -> dict[str, Any]:
        return next(c for c in self.config["components"] if c["type"] == "state")

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        if path.startswith("/gradio_api/run/predict"):
            return 200, self.at_once
        return super().post(path, body)

    def say(self, *lines: Line) -> None:
        """One event, with the messages of its stream."""

        def script(server: ScriptedServer) -> Iterator[Line]:
            server.wait_for_events(1)
            yield starts("e1")
            yield from lines
            yield CLOSE

        self.streams.append(script)


class Tab:
    """A page with its watcher."""

    def __init__(self, server: Server, shared: tuple[str, ...] = ()) -> None:
        registry = CanaryRegistry("7f3a", shared=shared)
        self.watch = SessionWatcher(registry, worker=0, number=7, user="u-7f3a-0-1")
        self.page = GradioPage(server.url, timeout_s=20, watcher=self.watch)
        self.page.open()

    def sightings(self) -> list[Sighting]:
        looked, sightings, *_ = self.watch.take()
        assert looked
        return sightings


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(Server()) as running:
        assert isinstance(running, Server)
        yield running


def foreign(where: str) -> list[Sighting]:
    return [Sighting(kind="foreign-token", value=THEIRS, where=where)]


def visible(value: str, where: str) -> list[Sighting]:
    return [Sighting(kind="state-on-the-wire", value=value, where=where)]


def out(server: Server) -> str:
    return f"textbox 'Out' elem_id='shown' (id {server.component('Out')['id']})"


def partial(*data: Any) -> Line:
    return {"msg": "process_generating", "event_id": "e1", "success": True, "output": {"data": list(data)}}


def test_a_correct_server_is_searched_and_clean(server: Server) -> None:
    tab = Tab(server)
    tab.watch.secret(f"hidden {OURS}")
    server.say(
        {"msg": "log", "event_id": "e1", "log": f"working on {OURS}", "level": "info"},
        partial(OURS[:9], None, ""),
        partial([["append", [], OURS[9:]]], [], []),
        completed("e1", f"{OURS} {ELSEWHERE}", None, base64.b64encode(OURS.encode()).decode()),
    )
    tab.page.click("Go")
    tab.page.click("At once")
    tab.page.look_around()
    looked, sightings, *_ = tab.watch.take()
    assert sightings == []
    # config and info to open; the join, five messages; the answer; config and info again
    assert looked == 2 + 1 + 5 + 1 + 2


@pytest.mark.parametrize("act", ["click", "call"])
@pytest.mark.parametrize("kind", ["result", "partial", "error", "log"])
def test_every_message_of_the_stream_is_searched(server: Server, kind: str, act: str) -> None:
    failed = {"error": f"no such thing: {THEIRS}"}
    messages: dict[str, tuple[Line, str]] = {
        "result": (completed("e1", f"hello {THEIRS}", None, ""), f"the result of /go, in {out(server)}"),
        "partial": (partial(f"hello {THEIRS}", None, ""), f"a partial output of /go, in {out(server)}"),
        "error": (
            {"msg": "process_completed", "event_id": "e1", "success": False, "output": failed},
            "the error of /go, in output.error",
        ),
        "log": (
            {"msg": "log", "event_id": "e1", "log": f"did {THEIRS}", "level": "info"},
            "the message log of /go, in log",
        ),
    }
    line, where = messages[kind]
    server.say(*([line] if kind in ("result", "error") else [line, completed("e1", "", None, "")]))
    tab = Tab(server)

    def perform() -> None:
        if act == "click":
            tab.page.click("Go")
        else:
            tab.page.call("/go", "x")

    if kind == "error":
        with pytest.raises(OperationFailed):
            perform()
    else:
        perform()
    assert tab.sightings() == foreign(where)


@pytest.mark.parametrize("cuts", [(9,), (3, 12), tuple(range(1, len(THEIRS)))])
def test_a_token_that_diffs_join_is_found(server: Server, cuts: tuple[int, ...]) -> None:
    parts = [THEIRS[i:j] for i, j in zip((0, *cuts), (*cuts, len(THEIRS)), strict=True)]
    server.say(
        partial({"text": ["so: " + parts[0]]}, None, ""),
        *(partial([["append", ["text", 0], part]], [], []) for part in parts[1:]),
        # and nothing of it remains in the end
        completed("e1", {"text": []}, None, ""),
    )
    tab = Tab(server)
    tab.page.click("Go")
    assert tab.sightings() == foreign(f"a partial output of /go, in {out(server)}")


def test_the_answer_to_an_event_without_a_queue_is_searched(server: Server) -> None:
    server.at_once = {"data": [THEIRS, [5], ""]}
    tab = Tab(server)
    tab.page.click("At once")
    name = "/lambda"
    assert tab.sightings() == [
        *foreign(f"the answer of {name}, in {out(server)}"),
        *visible("[5]", f"the answer of {name}, output 2, a State"),
    ]


def test_the_config_is_searched_when_a_page_opens(server: Server) -> None:
    assert Tab(server).sightings() == []
    server.component("Out")["props"]["value"] = f"last seen: {THEIRS}"
    server.state()["props"]["value"] = {"key": 1}
    where = server.component("Out")["id"], server.state()["id"]
    assert Tab(server).sightings() == [
        *foreign(f"GET config, in props.value of textbox 'Out' elem_id='shown' (id {where[0]})"),
        *visible("{'key': 1}", f"the app's config, in state (id {where[1]})"),
    ]


def test_an_empty_default_of_state_in_the_config_is_no_leak(server: Server) -> None:
    for value in (None, [], {}, "", 0, False):
        server.state()["props"]["value"] = value
        assert Tab(server).sightings() == []


def test_the_config_and_the_info_are_searched_again_at_the_end(server: Server) -> None:
    tab = Tab(server)
    assert tab.sightings() == []
    server.state()["props"]["value"] = "leaked"
    server.info["named_endpoints"]["/go"]["description"] = f"for {THEIRS}"
    parameter = {"component": "State", "parameter_default": [1]}
    server.info["named_endpoints"]["/go"]["parameters"].append(parameter)
    tab.page.look_around()
    assert tab.sightings() == [
        *visible("'leaked'", f"the app's config, in state (id {server.state()['id']})"),
        *foreign("GET gradio_api/info, in named_endpoints./go.description"),
        *visible("[1]", "the app's info, in parameter_default of /go, a State"),
    ]


@pytest.mark.parametrize("act", ["click", "call"])
def test_a_value_in_place_of_state_is_reported(server: Server, act: str) -> None:
    server.say(
        partial("", None, ""), partial([], [["replace", [], [1]]], []), completed("e1", "", [1, 2], "")
    )
    tab = Tab(server)
    if act == "click":
        tab.page.click("Go")
    else:
        tab.page.call("/go", "x")
    assert tab.sightings() == [
        *visible("[1]", "a partial output of /go, output 2, a State"),
        *visible("[1, 2]", "the result of /go, output 2, a State"),
    ]


def test_state_in_rendered_components_is_reported(server: Server) -> None:
    made = {"id": 99, "type": "state", "props": {"value": "hidden"}}
    render = {"render_id": 1, "components": [made], "dependencies": [], "layout": None}
    done = completed("e1", "", None, "")
    assert isinstance(done, dict)
    done["output"]["render_config"] = render
    server.say(done)
    tab = Tab(server)
    tab.page.click("Go")
    assert tab.sightings() == visible("'hidden'", "what gr.render made, in state (id 99)")


def test_names_and_contents_of_files_are_searched(server: Server) -> None:
    file = {"path": f"/tmp/{THEIRS}.txt", "orig_name": "x", "meta": {"_type": "gradio.FileData"}}
    server.say(completed("e1", file, None, ""))
    server.files = {"/tmp/a.txt": f"written by {THEIRS}".encode(), "/tmp/b.txt": OURS.encode()}
    tab = Tab(server)
    tab.page.click("Go")
    assert tab.sightings() == foreign(f"the result of /go, in {out(server)}")
    assert tab.page.download({"path": "/tmp/b.txt"}) == OURS.encode()
    assert tab.sightings() == []


def picture(text: str) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    return b"\x89PNG\r\n\x1a\n" + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text.encode()))


@pytest.mark.parametrize(
    "content",
    [f"written by {THEIRS}".encode(), picture(THEIRS), b"\xff\x00" + THEIRS.encode(), f'"{THEIRS}"'.encode()],
    ids=["text", "picture", "bytes", "json"],
)
def test_a_file_is_searched(server: Server, content: bytes) -> None:
    server.files = {"/tmp/a.bin": content}
    tab = Tab(server)
    tab.watch.take()
    tab.page.download({"path": "/tmp/a.bin"})
    (sighting,) = tab.sightings()
    assert (sighting.kind, sighting.value) == ("foreign-token", THEIRS)
    assert sighting.where.startswith("GET gradio_api/file=/tmp/a.bin")


@pytest.mark.parametrize(
    "value",
    [
        f"data:text/plain;base64,{base64.b64encode(f'for {THEIRS}'.encode()).decode()}",
        f"data:image/png;base64,{base64.b64encode(picture(THEIRS)).decode()}",
    ],
    ids=["text", "picture"],
)
def test_base64_is_searched(server: Server, value: str) -> None:
    server.say(completed("e1", value, None, ""))
    tab = Tab(server)
    tab.page.click("Go")
    assert tab.sightings() == foreign(f"the result of /go, in {out(server)}")


def test_only_a_shared_component_may_show_tokens_of_other_sessions(server: Server) -> None:
    server.say(
        partial("", None, f"{THEIRS[:9]}"),
        partial([], [], [["append", [], THEIRS[9:]]]),
        completed("e1", "", None, f"best: {THEIRS}"),
    )
    server.component("Board")["props"]["value"] = THEIRS
    tab = Tab(server, shared=("Board",))
    tab.page.click("Go")
    assert tab.sightings() == []
    server.at_once = {"data": [THEIRS, None, THEIRS]}
    tab.page.click("At once")
    assert tab.sightings() == foreign(f"the answer of /lambda, in {out(server)}")


def test_a_secret_is_reported_everywhere(server: Server) -> None:
    secret = 'the "key"\nof the house'
    failed = {"error": f"cannot open: {secret}"}
    server.say({"msg": "process_completed", "event_id": "e1", "success": False, "output": failed})
    tab = Tab(server, shared=("Out",))
    tab.watch.secret(secret)
    with pytest.raises(OperationFailed):
        tab.page.click("Go")
    server.at_once = {"data": [secret, None, ""]}
    tab.page.click("At once")
    assert tab.sightings() == [
        Sighting(kind="secret", value=secret, where="the error of /go, in output.error"),
        Sighting(kind="secret", value=secret, where=f"the answer of /lambda, in {out(server)}"),
    ]


def test_refusals_are_searched(server: Server) -> None:
    server.joins.append((422, {"detail": f"not valid: {THEIRS}"}))
    tab = Tab(server)
    with pytest.raises(OperationFailed):
        tab.page.call("/go", "x")
    assert tab.sightings() == foreign("POST gradio_api/queue/join, in detail")


# --- a real app ---

FAULTY = """
import gradio as gr

LAST = {"name": "nobody"}

def greet(name, mine):
    before, LAST["name"] = LAST["name"], name
    return f"hello {name}", name, gr.update(info=f"before you: {before}")

def crash(mine):
    raise gr.Error(f"cannot do that for {mine}")

def spell(mine):
    shown = ""
    for letter in mine:
        shown += letter
        yield shown
    yield ""

with gr.Blocks() as demo:
    name, mine = gr.Textbox(label="Name"), gr.State("")
    greeting, hint = gr.Textbox(label="Greeting"), gr.Textbox(label="Hint")
    gr.Button("Greet").click(greet, [name, mine], [greeting, mine, hint])
    gr.Button("Crash").click(crash, mine, None)
    gr.Button("Spell").click(spell, mine, greeting)

demo.launch()
"""


def test_leaks_of_a_real_app_are_reported(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FAULTY)
    target = Target(tmp_path / "app.py", inspect_interpreter(), tmp_path / "log")
    try:
        target.wait_ready(60)
        registry = CanaryRegistry("7f3a")
        ours, theirs = [
            SessionWatcher(registry, worker=0, number=number, user=f"u-7f3a-0-{number}") for number in (7, 8)
        ]
        pages = [GradioPage(target.url, timeout_s=30, watcher=watch) for watch in (ours, theirs)]
        for page, token in zip(pages, (OURS, THEIRS), strict=True):
            page.open()
            page.fill("Name", token)
            page.click("Greet")
            page.look_around()
        # The second session sees the first one through a module global; State itself was not sent.
        assert ours.take()[1] == []
        (told,) = theirs.take()[1]
        assert (told.kind, told.value) == ("foreign-token", OURS)
        assert told.where.startswith("the result of /greet, in textbox 'Hint'")
        ours.secret(OURS)
        with pytest.raises(OperationFailed):
            pages[0].click("Crash")
        assert ours.take()[1] == [
            Sighting(kind="secret", value=OURS, where="the error of /crash, in output.error")
        ]
        pages[0].click("Spell")  # letter by letter, and none of it is left in the end
        (spelt,) = ours.take()[1]
        assert (spelt.kind, spelt.value) == ("secret", OURS)
        assert spelt.where.startswith("a partial output of /spell, in textbox 'Greeting'")
        for page in pages:
            page.close()
    finally:
        target.stop()
