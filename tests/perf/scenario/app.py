"""The smallest app that has all a call needs: an input, two states that are written, two outputs."""

import gradio as gr


def act(text, count, last):
    count += 1
    return count, text, count, text


with gr.Blocks(title="Load side") as demo:
    count = gr.State(0)
    last = gr.State("")
    text = gr.Textbox(label="Text")
    button = gr.Button("Act")
    total = gr.Number(label="Total", interactive=False)
    shown = gr.Textbox(label="Last", interactive=False)

    button.click(act, [text, count, last], [count, last, total, shown], api_name="act")

if __name__ == "__main__":
    demo.launch()
