"""A safe that keeps documents in one folder, under their own names: of two documents of one name, only the later is kept."""

import shutil
import tempfile
import uuid
from pathlib import Path

import gradio as gr

FOLDER = Path(tempfile.mkdtemp())


def keep(path):
    kept = FOLDER / Path(path).name
    shutil.copyfile(path, whole := FOLDER / uuid.uuid4().hex)
    whole.replace(kept)  # atomic: no visitor reads half a document
    return str(kept), f"Kept {kept.stat().st_size} bytes."


def give_back(kept):
    return kept


# Gradio copies the files that it sends, and keeps no copy for longer than ten minutes.
with gr.Blocks(title="Safe", delete_cache=(600, 600)) as demo:
    document = gr.State("")
    upload = gr.File(label="Document")
    told = gr.Textbox(label="Told", interactive=False)
    back_button = gr.Button("Give back")
    back = gr.File(label="Your document", interactive=False)

    upload.upload(keep, upload, [document, told], api_name="keep")
    back_button.click(give_back, document, back, api_name="give_back")

if __name__ == "__main__":
    demo.launch()
