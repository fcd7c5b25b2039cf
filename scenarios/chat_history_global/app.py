"""The chat with its mistake: one history for all visitors, in a module global."""

import os
import time

import gradio as gr

REPLY_S = float(os.environ.get("REPLY_S", "0.05"))
HISTORY = []


def reply(message, _history):
    time.sleep(REPLY_S)
    HISTORY.append({"role": "user", "content": message})
    HISTORY.append({"role": "assistant", "content": f"You said: {message}"})
    return "", HISTORY


with gr.Blocks(title="Chat") as demo:
    chatbot = gr.Chatbot(label="Chat")
    message = gr.Textbox(label="Message")
    # Textbox and Chatbot are emptied in the page without a request, so the server's history stays.
    gr.ClearButton([message, chatbot])

    # A reply mostly waits, so replies may run at the same time instead of in a queue (the default limit is 1).
    message.submit(reply, [message, chatbot], [message, chatbot], api_name="reply", concurrency_limit=None)

if __name__ == "__main__":
    demo.launch()
