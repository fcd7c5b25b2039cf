"""Sealed notes: the seals stay in a hidden gr.State on the server, the page beside it shows the notes alone."""

import hashlib
import hmac
import os

import gradio as gr

KEY = os.environ.get("SEALING_KEY", "not for production").encode()


def seal_of(note):
    return hmac.new(KEY, note.encode(), hashlib.sha256).hexdigest()


def seal(note, sealed):
    sealed = [*sealed, {"note": note, "seal": seal_of(note)}]
    return sealed, [entry["note"] for entry in sealed], len(sealed)


def verify(sealed):
    intact = [entry["note"] for entry in sealed if hmac.compare_digest(entry["seal"], seal_of(entry["note"]))]
    return intact, len(intact)


with gr.Blocks(title="Sealed notes") as demo:
    # In the browser's place for this State stands null, in both directions: there is nothing to read or to forge.
    sealed = gr.State([])
    note = gr.Textbox(label="Note")
    seal_button = gr.Button("Seal")
    verify_button = gr.Button("Verify")
    notes = gr.JSON(label="Notes")
    intact = gr.Number(label="Intact", value=0, interactive=False)

    seal_button.click(seal, [note, sealed], [sealed, notes, intact])
    verify_button.click(verify, sealed, [notes, intact])

if __name__ == "__main__":
    demo.launch()
