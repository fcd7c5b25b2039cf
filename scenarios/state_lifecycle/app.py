"""Seats that are held for a moment, and drafts that last as long as the page: what happens when State ends.

What Gradio 6 does, as far as an app depends on it:

- Once a second it deletes each value whose time is over. `time_to_live` counts from the last write, and an open page does
  not extend it: the next function gets the default again.
- When the page is closed, `unload` runs at once, and each State of that session lives for an hour from its last write; its
  own time_to_live no longer counts. For tests, GRADIO_IS_E2E_TEST=1 makes that a second.
- `delete_callback` gets the value that is deleted. A replaced value gets no callback. A default that was only read stays,
  without a callback; but if a value was deleted before, the default is deleted like that value, with its own callback.
- The callback runs in the event loop: while it works, all visitors wait. If it raises, Gradio deletes no value of any
  session until the app is started again.
"""

import os
from pathlib import Path

import gradio as gr

SEAT_S = float(os.environ.get("SEAT_S", "2"))

# Files record what was cleaned up, for all visitors: a list in memory would grow with every visitor, and so be the leak that
# the clean-up is there to avoid. A real app would cancel the reservation, and delete what the visitor uploaded.
LOGS = Path(os.environ.get("GRADSOAK_DATA", "."))
visitors = {}


def log(what, name):
    with open(LOGS / f"{what}.log", "a") as file:
        file.write(f"{name}\n")


def logged(what):
    file = LOGS / f"{what}.log"
    return file.read_text().split() if file.exists() else []


def free(seat):
    log("freed", seat)


def discard(draft):
    log("discarded", draft)


def enter(name, request: gr.Request):
    visitors[request.session_hash] = name
    return name


def leave(request: gr.Request):
    name = visitors.pop(request.session_hash, None)
    if name is not None:
        log("left", name)


def reserve(seat):
    return seat, seat


def write(text):
    return text, text


def look(draft):
    return draft, logged("left"), logged("discarded"), logged("freed")


with gr.Blocks(title="Box office") as demo:
    seat = gr.State("", time_to_live=SEAT_S, delete_callback=free)
    draft = gr.State("", delete_callback=discard)
    name = gr.Textbox(label="Your name")
    enter_button = gr.Button("Enter")
    welcome = gr.Textbox(label="Signed in as", interactive=False)
    wanted = gr.Textbox(label="Seat")
    reserve_button = gr.Button("Reserve")
    held = gr.Textbox(label="Held for you", interactive=False)
    text = gr.Textbox(label="Message to the box office")
    write_button = gr.Button("Keep as draft")
    shown_draft = gr.Textbox(label="Draft", interactive=False)
    look_button = gr.Button("Look around")
    shown_left = gr.JSON(label="Visitors who left")
    shown_discarded = gr.JSON(label="Drafts discarded")
    shown_freed = gr.JSON(label="Seats freed")

    enter_button.click(enter, name, welcome)
    reserve_button.click(reserve, wanted, [seat, held])
    write_button.click(write, text, [draft, shown_draft])
    look_button.click(look, draft, [shown_draft, shown_left, shown_discarded, shown_freed])
    demo.unload(leave)

if __name__ == "__main__":
    demo.launch()
