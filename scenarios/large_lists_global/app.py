"""The large table with its mistake: one table for all visitors, in module globals."""

import os
import random
import zlib

import gradio as gr

LIST_ITEMS = int(os.environ.get("LIST_ITEMS", "1000000"))
TABLE = {"name": "empty", "rows": []}
NOTES = []


def fill(name):
    global TABLE
    TABLE = {"name": name, "rows": list(random.Random(name).randbytes(LIST_ITEMS))}
    NOTES.clear()
    return describe(TABLE), NOTES


def annotate(note):
    NOTES.append(note)
    return describe(TABLE), NOTES


def describe(table):
    rows = table["rows"]
    return f"{table['name']}: {len(rows)} rows, checksum {zlib.crc32(bytes(rows)):08x}"


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
