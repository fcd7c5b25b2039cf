"""The click counter with a sum over a large table, which is gone when the click has been answered."""

import gradio as gr
import numpy as np


def click(label, count, clicks):
    count += 1
    clicks = [*clicks, label]
    table = np.full(2_000_000, float(count))  # 16 MB
    assert table.sum() == count * 2_000_000
    return count, clicks, count, clicks


with gr.Blocks(title="Click counter") as demo:
    count = gr.State(0)
    clicks = gr.State([])
    label = gr.Textbox(label="What are you counting?")
    button = gr.Button("Count")
    total = gr.Number(label="Total", interactive=False)
    log = gr.JSON(label="Clicks")

    button.click(click, [label, count, clicks], [count, clicks, total, log], api_name="click")

if __name__ == "__main__":
    demo.launch()
