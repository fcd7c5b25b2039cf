"""A board for all visitors, read through a cache that is refreshed a few times a second: a visitor does not see their own new entry at once."""

import threading
import time

import gradio as gr

REFRESH_S = 0.1

notes = []
cache = []


def refresh():
    while True:
        cache[:] = notes
        time.sleep(REFRESH_S)


threading.Thread(target=refresh, daemon=True).start()


def post(note):
    notes.append(note)
    return f"Posted {note}"


def read():
    return list(cache)


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
