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
    # On the server, the State goes back to its initial value. In the page, the Textbox is emptied even if it has a default:
    # a ClearButton removes the value of visible components.
    gr.ClearButton([kept, note], value="Start over")
    shown = gr.JSON(label="Kept notes", value=[])

    keep_button.click(keep, [note, kept], kept, api_name="keep")
    # Shows the State after each change, by either button.
    kept.change(show, kept, shown)

if __name__ == "__main__":
    demo.launch()
