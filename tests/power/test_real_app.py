"""A fault that strikes once in 1,000 operations, on a real Gradio server: the app forgets a click, and says so in its log."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from harness.checkers import check_history
from harness.history import History
from harness.records import Check, Operation
from harness.run_dir import TARGET_LOG, RunDir
from harness.run_reader import open_run
from tests.builders import COMPLETED
from tests.conftest import REPO
from tests.integration.cli import gradsoak
from tests.stored import whole_history

SCENARIO = REPO / "tests/power/scenario"
RATE, SEED = 0.001, "2"


def until(history: History, now: int) -> History:
    """What was on record at a time."""
    known = [
        o
        if o.complete_ns is not None and o.complete_ns <= now
        else msgspec.structs.replace(o, outcome="pending", complete_ns=None, reads={})
        for o in history.operations
        if o.invoke_ns <= now
    ]
    return msgspec.structs.replace(history, operations=known)


@pytest.mark.slow
def test_one_forgotten_click_in_a_thousand_is_found_by_the_next_click(tmp_path: Path) -> None:
    done = gradsoak(
        "run", SCENARIO, "--out", "run", "--seed", "1", "--duration", "60s", cwd=tmp_path, timeout_s=300
    )
    assert done.code == 1, done.err
    run = RunDir.open(tmp_path / "run")
    recorded = open_run(run)
    history, state = whole_history(recorded), recorded.manifest.state

    def lost_updates(known: History) -> Check:
        return next(c for c in check_history(known, state, COMPLETED).checks if c.name == "lost-update")

    log = (run.path / TARGET_LOG).read_text()
    forgotten = [line.partition(" ")[2] for line in log.splitlines() if line.startswith("forgot ")]
    clicks = sorted(
        (o for o in history.operations if o.action == "click" and o.complete_ns is not None),
        key=lambda o: o.complete_ns or 0,
    )
    # The app draws once for each click, so the seed says which of all clicks it forgot.
    rng = random.Random(SEED)
    assert len(forgotten) == sum(rng.random() < RATE for _ in clicks)
    written = {o.effects["clicks"].value: o for o in clicks}

    def seen_at(token: str) -> int | None:
        """After how many clicks somebody could have seen that one is gone: when its session had clicked once more."""
        lost = written[token]
        return next(
            (
                count
                for count, o in enumerate(clicks, start=1)
                if o.session == lost.session and o.invoke_ns > (lost.complete_ns or 0)
            ),
            None,
        )

    visible = {token: count for token in forgotten if (count := seen_at(token)) is not None}
    assert visible, f"{len(clicks)} clicks, and nothing was forgotten where anybody looked again: try again"
    assert {_lost(a.witness[0].effects) for a in lost_updates(history).anomalies} == set(visible)
    assert sum(a.occurrences for a in lost_updates(history).anomalies) == len(visible)
    # The very click that could show it did, and nothing had been reported before.
    first = min(visible.values())
    assert lost_updates(until(history, _end(clicks[first - 1]))).anomalies_total == 1
    assert lost_updates(until(history, _end(clicks[first - 2]))).anomalies_total == 0
    print(
        f"{len(forgotten)} of {len(clicks)} clicks forgotten, {len(visible)} of them where somebody looked again, all of "
        f"these reported, the first after {first} clicks"
    )


def _lost(effects: dict[str, dict[str, str]]) -> str:
    return effects["clicks"]["value"]


def _end(operation: Operation) -> int:
    assert operation.complete_ns is not None
    return operation.complete_ns
