"""False alarms of the memory experiment: `python -m tests.power.memory` (`make alarms`).

Runs clean apps with `gradsoak run --profile staircase`, each with its own seed; nothing may be reported as a leak. The tests of
`make check-all` make the same runs; this command prints one line for each.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.run_dir import RunDir
from tests.conftest import REPO
from tests.integration.cli import gradsoak

LEAKS = ("leak-per-request", "leak-per-session")
# Scenario, seed. Apps whose memory runs most like a leak run twice: State that grows during a session (counters, chats,
# histories), a cache that fills, uploaded files. The others run once.
RUNS = (
    ("counters", 1),
    ("bounded_cache", 2),
    ("big_temporary", 3),
    ("chat_history", 4),
    ("large_lists", 5),
    ("uploads", 6),
    ("custom_class", 7),
    ("shared_data", 8),
    ("state_lifecycle", 9),
    ("chat_interface", 10),
    ("editable_history", 11),
    ("undo_redo", 12),
    ("workflow", 13),
    ("concurrent_events", 14),
    ("load_event", 15),
    ("chain", 16),
    ("counters", 17),
    ("bounded_cache", 18),
    ("chat_history", 19),
    ("uploads", 20),
)


class CleanRun(msgspec.Struct, frozen=True, kw_only=True):
    """The memory result of one run of a clean app.

    Attributes:
        verdict: the memory verdict.
        leaks: access path or type → kind of leak reported.
        took_s: duration of the whole command.
    """

    scenario: str
    seed: int
    verdict: str
    reason: str
    leaks: dict[str, str]
    took_s: float

    @property
    def alarm(self) -> bool:
        """Whether anything was reported as a leak."""
        return bool(self.leaks) or self.verdict in LEAKS

    def line(self) -> str:
        """The result as one line of text."""
        found = ", ".join(f"{path} ({verdict})" for path, verdict in self.leaks.items())
        result = f"FALSE ALARM: {found or self.reason}" if self.alarm else self.verdict
        why = f" ({self.reason})" if self.verdict == "inconclusive" else ""
        return f"{self.scenario}, seed {self.seed}: {result}{why}, {self.took_s:.0f} s"


def run_clean_app(name: str, seed: int, run: Path) -> CleanRun:
    """Run a bundled scenario with the profile staircase.

    Args:
        name: name of the scenario.
        seed: seed of everything random in the load.
        run: run folder to write; it must not exist.
    """
    began = time.monotonic()
    done = gradsoak(
        "run", REPO / "scenarios" / name, "--profile", "staircase", "--seed", str(seed), "--out", run, "--json",
        cwd=run.parent, timeout_s=900,
    )  # fmt: skip
    took_s = time.monotonic() - began
    result = done.json()
    if "error" in result:
        raise RuntimeError(f"{name} with seed {seed}: {result['error']['message']}")
    plateaus = RunDir(run).plateaus()
    # An incomplete experiment cannot report a leak, so it proves nothing.
    labels = {plateau.label for plateau in plateaus}
    if not {"staircase", "requests", "after-close", "second-round"} <= labels:
        raise RuntimeError(f"{name} with seed {seed}: the experiment is not complete: {sorted(labels)}")
    figures = result["figures"]
    return CleanRun(
        scenario=name,
        seed=seed,
        verdict=figures["memory"]["verdict"],
        reason=figures["memory"]["reason"],
        leaks={g["path"]: g["verdict"] for g in figures["growth"] if g["verdict"] in LEAKS},
        took_s=took_s,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Make the runs and print each; return 1 if anything was reported as a leak."""
    parser = argparse.ArgumentParser(prog="python -m tests.power.memory", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=len(RUNS), help=f"number of runs, of {len(RUNS)}; default: all"
    )
    parser.add_argument("--first", type=int, default=1, help="number of the first run")
    parser.add_argument("--keep", type=Path, help="folder to which runs with a false alarm are moved")
    arguments = parser.parse_args(argv)
    runs: list[CleanRun] = []
    with tempfile.TemporaryDirectory(prefix="gradsoak-memory-") as scratch:
        run = Path(scratch) / "run"
        for name, seed in RUNS[arguments.first - 1 :][: arguments.runs]:
            runs.append(run_clean_app(name, seed, run))
            print(runs[-1].line(), flush=True)
            if runs[-1].alarm and arguments.keep is not None:
                shutil.move(run, arguments.keep / f"{name}-{seed}")
            else:
                shutil.rmtree(run)
    alarms = sum(one.alarm for one in runs)
    print(
        f"False alarms: {alarms} of {len(runs)} runs of clean apps. Inconclusive: {sum(o.verdict == 'inconclusive' for o in runs)}."
    )
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
