"""Notes by person, as rows in SQLite: they outlive the page, and the server too. Only who is signed in is State."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import gradio as gr

DATABASE = Path(os.environ.get("GRADSOAK_DATA", ".")) / "notes.sqlite"


def connect():
    # A connection per call: one connection must not be used by several threads. A call that finds the database locked waits.
    return closing(sqlite3.connect(DATABASE, timeout=30))


def notes_of(name, database):
    rows = database.execute("SELECT text FROM notes WHERE name = ? ORDER BY number", [name])
    return [text for (text,) in rows]


with connect() as database, database:
    database.execute(
        "CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL)"
    )
    database.execute("CREATE INDEX IF NOT EXISTS notes_by_name ON notes (name)")


def sign_in(name):
    with connect() as database:
        return name, name, notes_of(name, database)


def save(text, name):
    if not name:
        raise gr.Error("Sign in first.", print_exception=False)
    # Committed before the page gets the answer: a note shown as saved is still there after a restart of the server.
    with connect() as database, database:
        database.execute("INSERT INTO notes (name, text) VALUES (?, ?)", [name, text])
        return name, notes_of(name, database)


with gr.Blocks(title="Notes") as demo:
    name = gr.State("")
    your_name = gr.Textbox(label="Your name")
    enter = gr.Button("Sign in")
    text = gr.Textbox(label="Note")
    save_button = gr.Button("Save")
    shown_name = gr.Textbox(label="Signed in as", interactive=False)
    notes = gr.JSON(label="Notes")

    enter.click(sign_in, your_name, [name, shown_name, notes], concurrency_limit=None)
    save_button.click(save, [text, name], [shown_name, notes], concurrency_limit=None)

if __name__ == "__main__":
    demo.launch()
