"""A table of many rows in a gr.State: filled once, then annotated. How many rows is adjustable."""

import os

import gradio as gr

LIST_ITEMS = int(os.environ.get("LIST_ITEMS", "20000"))


def fill(name):
    # Numbers that differ from table to table, so that each list is made of objects of its own.
    start = sum(name.encode()) * 1_000_003
    rows = [name, *range(start, start + LIST_ITEMS)]
    return rows, [], describe(rows), []


def annotate(note, rows, notes):
    notes = [*notes, note]
    return rows, notes, describe(rows), notes


def describe(rows):
    name, *numbers = rows
    return f"{name}: {len(numbers)} rows, sum {sum(numbers)}"


with gr.Blocks(title="Large table") as demo:
    rows = gr.State([])
    notes = gr.State([])
    name = gr.Textbox(label="Name of the table")
    fill_button = gr.Button("Fill")
    note = gr.Textbox(label="Note")
    annotate_button = gr.Button("Annotate")
    summary = gr.Textbox(label="Summary", interactive=False)
    all_notes = gr.JSON(label="Notes")

    fill_button.click(fill, name, [rows, notes, summary, all_notes], api_name="fill")
    annotate_button.click(
        annotate, [note, rows, notes], [rows, notes, summary, all_notes], api_name="annotate"
    )

if __name__ == "__main__":
    demo.launch()
