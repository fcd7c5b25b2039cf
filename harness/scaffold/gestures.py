"""What a user can do on a page: its buttons and fields, the fields each of them needs, and what it may change. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from harness.page.blueprint import Blueprint, Component, Dependency
from harness.page.page_errors import PageMisuse
from harness.scaffold.field_values import Fill, FillKind
from harness.scaffold.method_names import UniqueNames

GestureKind = Literal["click", "submit", "enter", "upload"]

_FILLS: dict[str, FillKind] = {
    "textbox": "text",
    "textarea": "text",
    "code": "text",
    "multimodaltextbox": "message",
    "number": "number",
    "slider": "number",
    "dropdown": "choice",
    "radio": "choice",
    "checkboxgroup": "choices",
    "checkbox": "flag",
    "file": "file",
    "uploadbutton": "file",
    "image": "picture",
}
_TEXTS: tuple[FillKind, ...] = ("text", "message")
_WITH_TOKEN: tuple[FillKind, ...] = (*_TEXTS, "file")
_ENTERED = ("change", "input", "select", "release", "blur")
_BUTTONS = ("button", "clearbutton")
# Never read: components without a value, values that stay on the server, and files, whose content is elsewhere.
_UNREADABLE = (
    "state", "browserstate", "button", "clearbutton", "uploadbutton", "downloadbutton", "duplicatebutton", "loginbutton",
    "row", "column", "group", "form", "tabs", "tabitem", "accordion", "sidebar", "timer", "dataset", "file", "image", "audio",
    "video", "gallery", "plot", "draggable", "walkthrough", "step", "dialogue", "navbar",
)  # fmt: skip
_MAX_CHOICES = 12
# Approximate number of characters of a token; a shorter field would cut it.
_TOKEN_LENGTH = 32


class Gesture(msgspec.Struct, frozen=True, kw_only=True):
    """An action of a user that the app answers.

    Attributes:
        slug: name of its operation and method.
        kind: `click` a button, `submit` a field with Enter, `enter` a value into a field that listens to that, or `upload`.
        component, name: the component, and its name for GradioPage.
        fills: fields to fill in first. For kinds other than `click`, the last one is the field itself, if it is filled in.
        outputs: ids of the readable components that it may change.
    """

    slug: str
    kind: GestureKind
    component: int
    name: str | int
    fills: list[Fill]
    outputs: list[int]

    @property
    def has_text(self) -> bool:
        """Whether a token is filled in."""
        return any(fill.kind in _WITH_TOKEN for fill in self.fills)


class PageGestures(msgspec.Struct, frozen=True, kw_only=True):
    """What a user can do on a page, and what can be read there.

    Attributes:
        names: readable component → its name for GradioPage.
        labels: readable component → its visible label.
        left_out: what was found but is not proposed, and why, one sentence each.
    """

    gestures: list[Gesture]
    names: dict[int, str | int]
    labels: dict[int, str]
    left_out: list[str]


def find_gestures(blueprint: Blueprint, mode: str = "") -> PageGestures:
    """All events that a user can trigger.

    Args:
        blueprint: the app's page.
        mode: `interface` for a `gr.Interface`, whose Flag button writes to the disk.
    """
    left_out: list[str] = []
    triggers: dict[tuple[int, str], list[Dependency]] = {}
    for dependency in blueprint.dependencies.values():
        for target, event in dependency.targets:
            if target is not None and _shown(blueprint, target):
                triggers.setdefault((target, event), []).append(dependency)
    found: list[tuple[Component, GestureKind, list[Dependency]]] = []
    for (target, event), dependencies in triggers.items():
        component = blueprint.components[target]
        kind = _gesture_kind(component, event)
        if kind is None or any(c.id == target and k == kind for c, k, _ in found):
            continue
        if mode == "interface" and component.name.startswith("Flag"):
            left_out.append(f"The button {component.name!r}: it writes to the app's disk.")
        elif not any(d.backend or d.js is not None for d in dependencies):
            left_out.append(f"{_event_of(component, event)}: it runs nothing but JavaScript.")
        else:
            found.append((component, kind, dependencies))
    slugs = UniqueNames()
    gestures = []
    for component, kind, dependencies in _without_twins(found):
        outputs = _outputs(blueprint, dependencies)
        name = name_of(blueprint, component, {"click": "click", "submit": "submit"}.get(kind, ""))
        verb = {"submit": "submit ", "enter": "enter ", "upload": "upload "}.get(kind, "")
        gestures.append(
            Gesture(
                slug=slugs.new(verb + _label(component), fallback=f"{kind}_{component.id}"),
                kind=kind,
                component=component.id,
                name=name,
                fills=_fills(blueprint, component, kind, dependencies, outputs),
                outputs=[o for o in outputs if _readable(blueprint, o)],
            )
        )
    read = sorted({o for gesture in gestures for o in gesture.outputs})
    return PageGestures(
        gestures=gestures,
        names={o: name_of(blueprint, blueprint.components[o]) for o in read},
        labels={o: _label(blueprint.components[o]) or blueprint.components[o].type for o in read},
        left_out=left_out,
    )


def name_of(blueprint: Blueprint, component: Component, event: str = "") -> str | int:
    """Name of a component for GradioPage: its label, elem_id or type if that is unique, else its id."""
    for name in (_label(component), component.elem_id, component.type):
        if name and not name.isdigit() and _means(blueprint, name, event, component.id):
            return name
    return component.id


# --- which gesture an event is ---


def _gesture_kind(component: Component, event: str) -> GestureKind | None:
    if event == "click":
        return "click" if component.type in _BUTTONS else None
    if event == "submit":
        return "submit" if component.type in _FILLS else None
    if event == "upload":
        return "upload" if _FILLS.get(component.type) in ("file", "picture") else None
    kind = _FILLS.get(component.type)
    if event in _ENTERED and kind is not None and kind not in ("file", "picture"):
        return "enter" if component.props.get("interactive") is not False else None
    return None


def _without_twins(
    found: Sequence[tuple[Component, GestureKind, list[Dependency]]],
) -> list[tuple[Component, GestureKind, list[Dependency]]]:
    """Keep one of several gestures that trigger the same events, such as a button and Enter: the button, if there is one."""
    order: dict[GestureKind, int] = {"click": 0, "submit": 1, "upload": 2, "enter": 3}
    kept: list[tuple[Component, GestureKind, list[Dependency]]] = []
    for one in sorted(found, key=lambda f: order[f[1]]):
        mine = {d.id for d in one[2] if d.backend}
        if not any(mine and mine <= {d.id for d in other[2]} for other in kept):
            kept.append(one)
    return sorted(kept, key=found.index)


# --- what it needs, and what it may change ---


def _fills(
    blueprint: Blueprint,
    component: Component,
    kind: GestureKind,
    dependencies: Sequence[Dependency],
    outputs: Sequence[int],
) -> list[Fill]:
    wanted = list(dict.fromkeys(i for d in dependencies for i in d.inputs if _shown(blueprint, i)))
    own = component.id
    if kind in ("enter", "upload") and own not in wanted:
        wanted.append(own)
    if kind == "upload":
        wanted = [own]
    fills = [fill for i in wanted if (fill := _fill(blueprint, blueprint.components[i])) is not None]
    texts = [f.component for f in fills if f.kind in _TEXTS]
    # A text field that is also an output shows what the app keeps, unless it is the only text field.
    fresh = [i for i in texts if i not in outputs] or [i for i in texts if i == own] or texts[:1]
    fills = [f for f in fills if f.component not in texts or f.component in fresh or f.component == own]
    fills = [f for f in fills if f.component not in outputs or f.kind in _TEXTS or f.component == own]
    return sorted(fills, key=lambda f: f.component == own)


def _fill(blueprint: Blueprint, component: Component) -> Fill | None:
    """How to fill in a component; None if a user cannot fill it in, or gradsoak does not know how."""
    kind = _FILLS.get(component.type)
    props = component.props
    if kind is None or props.get("interactive") is False:
        return None
    fill = Fill(component=component.id, name=name_of(blueprint, component), kind=kind)
    if kind == "text" and 0 < (props.get("max_length") or _TOKEN_LENGTH) < _TOKEN_LENGTH:
        return None
    if kind == "number":
        low, high = props.get("minimum"), props.get("maximum")
        low = float(low) if isinstance(low, (int, float)) else min(1.0, high - 1 if high is not None else 1.0)
        high = float(high) if isinstance(high, (int, float)) else max(100.0, low + 99)
        step = props.get("step")
        step = float(step) if isinstance(step, (int, float)) and step > 0 else 1.0
        return msgspec.structs.replace(fill, low=low, high=max(low, high), step=step)
    if kind in ("choice", "choices"):
        choices = [c[0] if isinstance(c, (list, tuple)) else c for c in props.get("choices") or []]
        if not choices:
            return None
        several = kind == "choices" or bool(props.get("multiselect"))
        if several:  # filled in by value rather than by what is shown
            choices = [c[1] if isinstance(c, (list, tuple)) else c for c in props.get("choices") or []]
        return msgspec.structs.replace(
            fill, kind="choices" if several else "choice", choices=choices[:_MAX_CHOICES]
        )
    if kind == "file":
        types = [t for t in props.get("file_types") or [] if isinstance(t, str)]
        if types and "image" in types and "text" not in types and "file" not in types:
            return msgspec.structs.replace(fill, kind="picture")
        suffix = next((t for t in types if t.startswith(".")), ".txt")
        return msgspec.structs.replace(fill, suffix=suffix)
    return fill


def _outputs(blueprint: Blueprint, dependencies: Iterable[Dependency]) -> list[int]:
    """Ids of the components that these events and their followers may change."""
    waiting = list(dependencies)
    seen: dict[int, None] = {}
    outputs: dict[int, None] = {}
    while waiting:
        dependency = waiting.pop(0)
        if dependency.id in seen:
            continue
        seen[dependency.id] = None
        after = blueprint.followers(dependency.id)
        waiting += [
            blueprint.dependencies[i]
            for i in (*after.success, *after.failure, *after.always)
            if i in blueprint.dependencies
        ]
        for output in dependency.outputs:
            outputs[output] = None
            waiting += blueprint.listeners(output, "change")
    return list(outputs)


def _shown(blueprint: Blueprint, component: int) -> bool:
    if component not in blueprint.components:
        return False
    around = [blueprint.components[component], *blueprint.ancestors(component)]
    return all(c.props.get("visible") not in (False, "hidden") for c in around)


def _readable(blueprint: Blueprint, component: int) -> bool:
    return _shown(blueprint, component) and blueprint.components[component].type not in _UNREADABLE


# --- names ---


def _label(component: Component) -> str:
    """The visible label; empty for a text that Gradio translates in the browser."""
    return "" if component.name.startswith("__i18n__") else component.name


def _event_of(component: Component, event: str) -> str:
    return f"{event!r} of {component}"


def _means(blueprint: Blueprint, name: str, event: str, component: int) -> bool:
    try:
        return blueprint.find(name, event).id == component
    except PageMisuse:
        return False
