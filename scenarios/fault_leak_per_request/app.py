"""The click counter with a record of every request, kept in a list that is never emptied."""

import time

import gradio as gr

REQUESTS = []


def click(label, count, clicks):
    count += 1
    clicks = [*clicks, label]
    REQUESTS.append({"time": time.time(), "label": label, "count": count})
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
