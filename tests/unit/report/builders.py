"""Records of made-up runs, for the tests of the report."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.analysis import Analysis, analyse
from harness.analysis.latency.figures import Latency
from harness.analysis.theil_sen import Slope
from harness.history import History, InMemoryHistory
from harness.recorded_run import RecordedRun
from harness.records import (
    PAGE_ACTIONS,
    SCHEMA_VERSION,
    Anomaly,
    Bench,
    BenchRow,
    Check,
    Checks,
    ClockAnchor,
    Error,
    GeneratorSample,
    Interval,
    Machine,
    Operation,
    Plateau,
    PlateauPlan,
    ProbeSample,
    ProcessSample,
    Profile,
    RunManifest,
    StateVariable,
    WitnessOperation,
)

S = 10**9
BEGAN = 1_000 * S


def manifest(**changes: Any) -> RunManifest:
    made = RunManifest(
        schema_version=SCHEMA_VERSION,
        gradsoak_version="0.1.0",
        run_id="run-1",
        run_tag="aaaa",
        scenario="counters",
        scenario_path="scenarios/counters",
        title="Counters",
        argv=["gradsoak", "run", "my scenario"],
        seed=7,
        profile=Profile(
            name="quick",
            users=2,
            spawn_rate=10.0,
            duration_s=12.0,
            think_s=0.2,
            actions_per_session=8.0,
            reload_share=0.3,
            warmup_s=3.0,
            operation_timeout_s=30.0,
            sample_interval_s=0.25,
            staircase=PlateauPlan(levels=5, sessions_per_level=8, settle_timeout_s=4.0),
        ),
        params={},
        expect={"verdict": "pass"},
        state={"count": StateVariable(model="counter", initial=0)},
        checks=["cross-session-read"],
        git_sha=None,
        target_python="python",
        target_python_version="3.11.7",
        target_packages={},
        harness_packages={},
        gradio_version="6.31.0",
        machine=Machine(
            system="Linux", release="6.1", architecture="x86_64", cpu_count=4, memory_bytes=16 * 10**9
        ),
        clock=ClockAnchor(monotonic_ns=BEGAN, wall_ns=1_795_000_000 * S),
    )
    return msgspec.structs.replace(made, **changes)


def empty_run() -> RecordedRun:
    """A run that died before anything was recorded."""
    return RecordedRun(
        manifest=manifest(),
        seal=None,
        events=[],
        phases=[],
        recorded=InMemoryHistory(History(operations=[], problems=[])),
        target=[],
        loadgen=[],
        plateaus=[],
    )


def process_sample(
    at_s: float, rss_bytes: int = 180_000_000, uss_bytes: int | None = 160_000_000
) -> ProcessSample:
    return ProcessSample(
        time_ns=BEGAN + int(at_s * S),
        wall_ns=0,
        processes=1,
        rss_bytes=rss_bytes,
        uss_bytes=uss_bytes,
        cpu_s=at_s / 2,
        threads=4,
        open_files=9,
    )


def plateau(
    sessions: int, at_s: float, live_bytes: int | None, uss_bytes: int | None, label: str = "staircase"
) -> Plateau:
    return Plateau(
        label=label,
        open_sessions=sessions,
        process=process_sample(at_s, uss_bytes=uss_bytes),
        probe=ProbeSample(time_ns=BEGAN + int(at_s * S), wall_ns=0, live_bytes=live_bytes),
        loadgen_rss_bytes=60_000_000 + sessions * 50_000,
        settle_s=0.5,
        quiet=True,
    )


def operation(
    number: int, at_s: float, action: str = "click", outcome: str = "ok", took_s: float = 0.02
) -> Operation:
    invoke_ns = BEGAN + int(at_s * S)
    queued = outcome == "ok" and action not in PAGE_ACTIONS
    return Operation(
        worker="0",
        id=number,
        session=f"s0-{number % 3}",
        action=action,
        phase="load",
        outcome=outcome,  # type: ignore[arg-type]
        invoke_ns=invoke_ns,
        complete_ns=None if outcome == "pending" else invoke_ns + int(took_s * S),
        intended_ns=invoke_ns - 1_000_000 if queued else None,
        accepted_ns=invoke_ns + int(0.2 * took_s * S) if queued else None,
        started_ns=invoke_ns + int(0.6 * took_s * S) if queued else None,
        error=None if outcome in ("ok", "pending") else Error(kind="app", message="no"),
    )


def generator_samples(
    begin_s: float, end_s: float, *, lag_ms: float = 0.5, cpu: float = 0.1
) -> list[GeneratorSample]:
    """One every half second, each with ten measurements of the same lag."""
    return [
        GeneratorSample(
            time_ns=BEGAN + int((begin_s + i / 2) * S),
            wall_ns=0,
            cpu_s=cpu * i / 2,
            due_ns=BEGAN + int((begin_s + (i - 1) / 2) * S),
            tick_ns=50_000_000,
            lag_ns=[int(lag_ms * 1e6)] * 10,
        )
        for i in range(int(2 * (end_s - begin_s)) + 1)
    ]


def anomaly(number: int, **changes: Any) -> Anomaly:
    witness = [
        WitnessOperation(
            name=letter,
            operation=f"0:{number + i}",
            session=f"s0-{number + i}",
            action="click",
            phase="load",
            outcome="ok",
            invoke_s=1.25,
            complete_s=None if i else 1.5,
            effects={"clicks": {"op": "append", "value": f"token-{number}"}} if i == 0 else {},
            reads={"clicks": ["…", f"token-{number}"]} if i else {},
        )
        for i, letter in enumerate("AB")
    ]
    made = Anomaly(
        kind="cross-session-read",
        sessions=[f"s0-{number}", f"s0-{number + 1}"],
        variable="clicks",
        occurrences=3,
        witness=witness,
        explanation=f"Operation A: session s0-{number} appended token-{number}.",
    )
    return msgspec.structs.replace(made, **changes)


def failing(anomalies: list[Anomaly], total: int | None = None) -> Checks:
    check = Check(
        name="cross-session-read",
        verdict="fail",
        reason="Sessions saw what other sessions wrote.",
        evidence={"reads": 40},
        anomalies=anomalies,
        anomalies_total=len(anomalies) if total is None else total,
    )
    return Checks(schema_version=SCHEMA_VERSION, verdict="fail", reason=check.reason, checks=[check])


def with_latency(data: RecordedRun, latency_ms: dict[str, Latency]) -> Analysis:
    return msgspec.structs.replace(analyse(data), latency_ms=latency_ms)


def line(estimate: float, low: float, high: float) -> Slope:
    return Slope(estimate=estimate, low=low, high=high, intercept=0.0, points=6)


def bench_row(**changes: Any) -> BenchRow:
    made = BenchRow(
        scenario="counters",
        title="Counters",
        description="A click counter.",
        run="counters",
        verdict="pass",
        expected="pass",
        met=True,
        error=None,
        exit_code=0,
        reason="No anomaly.",
        checks={"cross-session-read": "pass"},
        anomalies={},
        operations=988,
        sessions=126,
        live_bytes_per_session=Interval(estimate=71_510.7, low=69_402.0, high=77_592.0),
        uss_bytes_per_session=Interval(estimate=78_848.0, low=60_416.0, high=90_624.0),
        slowest_action="click",
        p50_ms=13.9,
        p95_ms=43.4,
        throughput_per_s=50.76,
        server_rss_high_water_bytes=191_500_288,
        duration_s=26.6,
        warnings=[],
    )
    return msgspec.structs.replace(made, **changes)


def bench(*rows: BenchRow, ended: str = "completed", **changes: Any) -> Bench:
    made = Bench(
        schema_version=SCHEMA_VERSION,
        bench_id="bench-1",
        gradsoak_version="0.1.0",
        gradio_version="6.31.0",
        python_version="3.11.7",
        machine="Linux x86_64, 4 cores",
        profile="quick",
        started_wall_ns=1_795_000_000 * S,
        duration_s=60.0,
        ended=ended,
        rows=list(rows),
    )
    return msgspec.structs.replace(made, **changes)
