"""An app in which every kind of listener writes down what it was called with. Driven by a real browser and by our page."""

import json
import os
import time

import gradio as gr

CALLS = os.environ["CALLS"]


def record(name, request, *values):
    line = json.dumps([request.session_hash, name, values], default=str) + "\n"
    with open(CALLS, "a") as stream:
        stream.write(line)


def traced(name, answer=lambda *values: None):
    def listener(request: gr.Request, *values):
        record(name, request, *values)
        return answer(*values)

    return listener


def explode(request: gr.Request):
    record("boom", request)
    raise gr.Error("planted")


def picked(request: gr.Request, value, event: gr.SelectData):
    record("pick-select", request, value, event.index, event.value, event.selected)


def grow():
    return gr.update(choices=["one", "two"], value="two"), gr.update(visible=False), "shown now"


def reply(message, chat):
    said = [{"role": "user", "content": message}, {"role": "assistant", "content": f"you said {message}"}]
    return "", [*chat, *said]


def stream(request: gr.Request):
    record("stream", request)
    for length in range(1, 4):
        time.sleep(0.2)
        yield "x" * length


def slowly(request: gr.Request):
    record("slow", request)
    for n in range(1000):
        time.sleep(0.05)
        yield f"slow {n}"


with gr.Blocks() as demo:
    count = gr.State(0)
    message = gr.Textbox(label="Message")
    number = gr.Number(label="Number")
    flag = gr.Checkbox(label="Flag")
    pick = gr.Dropdown(["red", ("Green", "g")], value=None, label="Pick")
    one = gr.Radio(["x", "y"], label="One")
    boxes = gr.CheckboxGroup(["p", "q"], label="Boxes")
    level = gr.Slider(0, 10, value=3, step=1, label="Level")
    shown = gr.Textbox(label="Shown")
    total = gr.Number(label="Total")
    chat = gr.Chatbot(label="Chat")
    stored = gr.BrowserState("nothing yet", storage_key="fixed", secret="fixed")
    everything = [message, number, flag, pick, one, boxes, level, shown, total, chat, count]

    demo.load(traced("load", lambda: "welcome"), None, shown)

    # State, and what follows an event
    up = gr.Button("Up").click(traced("up", lambda n, m: (n + 1, n + 1)), [count, message], [count, total])
    up.then(traced("up-then"), total)
    up.success(traced("up-success"), total)
    up.failure(traced("up-failure"))
    boom = gr.Button("Boom").click(explode)
    boom.then(traced("boom-then"))
    boom.success(traced("boom-success"))
    boom.failure(traced("boom-failure", lambda: "failed"), None, shown)

    gr.Button("Everything").click(traced("everything"), everything)
    gr.Button("Grow").click(traced("grow", grow), None, [pick, number, shown])

    # What components do when they are set, by a person or by an output
    for name, component in {
        "message": message,
        "number": number,
        "flag": flag,
        "pick": pick,
        "one": one,
        "boxes": boxes,
    }.items():
        component.change(traced(f"{name}-change"), component)
        component.input(traced(f"{name}-input"), component)
    for name, component in {
        "count": count,
        "total": total,
        "shown": shown,
        "chat": chat,
        "stored": stored,
    }.items():
        component.change(traced(f"{name}-change"), component)
    pick.select(picked, pick)
    message.submit(traced("message-submit", reply), [message, chat], [message, chat])

    gr.ClearButton([message, chat, count, one], value="Wipe")
    gr.Button("Constant").click(None, None, shown, js="() => 'from js'")
    gr.Button("Swap").click(
        traced("swap", lambda a, b: (a, b)), [message, shown], [message, shown], js="(a, b) => [b, a]"
    )
    gr.Button("Stream").click(stream, None, shown)
    gr.Button("Direct").click(
        traced("direct", lambda n: n + 10), count, total, queue=False, api_visibility="private"
    )

    @gr.render(inputs=[number])
    def cards(request: gr.Request, n):
        record("render", request, n)
        if n:
            gr.Button("Inner").click(traced("inner", lambda: "from inner"), None, shown)

    gr.Button("Store").click(traced("store", lambda text: f"kept {text}"), message, stored)
    gr.Button("Recall").click(traced("recall", lambda text: text), stored, shown)

    slow = gr.Button("Slow").click(slowly, None, shown)
    slow.then(traced("slow-then"))
    gr.Button("Stop").click(None, None, None, cancels=[slow])

demo.launch()
