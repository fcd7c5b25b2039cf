"""A Textbox as the state: the visitor may edit it, and the server appends to the page's value."""

import gradio as gr


def add_line(line, history):
    return f"{history}\n{line}" if history else line, ""


with gr.Blocks(title="Editable history") as demo:
    history = gr.Textbox(label="History", lines=10, interactive=True)
    line = gr.Textbox(label="Line")

    line.submit(add_line, [line, history], [history, line])

if __name__ == "__main__":
    demo.launch()
