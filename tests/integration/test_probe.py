"""The probe inside a real Gradio app: sizes of its State, and why what grew is still there."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio_client import Client

from harness.app_under_test import Target, inspect_interpreter

APP = """
import gradio as gr

MODEL = bytearray(1_000_000)
SEEN = {}

class Cart:
    def __init__(self, model):
        self.items, self.model = [], model

def act(text, cart, request: gr.Request):
    cart = cart or Cart(MODEL)
    cart.items.append(bytearray(100_000))
    SEEN[request.session_hash + str(len(SEEN))] = request
    return text, cart

with gr.Blocks() as demo:
    cart, box = gr.State(None), gr.Textbox()
    gr.Button().click(act, [box, cart], [box, cart], api_name="act")

demo.launch()
"""


@pytest.mark.slow
def test_state_is_weighed_and_what_grew_is_explained(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    target = Target(tmp_path / "app.py", inspect_interpreter(), tmp_path / "log")
    try:
        url = target.wait_ready(120.0)
        clients = [Client(url, verbose=False) for _ in range(4)]
        for client in clients:
            client.predict("a", api_name="/act")
        sample, first = target.settle(), target.census(0)
        assert (target.limits().components, target.limits().functions) == (4, 1)
        assert sample.queue is not None
        assert sample.queue["event_analytics"] == 4
        assert sample.tasks is None or sample.tasks > 4
        assert first is not None
        assert first.state is not None
        assert (first.state.sessions, first.state.complete) == (4, True)
        assert first.state.median_bytes == pytest.approx(1_100_000, rel=0.01)
        assert first.state.shared_bytes == pytest.approx(1_000_000, rel=0.01)
        assert first.state.total_bytes == pytest.approx(1_400_000, rel=0.01)
        for client in clients:
            for _ in range(5):
                client.predict("a", api_name="/act")
        target.settle()
        later = target.census(1)
        assert later is not None
        assert (
            later.types["gradio.route_utils.Request"] == first.types["gradio.route_utils.Request"] + 20 == 24
        )
        found = {retainer.target: retainer for retainer in target.retainers()}
        seen = found["app.SEEN"]
        assert (seen.before, seen.now, seen.exact) == (4, 24, True)
        assert seen.holders[0].chain[:4] == [
            "app: module", ".SEEN: dict", "[*]: gradio.route_utils.Request", ".request: starlette.requests.Request",
        ]  # fmt: skip
        assert seen.pinned_bytes is not None
        assert seen.pinned_bytes > 24 * 5_000
        items = found["gradio.StateHolder.session_data[*].state_data[*].items"]
        assert (items.before, items.now) == (4, 24)
        assert items.pinned_bytes == pytest.approx(24 * 100_000, rel=0.01)
        assert items.holders[0].chain == [
            "gradio.StateHolder: gradio.state_holder.StateHolder", ".session_data: collections.OrderedDict",
            "[*]: gradio.state_holder.SessionState", ".state_data: dict", "[*]: app.Cart", ".items: list", "[*]: bytearray",
        ]  # fmt: skip
    finally:
        target.stop()
