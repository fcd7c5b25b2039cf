"""The click counter with a picture of every click: numpy holds the pixels, so Python's garbage collector sees almost none of the memory."""

import gradio as gr
import numpy as np

PICTURES = []


def click(label, count, clicks):
    count += 1
    clicks = [*clicks, label]
    # The label as 64 x 64 pixels in three colours, 12 KB, kept "for the gallery".
    PICTURES.append(np.full((64, 64, 3), sum(label.encode()) % 256, dtype=np.uint8))
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
