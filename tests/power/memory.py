"""False alarms of the experiment on memory: `python -m tests.power.memory` (`make alarms`).

Clean apps, each under `gradsoak run --profile staircase` with a seed of its own: nothing that they do may be called a leak.
The tests of `make check-all` make the very same runs; the command prints them as one table.
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
# Those whose memory is most like a leak twice or thrice, the others once: State that grows while a session lasts (counters,
# chats, histories), a cache that fills, large temporaries, a data set that all share, files, lists of a megabyte.
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


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a clean app says of its memory.

    Attributes:
        verdict: on memory.
        leaks: what was called a leak: access path or type → which.
        took_s: of the whole command.
    """

    scenario: str
    seed: int
    verdict: str
    reason: str
    leaks: dict[str, str]
    took_s: float

    @property
    def alarm(self) -> bool:
        """Whether anything was called a leak."""
        return bool(self.leaks) or self.verdict in LEAKS

    def line(self) -> str:
        """One line for people."""
        found = ", ".join(f"{path} ({verdict})" for path, verdict in self.leaks.items())
        told = f"FALSE ALARM: {found or self.reason}" if self.alarm else self.verdict
        why = f" ({self.reason})" if self.verdict == "inconclusive" else ""
        return f"{self.scenario}, seed {self.seed}: {told}{why}, {self.took_s:.0f} s"


def look(name: str, seed: int, run: Path) -> Look:
    """Run a bundled scenario with the profile that asks for memory.

    Args:
        name: of the scenario.
        seed: of everything random in the load.
        run: folder that the run is written to; it must not exist.
    """
    began = time.monotonic()
    done = gradsoak(
        "run", REPO / "scenarios" / name, "--profile", "staircase", "--seed", str(seed), "--out", run, "--json",
        cwd=run.parent, timeout_s=900,
    )  # fmt: skip
    took_s = time.monotonic() - began
    told = done.json()
    if "error" in told:
        raise RuntimeError(f"{name} with seed {seed}: {told['error']['message']}")
    plateaus = RunDir(run).plateaus()
    # Without the whole experiment nothing could have been called a leak, and silence would say nothing.
    labels = {plateau.label for plateau in plateaus}
    if not {"staircase", "requests", "after-close", "second-round"} <= labels:
        raise RuntimeError(f"{name} with seed {seed}: the experiment is not complete: {sorted(labels)}")
    figures = told["figures"]
    return Look(
        scenario=name,
        seed=seed,
        verdict=figures["memory"]["verdict"],
        reason=figures["memory"]["reason"],
        leaks={g["path"]: g["verdict"] for g in figures["growth"] if g["verdict"] in LEAKS},
        took_s=took_s,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Make the runs, print each; returns 1 if anything was called a leak."""
    parser = argparse.ArgumentParser(prog="python -m tests.power.memory", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=len(RUNS), help=f"so many of the {len(RUNS)}, default: all"
    )
    parser.add_argument("--first", type=int, default=1, help="number of the run to begin with")
    parser.add_argument("--keep", type=Path, help="folder that runs with a false alarm are moved to")
    arguments = parser.parse_args(argv)
    looks: list[Look] = []
    with tempfile.TemporaryDirectory(prefix="gradsoak-memory-") as scratch:
        run = Path(scratch) / "run"
        for name, seed in RUNS[arguments.first - 1 :][: arguments.runs]:
            looks.append(look(name, seed, run))
            print(looks[-1].line(), flush=True)
            if looks[-1].alarm and arguments.keep is not None:
                shutil.move(run, arguments.keep / f"{name}-{seed}")
            else:
                shutil.rmtree(run)
    alarms = sum(one.alarm for one in looks)
    print(
        f"False alarms: {alarms} of {len(looks)} runs of clean apps. Not decided: {sum(o.verdict == 'inconclusive' for o in looks)}."
    )
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
