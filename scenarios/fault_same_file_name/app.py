"""A safe that keeps documents in one folder, by the name that they come with: of two of one name, the later is the only one."""

import shutil
import tempfile
import uuid
from pathlib import Path

import gradio as gr

FOLDER = Path(tempfile.mkdtemp())


def keep(path):
    kept = FOLDER / Path(path).name
    shutil.copyfile(path, whole := FOLDER / uuid.uuid4().hex)
    whole.replace(kept)  # at once: nobody reads half a document
    return str(kept), f"Kept {kept.stat().st_size} bytes."


def give_back(kept):
    return kept


# Gradio copies what it sends; of these copies it keeps none for longer than ten minutes.
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
