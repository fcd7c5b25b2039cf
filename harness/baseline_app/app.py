"""A page that keeps nothing, with the components and as many functions as it is told: what Gradio itself takes for a session.

Where it is told of State it has as many, with nothing in it: what Gradio needs to keep a value is not what the value needs.
"""

import os

import gradio as gr

# Class and number, as `Button:1,Textbox:2`.
COMPONENTS = os.environ.get("COMPONENTS", "Button:1,Textbox:2")
FUNCTIONS = int(os.environ.get("FUNCTIONS", "1"))
# A timer would make requests of its own. Forms come by themselves.
LEFT_OUT = {"BrowserState", "Timer", "Form"}


def echo(text, *nothing):
    return (text, *nothing) if nothing else text


def make(name):
    """A component of this class; a number in place of one that cannot be made without being told more."""
    try:
        getattr(gr, name)()
    except Exception:
        gr.Number(label="Nobody reads this")


wanted = dict(part.split(":") for part in COMPONENTS.split(",") if part)
with gr.Blocks(title="Control") as demo:
    nothing = [gr.State(None) for _ in range(int(wanted.pop("State", 0)))]
    text = gr.Textbox(label="Say")
    said = gr.Textbox(label="Said", interactive=False)
    button = gr.Button("Echo")
    button.click(echo, [text, *nothing], [said, *nothing], api_name="echo")
    # Only with something to do at the end does Gradio watch whether a page of an app without State has closed.
    demo.unload(lambda: None)
    while len(demo.fns) < FUNCTIONS:
        text.submit(echo, [text, *nothing], [said, *nothing], api_name="nobody_calls_this")
    made = {"Textbox": 2, "Button": 1}
    for kind, number in wanted.items():
        if kind not in LEFT_OUT:
            for _ in range(int(number) - made.get(kind, 0)):
                make(kind)

if __name__ == "__main__":
    demo.launch()
