"""README and docs/ stay short enough to read, and their links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from harness.cli.verbs import app
from tests.conftest import REPO

VERBS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

PAGES = [REPO / "README.md", REPO / "CHANGELOG.md", *sorted((REPO / "docs").rglob("*.md"))]

README_LINES = 120
README_WORDS = 900
# Two lines of 100 columns, of the text that a reader sees: of a link its words, and no marks for code or emphasis.
CELL_CHARACTERS = 200


def name(page: Path) -> str:
    return page.relative_to(REPO).as_posix()


def cells(text: str) -> Iterator[str]:
    """The cells of all tables of a page, as a reader sees them."""
    for line in re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines():
        if line.startswith("|"):
            for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")):
                yield re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell)).strip()


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    seen = [re.sub(r"&[lg]t;", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings]
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in seen}


def commands(text: str) -> Iterator[list[str]]:
    """The `gradsoak` commands of a page, in code spans and in lines of code, as words."""
    spans = r"`gradsoak ([a-z][^`]+)`"
    lines = r"^(?:    |\$ )(?:\.venv/bin/)?gradsoak ([a-z].+)$"
    for command in re.findall(f"{spans}|{lines}", text, re.MULTILINE):
        yield "".join(command).split()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_gradsoak_command_on_a_page_exists(page: Path) -> None:
    for verb, *words in commands(page.read_text()):
        assert verb in VERBS, f"gradsoak {verb}"
        known = {
            option
            for parameter in VERBS[verb].params
            for option in [*parameter.opts, *parameter.secondary_opts]
        }
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used - known - {"--help"} == set(), f"gradsoak {verb}"


def test_every_option_of_the_readme_and_the_changelog_exists() -> None:
    known = {
        option
        for verb in VERBS.values()
        for parameter in verb.params
        for option in [*parameter.opts, *parameter.secondary_opts]
    }
    for page in ("README.md", "CHANGELOG.md"):
        used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (REPO / page).read_text()))
        assert len(used) > 10
        assert used - known - {"--help"} == set()


def test_the_readme_is_short() -> None:
    text = (REPO / "README.md").read_text()
    assert len(text.splitlines()) <= README_LINES
    assert len(text.split()) <= README_WORDS


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_table_cell_is_longer_than_two_lines(page: Path) -> None:
    long = [cell for cell in cells(page.read_text()) if len(cell) > CELL_CHARACTERS]
    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), f"{name(page)}: {path}"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{name(page)}: {path}#{anchor}"


def test_cells_are_measured_as_a_reader_sees_them() -> None:
    table = "| a [link](https://example.org/long) | `x` *y* |\n|---|---|\n| a \\| b | |\n\n```\n| not | a table |\n```\n"
    assert list(cells(table)) == ["a link", "x y", "---", "---", "a \\| b", ""]
