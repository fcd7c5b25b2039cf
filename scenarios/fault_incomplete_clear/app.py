"""A shopping list whose Clear button empties the page but not gr.State: with the next item all old items are back."""

import gradio as gr


def add(item, items):
    items = [*items, item]
    return items, items


def clear():
    return []


with gr.Blocks(title="Shopping list") as demo:
    items = gr.State([])
    item = gr.Textbox(label="Item")
    add_button = gr.Button("Add")
    clear_button = gr.Button("Clear")
    shown = gr.JSON(label="Items")

    add_button.click(add, [item, items], [items, shown], api_name="add")
    clear_button.click(clear, None, shown, api_name="clear")

if __name__ == "__main__":
    demo.launch()
