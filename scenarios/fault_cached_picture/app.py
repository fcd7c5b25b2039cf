"""A badge maker that caches its pictures by colour alone: later visitors get the badge of the first."""

import html
import tempfile
from pathlib import Path

import gradio as gr

FOLDER = Path(tempfile.mkdtemp())


def draw(name, colour):
    path = FOLDER / f"{colour}.svg"
    if not path.exists():
        drawn = FOLDER / f"{name}.svg"
        drawn.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40"><rect width="300" height="40" fill="{colour}"/>'
            f"<title>{html.escape(name)}</title></svg>"
        )
        drawn.replace(path)  # atomic: no visitor gets half a badge
    return str(path)


with gr.Blocks(title="Badges", delete_cache=(600, 600)) as demo:
    name = gr.Textbox(label="Name")
    colour = gr.Radio(["green", "gold"], value="green", label="Colour")
    button = gr.Button("Draw")
    badge = gr.Image(label="Badge", interactive=False)

    button.click(draw, [name, colour], badge, api_name="draw")

if __name__ == "__main__":
    demo.launch()
