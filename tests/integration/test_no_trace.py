"""The probe leaves no trace: however often it is asked, the app that it looks at holds what it held before."""

from __future__ import annotations

import json
import statistics
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from gradio_client import Client

from harness.app_under_test import Target, inspect_interpreter
from tests.conftest import REPO

# It reports about itself, on the thread of its event loop, and holds many small objects whose attributes could be disturbed.
APP = """
import dataclasses, gc, importlib.util, os, sys, threading
import gradio as gr

spec = importlib.util.spec_from_file_location("heap_formula", os.environ["HEAP_FORMULA"])
heap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(heap)

@dataclasses.dataclass
class Turn:
    text: str
    number: int

KEPT = [Turn("x" * 50 + str(n), n) for n in range(3000)]
STORE = {f"k{n}": {"turns": [Turn(str(n), n)], "note": "x"} for n in range(300)}

def act(text, turns):
    return text, [*turns, Turn(text, len(turns))]

with gr.Blocks() as demo:
    state, box = gr.State([]), gr.Textbox()
    gr.Button().click(act, [box, state], [box, state], api_name="act")

if os.environ["PLANT"]:
    probe = sys.modules["_gradsoak_probe.server"]
    looked, kept = probe._answer, []
    def forgetful(line, hook):
        kept.append([0] * 50)
        return looked(line, hook)
    probe._answer = forgetful

app, _, _ = demo.launch(prevent_thread_lock=True)

@app.get("/held")
async def held():
    gc.collect()
    live = heap.measure()["live_bytes"]
    return {"live": live, "objects": len(gc.get_objects()), "threads": threading.active_count()}

app.router.routes.insert(0, app.router.routes.pop())  # before the page, which answers everything
demo.block_thread()
"""
ROUNDS = 15
QUESTIONS = 3  # in each round


class Held(msgspec.Struct, frozen=True):
    """What the app says that it holds."""

    live: int
    objects: int
    threads: int


@pytest.fixture
def growth(tmp_path: Path) -> Callable[[str], tuple[float, float, float]]:
    """Starts the app; objects, live bytes and threads that one round of questions adds, beyond what a round without any does."""

    def measure(plant: str) -> tuple[float, float, float]:
        (tmp_path / "app.py").write_text(APP)
        formula = str(REPO / "harness" / "probe" / "heap.py")
        target = Target(
            tmp_path / "app.py",
            inspect_interpreter(),
            tmp_path / "log",
            {"HEAP_FORMULA": formula, "PLANT": plant},
        )
        try:
            url = target.wait_ready(120.0)

            def held() -> Held:
                with urllib.request.urlopen(url + "held", timeout=60) as answer:
                    return Held(**json.load(answer))

            clients = [Client(url, verbose=False) for _ in range(3)]
            for client in clients:
                client.predict("a", api_name="/act")
            for number in range(3):  # what is made once is made now
                target.settle(), target.measure(), target.census(number), held()
            asked = []
            for number in range(ROUNDS):
                before = held()
                between = held()
                target.settle()
                target.measure()
                target.census(number)
                after = held()
                asked.append((before, between, after))
            added = [
                (
                    a.objects - 2 * b.objects + o.objects,
                    a.live - 2 * b.live + o.live,
                    a.threads - 2 * b.threads + o.threads,
                )
                for o, b, a in asked
            ]
            # Now and then a connection of the app's, or one of its tasks, begins or ends just then.
            objects, live, threads = (statistics.median(each) for each in zip(*added, strict=True))
            return objects, live, threads
        finally:
            target.stop()

    return measure


@pytest.mark.slow
def test_what_the_app_holds_does_not_grow_with_the_number_of_questions(
    growth: Callable[..., tuple[float, ...]],
) -> None:
    objects, live, threads = growth("")
    assert (objects, threads) == (0, 0)
    assert abs(live) < 100


@pytest.mark.slow
def test_a_probe_that_kept_a_list_for_each_question_would_be_noticed(
    growth: Callable[..., tuple[float, ...]],
) -> None:
    objects, live, _ = growth("yes")
    assert objects == QUESTIONS
    assert live == pytest.approx(QUESTIONS * 456, abs=150)
