"""docs/file-formats.md: an introduction to each file, and one line for each field of the records in it.

Names and types come from the record types themselves. The meaning of a field is its line below `Attributes:` in the docstring
of its record, or the description in its type. The introductions stand in `file-formats.md.j2`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import docstring_parser
import jinja2
import msgspec
from msgspec import inspect as types

from harness import records
from harness.analysis import Analysis
from tests.conftest import REPO

PAGE = REPO / "docs/file-formats.md"
TEMPLATE = "file-formats.md.j2"

_SCALARS = {
    types.AnyType: "any value",
    types.BoolType: "true or false",
    types.FloatType: "number",
    types.IntType: "integer",
    types.NoneType: "null",
    types.StrType: "text",
}


def page() -> str:
    """The text of docs/file-formats.md.

    Raises:
        ValueError: a field has no description; the message names record and field.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(REPO / "tests/docs"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(TEMPLATE).render(records=_Records())


class _Records:
    """The template's `records("Name", …)`: these records, and those in them that no earlier section has described."""

    def __init__(self) -> None:
        self._described: set[type] = set()

    def __call__(self, *names: str) -> str:
        parts = []
        for root in map(record, names):
            for kind in (root, *nested_records(root)):
                if kind not in self._described:
                    self._described.add(kind)
                    parts.append(f"### {kind.__name__}\n\n{summary(kind)}\n\n{section(kind)}")
        return "\n\n".join(parts)


def record(name: str) -> type:
    """The record type of a name."""
    return Analysis if name == "Analysis" else getattr(records, name)


def section(kind: type) -> str:
    """One line for each field of a record.

    Raises:
        ValueError: a field has no description; the message names record and field.
    """
    texts = descriptions(kind)
    lines = []
    for field in struct(kind).fields:
        if field.name not in texts:
            raise ValueError(
                f"{kind.__name__}.{field.name} has no line below `Attributes:` in the docstring of its class."
            )
        text = _sentence(texts[field.name])
        lines.append(
            f"- `{field.encode_name}` ({_type_beside(text, field.type)}{_default(kind, field)}): {text}"
        )
    return "\n".join(lines)


def summary(kind: type) -> str:
    """What a record is: the first sentences of its docstring, up to its attributes."""
    parsed = docstring_parser.parse(inspect.getdoc(kind) or "", style=docstring_parser.DocstringStyle.GOOGLE)
    return _in_a_file(parsed.short_description or "")


def descriptions(kind: type) -> dict[str, str]:
    """Field of a record → its meaning, on one line."""
    parsed = docstring_parser.parse(inspect.getdoc(kind) or "", style=docstring_parser.DocstringStyle.GOOGLE)
    found = {
        name: parameter.description or ""
        for parameter in parsed.params
        if parameter.args[0] == "attribute"
        for name in parameter.arg_name.split(", ")
    }
    for field in struct(kind).fields:
        for part in _parts(field.type):
            extra = part.extra_json_schema if isinstance(part, types.Metadata) else None
            if extra and "description" in extra:
                found.setdefault(field.name, extra["description"])
    # The name in the file stands in front of the line already.
    return {name: _in_a_file(re.sub(r"^\(`\w+` in the file\) ", "", text)) for name, text in found.items()}


def nested_records(kind: type) -> Iterator[type]:
    """Records that a record holds, directly or further down, in the order of its fields; some come more than once."""
    for field in struct(kind).fields:
        for part in _parts(field.type):
            if isinstance(part, types.StructType):
                yield part.cls
                yield from nested_records(part.cls)


def struct(kind: type) -> types.StructType:
    """What msgspec knows of a record."""
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    return info


def type_name(info: types.Type) -> str:
    """A type as the reader of a file sees it."""
    match info:
        case types.Metadata():
            return type_name(info.type)
        case types.StructType():
            return f"[{info.cls.__name__}](#{info.cls.__name__.lower()})"
        case types.LiteralType():
            return ", ".join(f"`{value}`" for value in info.values)
        case types.UnionType():
            return " or ".join(type_name(part) for part in info.types)
        case types.ListType():
            return f"list of {_plural(type_name(info.item_type))}"
        case types.DictType():
            return f"object: {type_name(info.key_type)} → {type_name(info.value_type)}"
    return _SCALARS[type(info)]


def _type_beside(text: str, info: types.Type) -> str:
    """The type of a field; a choice is only a text if the description explains each of its values."""
    if isinstance(info, types.LiteralType) and all(f"`{value}`" in text for value in info.values):
        return "text"
    return type_name(info)


def _plural(name: str) -> str:
    return {"text": "texts", "integer": "integers", "number": "numbers", "any value": "any values"}.get(
        name, name
    )


def _default(kind: type[Any], field: types.Field) -> str:
    """The value that a field has where the file leaves it out."""
    if not kind.__struct_config__.omit_defaults or field.required:
        return ""
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f", default {msgspec.json.encode(default).decode()}"


def _parts(info: types.Type) -> Iterator[types.Type]:
    """A type and the types that it is made of."""
    yield info
    for name in ("type", "types", "item_type", "value_type"):
        inner = getattr(info, name, ())
        for part in inner if isinstance(inner, tuple) else (inner,):
            yield from _parts(part)


def _in_a_file(text: str) -> str:
    """A description on one line, in the words of JSON: a file has null where Python has None."""
    return re.sub(r"\bNone\b", "null", " ".join(text.split()))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
