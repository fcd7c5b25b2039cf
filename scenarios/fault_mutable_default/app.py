"""The click counter with a mutable default argument: Python makes the list once, for all calls and so for all sessions."""

import gradio as gr


def click(label, clicks=[]):  # noqa: B006
    clicks.append(label)
    return len(clicks), clicks


with gr.Blocks(title="Click counter") as demo:
    label = gr.Textbox(label="What are you counting?")
    button = gr.Button("Count")
    total = gr.Number(label="Total", interactive=False)
    log = gr.JSON(label="Clicks")

    button.click(click, label, [total, log], api_name="click")

if __name__ == "__main__":
    demo.launch()
