"""A notepad whose "Start over" button clears a gr.State and a Textbox together."""

import gradio as gr


def keep(note, kept):
    return [*kept, note]


def show(kept):
    return kept


with gr.Blocks(title="Notepad") as demo:
    kept = gr.State([])
    note = gr.Textbox(label="Note")
    keep_button = gr.Button("Keep")
    # The State goes back to the value that it was made with, on the server. The Textbox is emptied in the page, whatever
    # its own default is: a ClearButton gives visible components no value rather than their first one.
    gr.ClearButton([kept, note], value="Start over")
    shown = gr.JSON(label="Kept notes", value=[])

    keep_button.click(keep, [note, kept], kept, api_name="keep")
    # Shows what the State holds whenever that has changed, by whichever button.
    kept.change(show, kept, shown)

if __name__ == "__main__":
    demo.launch()
