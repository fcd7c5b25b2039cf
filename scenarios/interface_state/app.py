"""gr.Interface with the "state" shortcut: a text that grows, kept for each visitor without a line of Blocks.

There must be exactly one state among the inputs and one among the outputs; `refused.py` shows what Gradio says otherwise.
"""

import gradio as gr


def add_line(line, text):
    # The shortcut starts as None; a default in the signature (`text=""`) is not used. For another start, write
    # gr.State("…") in the place of "state", in inputs and in outputs.
    text = f"{text}\n{line}" if text else line
    return text, text


demo = gr.Interface(
    add_line,
    inputs=[gr.Textbox(label="Line"), "state"],
    outputs=[gr.Textbox(label="Text", lines=8), "state"],
    title="Line by line",
    flagging_mode="never",
)

if __name__ == "__main__":
    demo.launch()
