"""A reset function: one button puts several States, and what shows them, back to where they began."""

import gradio as gr


def add(item, count, items):
    count += 1
    items = [*items, item]
    return count, items, count, items, ""


def reset():
    # One value for each output, in order: the States first, then everything that shows them.
    return 0, [], 0, [], ""


with gr.Blocks(title="Collection") as demo:
    count = gr.State(0)
    items = gr.State([])
    item = gr.Textbox(label="Item")
    with gr.Row():
        add_button = gr.Button("Add")
        reset_button = gr.Button("Reset")
    total = gr.Number(label="Total", value=0, interactive=False)
    shown = gr.JSON(label="Items", value=[])

    everything = [count, items, total, shown, item]
    add_button.click(add, [item, count, items], everything)
    reset_button.click(reset, None, everything)

if __name__ == "__main__":
    demo.launch()
