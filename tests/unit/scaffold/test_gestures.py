"""What a person can do on a page, from the page's config."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from harness.page.blueprint import Blueprint
from harness.scaffold.field_values import Fill, code_of, literal, value_of
from harness.scaffold.gestures import Gesture, PageGestures, find_gestures
from harness.scaffold.method_names import slug_of


class Config:
    """An app's config, written down shortly."""

    def __init__(self) -> None:
        self.components: list[dict[str, Any]] = []
        self.dependencies: list[dict[str, Any]] = []

    def component(self, kind: str, label: str = "", **props: Any) -> int:
        number = len(self.components) + 1
        text = {"value": label} if kind == "button" else {"label": label}
        self.components.append({"id": number, "type": kind, "props": {**text, **props}})
        return number

    def on(
        self,
        *targets: tuple[int, str],
        inputs: Sequence[int] = (),
        outputs: Sequence[int] = (),
        **more: Any,
    ) -> int:
        number = len(self.dependencies)
        self.dependencies.append(
            {"id": number, "targets": [list(t) for t in targets], "inputs": inputs, "outputs": outputs, "backend_fn": True, **more}
        )  # fmt: skip
        return number

    def page(self, mode: str = "blocks") -> PageGestures:
        return find_gestures(
            Blueprint.of(
                {"components": self.components, "dependencies": self.dependencies, "version": "6.31.0"}
            ),
            mode,
        )


def only(page: PageGestures) -> Gesture:
    (gesture,) = page.gestures
    return gesture


def test_a_button_is_clicked_after_its_fields_were_filled_in() -> None:
    app = Config()
    state, field, shown = (
        app.component("state"),
        app.component("textbox", "Item"),
        app.component("json", "Items"),
    )
    app.on((app.component("button", "Add"), "click"), inputs=[field, state], outputs=[state, shown])
    page = app.page()
    gesture = only(page)
    assert (gesture.slug, gesture.kind, gesture.name) == ("add", "click", "Add")
    assert [(f.name, f.kind) for f in gesture.fills] == [("Item", "text")]
    assert gesture.outputs == [shown]
    assert page.names == {shown: "Items"}


def test_what_follows_may_change_something_too() -> None:
    app = Config()
    field, first, second, third = (app.component("textbox", name) for name in "abcd")
    before = app.on((field, "submit"), inputs=[field], outputs=[first])
    app.on((0, "then"), outputs=[second], trigger_after=before)  # Gradio writes null; nothing has the id 0
    app.on((second, "change"), outputs=[third])
    submitted = next(g for g in app.page().gestures if g.kind == "submit")
    assert submitted.outputs == [first, second, third]


def test_enter_and_a_button_that_do_the_same_are_one_thing_to_do() -> None:
    app = Config()
    field, button = app.component("textbox", "Ask"), app.component("button", "Go")
    app.on((field, "submit"), (button, "click"), inputs=[field], outputs=[field])
    assert only(app.page()).kind == "click"


@pytest.mark.parametrize("props", [{"visible": False}, {"visible": "hidden"}])
def test_what_is_hidden_is_neither_used_nor_read(props: Any) -> None:
    app = Config()
    hidden = app.component("textbox", "Hidden", **props)
    shown = app.component("textbox", "Shown")
    app.on((app.component("button", "Secret", **props), "click"), outputs=[shown])
    app.on((app.component("button", "Go"), "click"), inputs=[hidden, shown], outputs=[hidden])
    gesture = only(app.page())
    assert [f.name for f in gesture.fills] == ["Shown"]
    assert gesture.outputs == []


def test_names_that_are_not_unique_give_way_to_elem_ids_and_ids() -> None:
    app = Config()
    first = app.component("textbox", "Text", elem_id="left")
    second = app.component("textbox", "Text")
    app.on((app.component("button", "Go"), "click"), inputs=[first, second], outputs=[first, second])
    app.on((app.component("button", "Come"), "click"), inputs=[], outputs=[first, second])
    assert app.page().names == {first: "left", second: second}


def test_a_text_that_translates_itself_is_no_name() -> None:
    app = Config()
    chat = app.component("chatbot", '__i18n__{"key": "chatbot"}')
    field = app.component("textbox")
    app.on((field, "submit"), inputs=[field, chat], outputs=[field, chat])
    page = app.page()
    assert page.names == {field: "textbox", chat: "chatbot"}
    assert only(page).slug == "submit"


def test_a_text_that_comes_back_is_what_the_app_keeps_unless_it_is_the_only_one() -> None:
    app = Config()
    history, message = app.component("textbox", "History"), app.component("textbox", "Message")
    app.on((app.component("button", "Send"), "click"), inputs=[message, history], outputs=[history])
    assert [f.name for f in only(app.page()).fills] == ["Message"]
    chat = Config()
    field = chat.component("textbox", "Message")
    chat.on((field, "submit"), inputs=[field], outputs=[field])
    assert [f.name for f in only(chat.page()).fills] == ["Message"]


@pytest.mark.parametrize(
    ("kind", "props", "code"),
    [
        ("number", {}, "self.random.randrange(1, 101)"),
        ("slider", {"minimum": 0, "maximum": 10, "step": 2}, "self.random.randrange(0, 11, 2)"),
        ("slider", {"minimum": 0, "maximum": 1, "step": 0.05}, "round(self.random.uniform(0, 1), 2)"),
        ("dropdown", {"choices": [["Small", "s"], ["Large", "l"]]}, 'self.random.choice(["Small", "Large"])'),
        ("radio", {"choices": ["x", "y"]}, 'self.random.choice(["x", "y"])'),
        ("dropdown", {"choices": [["P", "p"]], "multiselect": True}, 'self.random.sample(["p"], 1)'),
        ("checkboxgroup", {"choices": [["P", "p"], ["Q", "q"]]}, 'self.random.sample(["p", "q"], 1)'),
        ("checkbox", {}, "self.random.random() < 0.5"),
        ("textbox", {}, "token"),
        ("multimodaltextbox", {}, '{"text": token, "files": []}'),
        ("file", {"file_types": [".csv"]}, '(f"{token}.csv", token.encode())'),
        ("file", {}, '(f"{token}.txt", token.encode())'),
        ("image", {}, '("picture.png", PICTURE)'),
        ("file", {"file_types": ["image"]}, '("picture.png", PICTURE)'),
    ],
)
def test_each_kind_of_field_gets_a_value_that_it_can_take(kind: str, props: Any, code: str) -> None:
    app = Config()
    app.on((app.component("button", "Go"), "click"), inputs=[app.component(kind, "Field", **props)])
    (fill,) = only(app.page()).fills
    assert code_of(fill) == code
    # The trial uses the value that the code would make.
    self = type("Self", (), {"random": random.Random(1)})()
    picture = value_of(Fill(component=1, name="", kind="picture"), "", random.Random(1))[1]
    names = {"self": self, "token": "t-1", "PICTURE": picture}
    assert eval(code_of(fill), names) == value_of(fill, "t-1", random.Random(1))


@pytest.mark.parametrize(
    ("kind", "props"),
    [
        ("textbox", {"interactive": False}),
        ("textbox", {"max_length": 5}),
        ("dropdown", {"choices": []}),
        ("audio", {}),
    ],
)
def test_a_field_that_we_cannot_fill_in_stays_as_it_is(kind: str, props: Any) -> None:
    app = Config()
    app.on((app.component("button", "Go"), "click"), inputs=[app.component(kind, "Field", **props)])
    assert only(app.page()).fills == []


def test_fields_that_are_listened_to_are_entered_and_files_uploaded() -> None:
    app = Config()
    mood = app.component("dropdown", "Mood", choices=["happy", "sad"])
    paper, size = app.component("file", "Paper"), app.component("textbox", "Size", interactive=False)
    app.on((mood, "change"), (mood, "input"), inputs=[mood], outputs=[size])
    app.on((paper, "upload"), inputs=[paper], outputs=[size])
    assert [(g.slug, g.kind, [f.kind for f in g.fills]) for g in app.page().gestures] == [
        ("enter_mood", "enter", ["choice"]),
        ("upload_paper", "upload", ["file"]),
    ]


def test_what_writes_to_the_disk_or_is_only_javascript_is_left_out_and_said() -> None:
    app = Config()
    app.on((app.component("button", "Flag"), "click"), outputs=[])
    app.on((app.component("button", "Dance"), "click"), backend_fn=False, js="() => { dance() }")
    app.on((app.component("button", "Go"), "click"), outputs=[])
    page = app.page("interface")
    assert only(page).slug == "go"
    assert len(page.left_out) == 2
    assert [g.slug for g in app.page().gestures] == ["flag", "go"]


def test_load_events_and_chains_are_no_gestures() -> None:
    app = Config()
    shown = app.component("textbox", "Shown", interactive=False)
    app.on((99, "load"), outputs=[shown])
    app.on((shown, "change"), outputs=[shown])
    assert app.page().gestures == []


@pytest.mark.parametrize(
    ("label", "slug"),
    [
        ("Close", "close_"),
        ("Add item!", "add_item"),
        ("Class", "class_"),
        ("page", "page_"),
        ("Arrive", "arrive_"),
        ("token", "token_"),
        ("Action", "action_"),
        ("Number in", "number_in_"),
        ("2nd step", "n_2nd_step"),
        ("送る", ""),
        ("🚀", ""),
        ("12", ""),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_label_becomes_a_name_that_python_and_workloads_have_room_for(label: str, slug: str) -> None:
    assert slug_of(label) == slug


def test_two_buttons_of_one_name_become_two_operations() -> None:
    app = Config()
    for _ in range(2):
        app.on((app.component("button", "Go"), "click"), outputs=[])
    app.on((app.component("button", "🚀"), "click"), outputs=[])
    assert [g.slug for g in app.page().gestures] == ["go", "go_2", "click_3"]


@pytest.mark.parametrize(
    "value", ['say "hi"', "it's", "back\\slash", "two\nlines", "plain", ["a", 3, 'b"'], "🚀"]
)
def test_a_literal_means_what_it_was_made_from(value: Any) -> None:
    assert eval(literal(value)) == value
