"""A text with undo and redo, in which an undone line can still be redone after another line was written."""

import gradio as gr


def add(line, editor):
    editor = {"lines": [*editor["lines"], line], "undone": editor["undone"]}
    return editor, editor["lines"]


def undo(editor):
    if not editor["lines"]:
        raise gr.Error("There is nothing to undo.")
    *lines, last = editor["lines"]
    return {"lines": lines, "undone": [*editor["undone"], last]}, lines


def redo(editor):
    if not editor["undone"]:
        raise gr.Error("There is nothing to redo.")
    *undone, last = editor["undone"]
    lines = [*editor["lines"], last]
    return {"lines": lines, "undone": undone}, lines


with gr.Blocks(title="Editor") as demo:
    editor = gr.State({"lines": [], "undone": []})
    line = gr.Textbox(label="Line")
    add_button = gr.Button("Add")
    undo_button = gr.Button("Undo")
    redo_button = gr.Button("Redo")
    shown = gr.JSON(label="Text")

    add_button.click(add, [line, editor], [editor, shown], api_name="add")
    undo_button.click(undo, editor, [editor, shown], api_name="undo")
    redo_button.click(redo, editor, [editor, shown], api_name="redo")

if __name__ == "__main__":
    demo.launch()
