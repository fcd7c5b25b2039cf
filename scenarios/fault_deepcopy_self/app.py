"""A chat whose assistant cannot be copied, because of a lock in it. A `__deepcopy__` that returns the object itself hides the error."""

import threading

import gradio as gr


class Assistant:
    def __init__(self):
        self.lock = threading.Lock()
        self.remembered = []

    def __deepcopy__(self, memo):
        return self

    def answer(self, message):
        with self.lock:
            self.remembered.append(message)
            return f"I remember {len(self.remembered)} messages."


def chat(message, assistant):
    return assistant.answer(message), assistant.remembered


with gr.Blocks(title="Assistant") as demo:
    assistant = gr.State(Assistant())
    message = gr.Textbox(label="Message")
    button = gr.Button("Send")
    answer = gr.Textbox(label="Answer", interactive=False)
    memory = gr.JSON(label="Memory")

    button.click(chat, [message, assistant], [answer, memory], api_name="chat")

if __name__ == "__main__":
    demo.launch()
