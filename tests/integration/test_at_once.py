"""Several operations of one session at the same time, against a real Gradio server."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.app_under_test import Target, inspect_interpreter
from harness.history import pair
from harness.load.canary_registry import CanaryRegistry
from harness.load.canary_scanner import SessionWatcher
from harness.load.recorder import Recorder
from harness.load.session import LoadSession
from harness.page import GradioPage
from harness.records import HistoryRecord, Operation
from harness.run_dir import JsonLinesWriter
from harness.workload import Workload, append, append_only_list
from tests.integration.waiting import eventually

# One worker runs these tests, because they share a server.
pytestmark = pytest.mark.xdist_group("at-once")

# No call returns before all calls have arrived.
APP = """
import threading
import gradio as gr

all_there = threading.Barrier(3)

def add(item, items):
    all_there.wait(20)
    items.append(item)
    return items, item, item

with gr.Blocks() as demo:
    items = gr.State([])
    item, shown, also = gr.Textbox(label="Item"), gr.Textbox(label="Shown"), gr.Textbox(label="Also")
    for mode in ("multiple", "once"):
        gr.Button(mode).click(
            add, [item, items], [items, shown, also], trigger_mode=mode, concurrency_limit=None, api_name=mode
        )

demo.launch()
"""


class Visitor(Workload):
    state = {"items": append_only_list()}

    def click(self) -> None:
        self._click("multiple")

    def click_impatiently(self) -> None:
        self._click("once")

    def call(self) -> None:
        item = self.token()
        with self.operation("call", items=append(item)) as seen:
            seen["items"] = [self.page.call("/multiple", item)[0]]

    def _click(self, button: str) -> None:
        item = self.token()
        with self.operation(button, items=append(item)) as seen:
            self.page.fill("Item", item)
            seen["items"] = [self.page.click(button).value("Shown")]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("at-once")
    (folder / "app.py").write_text(APP)
    target = Target(folder / "app.py", inspect_interpreter(), folder / "log")
    target.wait_ready(60)
    yield target
    target.stop()


class Visit:
    """A session of that workload with the app, and its records."""

    def __init__(self, page: GradioPage, path: Path) -> None:
        self._path = path
        self._recorder = Recorder(JsonLinesWriter(path))
        self.session = LoadSession(
            page,
            self._recorder,
            run_tag="abcd",
            worker=0,
            number=1,
            rng=random.Random(1),
            params={},
            user="u-abcd-0-1",
            watcher=SessionWatcher(CanaryRegistry("abcd"), worker=0, number=1, user="u-abcd-0-1"),
            on_request=lambda *_: None,
        )
        self.session.open("open")
        self.workload = Visitor(self.session)

    def operations(self) -> list[Operation]:
        records = [
            msgspec.json.decode(line, type=HistoryRecord) for line in self._path.read_bytes().splitlines()
        ]
        return [o for o in pair({"0": records}).operations if o.action not in ("open", "close")]


def all_overlap(operations: list[Operation]) -> bool:
    return max(o.invoke_ns for o in operations) < min(o.complete_ns or 0 for o in operations)


def each_saw_its_own(operations: list[Operation]) -> bool:
    return all(o.reads["items"] == [o.effects["items"].value] for o in operations)


def test_each_click_gets_its_own_result_even_if_the_page_shows_another(app: Target, tmp_path: Path) -> None:
    visit = Visit(GradioPage(app.url), tmp_path / "0.jsonl")
    visit.workload.at_once(*[visit.workload.click] * 3)
    visit.session.close()
    operations = visit.operations()
    assert [o.outcome for o in operations] == ["ok"] * 3
    assert all_overlap(operations)
    assert each_saw_its_own(operations)
    # An event belongs to the operation that caused it, and to no other.
    assert [len(o.event_ids) for o in operations] == [1, 1, 1]
    assert len({o.event_ids[0] for o in operations}) == 3
    assert all(o.invoke_ns < (o.accepted_ns or 0) < (o.started_ns or 0) for o in operations)


def test_each_call_gets_its_own_result(app: Target, tmp_path: Path) -> None:
    visit = Visit(GradioPage(app.url), tmp_path / "0.jsonl")
    visit.workload.at_once(*[visit.workload.call] * 3)
    visit.session.close()
    operations = visit.operations()
    assert [o.outcome for o in operations] == ["ok"] * 3
    assert all_overlap(operations)
    assert each_saw_its_own(operations)
    assert len({o.event_ids[0] for o in operations}) == 3


def test_a_click_that_the_page_ignores_did_not_happen(app: Target, tmp_path: Path) -> None:
    first, second = (Visit(GradioPage(app.url), tmp_path / name) for name in ("1.jsonl", "2.jsonl"))
    # The page runs only one of a user's three clicks; the app answers it after calls of two other users.
    double = first.session.page.begin("once")
    first.workload.at_once(first.workload.click_impatiently, first.workload.click_impatiently)
    second.workload.at_once(second.workload.call, second.workload.call)
    assert eventually(lambda: double.done)
    swallowed = first.operations()
    assert [(o.outcome, o.may_have_happened) for o in swallowed] == [("fail", False)] * 2
    assert "trigger_mode" in swallowed[0].error.message
    for visit in (first, second):
        visit.session.close()
