"""A list of clicks whose button is wired twice, once by itself and once with the Enter key: one click counts as two."""

import gradio as gr


def click(label, clicks):
    clicks = [*clicks, label]
    return clicks, clicks


with gr.Blocks(title="Clicks") as demo:
    clicks = gr.State([])
    label = gr.Textbox(label="What are you counting?")
    button = gr.Button("Count")
    log = gr.JSON(label="Clicks")

    button.click(click, [label, clicks], [clicks, log])
    gr.on([label.submit, button.click], click, [label, clicks], [clicks, log])

if __name__ == "__main__":
    demo.launch()
