"""State of a known size: what a session is said to cost is that, above what the state-free control costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli import gradsoak

# Each takes a whole run with its control, a minute or more.
pytestmark = pytest.mark.slow

# Every click puts as many fresh bytes in the place of the last ones, so that requests add nothing to a session.
APP = """
import os
import gradio as gr

BYTES = int(os.environ["BYTES"])

def fill(text):
    return os.urandom(BYTES), text

with gr.Blocks() as demo:
    state = gr.State(None)
    text, said = gr.Textbox(label="Say"), gr.Textbox(label="Said")
    gr.Button("Fill").click(fill, text, [state, said], api_name="fill")

demo.launch()
"""
WORKLOAD = '''
"""Somebody who fills their State, and is told what they said."""

from harness.workload import Workload, action, answer, ask


class Visitor(Workload):
    state = {"said": answer()}

    def arrive(self):
        self.fill()

    @action
    def fill(self):
        text = self.token()
        with self.operation("fill", said=ask(text)) as seen:
            seen["said"] = self.page.call("/fill", text)
'''
# What a bytes object takes besides its content, and the byte after it: `sys.getsizeof(b"")`.
HEAD_BYTES = 33
TOLERANCE = 0.03
# Sessions at each of six steps: of small ones more. What glibc keeps at hand for each thread counts as in use, and differs by some
# ten thousand bytes from plateau to plateau, whatever a session costs.
SIZES = {1_000: 48, 10_000: 48, 100_000: 8, 1_000_000: 8, 10_000_000: 3}


@pytest.mark.parametrize(("size", "sessions"), SIZES.items())
def test_a_session_costs_its_state_and_the_floor(
    size: int, sessions: int, make_scenario: Callable[..., Path], tmp_path: Path
) -> None:
    scenario = make_scenario(APP, workload=WORKLOAD, settings="params = { BYTES = 1000 }\n")
    done = gradsoak(
        "run", scenario, "--profile", "staircase", "--param", f"BYTES={size}", "--sessions-per-level", str(sessions),
        "--seed", "1", "--out", "run", "--json", cwd=tmp_path, timeout_s=600,
    )  # fmt: skip
    memory = done.json()["figures"]["memory"]
    floor, live = memory["floor_per_open_session"]["live"], memory["bytes_per_open_session"]["live"]
    state = size + HEAD_BYTES
    truth = state + floor["estimate"]
    told = {name: f"{live[name]:,.0f}" for name in ("estimate", "low", "high")}
    print(
        f"{size:,} B of State: {told['estimate']} ({told['low']} – {told['high']}) per open session, "
        f"floor {floor['estimate']:,.0f} ({floor['low']:,.0f} – {floor['high']:,.0f}), "
        f"off by {live['estimate'] / truth - 1:+.2%}; State counted as {memory['state_bytes_per_session']:,.0f}"
    )
    assert done.code == 0, done.err
    assert live["estimate"] == pytest.approx(truth, rel=TOLERANCE)
    # The floor is an estimate as well: the interval of the difference covers what is known.
    above = live["estimate"] - floor["estimate"]
    low = above - math.hypot(live["estimate"] - live["low"], floor["high"] - floor["estimate"])
    high = above + math.hypot(live["high"] - live["estimate"], floor["estimate"] - floor["low"])
    assert low <= state <= high
    assert memory["state_bytes_per_session"] == pytest.approx(state, rel=TOLERANCE)
