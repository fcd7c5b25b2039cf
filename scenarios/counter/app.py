"""The smallest state there is: a number in gr.State, an input and an output of the same function."""

import gradio as gr


def count_one(count):
    count += 1
    return count, count


with gr.Blocks(title="Counter") as demo:
    count = gr.State(0)
    button = gr.Button("Count")
    total = gr.Number(label="Total", value=0, interactive=False)

    # The first output is the State itself: a value that is not returned to it is lost.
    button.click(count_one, count, [count, total])

if __name__ == "__main__":
    demo.launch()
