"""A page without state, with as many components and functions as it is told: what Gradio itself takes for a session."""

import os

import gradio as gr

COMPONENTS = int(os.environ.get("COMPONENTS", "8"))
FUNCTIONS = int(os.environ.get("FUNCTIONS", "1"))


def echo(text):
    return text


with gr.Blocks(title="Control") as demo:
    text = gr.Textbox(label="Say")
    said = gr.Textbox(label="Said", interactive=False)
    button = gr.Button("Echo")
    button.click(echo, text, said, api_name="echo")
    spare = gr.Button("Nobody clicks this")
    while len(demo.fns) < FUNCTIONS:
        spare.click(echo, text, said)
    # Only with something to do at the end does Gradio watch whether a page of an app without State has closed.
    demo.unload(lambda: None)
    while len(demo.blocks) < COMPONENTS:
        gr.Number(label="Nobody reads this")

if __name__ == "__main__":
    demo.launch()
