from __future__ import annotations

import pytest

from harness.history import History, InMemoryHistory, PhaseSpan
from harness.recorded_run import RecordedRun
from harness.records import SCHEMA_VERSION, Check, Checks, Seal
from tests.unit.report.builders import (
    BEGAN,
    S,
    empty_run,
    generator_samples,
    manifest,
    operation,
    plateau,
    process_sample,
)


@pytest.fixture
def empty() -> RecordedRun:
    """The run died before anything was recorded."""
    return empty_run()


@pytest.fixture
def full() -> RecordedRun:
    """A whole run: 71 KB of live heap and 80 KB of USS per session."""
    ends = {"start": 5.0, "warm-up": 8.0, "staircase": 12.0, "load": 24.0, "drain": 24.3, "after-close": 25.5}
    begin = 0.0
    spans = []
    for name, end in ends.items():
        spans.append(
            PhaseSpan(
                name=name,
                begin_ns=BEGAN + int(begin * S),
                end_ns=BEGAN + int(end * S),
                steady_ns=BEGAN + int(begin * S) + 1,
            )
        )
        begin = end
    actions = ["open", "click", "click", "annotate <b>", "close"]
    operations = [
        operation(i, 5.5 + i * 0.09, actions[i % 5], took_s=0.01 + (i % 7) / 200) for i in range(200)
    ]
    steps = [
        plateau(
            n, 9 + n / 20, 130_000_000 + n * 71_000 + n % 3 * 900, 157_000_000 + n * 80_000 + n % 5 * 4096
        )
        for n in (0, 8, 16, 24, 32, 40)
    ]
    return RecordedRun(
        manifest=manifest(),
        seal=Seal(ended="completed", reason="", wall_ns=0, shards={}),
        events=[],
        phases=spans,
        recorded=InMemoryHistory(History(operations=operations, problems=[])),
        target=[process_sample(4 + i / 4, 180_000_000 + i * 10_000) for i in range(85)],
        loadgen=[process_sample(4 + i / 4) for i in range(85)],
        plateaus=[*steps, plateau(0, 25, 135_000_000, 166_000_000, "after-close")],
        generator={"0": generator_samples(5, 25)},
    )


@pytest.fixture
def passed() -> Checks:
    check = Check(
        name="cross-session-read", verdict="pass", reason="None of 40 reads crossed.", evidence={"reads": 40}
    )
    return Checks(schema_version=SCHEMA_VERSION, verdict="pass", reason="No anomaly.", checks=[check])
