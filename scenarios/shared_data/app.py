"""A guest book for all visitors: waves are counted in a module global, entries are rows in SQLite. Neither is State, on purpose."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import gradio as gr

DATABASE = Path(os.environ.get("GRADSOAK_DATA", ".")) / "guest_book.sqlite"

waves = 0
# Gradio calls functions in many threads. Without the lock, two of them may read the same count and write the same next one.
waves_lock = threading.Lock()


def connect():
    # A connection per call: one connection must not be used by several threads. A call that finds the database locked waits.
    return closing(sqlite3.connect(DATABASE, timeout=30))


with connect() as database, database:
    database.execute("CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, text TEXT)")


def wave():
    global waves
    with waves_lock:
        waves += 1
        return waves


def sign(text):
    # One transaction: no other write comes between the entry and its count.
    with connect() as database, database:
        database.execute("INSERT INTO entries (text) VALUES (?)", [text])
        return database.execute("SELECT count(*) FROM entries").fetchone()[0]


def read():
    with connect() as database:
        return [text for (text,) in database.execute("SELECT text FROM entries ORDER BY number")]


with gr.Blocks(title="Guest book") as demo:
    wave_button = gr.Button("Wave")
    shown_waves = gr.Number(label="Waves of all visitors", interactive=False)
    entry = gr.Textbox(label="Entry")
    sign_button = gr.Button("Sign")
    count = gr.Number(label="Entries of all visitors", interactive=False)
    read_button = gr.Button("Read the book")
    book = gr.JSON(label="Guest book")

    # No limits: whether visitors get in each other's way is left to the lock and to the database.
    wave_button.click(wave, None, shown_waves, concurrency_limit=None, api_name="wave")
    sign_button.click(sign, entry, count, concurrency_limit=None, api_name="sign")
    read_button.click(read, None, book, concurrency_limit=None, api_name="read")

if __name__ == "__main__":
    demo.launch()
