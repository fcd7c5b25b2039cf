"""Likes, counted for all visitors together on purpose, but without a lock: two at once read the same number, and one is lost."""

import time

import gradio as gr

LIKES = 0


def like():
    global LIKES
    likes = LIKES
    time.sleep(0.01)  # what reading and writing takes where the number is kept in a file
    LIKES = likes + 1
    return LIKES


with gr.Blocks(title="Likes") as demo:
    button = gr.Button("Like")
    total = gr.Number(label="Likes", interactive=False)

    button.click(like, None, total, concurrency_limit=None, api_name="like")

if __name__ == "__main__":
    demo.launch()
