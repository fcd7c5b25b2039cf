"""The chat with its mistake: one history for everybody, in a module global."""

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
    gr.ClearButton([message, chatbot])

    message.submit(reply, [message, chatbot], [message, chatbot], api_name="reply")

if __name__ == "__main__":
    demo.launch()
