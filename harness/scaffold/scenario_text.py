"""The text of the files of the proposed scenario. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from harness.scaffold.field_values import PICTURE_HEX, Fill, code_of, literal
from harness.scaffold.gestures import Gesture, PageGestures
from harness.scaffold.model_guess import EffectName, TrialFindings, Variable

_WIDTH = 88
_MODELS = {"list": "append_only_list", "register": "register", "answer": "answer", "counter": "counter"}
_EFFECTS: dict[EffectName, str] = {
    "append": "append(token)",
    "write": "write(token)",
    "ask": "ask(token)",
    "increment": "increment()",
    "clear": "clear()",
}
# How a model's value is read from the component with that name.
_READERS = {
    "list": "tokens.all_in(self.page.value({name}))",
    "answer": "tokens.all_in(self.page.value({name}))",
    "register": "self.last_token_in({name})",
    "counter": "self.number_in({name})",
}
_HELPERS = {
    "last_token_in": '''\
    def last_token_in(self, name):
        """The token that a component shows; None if it shows none, and all of them if there are several."""
        found = tokens.all_in(self.page.value(name))
        return found[0] if len(found) == 1 else found or None
''',
    "number_in": '''\
    def number_in(self, name):
        """The whole number that a component shows; anything else is returned as it is."""
        shown = self.page.value(name)
        digits = re.findall(r"-?\\d+", shown) if isinstance(shown, str) else [shown]
        return int(digits[0]) if len(digits) == 1 and digits[0] is not None else shown
''',
}


def workload(app: str, page: PageGestures, findings: TrialFindings, left_out: Sequence[str]) -> str:
    """`workload.py`.

    Args:
        app: the app's file name, for the first line.
        page: the page with its gestures.
        findings: the results of the trial.
        left_out: what is not proposed and why, one sentence each.
    """
    gestures = [g for g in page.gestures if g.slug not in findings.failed]
    body = [_class(gestures, findings)]
    if gestures:
        body.append(_arrive(gestures, findings))
        body += [_operation(gesture, findings, page) for gesture in gestures]
        body += _helpers(findings)
    else:
        body.append(_nothing_to_do())
    notes = _notes(findings, [*page.left_out, *left_out])
    text = "\n\n".join(
        part for part in (_docstring(app), _imports(findings), notes, _constants(gestures)) if part
    )
    return f"{text}\n\n\n" + "\n".join(body)


def settings(title: str, app: str, params: Mapping[str, str]) -> str:
    """`scenario.toml`.

    Args:
        title: title of the scenario.
        app: path of the app, relative to the folder.
        params: parameters that the app gets as environment variables.
    """
    lines = [
        "# Settings of this scenario. docs/file-formats.md describes every key.",
        f"title = {_toml(title)}",
        'description = ""',
        "",
        "# The app, relative to this folder. It stays in its place, next to the files it needs.",
        f"app = {_toml(app)}",
        "",
        "# Passed to the app as environment variables, and to the workload as self.params. To change one: --param NAME=VALUE.",
        *(
            ["[params]", *(f"{name} = {_toml(value)}" for name, value in params.items())]
            if params
            else ["# [params]", '# NAME = "value"']
        ),
        "",
        '# The expected verdict. For a scenario with a planted fault: "fail", with the kind of anomaly.',
        "[expect]",
        'verdict = "pass"',
        "",
        "# Why a guarantee does not apply to this app, if gradsoak cannot know it: see docs/scenarios.md.",
        "# [guarantees]",
        '# reset-on-reload = "What is written belongs to the user, not to the page."',
        "",
        "# To change the load of a profile:",
        "# [profile.quick]",
        "# users = 10",
    ]
    return "\n".join(lines) + "\n"


# --- parts of the workload ---


def _docstring(app: str) -> str:
    return (
        f'"""What users do in {_plain(app)}, and what must hold.\n\n'
        "Proposed by gradsoak init from the app's page and a short trial. gradsoak does not know what the app means:\n"
        'read the comments, and correct what is wrong.\n"""'
    )


def _imports(findings: TrialFindings) -> str:
    variables = findings.variables
    names = {"Workload", "action"}
    for variable in variables:
        names.add(_MODELS[variable.model])
        names |= {_EFFECTS[effect].partition("(")[0] for effect in variable.effects.values()}
    lines = ["import re", ""] if "number_in" in _helper_names(findings) else []
    if any(variable.model != "counter" and variable.readers for variable in variables):
        lines.append("from harness import tokens")
    imported = f"from harness.workload import {', '.join(sorted(names))}"
    if len(imported) > _WIDTH:
        listed = "".join(f"    {name},\n" for name in sorted(names))
        imported = f"from harness.workload import (\n{listed})"
    return "\n".join([*lines, imported])


def _notes(findings: TrialFindings, left_out: Sequence[str]) -> str:
    lines: list[str] = []
    if findings.alarms:
        lines += [
            "ATTENTION: in the trial, a session saw values of another session.",
            *(f"- {alarm}" for alarm in findings.alarms),
            "A run of this scenario will report it, too. If it is not intended, it is a fault of the app. If it is intended, because "
            'the data is for all users, declare that in `state`, as in append_only_list(scope="everyone").',
        ]
    if findings.unmodelled:
        lines += [
            "",
            "Checked only for tokens of other sessions:",
            *(f"- {text}" for text in findings.unmodelled),
        ]
    failed = [f"- {slug}: it failed in the trial: {error}" for slug, error in findings.failed.items()]
    others = [f"- {text}" for text in left_out]
    if failed or others:
        lines += ["", "Left out:", *failed, *others]
    return "\n".join(_comment(line) for line in ([] if not lines else lines[1:] if not lines[0] else lines))


def _constants(gestures: Sequence[Gesture]) -> str:
    if not any(fill.kind == "picture" for g in gestures for fill in g.fills):
        return ""
    half = len(PICTURE_HEX) // 2
    return (
        "# The smallest PNG: one grey pixel.\n"
        f'PICTURE = bytes.fromhex(\n    "{PICTURE_HEX[:half]}"\n    "{PICTURE_HEX[half:]}"\n)'
    )


def _class(gestures: Sequence[Gesture], findings: TrialFindings) -> str:
    lines = ["class Visitor(Workload):"]
    if findings.variables:
        lines.append("    state = {")
        for variable in findings.variables:
            lines += [_comment(text, 8) for text in _said_of(variable)]
            lines.append(f'        "{variable.name}": {_model(variable)},')
        lines.append("    }")
    elif gestures:
        without = (
            "until then a run finds tokens of other sessions in responses, and its verdict covers no other state that crosses "
            "sessions or is lost."
            if any(gesture.has_text for gesture in gestures)
            else "until then a run measures only speed, and its verdict is unknown."
        )
        lines += [
            _comment(
                "The trial found no state of a session: no token came back as a model predicts, and nothing counted. "
                f"Declare here what the app keeps, and put what the page shows into `seen` below; {without}",
                4,
            ),
            "    state = {}",
        ]
    else:
        why = (
            "Every gesture failed in the trial; see above."
            if findings.failed
            else "The app has no events that a user could trigger."
        )
        lines += [f'    """{why}"""', "", "    state = {}"]
    return "\n".join(lines) + "\n"


def _said_of(variable: Variable) -> list[str]:
    said = [variable.seen]
    if variable.model == "list":
        said.append(
            "If the app keeps only the last few, this model reports the others as lost: use answer() instead."
        )
    if variable.model == "counter":
        said.append(
            "If the number stops or restarts, like a page number, this model reports lost updates or resets: leave it out."
        )
    if variable.sharing == "user":
        said.append(
            "It was still there after a reload, so it belongs to the user, not to the page. If that is not intended, leave "
            'out scope="user", and a run will report it.'
        )
    if variable.sharing == "everyone":
        said.append("ATTENTION: a session saw values of another session in it; see above.")
    return said


def _model(variable: Variable) -> str:
    arguments = []
    if variable.model == "counter" and variable.initial:
        arguments.append(str(variable.initial))
    if variable.sharing == "user":
        arguments.append('scope="user"')
    return f"{_MODELS[variable.model]}({', '.join(arguments)})"


def _arrive(gestures: Sequence[Gesture], findings: TrialFindings) -> str:
    writes = {
        slug for v in findings.variables for slug, effect in v.effects.items() if effect not in ("clear",)
    }
    first = next((g for g in gestures if g.slug in writes), gestures[0])
    return (
        "    def arrive(self):\n"
        + _comment("The first action of every session. Memory per session measures what it leaves behind.", 8)
        + f"\n        self.{first.slug}()\n"
    )


def _operation(gesture: Gesture, findings: TrialFindings, page: PageGestures) -> str:
    effects = [
        f"{v.name}={_EFFECTS[v.effects[gesture.slug]]}"
        for v in findings.variables
        if gesture.slug in v.effects
    ]
    read = [v for v in findings.variables if gesture.slug in v.readers]
    head = ", ".join([f'"{gesture.slug}"', *effects])
    opening = f"        with self.operation({head}){' as seen' if read else ''}:"
    if len(opening) > _WIDTH:
        arguments = "".join(f"            {argument},\n" for argument in [f'"{gesture.slug}"', *effects])
        opening = f"        with self.operation(\n{arguments}        ){' as seen' if read else ''}:"
    lines = ["    @action", f"    def {gesture.slug}(self):", f'        """{_described(gesture)}"""']
    if not read and gesture.has_text:
        lines.append(_comment("In the trial, the token did not come back in a way that fits a model.", 8))
    elif not read and not effects:
        lines.append(_comment("In the trial, nothing came back that can be checked.", 8))
    if gesture.has_text:
        lines.append("        token = self.token()")
    lines.append(opening)
    lines += [f"            {statement}" for statement in _statements(gesture)]
    lines += [
        f'            seen["{v.name}"] = {_READERS[v.model].format(name=literal(v.read_as))}' for v in read
    ]
    return "\n".join(lines) + "\n"


def _statements(gesture: Gesture) -> list[str]:
    found: list[str] = []
    for fill in gesture.fills:
        if gesture.kind == "submit" and fill.component == gesture.component:
            return [*found, f"self.page.submit({literal(gesture.name)}, {code_of(fill)})"]
        found.append(_filled(fill))
    if gesture.kind == "click":
        found.append(f"self.page.click({literal(gesture.name)})")
    elif gesture.kind == "submit":
        found.append(f"self.page.submit({literal(gesture.name)})")
    return found or [f"self.page.value({literal(gesture.name)})"]


def _filled(fill: Fill) -> str:
    verb = {"file": "upload", "picture": "upload", "choice": "select"}.get(fill.kind, "fill")
    return f"self.page.{verb}({literal(fill.name)}, {code_of(fill)})"


def _described(gesture: Gesture) -> str:
    name = _plain(str(gesture.name))
    verb = {"click": "Click", "submit": "Press Enter in", "enter": "Change", "upload": "Choose a file in"}[
        gesture.kind
    ]
    return f"{verb} {name}."


def _plain(text: str) -> str:
    """Text that is safe in a docstring."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())


def _nothing_to_do() -> str:
    comment = _comment(
        "No other action was found. If the app has events that gr.render adds, or JavaScript of its own, write here "
        "what a user does, with self.page.fill, self.page.click and self.page.value: docs/write-a-scenario.md shows "
        "how. Until then the verdict of a run is unknown.",
        8,
    )
    return (
        "    @action\n    def look(self):\n"
        '        """Look at the page."""\n'
        f'{comment}\n        with self.operation("look"):\n            pass\n'
    )


def _helper_names(findings: TrialFindings) -> list[str]:
    used = [_READERS[v.model] for v in findings.variables if v.readers]
    return [name for name in _HELPERS if any(name in reader for reader in used)]


def _helpers(findings: TrialFindings) -> list[str]:
    return [_HELPERS[name] for name in _helper_names(findings)]


def _comment(text: str, indent: int = 0) -> str:
    space = " " * indent
    return (
        "\n".join(
            textwrap.wrap(
                text,
                width=_WIDTH,
                initial_indent=f"{space}# ",
                subsequent_indent=f"{space}#   " if text.startswith("- ") else f"{space}# ",
                break_long_words=False,
            )
        )
        or f"{space}#"
    )


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped)
    return f'"{escaped}"'
