"""State that is made when the page is loaded: when this visit began, a mark of its own, and what was done since."""

import uuid
from datetime import UTC, datetime

import gradio as gr


def begin():
    visit = {"started": datetime.now(UTC).isoformat(), "mark": uuid.uuid4().hex, "actions": []}
    return visit, visit


def do(what, visit):
    visit = {**visit, "actions": [*visit["actions"], what]}
    return visit, visit


with gr.Blocks(title="Visit") as demo:
    # A value made here would be made once, when the app starts, and be the beginning of every visit.
    visit = gr.State()
    what = gr.Textbox(label="What do you do?")
    shown = gr.JSON(label="Visit")

    demo.load(begin, None, [visit, shown])
    what.submit(do, [what, visit], [visit, shown])

if __name__ == "__main__":
    demo.launch()
