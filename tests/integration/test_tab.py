"""Actions of a user in a page, against a real Gradio server: names, trigger modes, chains, files, timers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.app_under_test import Target, inspect_interpreter
from harness.page import GradioPage
from harness.page.page_errors import OperationFailed, OperationUnknown, PageMisuse
from tests.integration.waiting import eventually

# One worker runs these tests, because they share a server.
pytestmark = pytest.mark.xdist_group("tab")

APP = """
import os, time
import gradio as gr

FOLDER = os.environ["FOLDER"]

def gate(name):
    while not os.path.exists(os.path.join(FOLDER, name)):
        time.sleep(0.01)

def calls(name):
    with open(os.path.join(FOLDER, name + ".calls"), "a") as stream:
        stream.write("x")
    return os.path.getsize(os.path.join(FOLDER, name + ".calls"))

def gated(name):
    def run():
        n = calls(name)
        gate(name)
        return f"{name} {n}"
    return run

def slow():
    for n in range(10_000):
        time.sleep(0.02)
        yield f"slow {n}"

def read(paths):
    out = []
    for path in paths:
        with open(path) as stream:
            out.append(stream.read())
    return "+".join(out)

def divide(n):
    if n == 0:
        raise gr.Error("division by nothing")
    gr.Info("divided")
    return 100 / n

def tick(n):
    return n + 1, n + 1

def image():
    import PIL.Image
    return PIL.Image.new("RGB", (2, 2), (255, 0, 0))

with gr.Blocks() as demo:
    with gr.Tabs(elem_id="tabs"):
        with gr.Tab("First") as first:
            shown = gr.Textbox(label="Shown", elem_id="shown")
        with gr.Tab("Second") as second:
            other = gr.Textbox(label="Other")
    gr.Textbox(label="Twice"), gr.Textbox(label="Twice", elem_id="second-twice")
    locked = gr.Textbox(label="Locked", interactive=False)

    # trigger modes
    for mode in ("once", "multiple", "always_last"):
        gr.Button(mode).click(gated(mode), None, shown, trigger_mode=mode, concurrency_limit=None)

    # an output that changes again and again, and a listener that never comes to its end
    def feed():
        for n in range(4):
            yield f"{n}"

    fed = gr.Textbox(label="Fed")
    gr.Button("Feed").click(feed, None, fed)
    fed.change(gated("fed"), None, shown, trigger_mode="always_last", concurrency_limit=None)

    run = gr.Button("Slow").click(slow, None, shown)
    run.then(lambda: "over", None, other)
    gr.Button("Stop").click(None, None, None, cancels=[run])

    # failure
    n = gr.Number(label="N", value=0)
    d = gr.Button("Divide").click(divide, n, shown)
    d.success(lambda: "went well", None, other)
    d.failure(lambda: "went wrong", None, other)

    # visibility
    secret = gr.Button("Secret", visible=False)
    secret.click(lambda: "found", None, shown)
    with gr.Column(visible=False) as column:
        inside = gr.Button("Inside")
        inside.click(lambda: "inside", None, shown)
    gr.Button("Reveal").click(lambda: (gr.update(visible=True), gr.update(visible=True)), None, [secret, column])

    files = gr.File(label="Files", file_count="multiple")
    gr.Button("Read").click(read, files, shown)
    picture = gr.Image(label="Picture")
    gr.Button("Paint").click(image, None, picture)

    first.select(lambda: "first", None, other)
    second.select(lambda e: "second", shown, other)

    # what only a browser can
    gr.Button("Script").click(lambda: "ran", None, shown, js="() => { document.title = 'x'; return [] }")
    gr.Button("Only script").click(None, None, shown, js="() => window.location.href")

    state = gr.State(0)
    ticks = gr.Number(label="Ticks", value=0)
    timer = gr.Timer(0.05, active=False)
    timer.tick(tick, state, [state, ticks], show_progress="hidden")
    gr.Button("Start clock").click(lambda: gr.Timer(active=True), None, timer)
    gr.Button("Stop clock").click(lambda: gr.Timer(active=False), None, timer)

demo.launch()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tab")


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[Target]:
    (folder / "app.py").write_text(APP)
    # The shortest heartbeat that Gradio knows: every long event then has heartbeats among its messages.
    target = Target(
        folder / "app.py",
        inspect_interpreter(),
        folder / "log",
        {"FOLDER": str(folder), "GRADIO_HEARTBEAT_INTERVAL": "0.05"},
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


def calls(folder: Path, name: str) -> int:
    path = folder / f"{name}.calls"
    return path.stat().st_size if path.exists() else 0


def test_unknown_and_ambiguous_names_are_errors_that_list_candidates(page: GradioPage) -> None:
    with pytest.raises(PageMisuse, match=r"no component 'Showm'.*Did you mean textbox 'Shown'"):
        page.value("Showm")
    with pytest.raises(PageMisuse, match=r"'Twice' is ambiguous: textbox 'Twice' \(id \d+\); .*second-twice"):
        page.value("Twice")
    assert page.value("second-twice") == ""
    with pytest.raises(PageMisuse, match="no component with the id 9999"):
        page.value(9999)
    with pytest.raises(PageMisuse, match=r"does not listen to 'submit' of button 'Read'.*listens to click"):
        page.submit("Read")
    with pytest.raises(PageMisuse, match="never leaves the server"):
        page.value(next(c.id for c in page._frontend.blueprint.components.values() if c.type == "state"))


def test_hidden_and_disabled_components_cannot_be_used(page: GradioPage) -> None:
    for name in ("Secret", "Inside"):
        with pytest.raises(OperationFailed, match="not visible"):
            page.click(name)
    with pytest.raises(OperationFailed, match="not interactive"):
        page.fill("Locked", "x")
    page.click("Reveal")
    page.click("Secret")
    assert page.value("Shown") == "found"
    page.click("Inside")
    assert page.value("Shown") == "inside"


def test_once_drops_a_click_while_the_first_is_running(page: GradioPage, folder: Path) -> None:
    first = page.begin("once")
    assert eventually(lambda: calls(folder, "once") == 1)
    assert page.click("once").skipped == 1
    assert not first.done
    (folder / "once").touch()
    first.wait()
    assert page.value("Shown") == "once 1"
    page.click("once")
    assert page.value("Shown") == "once 2"


def test_multiple_runs_every_click(page: GradioPage, folder: Path) -> None:
    pending = [page.begin("multiple") for _ in range(3)]
    assert eventually(lambda: calls(folder, "multiple") == 3)
    (folder / "multiple").touch()
    assert [click.wait().steps[0].outcome for click in pending] == ["completed"] * 3


def test_always_last_runs_the_last_click_made_meanwhile(page: GradioPage, folder: Path) -> None:
    pending = [page.begin("always_last")]
    assert eventually(lambda: calls(folder, "always_last") == 1)
    pending += [page.begin("always_last") for _ in range(3)]
    assert not pending[3].done
    (folder / "always_last").touch()
    done = [click.wait() for click in pending]
    assert calls(folder, "always_last") == 2
    assert [len(activity.steps) for activity in done] == [1, 0, 0, 1]
    assert page.value("Shown") == "always_last 2"


def test_cancelling_a_running_event_lets_its_followers_run(page: GradioPage) -> None:
    slow = page.begin("Slow")
    assert eventually(lambda: str(page.value("Shown")).startswith("slow"))
    page.click("Stop")
    assert [step.outcome for step in slow.wait().steps] == ["cancelled"]
    assert page.value("Other") == "over"
    stopped_at = page.value("Shown")
    page.click("Reveal")  # the session goes on, and the generator does not
    assert page.value("Shown") == stopped_at


def test_failure_and_success_have_different_followers(page: GradioPage) -> None:
    with pytest.raises(OperationFailed, match="division by nothing"):
        page.click("Divide")
    assert page.value("Other") == "went wrong"
    expected = page.click("Divide", may_fail=True)
    assert [step.outcome for step in expected.steps] == ["failed", "completed"]
    page.fill("N", 4)
    done = page.click("Divide")
    assert page.value("Shown") == "25.0"
    assert page.value("Other") == "went well"
    assert [toast.text for toast in done.toasts] == ["divided"]
    assert done.event_ids == page.last.event_ids
    assert len(set(done.event_ids)) == 2


def test_files_are_uploaded_and_downloaded(page: GradioPage, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("from a path")
    page.upload("Files", tmp_path / "a.txt", ("b.txt", b"from memory"))
    assert [file["orig_name"] for file in page.value("Files")] == ["a.txt", "b.txt"]
    page.click("Read")
    assert page.value("Shown") == "from a path+from memory"
    page.click("Paint")
    assert page.download(page.value("Picture"))[:4] in (b"RIFF", b"\x89PNG")


def test_tabs_are_opened(page: GradioPage) -> None:
    page.select("tabs", "First")
    assert page.value("Other") == "first"
    with pytest.raises(PageMisuse, match=r"offers no 'Third'.*'First', 'Second'"):
        page.select("tabs", "Third")


def test_a_timer_ticks_while_it_is_active(page: GradioPage) -> None:
    assert page.value("Ticks") == 0
    page.click("Start clock")
    assert eventually(lambda: page.value("Ticks") >= 3)
    page.click("Stop clock")
    # What ticks in this session counts in no other.
    other = GradioPage(page._url)
    other.open()
    assert other.value("Ticks") == 0
    other.close()


def test_scripts_are_named_once_per_app(page: GradioPage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="gradsoak.page"):
        for _ in range(2):
            page.click("Script")
            assert page.value("Shown") == "ran"  # the function on the server is called all the same
            page.click("Only script")
            assert page.value("Shown") == "ran"
        other = GradioPage(page._url)
        other.open()
        other.click("Script")
        other.close()
    said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert all("JavaScript" in line for line in said)
    assert any("document.title" in line for line in said)
    assert page.notices == said


def test_an_action_that_takes_too_long_is_unknown_and_names_what_it_waited_for(app: Target) -> None:
    hasty = GradioPage(app.url, timeout_s=0.5)
    hasty.open()
    with pytest.raises(OperationUnknown, match=r"/slow: no result within 0\.5 s") as unknown:
        hasty.click("Slow")
    assert unknown.value.kind == "timeout"
    hasty.close()


def test_a_deferred_event_does_not_begin_after_its_action_timed_out(app: Target, folder: Path) -> None:
    hasty = GradioPage(app.url, timeout_s=1.0)
    hasty.open()
    with pytest.raises(OperationUnknown):
        hasty.click("Feed")
    assert hasty.value("Fed") == "3"  # so the listener was called for the first, and put off for the last
    hasty.click("Reveal")  # whatever was sent before this has reached the server
    assert calls(folder, "fed") == 1
    (folder / "fed").touch()
    hasty.close()


def test_a_reload_is_a_new_session_in_the_same_browser(page: GradioPage) -> None:
    before = page.session_hash
    page.fill("Shown", "typed")
    page.reload()
    assert page.session_hash != before
    assert page.value("Shown") == ""
