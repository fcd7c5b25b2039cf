"""A shopping cart whose items belong to the class and not to the cart: gr.State copies each cart, and all share one list."""

import gradio as gr


class Cart:
    items = []

    def add(self, item):
        self.items.append(item)


def add(item, cart):
    cart.add(item)
    return cart, cart.items


with gr.Blocks(title="Shop") as demo:
    cart = gr.State(Cart())
    item = gr.Textbox(label="Item")
    button = gr.Button("Add to cart")
    shown = gr.JSON(label="Cart")

    button.click(add, [item, cart], [cart, shown], api_name="add")

if __name__ == "__main__":
    demo.launch()
