"""A draft box kept by the visitor's own browser, in gr.BrowserState: it outlives the page, and the server does not have it."""

import gradio as gr


def show(drafts):
    return drafts


def keep(text, drafts):
    drafts = [*drafts, text]
    return drafts, drafts


with gr.Blocks(title="Drafts") as demo:
    # Without a key and a secret, a BrowserState gets random ones at each start of the app, and no longer finds values that
    # browsers stored before. The secret only hides the value in the browser's storage. It is sent to every page, so it need
    # not be a strong one.
    drafts = gr.BrowserState([], storage_key="drafts", secret="drafts of this app")
    text = gr.Textbox(label="Draft")
    button = gr.Button("Keep")
    shown = gr.JSON(label="Drafts")

    # The value stored in the browser is an input like any other, as soon as the page is loaded.
    demo.load(show, drafts, shown)
    button.click(keep, [text, drafts], [drafts, shown], api_name="keep")

if __name__ == "__main__":
    demo.launch()
