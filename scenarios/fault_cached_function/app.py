"""A chat whose assistant is loaded once for each style, since that takes long; its memory of the conversation is cached with it."""

import functools

import gradio as gr


class Assistant:
    def __init__(self, style):
        self.style = style
        self.remembered = []

    def answer(self, message):
        self.remembered.append(message)
        return f"{self.style}: I remember {len(self.remembered)} messages."


@functools.cache
def load_assistant(style):
    return Assistant(style)


def chat(style, message):
    assistant = load_assistant(style)
    return assistant.answer(message), assistant.remembered


with gr.Blocks(title="Assistant") as demo:
    style = gr.Dropdown(["Formal", "Friendly"], label="Style")
    message = gr.Textbox(label="Message")
    button = gr.Button("Send")
    answer = gr.Textbox(label="Answer", interactive=False)
    memory = gr.JSON(label="Memory")

    button.click(chat, [style, message], [answer, memory], api_name="chat")

if __name__ == "__main__":
    demo.launch()
