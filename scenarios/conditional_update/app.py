"""A logbook of measurements that keeps only those above a threshold."""

import gradio as gr

THRESHOLD = 10


def measure(value, label, kept):
    if value > THRESHOLD:
        kept = [*kept, label]
        said = f"Kept: {label}"
    else:
        said = f"Too low: {label}"
    # The State is returned either way: an output that is left out would be an error, not "unchanged".
    return kept, said, kept


with gr.Blocks(title="Logbook") as demo:
    kept = gr.State([])
    value = gr.Number(label="Measured value")
    label = gr.Textbox(label="Label")
    button = gr.Button("Enter")
    said = gr.Textbox(label="Result", interactive=False)
    shown = gr.JSON(label="Kept measurements")

    button.click(measure, [value, label, kept], [kept, said, shown], api_name="measure")

if __name__ == "__main__":
    demo.launch()
