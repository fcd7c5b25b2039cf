"""The click counter with an update that goes nowhere: the new values are shown, but not returned to gr.State."""

import gradio as gr


def click(label, count, clicks):
    count += 1
    clicks = [*clicks, label]
    return count, clicks


with gr.Blocks(title="Click counter") as demo:
    count = gr.State(0)
    clicks = gr.State([])
    label = gr.Textbox(label="What are you counting?")
    button = gr.Button("Count")
    total = gr.Number(label="Total", interactive=False)
    log = gr.JSON(label="Clicks")

    button.click(click, [label, count, clicks], [total, log], api_name="click")

if __name__ == "__main__":
    demo.launch()
