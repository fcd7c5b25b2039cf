"""What Gradio says of an Interface that has not exactly one state in and one out. Run it: python refused.py."""

import gradio as gr


def echo(*values):
    return values


for inputs, outputs in (
    (["text", "state"], ["text"]),
    (["text"], ["text", "state"]),
    (["text", "state", "state"], ["text", "state", "state"]),
):
    try:
        gr.Interface(echo, inputs, outputs)
    except ValueError as error:
        print(f"{inputs} to {outputs}: {error}")
