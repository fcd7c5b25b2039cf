"""Known answers under many seeds: `python -m tests.power.seeds` (`make seeds`).

Every clean scenario must pass and every planted fault must be found under its name, whatever the seed. A seed decides who does
what and when they pause; real threads of a real server do the rest, so that no two runs of a seed are the same either.
The tests of `make check-all` run the very same trials; the command prints them as one table.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from harness import scenario
from harness.records import worst
from harness.run_dir import JsonLinesWriter, RunDir
from harness.scenario import Scenario
from tests.conftest import REPO, SMALL_PROFILE, WITHOUT_GROWTH, in_small
from tests.integration.cli import gradsoak

CLEAN_SEEDS = range(1, 21)
FAULT_SEEDS = range(1, 4)
# Clean ones that are there for the sake of what their memory looks like. For all others the experiment on memory is left
# out, which takes as long again as the rest, and nobody waits for memory to settle.
_CLEAN_MEMORY = ("big_temporary", "bounded_cache")
_ISOLATION_ALONE = WITHOUT_GROWTH.replace("settle_timeout_s = 2.0", "settle_timeout_s = 0.2")


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one scenario.

    Attributes:
        declared: what the scenario says must be found.
        verdict: of all checks but the load generator's, which is about the machine that the trial ran on.
        kinds: of the anomalies that were found.
        met: whether that is what was declared; of a clean scenario, also whether nothing at all was found.
        reason: of the verdict, as the run gives it.
    """

    scenario: str
    seed: int
    declared: str
    verdict: str
    kinds: list[str]
    met: bool
    reason: str
    took_s: float


@functools.cache
def clean() -> list[str]:
    """Bundled scenarios that declare that they pass."""
    return [s.name for s in scenario.bundled() if s.expect is not None and s.expect.verdict == "pass"]


def faulty() -> list[str]:
    """Bundled scenarios that declare an anomaly."""
    return [s.name for s in scenario.bundled() if s.expect is not None and s.expect.verdict != "pass"]


def seeds_of(name: str) -> range:
    """The seeds that a scenario is tried with."""
    return CLEAN_SEEDS if name in clean() else FAULT_SEEDS


def _about_memory(found: Scenario) -> bool:
    kind = (found.expect.kind if found.expect is not None else None) or ""
    return kind.startswith("leak-") or found.name in _CLEAN_MEMORY


def make_small(folder: Path) -> Path:
    """Copy the bundled scenarios into a folder, with a profile that takes seconds."""
    shutil.copytree(REPO / "scenarios", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for found in scenario.bundled():
        settings = folder / found.name / scenario.SETTINGS
        profile = SMALL_PROFILE if _about_memory(found) else _ISOLATION_ALONE
        settings.write_text(in_small(settings.read_text(), profile))
    return folder


def attempt(scenarios: Path, name: str, seed: int, run: Path) -> Trial:
    """Run one scenario with one seed.

    Args:
        scenarios: from `make_small`.
        name: of the scenario.
        seed: of everything random in the load.
        run: folder that the run is written to; it must not exist.
    """
    declared = scenario.find(name).expect
    assert declared is not None
    began = time.monotonic()
    done = gradsoak(
        "run", scenarios / name, "--out", run, "--seed", str(seed), "--json", cwd=run.parent, timeout_s=600
    )
    took_s = round(time.monotonic() - began, 1)
    if not (run / "derived/checks.json").is_file():
        raise RuntimeError(f"{name} with seed {seed} left no verdict: {done.err}")
    checks = RunDir.open(run).checks()
    kinds = {check.name for check in checks.checks if check.anomalies_total}
    kinds |= {anomaly.kind for check in checks.checks for anomaly in check.anomalies}
    verdict = worst(check.verdict for check in checks.checks if check.name != "load-generator")
    return Trial(
        scenario=name,
        seed=seed,
        declared=str(declared),
        verdict=verdict,
        kinds=sorted(kinds),
        met=declared.met_by(verdict, kinds) and (declared.verdict != "pass" or not kinds),
        reason=checks.reason,
        took_s=took_s,
    )


def table(trials: Iterable[Trial]) -> str:
    """One row for each scenario: what it declares, how often that was met, what was found, and what was not as declared."""
    by_scenario: dict[str, list[Trial]] = {}
    for trial in trials:
        by_scenario.setdefault(trial.scenario, []).append(trial)
    lines = [
        "| scenario | declares | met | anomalies found, in how many runs | otherwise |",
        "|---|---|---|---|---|",
    ]
    for name, found in sorted(by_scenario.items()):
        met = sum(t.met for t in found)
        kinds = Counter(kind for t in found for kind in t.kinds)
        seen = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
        otherwise = "; ".join(f"seed {t.seed}: {t.verdict}" for t in found if not t.met)
        lines.append(f"| {name} | {found[0].declared} | {met} of {len(found)} | {seen} | {otherwise} |")
    return "\n".join(lines)


def _line(trial: Trial) -> str:
    found = ", ".join(trial.kinds) or "no anomaly"
    strange = "" if trial.met else f"; NOT AS DECLARED: {trial.reason}"
    return f"{trial.scenario}, seed {trial.seed}: {trial.verdict}, {found}, {trial.took_s} s{strange}"


def main(argv: Sequence[str] | None = None) -> int:
    """Try scenarios with seeds, print the table; returns 1 if any trial did not give what its scenario declares."""
    parser = argparse.ArgumentParser(prog="python -m tests.power.seeds", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: every bundled one")
    parser.add_argument("--seeds", type=int, help="from 1 to this; default: 20 for clean ones, 3 for faults")
    parser.add_argument("--first", type=int, default=1, help="seed to begin with")
    parser.add_argument("--out", type=Path, help="file that each trial is appended to, as a line of JSON")
    parser.add_argument("--keep", type=Path, help="folder that runs which were not as declared are moved to")
    arguments = parser.parse_args(argv)
    trials: list[Trial] = []
    out = None if arguments.out is None else JsonLinesWriter(arguments.out)
    with tempfile.TemporaryDirectory(prefix="gradsoak-seeds-") as scratch:
        scenarios = make_small(Path(scratch) / "scenarios")
        named = arguments.scenarios or [*clean(), *faulty()]
        # All scenarios with one seed, then with the next: whoever stops it early has seen something of each.
        for seed in range(arguments.first, (arguments.seeds or CLEAN_SEEDS[-1]) + 1):
            for name in named:
                if arguments.seeds is None and seed not in seeds_of(name):
                    continue
                run = Path(scratch) / "run"
                trial = attempt(scenarios, name, seed, run)
                trials.append(trial)
                if out is not None:
                    out.append(trial)
                print(_line(trial), file=sys.stderr, flush=True)
                if not trial.met and arguments.keep is not None:
                    shutil.move(run, arguments.keep / f"{name}-{seed}")
                else:
                    shutil.rmtree(run)
    print(table(trials))
    return 0 if all(trial.met for trial in trials) else 1


if __name__ == "__main__":
    sys.exit(main())
