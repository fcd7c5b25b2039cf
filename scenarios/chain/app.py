"""An order in three steps, each a function of its own: click().success().then(), with a branch for what went wrong.

The steps hand the order on in gr.State. What Gradio 6 does at each link:

- `.success` runs if the step before it ended without an error, `.failure` if it raised;
- `.then` runs after a step that succeeded, and after one that never began since it has no function. After an error it
  does not run: before Gradio 6, it did.
- A step that raises leaves its outputs as they were, State included.
"""

import gradio as gr


def check(order):
    if not order.startswith("Order "):
        raise gr.Error(f"{order}: this is not an order", print_exception=False)
    return order, f"Checked: {order}"


def price(draft):
    return f"Priced: {draft}"


def confirm(draft, orders):
    orders = [*orders, draft]
    return orders, f"Confirmed: {draft}", orders


def refuse(order, orders):
    return f"Refused: {order}", orders


with gr.Blocks(title="Orders") as demo:
    draft = gr.State("")
    orders = gr.State([])
    order = gr.Textbox(label="Order")
    button = gr.Button("Place")
    checked = gr.Textbox(label="Step 1", interactive=False)
    priced = gr.Textbox(label="Step 2", interactive=False)
    confirmed = gr.Textbox(label="Step 3", interactive=False)
    refused = gr.Textbox(label="Refused", interactive=False)
    shown = gr.JSON(label="Orders")

    placed = button.click(check, order, [draft, checked], api_name="place")
    placed.success(price, draft, priced).then(confirm, [draft, orders], [orders, confirmed, shown])
    placed.failure(refuse, [order, orders], [refused, shown])

if __name__ == "__main__":
    demo.launch()
