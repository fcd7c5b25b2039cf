"""A clap button that people click twice in a row: both clicks count, though the second comes before the first is done."""

import os
import time

import gradio as gr

WORK_S = float(os.environ.get("WORK_S", "0.01"))


def sign_in(name, claps):
    return name, name, claps


def clap(name, claps):
    claps += 1
    time.sleep(WORK_S)
    return claps, name, claps


with gr.Blocks(title="Applause") as demo:
    name = gr.State("")
    claps = gr.State(0)
    your_name = gr.Textbox(label="Your name")
    enter = gr.Button("Enter")
    button = gr.Button("Clap")
    shown_name = gr.Textbox(label="Signed in as", interactive=False)
    shown_claps = gr.Number(label="Claps", interactive=False)

    enter.click(sign_in, [your_name, claps], [name, shown_name, shown_claps], api_name="sign_in")
    # By default the page swallows a click while an earlier one is under way: trigger_mode="multiple" sends them all.
    # One at a time is the default of the server, written down here because the State's count depends on it: each call gets
    # the value that the call before it returned. The limit holds for all visitors together, so it also makes them queue.
    button.click(
        clap,
        [name, claps],
        [claps, shown_name, shown_claps],
        trigger_mode="multiple",
        concurrency_limit=1,
        api_name="clap",
    )

if __name__ == "__main__":
    demo.launch()
