"""A search in two steps, where the second looks for the question in a module global: by then it may be another visitor's."""

import time

import gradio as gr

QUESTION = ""


def prepare(question):
    global QUESTION
    QUESTION = question
    return f"Searching for {question}"


def search():
    time.sleep(0.02)
    return f"Found: {QUESTION}"


with gr.Blocks(title="Search") as demo:
    question = gr.Textbox(label="Question")
    button = gr.Button("Search")
    status = gr.Textbox(label="Status", interactive=False)
    result = gr.Textbox(label="Result", interactive=False)

    button.click(prepare, question, status).then(search, None, result)

if __name__ == "__main__":
    demo.launch()
