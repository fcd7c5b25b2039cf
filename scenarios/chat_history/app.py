"""A chat whose history is the Chatbot component itself: it lives in the page and travels with every message."""

import os
import time

import gradio as gr

REPLY_S = float(os.environ.get("REPLY_S", "0.05"))


def reply(message, history):
    time.sleep(REPLY_S)
    history = [
        *history,
        {"role": "user", "content": message},
        {"role": "assistant", "content": f"You said: {message}"},
    ]
    return "", history


with gr.Blocks(title="Chat") as demo:
    chatbot = gr.Chatbot(label="Chat")
    message = gr.Textbox(label="Message")
    # Textbox and Chatbot are emptied in the page without a request: the next message brings an empty history.
    gr.ClearButton([message, chatbot])

    # A reply mostly waits, so replies may run at the same time instead of in a queue (the default limit is 1).
    message.submit(reply, [message, chatbot], [message, chatbot], api_name="reply", concurrency_limit=None)

if __name__ == "__main__":
    demo.launch()
