"""An object of the app's own class in gr.State, made by a button: a dataclass with lists and a dict."""

from dataclasses import asdict, dataclass, field

import gradio as gr


@dataclass
class Project:
    name: str
    # A bare `tasks: list = []` would be one list for all projects; dataclasses refuse it, other classes do not.
    tasks: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    people: dict[str, str] = field(default_factory=dict)


def initialize(name):
    project = Project(name)
    return project, asdict(project)


def add_task(task, project):
    if project is None:
        raise gr.Error("Initialize the project first.")
    project.tasks.append(task)
    return project, asdict(project)


def finish_task(project):
    if project is None or len(project.done) == len(project.tasks):
        raise gr.Error("There is nothing to finish.")
    project.done.append(project.tasks[len(project.done)])
    return project, asdict(project)


def appoint(role, person, project):
    if project is None:
        raise gr.Error("Initialize the project first.")
    project.people[role] = person
    return project, asdict(project)


with gr.Blocks(title="Project") as demo:
    project = gr.State()
    name = gr.Textbox(label="Name of the project")
    initialize_button = gr.Button("Initialize")
    task = gr.Textbox(label="Task")
    with gr.Row():
        add_button = gr.Button("Add task")
        finish_button = gr.Button("Finish oldest task")
    role = gr.Dropdown(["lead", "tester", "writer"], label="Role")
    person = gr.Textbox(label="Person")
    appoint_button = gr.Button("Appoint")
    shown = gr.JSON(label="Project")

    initialize_button.click(initialize, name, [project, shown])
    add_button.click(add_task, [task, project], [project, shown])
    finish_button.click(finish_task, project, [project, shown])
    appoint_button.click(appoint, [role, person, project], [project, shown])

if __name__ == "__main__":
    demo.launch()
