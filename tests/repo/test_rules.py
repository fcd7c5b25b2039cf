"""Rules about this repository that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.analysis import Analysis
from harness.errors import ExitCode
from harness.records import Checks
from tests.conftest import REPO
from tests.docs import file_formats

PROBE = sorted((REPO / "harness/probe").glob("*.py"))


def test_the_top_level_holds_only_known_entries() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    assert {path.split("/")[0] for path in tracked} == {
        "harness", "scenarios", "reports", "tests", "pyproject.toml", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "docs", ".ci", ".gitignore", "constraints.txt",
    }  # fmt: skip


@pytest.mark.parametrize("path", PROBE, ids=lambda path: path.name)
def test_the_probe_imports_only_the_standard_library_and_parses_as_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
        for name in names:
            assert name is not None
            assert name.split(".")[0] in sys.stdlib_module_names, name


@pytest.mark.parametrize(
    "module",
    [
        "harness.cli",
        "harness.runs.single_run",
        "harness.runs.bench_suite",
        "harness.evaluate",
        "harness.load.generator_client",
        "harness.workload",
    ],
)
def test_the_harness_imports_no_library_that_patches_it(module: str) -> None:
    script = f"import {module}, sys; print(sorted({{'locust', 'gevent', 'gradio', 'gradio_client'}} & set(sys.modules)))"
    assert (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def names_in_a_file(kind: type) -> set[str]:
    """The field names of a record and of the records in it, as files have them."""
    kinds = {kind, *file_formats.nested_records(kind)}
    return {field.encode_name for each in kinds for field in file_formats.struct(each).fields}


def test_files_have_the_names_that_other_programs_rely_on() -> None:
    figures = {"latency_ms", "throughput_per_s", "memory", "bytes_per_open_session", "live", "uss", "estimate", "low", "high", "loadgen",
               "cpu_ms_per_operation", "rss_bytes_per_session", "cpu_utilisation", "samples", "gaps", "p50", "p95", "p99", "count",
               "model", "stages_ms", "queue_wait", "service", "first_output", "generator_delay", "arrivals", "dropped", "bottleneck"}  # fmt: skip
    verdicts = {"verdict", "checks", "name", "anomalies", "kind", "sessions", "witness", "explanation"}
    assert figures - names_in_a_file(Analysis) == set()
    assert verdicts - names_in_a_file(Checks) == set()


def test_every_room_is_in_the_architecture_page() -> None:
    rooms = {
        f"harness/{p.name}/" if p.is_dir() else f"harness/{p.name}"
        for p in (REPO / "harness").iterdir()
        if not p.name.startswith("_")
    }
    text = (REPO / "docs/architecture.md").read_text()
    assert [room for room in sorted(rooms) if f"`{room}`" not in text] == []
    named = set(re.findall(r"`(harness/[a-z_]+(?:\.py|/))`", text))
    assert named <= rooms


def test_no_module_name_occurs_twice_in_harness() -> None:
    """A file is found by its name. `check` and `search` may recur, since the folder that holds them says of what."""
    found: dict[str, list[str]] = {}
    for path in sorted((REPO / "harness").rglob("*.py")):
        of_a_scenario = (path.parent / "scenario.toml").is_file()
        of_its_folder = path.stem in {"check", "search"} and path.parent.parent != REPO / "harness"
        if path.stem not in {"__init__", "__main__"} and not of_a_scenario and not of_its_folder:
            found.setdefault(path.stem, []).append(path.relative_to(REPO).as_posix())
    assert len(found) > 100
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_no_command_line_of_the_harness_imports_from_the_working_folder() -> None:
    """`-P` keeps the working folder out of `sys.path`. An app's interpreter may lack it; `run_code` adds a line of code instead."""
    with_module, with_code = [], []
    for path in sorted((REPO / "harness").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, (ast.List, ast.Tuple)) or not node.elts:
                continue
            words = [ast.unparse(element) for element in node.elts]
            if words[0] == "sys.executable" or "'-m'" in words:
                with_module.append(words)
            elif "'-c'" in words and words[0] != "'/bin/sh'":
                with_code.append(words)
    assert len(with_module) >= 2
    assert [words for words in with_module if words[:2] != ["sys.executable", "'-P'"]] == []
    assert with_code
    assert [words for words in with_code if not words[2].startswith("_SAFE_PATH + ")] == []


def test_readme_and_help_list_every_exit_code() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--help"], capture_output=True, text=True, check=True
    ).stdout
    readme = (REPO / "README.md").read_text()
    for code in ExitCode:
        assert re.search(rf"(?<!\d){int(code)}(?!\d) \w", " ".join(help_text.split())), code
        assert f"| {int(code)} |" in readme, code


def test_every_make_command_of_the_readme_exists() -> None:
    readme = (REPO / "README.md").read_text()
    makefile = (REPO / "Makefile").read_text()
    commands = set(re.findall(r"\bmake ([a-z-]+)", readme))
    assert {"bench", "test"} <= commands
    for command in commands:
        assert re.search(rf"^{command}:.*## ", makefile, re.MULTILINE), command
    assert "make test" in (REPO / ".ci/run").read_text()


def test_no_file_names_the_machine_that_wrote_it() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    for name in filter(None, tracked):
        content = (REPO / name).read_bytes() if (REPO / name).is_file() else b""
        assert str(REPO).encode() not in content, name
        assert str(Path.home()).encode() + b"/" not in content, name
