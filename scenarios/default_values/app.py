"""Default values of every kind in gr.State: each session starts from a copy of its own, however deep the value."""

import uuid

import gradio as gr


def new_visit():
    return uuid.uuid4().hex


def show(size, title, items, options, trip, visit):
    return {
        "size": size,
        "title": title,
        "items": items,
        "options": options,
        "trip": trip,
        "visit": visit,
    }


def change(word, size, title, items, options, trip, visit):
    # All in place: if two sessions shared any part of a default, one would see the other's words here.
    size += 1
    title = word
    items.append(word)
    options["colour"] = word
    trip["from"]["town"] = word
    trip["stops"].append(word)
    return size, title, items, options, trip, visit, show(size, title, items, options, trip, visit)


with gr.Blocks(title="Default values") as demo:
    values = [
        gr.State(10),
        gr.State("untitled"),
        gr.State([]),
        gr.State({"colour": "grey", "shape": "round"}),
        gr.State({"from": {"town": "nowhere", "street": "none"}, "stops": []}),
        # Gradio calls the function for each page load, and once more when the app starts.
        gr.State(new_visit),
    ]
    word = gr.Textbox(label="Word")
    with gr.Row():
        show_button = gr.Button("Show")
        change_button = gr.Button("Change")
    shown = gr.JSON(label="Values")

    show_button.click(show, values, shown)
    change_button.click(change, [word, *values], [*values, shown])

if __name__ == "__main__":
    demo.launch()
