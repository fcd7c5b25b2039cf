"""Every field of every record says what it holds; docs/file-formats.md is made from that."""

from __future__ import annotations

import inspect
import re

import msgspec
import pytest

from harness import records

RECORDS = [kind for name in records.__all__ if inspect.isclass(kind := getattr(records, name))]


def described(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Field → its text: a line below `Attributes:` in the docstring, or the description in its type."""
    _, _, lines = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    found = dict(re.findall(r"^    (\w+): (.+)$", lines, re.MULTILINE))
    for name, field in msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"].items():
        for part in [field, *field.get("anyOf", [])]:
            if "description" in part and name not in found:
                found[name] = part["description"]
    return found


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_each_field_has_one_line_of_description_and_nothing_else_has(kind: type[msgspec.Struct]) -> None:
    assert [name for name in kind.__struct_fields__ if name not in described(kind)] == []
    documented = re.findall(
        r"^    (\w+): ", (inspect.getdoc(kind) or "").partition("Attributes:\n")[2], re.MULTILINE
    )
    assert [name for name in documented if name not in kind.__struct_fields__] == []
