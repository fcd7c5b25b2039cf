"""A safe for one document: what a visitor uploads is kept in a gr.State, byte for byte, and given back as a file."""

import tempfile
from pathlib import Path

import gradio as gr

FOLDER = Path(tempfile.mkdtemp())


def keep(path):
    document = Path(path).read_bytes()
    return document, f"Kept {len(document)} bytes."


def give_back(document, request: gr.Request):
    path = FOLDER / f"{request.session_hash}.bin"
    path.write_bytes(document)
    return str(path)


def forget(request: gr.Request):
    (FOLDER / f"{request.session_hash}.bin").unlink(missing_ok=True)


# Gradio copies the files that it sends, and keeps no copy for longer than ten minutes.
with gr.Blocks(title="Safe", delete_cache=(600, 600)) as demo:
    document = gr.State(b"")
    upload = gr.File(label="Document")
    told = gr.Textbox(label="Told", interactive=False)
    back_button = gr.Button("Give back")
    back = gr.File(label="Your document", interactive=False)

    upload.upload(keep, upload, [document, told], api_name="keep")
    back_button.click(give_back, document, back, api_name="give_back")
    demo.unload(forget)

if __name__ == "__main__":
    demo.launch()
