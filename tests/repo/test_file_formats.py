"""docs/file-formats.md says what is in each file of a run folder, as the record types have it now."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec
import pytest

from harness import records, run_dir, run_reader
from harness.analysis import Analysis
from tests.docs import file_formats
from tests.docs.file_formats import PAGE


def test_the_page_is_what_make_docs_writes() -> None:
    assert PAGE.read_text() == file_formats.page(), "run `make docs` and commit docs/file-formats.md"


RECORDS = [kind for name in records.__all__ if isinstance(kind := getattr(records, name), type)]
FIGURES = [Analysis, *dict.fromkeys(file_formats.nested_records(Analysis))]


@pytest.mark.parametrize("kind", [*RECORDS, *FIGURES], ids=lambda kind: kind.__name__)
def test_descriptions_are_of_fields_and_every_field_has_one(kind: type) -> None:
    fields = {field.name for field in file_formats.struct(kind).fields}
    assert set(file_formats.descriptions(kind)) == fields


def test_a_field_without_a_description_is_named() -> None:
    class Sample(msgspec.Struct):
        """A sample.

        Attributes:
            cpu_s: CPU time, seconds.
        """

        cpu_s: float
        rss_bytes: int

    with pytest.raises(ValueError, match=r"Sample\.rss_bytes"):
        file_formats.section(Sample)


class Inner(msgspec.Struct):
    """Part of it."""


class Outer(msgspec.Struct, omit_defaults=True):
    """A sample.

    Attributes:
        status: (`standing` in the file) what became of it; None
            if nothing did.
        low, high: ends of the interval.
        parts: name → part.
        unit: `s` or `ms`.
    """

    parts: dict[str, Inner]
    unit: Literal["s", "ms"]
    status: str | None = msgspec.field(name="standing", default=None)
    low: float = 0.5
    high: float = 1.5


def test_a_line_has_the_name_in_the_file_and_the_type_that_a_reader_sees() -> None:
    assert file_formats.section(Outer).splitlines() == [
        "- `parts` (object: text → [Inner](#inner)): Name → part.",
        "- `unit` (text): `s` or `ms`.",
        "- `standing` (text or null, default null): What became of it; null if nothing did.",
        "- `low` (number, default 0.5): Ends of the interval.",
        "- `high` (number, default 1.5): Ends of the interval.",
    ]


def test_every_record_of_the_run_folder_is_on_the_page() -> None:
    headings = set(re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE))
    read = [kind for module in (run_dir, run_reader) for kind in vars(module).values() if kind in RECORDS]
    names = {kind.__name__ for kind in [*read, *get_args(run_dir.HistoryRecord)]}
    assert {"RunManifest", "Invoke", "Plateau", "Seal", "Checks", "HeldEntries", "GeneratorSample"} <= names
    assert names | {"Analysis", "Bench"} <= headings


def test_every_file_of_the_run_folder_is_on_the_page() -> None:
    page = PAGE.read_text()
    files = {
        value
        for name, value in vars(run_dir).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }
    assert len(files) > 15
    assert [file for file in sorted(files) if f"`{file}" not in page] == []
