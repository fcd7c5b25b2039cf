"""The baseline app: it keeps no state, and has as many components and functions as requested. It measures Gradio's own cost.

It can also have gr.State without values: what Gradio needs to keep a value is not what the value needs.
"""

import os

import gradio as gr

# Class and number of components: `Button:1,Textbox:2`.
COMPONENTS = os.environ.get("COMPONENTS", "Button:1,Textbox:2")
FUNCTIONS = int(os.environ.get("FUNCTIONS", "1"))
# A timer would send requests of its own. Gradio creates forms by itself.
LEFT_OUT = {"BrowserState", "Timer", "Form"}


def echo(text, *nothing):
    return (text, *nothing) if nothing else text


def make(name):
    """Create a component of this class, or a number if the class needs arguments."""
    try:
        getattr(gr, name)()
    except Exception:
        gr.Number(label="Unused")


wanted = dict(part.split(":") for part in COMPONENTS.split(",") if part)
with gr.Blocks(title="Baseline app") as demo:
    nothing = [gr.State(None) for _ in range(int(wanted.pop("State", 0)))]
    text = gr.Textbox(label="Say")
    said = gr.Textbox(label="Said", interactive=False)
    button = gr.Button("Echo")
    button.click(echo, [text, *nothing], [said, *nothing], api_name="echo")
    # In an app without State, Gradio notices a closed page only if there is an unload event.
    demo.unload(lambda: None)
    while len(demo.fns) < FUNCTIONS:
        text.submit(echo, [text, *nothing], [said, *nothing], api_name="unused")
    made = {"Textbox": 2, "Button": 1}
    for kind, number in wanted.items():
        if kind not in LEFT_OUT:
            for _ in range(int(number) - made.get(kind, 0)):
                make(kind)

if __name__ == "__main__":
    demo.launch()
