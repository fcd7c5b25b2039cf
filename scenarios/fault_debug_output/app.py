"""A page whose settings, an access key among them, stay in gr.State; a line for debugging shows them all."""

import gradio as gr


def connect(key):
    return {"key": key, "calls": 0}, 0


def ask(settings):
    settings = {**settings, "calls": settings["calls"] + 1}
    return settings, settings["calls"], f"settings: {settings}"


with gr.Blocks(title="Service") as demo:
    settings = gr.State({"key": "", "calls": 0})
    key = gr.Textbox(label="Access key", type="password")
    connect_button = gr.Button("Connect")
    ask_button = gr.Button("Ask")
    calls = gr.Number(label="Calls", interactive=False)
    debug = gr.Textbox(label="Debug", interactive=False)

    connect_button.click(connect, key, [settings, calls], api_name="connect")
    ask_button.click(ask, settings, [settings, calls, debug], api_name="ask")

if __name__ == "__main__":
    demo.launch()
