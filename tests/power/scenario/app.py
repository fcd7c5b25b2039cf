"""The click counter, which forgets one click in so many: that one is shown, and not kept."""

import os
import random

import gradio as gr

RATE = float(os.environ.get("RATE", "0.001"))
rng = random.Random(os.environ.get("FAULT_SEED", "2"))


def click(label, clicks):
    shown = [*clicks, label]
    if rng.random() < RATE:
        # The test counts these lines in the log of the app.
        print(f"forgot {label}", flush=True)
        return clicks, shown
    return shown, shown


with gr.Blocks(title="Forgetful") as demo:
    clicks = gr.State([])
    label = gr.Textbox(label="What are you counting?")
    button = gr.Button("Count")
    log = gr.JSON(label="Clicks")

    button.click(click, [label, clicks], [clicks, log], api_name="click", concurrency_limit=8)

if __name__ == "__main__":
    demo.launch()
