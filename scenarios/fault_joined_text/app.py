"""A list kept as one text with commas between the items: an item with a comma in it comes back as two other items."""

import gradio as gr


def add(item, text):
    text = f"{text},{item}" if text else item
    return text, text.split(",")


with gr.Blocks(title="Shopping list") as demo:
    text = gr.State("")
    item = gr.Textbox(label="Item")
    button = gr.Button("Add")
    shown = gr.JSON(label="Items")

    button.click(add, [item, text], [text, shown], api_name="add")

if __name__ == "__main__":
    demo.launch()
