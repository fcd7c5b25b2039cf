"""The click counter on a server that keeps the state of at most six sessions: the session that clicked longest ago starts again at 0."""

import gradio as gr


def click(label, count, clicks):
    count += 1
    clicks = [*clicks, label]
    return count, clicks, count, clicks


with gr.Blocks(title="Click counter") as demo:
    count = gr.State(0)
    clicks = gr.State([])
    label = gr.Textbox(label="What are you counting?")
    button = gr.Button("Count")
    total = gr.Number(label="Total", interactive=False)
    log = gr.JSON(label="Clicks")

    button.click(click, [label, count, clicks], [count, clicks, total, log], api_name="click")

if __name__ == "__main__":
    # Set to save memory. An open tab does not protect its state, and Gradio does not report that it drops one.
    demo.launch(state_session_capacity=6)
