"""A large table in a gr.State: filled once, then annotated. How many rows is adjustable.

A row is a small number, of which Python keeps one object for all: a row costs the 8 bytes of its place in the list. So
LIST_ITEMS=128 is 1 KB per session, the default of 1,000,000 is 8 MB, and 6,250,000 is 50 MB.
"""

import os
import random
import zlib

import gradio as gr

LIST_ITEMS = int(os.environ.get("LIST_ITEMS", "1000000"))


def fill(name):
    # The numbers follow from the name, so that the workload, which knows the name, can check that the table is intact.
    table = {"name": name, "rows": list(random.Random(name).randbytes(LIST_ITEMS))}
    return table, [], describe(table), []


def annotate(note, table, notes):
    notes = [*notes, note]
    return notes, describe(table), notes


def describe(table):
    rows = table["rows"]
    return f"{table['name']}: {len(rows)} rows, checksum {zlib.crc32(bytes(rows)):08x}"


with gr.Blocks(title="Large table") as demo:
    table = gr.State({"name": "empty", "rows": []})
    notes = gr.State([])
    name = gr.Textbox(label="Name of the table")
    fill_button = gr.Button("Fill")
    note = gr.Textbox(label="Note")
    annotate_button = gr.Button("Annotate")
    summary = gr.Textbox(label="Summary", interactive=False)
    all_notes = gr.JSON(label="Notes")

    fill_button.click(fill, name, [table, notes, summary, all_notes], api_name="fill")
    annotate_button.click(annotate, [note, table, notes], [notes, summary, all_notes], api_name="annotate")

if __name__ == "__main__":
    demo.launch()
