"""A form in two steps: what was said in step one waits in a dict in gr.State until step two."""

import gradio as gr


def tell_name(name, person):
    person = {**person, "name": name}
    return person, person, gr.Column(visible=False), gr.Column(visible=True)


def tell_age(age, person):
    person = {**person, "age": age}
    return person, person, gr.Column(visible=False), gr.Column(visible=True)


def start_over():
    return {}, {}, "", "", gr.Column(visible=True), gr.Column(visible=False)


with gr.Blocks(title="Two steps") as demo:
    # gr.State() starts as None instead; then the functions begin with `person = person or {}`.
    person = gr.State({})
    with gr.Column() as step_one:
        name = gr.Textbox(label="Name")
        to_step_two = gr.Button("Next")
    with gr.Column(visible=False) as step_two:
        age = gr.Textbox(label="Age")
        finish = gr.Button("Finish")
    with gr.Column(visible=False) as done:
        again = gr.Button("Start over")
    collected = gr.JSON(label="Collected", value={})

    to_step_two.click(tell_name, [name, person], [person, collected, step_one, step_two])
    finish.click(tell_age, [age, person], [person, collected, step_two, done])
    again.click(start_over, None, [person, collected, name, age, step_one, done])

if __name__ == "__main__":
    demo.launch()
