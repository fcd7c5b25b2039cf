"""The click counter with its mistake: the counts are module globals, so every visitor shares them."""

import gradio as gr

COUNT = 0
CLICKS = []


def click(label):
    global COUNT
    COUNT += 1
    CLICKS.append(label)
    return COUNT, CLICKS


with gr.Blocks(title="Click counter") as demo:
    label = gr.Textbox(label="What are you counting?")
    button = gr.Button("Count")
    total = gr.Number(label="Total", interactive=False)
    log = gr.JSON(label="Clicks")

    button.click(click, label, [total, log], api_name="click")

if __name__ == "__main__":
    demo.launch()
