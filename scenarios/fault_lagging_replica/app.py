"""A board for all visitors, read alternately from the original and from a copy that lags behind: entries disappear, and come back."""

import itertools
import threading
import time

import gradio as gr

notes = []
replica = []
sources = itertools.cycle([notes, replica])


def replicate():
    while True:
        replica[:] = notes
        time.sleep(0.2)


threading.Thread(target=replicate, daemon=True).start()


def post(note):
    notes.append(note)
    return f"Posted {note}"


def read():
    return list(next(sources))


with gr.Blocks(title="Board") as demo:
    note = gr.Textbox(label="Note")
    post_button = gr.Button("Post")
    posted = gr.Textbox(label="Posted", interactive=False)
    read_button = gr.Button("Read")
    board = gr.JSON(label="Board")

    post_button.click(post, note, posted, api_name="post")
    read_button.click(read, None, board, api_name="read")

if __name__ == "__main__":
    demo.launch()
