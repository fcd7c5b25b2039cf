"""A report maker that always writes to the same file: a slow reader gets another visitor's report."""

import os
import tempfile
import time
from pathlib import Path

import gradio as gr

FOLDER = Path(os.environ.get("GRADSOAK_DATA") or tempfile.gettempdir())


def make_report(subject):
    path = FOLDER / "report.txt"
    path.write_text(f"A report on {subject}.\n")
    time.sleep(0.05)  # the charts
    return path.read_text()


with gr.Blocks(title="Reports") as demo:
    subject = gr.Textbox(label="Subject")
    button = gr.Button("Make report")
    report = gr.Textbox(label="Report", interactive=False)

    button.click(make_report, subject, report, concurrency_limit=8, api_name="report")

if __name__ == "__main__":
    demo.launch()
