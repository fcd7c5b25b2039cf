"""Every channel by which a page can receive values of another session, each with a planted leak.

The texts of messages and of requests are in `test_sightings.py`; here are the forms in which a text can stand, and files.
"""

from __future__ import annotations

import copy
import functools
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import tokens
from harness.app_under_test import Target, inspect_interpreter
from harness.load.canary_registry import CanaryRegistry
from harness.load.canary_scanner import SessionWatcher
from harness.page import GradioPage, files
from harness.page.page_errors import OperationFailed
from tests import planted
from tests.integration.scripted import CLOSE, Line, ScriptedServer, completed, serve, starts

OURS = tokens.mint("7f3a", 0, 7, 1)
THEIRS = tokens.mint("7f3a", 0, 8, 1)
DAMAGED = THEIRS[:-1] + ("0" if THEIRS[-1] != "0" else "1")
SHOWING = ("image", "gallery", "html", "markdown", "chatbot", "audio")
OFFERING = ("file", "downloadbutton")
# One worker imports gradio for all of them.
pytestmark = pytest.mark.xdist_group("channels")


@functools.cache
def app() -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and endpoint descriptions of an app with a component of each sort that can hold a file."""
    import gradio as gr  # takes seconds, and every worker imports this module to collect its tests

    with gr.Blocks() as blocks:
        outputs = [
            gr.Textbox(label="text"),
            gr.Image(label="image"),
            gr.Gallery(label="gallery"),
            gr.HTML(label="html", elem_id="html"),
            gr.Markdown(label="markdown", elem_id="markdown"),
            gr.Chatbot(label="chatbot"),
            gr.Audio(label="audio"),
            gr.File(label="file"),
            gr.DownloadButton("downloadbutton"),
            gr.Image(label="hidden", visible="hidden"),
        ]
        text = gr.Textbox(label="Text")
        upload = gr.File(label="Upload")
        gr.Dropdown(["a", "b"], label="Choice")
        gr.Button("Go").click(lambda *a: a, [text, upload], outputs, api_name="go")
    return blocks.get_config_file(), blocks.get_api_info()


NAMES = ("text", *SHOWING, *OFFERING, "hidden")


class Server(ScriptedServer):
    """That app, with scripted answers.

    Attributes:
        fetched: files that were asked for, each with the time at which they were.
    """

    def __init__(self) -> None:
        config, info = copy.deepcopy(app())
        super().__init__(**config)
        self._info = info
        self.fetched: list[tuple[str, int]] = []
        self.missing: set[str] = set()

    def get(self, path: str) -> tuple[int, Any]:
        if "/file=" in path:
            name = path.partition("/file=")[2]
            self.fetched.append((name, time.monotonic_ns()))
            if name in self.missing:
                return 404, {"detail": "File not found"}
        return super().get(path)

    def say(self, *lines: Line) -> None:
        """One event, with the messages of its stream."""
        before = self._accepted

        def script(server: ScriptedServer) -> Iterator[Line]:
            server.wait_for_events(before + 1)
            yield starts(f"e{before + 1}")
            yield from lines
            yield CLOSE

        self.streams.append(script)

    def bring(self, **values: Any) -> None:
        """One event with these values for its outputs."""
        self.say(completed(f"e{self._accepted + 1}", *(values.get(name) for name in NAMES)))

    def file(self, path: str, server: str = "") -> dict[str, Any]:
        """A file as Gradio describes it."""
        url = f"{server or self.url}gradio_api/file={path}"
        return {
            "path": path,
            "url": url,
            "orig_name": path,
            "size": None,
            "meta": {"_type": "gradio.FileData"},
        }

    def value(self, name: str, path: str, server: str = "") -> Any:
        """A value of a component that has a file in it."""
        file = self.file(path, server)
        return {
            "gallery": [{"image": file, "caption": None}],
            "html": f"<p>so:<img alt='' src=\"{file['url']}&amp;a=1\"></p>",
            "markdown": f"so: ![picture](/gradio_api/file={path})",
            "chatbot": [
                {"role": "assistant", "content": "hi", "metadata": None},
                {"role": "assistant", "content": {"component": "image", "value": file, "props": {}}},
            ],
        }.get(name, file)


class Tab:
    """A page with its watcher."""

    def __init__(self, server: Server, shared: tuple[str, ...] = ()) -> None:
        self.watch = SessionWatcher(
            CanaryRegistry("7f3a", shared=shared), worker=0, number=7, user="u-7f3a-0-1"
        )
        self.page = GradioPage(server.url, timeout_s=20, watcher=self.watch)
        self.page.open()
        self.watch.take()

    def seen(self) -> list[tuple[str, str]]:
        """The places of hits since the last call; every hit must be the other session's token."""
        sightings = self.watch.take().sightings
        assert all((s.kind, s.value) == ("foreign-token", THEIRS) for s in sightings)
        return [(s.value, s.where) for s in sightings]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(Server()) as running:
        assert isinstance(running, Server)
        yield running


# --- texts ---

FORMS = sorted(planted.written(THEIRS))


@pytest.mark.parametrize("form", FORMS)
def test_a_text_is_found_in_every_form(server: Server, form: str) -> None:
    tab = Tab(server)
    for token in (THEIRS, OURS, DAMAGED):
        text = planted.written(token)[form]
        server.bring(text=text)
        tab.page.click("Go")
        seen = tab.seen()
        assert [value for value, _ in seen] == ([THEIRS] if token == THEIRS else [])
        # The component is known in each form, so it can be declared as shared.
        assert all("in textbox 'text'" in where for _, where in seen)
    shared = Tab(server, shared=("text",))
    server.bring(text=planted.written(THEIRS)[form])
    shared.page.click("Go")
    assert shared.seen() == []


@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_diffs_join_is_found(server: Server, form: str) -> None:
    text = planted.written(THEIRS)[form]
    middle = len(text) // 2
    rest = [[]] * (len(NAMES) - 1)

    def partial(event: str, *data: Any) -> Line:
        return {"msg": "process_generating", "event_id": event, "success": True, "output": {"data": [*data]}}

    server.say(
        partial("e1", text[:middle], *[None] * len(rest)),
        partial("e1", [["append", [], text[middle:]]], *rest),
        partial("e1", [["replace", [], ""]], *rest),
        completed("e1", *[None] * len(NAMES)),
    )
    tab = Tab(server)
    tab.page.click("Go")
    assert [value for value, _ in tab.seen()] == [THEIRS]


@pytest.mark.parametrize(
    "update",
    [
        {"label": f"for {THEIRS}"},
        {"placeholder": THEIRS},
        {"info": THEIRS, "visible": False},
        {"choices": [["a", "a"], [f"b {THEIRS}", "b"]]},
        {"buttons": [{"value": {"text": THEIRS}}]},
    ],
    ids=["label", "placeholder", "info", "choices", "buttons"],
)
def test_an_update_of_a_component_is_searched(server: Server, update: dict[str, Any]) -> None:
    server.bring(text={"__type__": "update", **update})
    tab = Tab(server)
    tab.page.click("Go")
    ((_, where),) = tab.seen()
    assert where.startswith("the result of /go, in textbox 'text'")


def test_escapes_of_the_message_itself_are_decoded(server: Server) -> None:
    escaped = THEIRS.replace("-", "\\u002d")
    line = f'data: {{"msg":"process_completed","event_id":"e1","success":true,"output":{{"data":["{escaped}"]}}}}\n\n'
    server.say(line.encode())
    tab = Tab(server)
    tab.page.click("Go")
    ((_, where),) = tab.seen()
    assert where.startswith("the result of /go, in textbox 'text'")


# --- files ---


@pytest.mark.parametrize("name", sorted(planted.files(THEIRS)))
def test_a_downloaded_file_is_searched(server: Server, name: str) -> None:
    for component, token in (("file", THEIRS), ("downloadbutton", THEIRS), ("file", OURS), ("file", DAMAGED)):
        tab = Tab(server)  # a token is told once for each session
        path = f"/tmp/{component}/{len(server.files)}/{name}"
        server.files[path] = planted.files(token)[name]
        server.bring(**{component: server.value(component, path)})
        tab.page.click("Go")
        assert tab.seen() == []
        assert tab.page.download(tab.page.value(component)) == server.files[path]
        seen = tab.seen()
        assert [value for value, _ in seen] == ([THEIRS] if token == THEIRS else [])
        assert all(f"{path}, the file of {component}" in where for _, where in seen)


@pytest.mark.parametrize("component", SHOWING)
def test_a_shown_file_is_fetched_once_and_searched(server: Server, component: str) -> None:
    server.files = {"/tmp/a/x.png": planted.files(THEIRS)["ztxt.png"]}
    server.files["/tmp/a/x.png&a=1"] = server.files["/tmp/a/x.png"]
    tab = Tab(server)
    for expected in ([THEIRS], []):  # a browser keeps what it has
        server.bring(**{component: server.value(component, "/tmp/a/x.png")})
        tab.page.click("Go")
        seen = tab.seen()
        assert [value for value, _ in seen] == expected
        assert all(", the file of " in where for _, where in seen)
    assert len(server.fetched) == 1


def test_files_that_are_offered_or_hidden_or_on_another_server_are_not_fetched(server: Server) -> None:
    server.files = {"/tmp/a.png": THEIRS.encode()}
    tab = Tab(server)
    server.bring(
        file=server.file("/tmp/a.png"),
        downloadbutton=server.file("/tmp/a.png"),
        hidden=server.file("/tmp/a.png"),
        image=server.file("/tmp/a.png", server="http://127.0.0.1:1/"),
        html='<img src="https://example.org/file=/tmp/a.png">',
        audio={**server.file("/tmp/a.png"), "is_stream": True},
    )
    tab.page.click("Go")
    assert server.fetched == []
    assert tab.page.notices == []


def test_a_shared_component_may_show_and_offer_files_of_every_session(server: Server) -> None:
    server.files = {"/tmp/a.png": THEIRS.encode(), "/tmp/b.png": THEIRS.encode()}
    tab = Tab(server, shared=("image", "file"))
    server.bring(image=server.file("/tmp/a.png"), file=server.file("/tmp/a.png"))
    tab.page.click("Go")
    tab.page.download(tab.page.value("file"))
    assert tab.seen() == []
    server.bring(image=server.file("/tmp/b.png"), audio=server.file("/tmp/b.png"))
    tab.page.click("Go")
    assert [value for value, _ in tab.seen()] == [THEIRS]


def test_the_name_of_a_file_is_searched_everywhere(server: Server) -> None:
    server.files = {"/tmp/a": b""}
    for file in (
        server.file(f"/tmp/{THEIRS}.txt"),
        {**server.file("/tmp/a"), "orig_name": f"{THEIRS}.txt"},
        {
            **server.file("/tmp/a"),
            "url": f"{server.url}gradio_api/file=/tmp/{THEIRS.replace('-', '%2D')}.txt",
        },
    ):
        server.bring(file=file)
        tab = Tab(server)
        tab.page.click("Go")
        assert [value for value, _ in tab.seen()] == [THEIRS]
    tab = Tab(server)
    server.bring(file=server.file("/tmp/a"))
    tab.page.click("Go")
    server.config_headers = {"Content-Disposition": f"attachment; filename*=utf-8''{THEIRS}.txt"}
    tab.page.download(tab.page.value("file"))
    ((_, where),) = tab.seen()
    assert "/tmp/a, in its name, the file of file 'file'" in where


def test_fetching_files_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 3)
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 100_000)
    paths = [f"/tmp/{n}.png" for n in range(5)]
    server.files = {path: bytes(100_000) + THEIRS.encode() for path in paths}
    server.files[paths[0]] = THEIRS.encode() + bytes(30_000_000)
    tab = Tab(server)
    server.bring(gallery=[{"image": server.file(path), "caption": None} for path in paths])
    tab.page.click("Go")
    assert [name for name, _ in server.fetched] == paths[:3]
    ((_, where),) = tab.seen()
    assert paths[0] in where
    assert len(tab.page.download(server.file(paths[0]))) == 30_000_000 + len(
        THEIRS
    )  # which somebody asked for


def test_fetching_files_affects_neither_times_nor_outcomes(server: Server) -> None:
    server.missing = {"/tmp/a.png"}
    tab = Tab(server)
    server.bring(
        image=server.file("/tmp/a.png"), audio={**server.file("x"), "url": f"{server.url}nowhere?file="}
    )
    tab.page.click("Go")
    ((_, at_ns),) = server.fetched
    assert tab.page.span.completed_ns is not None
    assert tab.page.span.completed_ns <= at_ns
    notices = tab.page.notices
    assert len(notices) == 2
    assert all("could not be fetched: the answer was 404" in notice for notice in notices)


def test_a_missing_file_cannot_be_downloaded(server: Server) -> None:
    server.missing = {"/tmp/a.png"}
    tab = Tab(server)
    with pytest.raises(OperationFailed, match="404"):
        tab.page.download(server.file("/tmp/a.png"))


# --- what a page sends ---


def test_texts_and_files_without_a_token_are_counted_and_choices_are_not(server: Server) -> None:
    server.post = functools.partial(_post, server)  # type: ignore[method-assign]
    tab = Tab(server)
    tab.page.fill("Text", f"hello {OURS}")
    tab.page.fill("Choice", "a")
    tab.page.upload("Upload", (f"{OURS}.txt", b"hello"), ("a.txt", OURS.encode()))
    assert tab.watch.take().untagged_sent == 0
    tab.page.fill("Text", "hello")
    tab.page.upload("Upload", ("a.txt", b"hello"))
    assert tab.watch.take().untagged_sent == 2
    server.bring()
    tab.page.call("/go", "hello", None)
    assert tab.watch.take().untagged_sent == 1


def _post(server: Server, path: str, body: Any) -> tuple[int, Any]:
    if path.startswith("/gradio_api/upload"):
        return 200, ["/tmp/upload/a.txt"] * body.count(b'name="files"')
    return ScriptedServer.post(server, path, body)


# --- a real app ---

FAULTY = """
from pathlib import Path

import gradio as gr
from PIL import Image, PngImagePlugin

LAST = {"name": "nobody"}

def before(name):
    last, LAST["name"] = LAST["name"], name
    return last

def portrait(name):
    text = PngImagePlugin.PngInfo()
    text.add_text("Artist", before(name), zip=True)
    Image.new("RGB", (8, 8)).save("portrait.png", pnginfo=text)
    return "portrait.png", ["portrait.png"]

def report(name):
    path = Path("report.csv")
    path.write_text(f"name\\n{before(name)}\\n")
    return str(path), str(path)

def named(name):
    path = Path(f"{before(name)}.txt")
    path.write_text("a report")
    return str(path)

def greet(name):
    gr.Info(f"hello after {before(name)}")

def offer(name):
    return gr.update(choices=[before(name)], label="Guests")

with gr.Blocks() as demo:
    name = gr.Textbox(label="Name")
    image, gallery = gr.Image(label="Portrait", type="filepath"), gr.Gallery(label="Portraits")
    file, button = gr.File(label="Report"), gr.DownloadButton("Download")
    guests = gr.Dropdown(label="Guest", elem_id="guest")
    gr.Button("Paint").click(portrait, name, [image, gallery])
    gr.Button("Write").click(report, name, [file, button])
    gr.Button("Keep").click(named, name, file)
    gr.Button("Greet").click(greet, name, None)
    gr.Button("Offer").click(offer, name, guests)

demo.launch()
"""


def test_files_names_toasts_and_choices_of_a_real_app_are_searched(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FAULTY)
    target = Target(tmp_path / "app.py", inspect_interpreter(), tmp_path / "log")
    try:
        target.wait_ready(60)
        registry = CanaryRegistry("7f3a")
        ours, theirs = [
            SessionWatcher(registry, worker=0, number=number, user=f"u-7f3a-0-{number}") for number in (7, 8)
        ]
        clicks = itertools.count(1)
        pages = [GradioPage(target.url, timeout_s=30, watcher=watch) for watch in (ours, theirs)]
        for page in pages:
            page.open()

        def where(button: str, *downloads: str) -> list[str]:
            """The places that show the name of the other session, which did the same before. Names are new each time."""
            sequence = next(clicks)
            mine, other = (tokens.mint("7f3a", 0, number, sequence) for number in (7, 8))
            for page, name in ((pages[1], other), (pages[0], mine)):
                page.fill("Name", name)
                page.click(button)
            for name in downloads:
                pages[0].download(pages[0].value(name))
            found = ours.take().sightings
            assert {(s.kind, s.value) for s in found} == {("foreign-token", other)}, button
            return [s.where for s in found]

        assert [w.rpartition("the file of ")[2][:16] for w in where("Paint")] == ["image 'Portrait'"]
        assert all("the file of" in w for w in where("Write", "Report", "Download"))
        assert where("Keep")[0].startswith("the result of /named, in file 'Report'")
        assert where("Greet") == ["the message log of /greet, in log"]
        assert where("Offer")[0].startswith("the result of /offer, in dropdown 'Guest'")
        assert pages[0].notices == []
        for page in pages:
            page.close()
    finally:
        target.stop()
