"""A tally that all visitors click at the same time: each has a name, a count and a log of their own."""

import os
import time

import gradio as gr

WORK_S = float(os.environ.get("WORK_S", "0.02"))


def sign_in(name, count, log):
    return name, name, count, log


def click(mark, name, count, log):
    count += 1
    # Time in which the clicks of others arrive, as they do when a function really computes something.
    time.sleep(WORK_S)
    log = [*log, mark]
    return count, log, name, count, log


with gr.Blocks(title="Tally") as demo:
    name = gr.State("")
    count = gr.State(0)
    log = gr.State([])
    your_name = gr.Textbox(label="Your name")
    enter = gr.Button("Enter")
    mark = gr.Textbox(label="Mark")
    button = gr.Button("Click")
    shown_name = gr.Textbox(label="Signed in as", interactive=False)
    shown_count = gr.Number(label="Clicks", interactive=False)
    shown_log = gr.JSON(label="Marks")
    shown = [shown_name, shown_count, shown_log]

    enter.click(sign_in, [your_name, count, log], [name, *shown], api_name="sign_in")
    # Without a limit the clicks of different visitors are worked on at the same time; by default they would queue.
    button.click(
        click, [mark, name, count, log], [count, log, *shown], concurrency_limit=None, api_name="click"
    )

if __name__ == "__main__":
    demo.launch()
