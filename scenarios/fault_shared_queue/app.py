"""A chat whose worker threads put all replies into one queue: a visitor takes the next reply, which may be another visitor's."""

import queue
import random
import threading
import time

import gradio as gr

questions = queue.Queue()
replies = queue.Queue()


def work():
    while True:
        question = questions.get()
        time.sleep(random.uniform(0.01, 0.05))
        replies.put(f"You asked: {question}")


for _ in range(4):
    threading.Thread(target=work, daemon=True).start()


def ask(question):
    questions.put(question)
    return replies.get()


with gr.Blocks(title="Questions") as demo:
    question = gr.Textbox(label="Question")
    button = gr.Button("Ask")
    reply = gr.Textbox(label="Reply", interactive=False)

    button.click(ask, question, reply, concurrency_limit=None, api_name="ask")

if __name__ == "__main__":
    demo.launch()
