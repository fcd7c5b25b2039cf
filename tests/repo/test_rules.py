"""Rules about this repository that no other tool keeps."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.analysis import Analysis
from harness.errors import ExitCode
from harness.records import (
    Allocation,
    Bench,
    Census,
    Checks,
    GeneratorSample,
    HeldEntries,
    HistoryRecord,
    Plateau,
    ProbeSample,
    ProcessSample,
    Retainer,
    RunEvent,
    RunManifest,
    Seal,
)
from tests.conftest import REPO

PROBE = sorted((REPO / "harness/probe").glob("*.py"))


def test_the_top_level_is_what_it_is_meant_to_be() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    assert {path.split("/")[0] for path in tracked} == {
        "harness", "scenarios", "reports", "tests", "pyproject.toml", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", "docs", ".ci", ".gitignore", "constraints.txt",
    }  # fmt: skip


@pytest.mark.parametrize("path", PROBE, ids=lambda path: path.name)
def test_the_probe_is_standard_library_only_and_parses_as_python_3_9(path: Path) -> None:
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
def test_locust_never_patches_the_harness(module: str) -> None:
    script = f"import {module}, sys; print(sorted({{'locust', 'gevent', 'gradio', 'gradio_client'}} & set(sys.modules)))"
    assert (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def fields(kind: object, prefix: str = "") -> set[str]:
    """Every field name of a record, those of nested records included."""
    found: set[str] = set()
    info = msgspec.inspect.type_info(kind)
    stack = [info]
    while stack:
        node = stack.pop()
        if isinstance(node, msgspec.inspect.StructType):
            for field in node.fields:
                found.add(field.encode_name)
                stack.append(field.type)
        for attribute in ("types", "item_type", "value_type"):
            inner = getattr(node, attribute, None)
            stack += list(inner) if isinstance(inner, tuple) else [inner] if inner is not None else []
    return found


@pytest.mark.parametrize(
    "kind",
    [
        RunManifest,
        HistoryRecord,
        ProcessSample,
        ProbeSample,
        GeneratorSample,
        Plateau,
        Allocation,
        HeldEntries,
        Census,
        Retainer,
        RunEvent,
        Seal,
        Checks,
        Analysis,
        Bench,
    ],
)
def test_every_field_of_every_file_is_documented(kind: object) -> None:
    documented = set(re.findall(r"[a-z][a-z0-9_]*", (REPO / "docs/file-formats.md").read_text()))
    assert fields(kind) - documented == set()


def test_the_guaranteed_names_are_there() -> None:
    promised = {"latency_ms", "throughput_per_s", "memory", "bytes_per_open_session", "live", "uss", "estimate", "low", "high", "loadgen",
                "cpu_ms_per_operation", "rss_bytes_per_session", "cpu_utilisation", "samples", "gaps", "p50", "p95", "p99", "count",
                "model", "stages_ms", "queue_wait", "service", "first_output", "generator_delay", "arrivals", "dropped", "bottleneck"}  # fmt: skip
    assert promised <= fields(Analysis)
    assert {"verdict", "checks", "name", "anomalies", "kind", "sessions", "witness", "explanation"} <= fields(
        Checks
    )


def test_every_room_is_on_the_map() -> None:
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


def test_the_exit_codes_are_the_same_everywhere() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--help"], capture_output=True, text=True, check=True
    ).stdout
    readme = (REPO / "README.md").read_text()
    for code in ExitCode:
        assert re.search(rf"(?<!\d){int(code)}(?!\d) \w", " ".join(help_text.split())), code
        assert f"| {int(code)} |" in readme, code


def test_the_commands_of_the_readme_exist() -> None:
    readme = (REPO / "README.md").read_text()
    makefile = (REPO / "Makefile").read_text()
    commands = set(re.findall(r"\bmake ([a-z-]+)", readme))
    assert {"bench", "test"} <= commands
    for command in commands:
        assert re.search(rf"^{command}:.*## ", makefile, re.MULTILINE), command
    assert "make test" in (REPO / ".ci/run").read_text()


def test_no_file_names_a_machine_it_was_written_on() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    for name in filter(None, tracked):
        content = (REPO / name).read_bytes() if (REPO / name).is_file() else b""
        assert str(REPO).encode() not in content, name
        assert str(Path.home()).encode() + b"/" not in content, name
