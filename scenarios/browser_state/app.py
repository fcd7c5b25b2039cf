"""A draft box kept by the visitor's own browser, in gr.BrowserState: it outlives the page, and the server does not have it."""

import gradio as gr


def show(drafts):
    return drafts


def keep(text, drafts):
    drafts = [*drafts, text]
    return drafts, drafts


with gr.Blocks(title="Drafts") as demo:
    # Without a key and a secret of its own, a BrowserState gets random ones whenever the app starts, and then finds nothing of
    # what browsers had kept for it before. The secret only hides the value from who looks at the browser's storage: it is
    # sent to every page, so it need not be a good one.
    drafts = gr.BrowserState([], storage_key="drafts", secret="drafts of this app")
    text = gr.Textbox(label="Draft")
    button = gr.Button("Keep")
    shown = gr.JSON(label="Drafts")

    # What the browser kept is an input like any other, from the moment that the page is loaded.
    demo.load(show, drafts, shown)
    button.click(keep, [text, drafts], [drafts, shown], api_name="keep")

if __name__ == "__main__":
    demo.launch()
