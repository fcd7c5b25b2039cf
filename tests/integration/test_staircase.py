"""The staircase as the server sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.run_dir import RunDir
from tests.integration.cli import gradsoak

# Writes down how many calls were ever under way together. They last long enough to meet.
APP = """
import threading, time
from pathlib import Path
import gradio as gr

lock, now, most = threading.Lock(), 0, 0

def click(label, count, clicks):
    global now, most
    with lock:
        now += 1
        if now > most:
            most = now
            Path("most").write_text(str(most))
    time.sleep(0.05)
    with lock:
        now -= 1
    count, clicks = count + 1, [*clicks, label]
    return count, clicks, count, clicks

with gr.Blocks() as demo:
    count, clicks = gr.State(0), gr.State([])
    label, total, log = gr.Textbox(), gr.Number(), gr.JSON()
    gr.Button().click(click, [label, count, clicks], [count, clicks, total, log], api_name="click", concurrency_limit=None)

demo.launch()
"""


def test_many_held_sessions_are_a_bounded_load(make_scenario: Callable[..., Path], tmp_path: Path) -> None:
    scenario = make_scenario(APP, growth=True)
    run = tmp_path / "run"
    done = gradsoak(
        "run", scenario, "--levels", "4", "--sessions-per-level", "10", "--users", "2", "--duration", "1s",
        "--out", run, "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    stairs = [plateau.open_sessions for plateau in RunDir(run).plateaus() if plateau.label == "staircase"]
    assert stairs == [0, 10, 20, 30, 40]
    # What happened between two plateaus is known exactly: so many acts, so many sessions, and State that Gradio still keeps.
    by_label = {
        label: [p for p in RunDir(run).plateaus() if p.label == label]
        for label in ("requests", "second-round")
    }
    batches, rounds = by_label["requests"], by_label["second-round"]
    assert [p.requests - batches[0].requests for p in batches] == [0, 8, 16, 24, 32]
    assert {(p.open_sessions, p.sessions - batches[0].sessions) for p in batches} == {(40, 0)}
    assert [p.sessions - rounds[0].sessions for p in rounds] == [0, 10, 20]
    assert {(p.open_sessions, p.probe.open_sessions) for p in rounds} == {(0, 0)}
    assert [p.probe.states - rounds[0].probe.states for p in rounds] == [0, 20, 40]
    held = {c.path: c.length for c in RunDir(run).censuses()[-1].containers}
    assert held["gradio.StateHolder.session_data"] == rounds[-1].probe.sessions
    assert "app.most" not in held  # a number is no container
    assert done.json()["checks"]["leak-per-request"] == done.json()["checks"]["leak-per-session"] == "pass"
    # Forty sessions act at the end; more than eight at a time would be a burst that no staircase is meant to be.
    assert 2 <= int((scenario / "most").read_text()) <= 8
