"""gr.ChatInterface with a reply that streams word by word. It keeps the history itself: in the page and in a State."""

import os
import time

import gradio as gr

WORD_S = float(os.environ.get("WORD_S", "0.01"))


def reply(message, history):
    before = sum(turn["role"] == "user" for turn in history)
    words = f"{message} is what you said, after {before} other things.".split()
    for end in range(1, len(words) + 1):
        time.sleep(WORD_S)
        yield " ".join(words[:end])


demo = gr.ChatInterface(
    reply,
    title="Echo",
    chatbot=gr.Chatbot(label="Chat"),
    textbox=gr.Textbox(label="Message"),
    # By default one reply is written at a time, and other visitors wait; here replies stream to all visitors at once.
    concurrency_limit=None,
)

if __name__ == "__main__":
    demo.launch()
