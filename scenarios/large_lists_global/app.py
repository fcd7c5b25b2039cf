"""The large table with its mistake: one table for everybody, in module globals."""

import os

import gradio as gr

LIST_ITEMS = int(os.environ.get("LIST_ITEMS", "20000"))
ROWS = []
NOTES = []


def fill(name):
    start = sum(name.encode()) * 1_000_003
    ROWS[:] = [name, *range(start, start + LIST_ITEMS)]
    NOTES.clear()
    return describe(ROWS), NOTES


def annotate(note):
    NOTES.append(note)
    return describe(ROWS), NOTES


def describe(rows):
    name, *numbers = rows
    return f"{name}: {len(numbers)} rows, sum {sum(numbers)}"


with gr.Blocks(title="Large table") as demo:
    name = gr.Textbox(label="Name of the table")
    fill_button = gr.Button("Fill")
    note = gr.Textbox(label="Note")
    annotate_button = gr.Button("Annotate")
    summary = gr.Textbox(label="Summary", interactive=False)
    all_notes = gr.JSON(label="Notes")

    fill_button.click(fill, name, [summary, all_notes], api_name="fill")
    annotate_button.click(annotate, note, [summary, all_notes], api_name="annotate")

if __name__ == "__main__":
    demo.launch()
