"""Follows docs/write-a-scenario.md literally: writes its files, types its commands, and compares what it shows."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import scenario
from tests.conftest import REPO

PAGE = (REPO / "docs/write-a-scenario.md").read_text()
# A file that the reader writes, one that a command wrote, a piece of a bundled one, and commands with some of their output.
BLOCK = re.compile(r"^```(\w+)(?: (title|shows|part)=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What `gradsoak run` ends with, by the verdict that the page shows.
CODES = {"verdict PASS": 0, "verdict FAIL": 1}


class Block(NamedTuple):
    language: str
    role: str
    file: str
    text: str


BLOCKS = [Block(*(group or "" for group in match.groups())) for match in BLOCK.finditer(PAGE)]


class Command(NamedTuple):
    words: list[str]
    shown: list[str]


def commands(block: Block) -> list[Command]:
    """The lines after `$`, each with the lines that the page shows as its output."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(shlex.split(line[2:]), []))
        else:
            found[-1].shown.append(" ".join(line.split()))
    return found


@pytest.mark.slow  # two runs, and both with the experiment on memory
def test_the_page_can_be_followed(tmp_path: Path) -> None:
    assert read_on(BLOCKS, tmp_path) == 3
    assert scenario.find(str(tmp_path / "shop")).title == "Shopping list"


def test_what_init_proposes_is_what_the_page_shows(tmp_path: Path) -> None:
    shown = next(n for n, block in enumerate(BLOCKS) if block.role == "shows")
    assert read_on(BLOCKS[: shown + 1], tmp_path) == 1


def read_on(blocks: Sequence[Block], tmp_path: Path) -> int:
    """Do what the page says, and tell how many commands that were."""
    typed = 0
    for block in blocks:
        path = tmp_path / block.file
        if block.role == "title":
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
        elif block.role == "shows":
            assert path.read_text() == block.text
        elif block.language == "console":
            for command in commands(block):
                follow(command, tmp_path)
                typed += 1
    return typed


def follow(command: Command, folder: Path) -> None:
    """Type a command of the page, and look for what the page shows."""
    program, *arguments = command.words
    assert program == "gradsoak"
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    )
    printed = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in command.shown:
        assert any(found == line or found.startswith(f"{line} ") for found in printed), (
            line,
            done.stdout,
            done.stderr,
        )
    expected = next((CODES[line] for line in command.shown if line in CODES), 0)
    assert done.returncode == expected, done.stderr


def test_the_pieces_that_stand_alone_are_valid() -> None:
    for block in BLOCKS:
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)


def test_what_is_a_piece_of_a_bundled_scenario_stands_there() -> None:
    pieces = [block for block in BLOCKS if block.role == "part"]
    assert pieces
    for piece in pieces:
        assert piece.text in (REPO / piece.file).read_text()
        assert len(piece.text.splitlines()) <= 20


def test_every_model_and_effect_is_on_the_page() -> None:
    tree = ast.parse((REPO / "harness/workload.py").read_text())
    made = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.returns, ast.Name)
        and node.returns.id in ("StateVariable", "Effect")
    }
    assert len(made) >= 15
    assert {name for name in made if f"`{name}(" not in PAGE} == set()
