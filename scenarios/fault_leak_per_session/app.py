"""The click counter with notes about every session, in a dict that is not pruned when the tab is closed."""

import time

import gradio as gr

VISITORS = {}


def click(label, count, clicks, request: gr.Request):
    count += 1
    clicks = [*clicks, label]
    visitor = VISITORS.setdefault(
        request.session_hash, {"since": time.time(), "agent": request.headers.get("user-agent")}
    )
    visitor["last_click"] = label
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
