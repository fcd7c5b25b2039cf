"""A chat whose assistant is prepared for a visitor by name. That takes long, so the function that takes the name is cached."""

import functools

import gradio as gr


class Assistant:
    def __init__(self, name):
        self.name = name
        self.remembered = []

    def answer(self, message):
        self.remembered.append(message)
        return f"{self.name}, I remember {len(self.remembered)} messages of yours."


@functools.cache
def prepare_assistant(name):
    # Two visitors of one name are one visitor to the cache.
    return Assistant(name)


def chat(name, message):
    assistant = prepare_assistant(name)
    return assistant.answer(message), assistant.remembered


with gr.Blocks(title="Assistant") as demo:
    name = gr.Textbox(label="Your first name")
    message = gr.Textbox(label="Message")
    button = gr.Button("Send")
    answer = gr.Textbox(label="Answer", interactive=False)
    memory = gr.JSON(label="Memory")

    button.click(chat, [name, message], [answer, memory], api_name="chat")

if __name__ == "__main__":
    demo.launch()
