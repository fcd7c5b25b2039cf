"""Follows docs/write-a-scenario.md literally."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import REPO, SMALL_PROFILE
from tests.integration.cli import gradsoak

PAGE = (REPO / "docs/write-a-scenario.md").read_text()


def block(heading: str) -> str:
    """The first code block below a heading."""
    match = re.search(rf"^## {re.escape(heading)}$.*?^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, heading
    return match.group(1)


def test_the_scenario_of_the_page_works_and_its_planted_fault_is_found(tmp_path: Path) -> None:
    app = block("app.py")
    for name, source in (("shop", app), ("shop_global", shared(app))):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "app.py").write_text(source)
        (folder / "workload.py").write_text(block("workload.py"))
        (folder / "scenario.toml").write_text(block("scenario.toml") + SMALL_PROFILE)
    clean = gradsoak("run", "./shop", "--out", "clean", "--json", cwd=tmp_path)
    assert (clean.json()["verdict"], clean.code) == ("pass", 0), clean.err
    faulty = gradsoak("run", "./shop_global", "--out", "faulty", "--json", cwd=tmp_path)
    assert (faulty.json()["checks"]["cross-session-read"], faulty.code) == ("fail", 1), faulty.err


def shared(app: str) -> str:
    """The page's last paragraph, done: the State becomes a module global."""
    faulty = (
        app.replace(
            "def add(item, items):\n    items = [*items, item]\n    return items, items",
            "ITEMS = []\n\ndef add(item):\n    ITEMS.append(item)\n    return ITEMS",
        )
        .replace("    items = gr.State([])\n", "")
        .replace("[item, items], [items, shown]", "item, shown")
    )
    assert "gr.State" not in faulty
    return faulty
