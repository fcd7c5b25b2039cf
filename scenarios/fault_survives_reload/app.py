"""A shopping cart kept by the name that a visitor gives: after a reload of the page it is full again."""

import gradio as gr

CARTS = {}


def enter(name):
    cart = CARTS.setdefault(name, [])
    return name, cart


def add(item, name):
    CARTS[name].append(item)
    return CARTS[name]


with gr.Blocks(title="Shop") as demo:
    visitor = gr.State("")
    name = gr.Textbox(label="Your name")
    enter_button = gr.Button("Enter")
    item = gr.Textbox(label="Item")
    add_button = gr.Button("Add to cart")
    shown = gr.JSON(label="Cart")

    enter_button.click(enter, name, [visitor, shown], api_name="enter")
    add_button.click(add, [item, visitor], shown, api_name="add")

if __name__ == "__main__":
    demo.launch()
