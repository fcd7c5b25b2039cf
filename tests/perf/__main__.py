"""`python -m tests.perf`: measure what the load side costs, print one table, write one JSON file.

It never fails on a figure that misses its bar: the table says so. It exits with 1 if a figure could not be measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from harness.child_process import raise_file_limit
from harness.errors import HarnessError
from harness.run_dir import write_atomically
from tests.perf import checking, cpu, latency, memory, probe, sessions, throughput, verdict
from tests.perf.figures import Figure, NotMeasured, Settings, significant
from tests.perf.servers import REPO

GROUPS: dict[str, Callable[[Settings], list[Figure]]] = {
    "cpu": cpu.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "throughput": throughput.measure,
    "sessions": sessions.measure,
    "checking": checking.measure,
    "probe": probe.measure,
    "verdict": verdict.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns the exit status."""
    arguments = _parser().parse_args(argv)
    groups = list(GROUPS) if arguments.only is None else [name.strip() for name in arguments.only.split(",")]
    unknown = [name for name in groups if name not in GROUPS]
    if unknown:
        print(f"There is no figure {unknown[0]!r}.\nFigures: {', '.join(GROUPS)}.", file=sys.stderr)
        return 2
    raise_file_limit()
    console, notes = Console(), Console(stderr=True)
    found: dict[str, list[Figure]] = {}
    failed: dict[str, str] = {}
    began = time.monotonic()
    load_before = psutil.getloadavg()[0]
    for name in groups:
        with (
            tempfile.TemporaryDirectory(prefix="gradsoak-perf-") as scratch,
            notes.status(f"measuring {name}"),
        ):
            try:
                found[name] = GROUPS[name](_settings(arguments, Path(scratch)))
            except NotMeasured as error:
                failed[name] = str(error)
            except HarnessError as error:
                failed[name] = f"{error.message} {error.hint}"
            except Exception as error:  # the other figures are still worth having
                failed[name] = f"{type(error).__name__}: {error}"
                traceback.print_exc()
        if not notes.is_terminal:
            notes.print(f"measured {name}" if name in found else f"could not measure {name}: {failed[name]}")
    _print_table(console, found, failed)
    document = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "took_s": round(time.monotonic() - began, 1),
        "arguments": {
            key: str(value) if isinstance(value, Path) else value for key, value in vars(arguments).items()
        },
        "machine": _machine(load_before),
        "figures": [
            {"group": name, "met": figure.met, **msgspec.to_builtins(figure)}
            for name, figures in found.items()
            for figure in figures
        ],
        "not_measured": failed,
    }
    out = arguments.out or REPO / "reports" / "perf" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    write_atomically(out, json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
    console.print(f"JSON: {out}", soft_wrap=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.perf", description="Measure what the load side costs. See docs/perf.md."
    )
    parser.add_argument("--only", help=f"figures, separated by commas: {', '.join(GROUPS)}; default: all")
    parser.add_argument("--rounds", type=_positive(int), default=5, help="turns of each contender (5)")
    parser.add_argument("--users", type=_positive(int), default=4, help="users of the CPU figures (4)")
    parser.add_argument(
        "--seconds", type=_positive(float), default=2.0, help="length of a turn of the load generator (2)"
    )
    parser.add_argument(
        "--calls", type=_positive(int), default=400, help="single calls per side of the latency figure (400)"
    )
    parser.add_argument(
        "--idle-sessions", type=_positive(int), default=1000, help="most sessions of the memory figure (1000)"
    )
    parser.add_argument("--sessions", type=_positive(int), default=5000, help="sessions open at once (5000)")
    parser.add_argument(
        "--operations",
        type=_positive(int),
        default=10_000_000,
        help="of the longest history to check (10000000)",
    )
    parser.add_argument("--out", type=Path, help="JSON file to write; default: reports/perf/TIME.json")
    return parser


def _positive(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return read


def _settings(arguments: argparse.Namespace, scratch: Path) -> Settings:
    return Settings(
        rounds=arguments.rounds,
        users=arguments.users,
        seconds=arguments.seconds,
        sessions=arguments.sessions,
        calls=arguments.calls,
        idle_sessions=arguments.idle_sessions,
        operations=arguments.operations,
        scratch=scratch,
    )


def _print_table(console: Console, found: dict[str, list[Figure]], failed: dict[str, str]) -> None:
    table = Table("figure", "measured", "spread", "bar", "", box=None, pad_edge=False)
    for name in [*found, *failed]:
        for figure in found.get(name, []):
            assert figure.value is not None
            unit = f" {figure.unit}" if figure.unit else ""
            spread = (
                f"{significant(figure.low)} – {significant(figure.high)}"
                if figure.low is not None and figure.high is not None
                else ""
            )
            table.add_row(
                figure.name + (f"\n  {figure.reason}" if figure.reason else ""),
                significant(figure.value) + unit,
                spread,
                f"{'≤' if figure.direction == 'at most' else '≥'} {significant(figure.bar)}{unit}",
                "met" if figure.met else "MISSED",
            )
        if name in failed:
            table.add_row(f"{name}: could not be measured\n  {failed[name]}", "–", "", "", "")
    console.print(table)


def _machine(load_before: float) -> dict[str, Any]:
    sha = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu_count": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        # Somebody else's load makes figures worse; ratios suffer less than absolute values.
        "load_average_before": load_before,
        "git_sha": sha or None,
        "packages": {
            name: version(name)
            for name in ("gradio", "gradio_client", "locust", "gevent", "geventhttpclient")
        },
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; nothing was written.")
