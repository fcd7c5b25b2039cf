"""A diary saved in the background, by several threads that do not wait for each other: the second entry may come before the first."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import gradio as gr

diaries = {}
background = ThreadPoolExecutor(max_workers=16)


def save(entry, session):
    time.sleep(random.uniform(0.0, 0.3))
    diaries.setdefault(session, []).append(entry)


def add(entry, request: gr.Request):
    background.submit(save, entry, request.session_hash)
    return f"Saved {entry}"


def read(request: gr.Request):
    return diaries.get(request.session_hash, [])


def forget(request: gr.Request):
    diaries.pop(request.session_hash, None)


with gr.Blocks(title="Diary") as demo:
    entry = gr.Textbox(label="Entry")
    add_button = gr.Button("Add")
    saved = gr.Textbox(label="Saved", interactive=False)
    read_button = gr.Button("Read")
    diary = gr.JSON(label="Diary")

    add_button.click(add, entry, saved, api_name="add")
    read_button.click(read, None, diary, api_name="read")
    demo.unload(forget)

if __name__ == "__main__":
    demo.launch()
