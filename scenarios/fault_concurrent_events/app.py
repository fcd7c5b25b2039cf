"""A shopping list whose button may be clicked while the click before is still worked on: both start from the same list."""

import time

import gradio as gr


def add(item, items):
    time.sleep(0.05)  # looking up the price
    items = [*items, item]
    return items, items


with gr.Blocks(title="Shopping list") as demo:
    items = gr.State([])
    item = gr.Textbox(label="Item")
    button = gr.Button("Add")
    shown = gr.JSON(label="Items")

    button.click(
        add, [item, items], [items, shown], concurrency_limit=None, trigger_mode="multiple", api_name="add"
    )

if __name__ == "__main__":
    demo.launch()
