"""The click counter with a cache of what it shows: it grows, up to 64 entries, and is no leak."""

import functools

import gradio as gr


@functools.lru_cache(maxsize=64)
def describe(label):
    return label.center(10_000, ".")


def click(label, count, clicks):
    count += 1
    clicks = [*clicks, label]
    describe(label)
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
