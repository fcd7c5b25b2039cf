from __future__ import annotations

import msgspec
import numpy as np
import pytest

from harness.analysis import analyse
from harness.analysis.latency.figures import cpu_seconds, in_window, latencies, throughput_per_s
from harness.analysis.memory.session_cost import live_bytes, per_session, uss_bytes
from harness.analysis.theil_sen import theil_sen
from harness.history import InMemoryHistory, phases
from harness.profiles import BASES
from harness.recorded_run import RecordedRun
from harness.records import (
    SCHEMA_VERSION,
    ClockAnchor,
    Machine,
    Operation,
    Plateau,
    ProbeSample,
    ProcessSample,
    RunEvent,
    RunManifest,
)
from tests.builders import COMPLETED, HistoryBuilder

SECOND = 1_000_000_000


def process(at_s: float, *, cpu_s: float = 0.0, rss: int = 0, uss: int | None = 0) -> ProcessSample:
    return ProcessSample(
        time_ns=int(at_s * SECOND),
        wall_ns=0,
        processes=1,
        rss_bytes=rss,
        uss_bytes=uss,
        cpu_s=cpu_s,
        threads=1,
        open_files=1,
    )


def plateau(
    sessions: int, live: int | None, *, uss: int | None = 0, label: str = "staircase", quiet: bool = True
) -> Plateau:
    return Plateau(
        label=label,
        open_sessions=sessions,
        process=process(0, uss=uss),
        probe=ProbeSample(time_ns=0, wall_ns=0, live_bytes=live),
        loadgen_rss_bytes=1000 + 10 * sessions,
        settle_s=0.5,
        quiet=quiet,
    )


def operation(begin_s: float, latency_ms: float, *, action: str = "click", outcome: str = "ok") -> Operation:
    begin = int(begin_s * SECOND)
    return Operation(
        worker="0",
        id=1,
        session="s0-1",
        action=action,
        phase="load",
        outcome=outcome,  # type: ignore[arg-type]
        invoke_ns=begin,
        complete_ns=begin + int(latency_ms * 1e6),
    )


def run_data(**changes: object) -> RecordedRun:
    manifest = RunManifest(
        schema_version=SCHEMA_VERSION,
        gradsoak_version="0",
        run_id="r",
        run_tag="abcd",
        scenario="s",
        scenario_path="s",
        title="S",
        argv=[],
        seed=1,
        profile=msgspec.structs.replace(BASES["quick"], duration_s=10.0),
        params={},
        expect=None,
        state={},
        checks=[],
        git_sha=None,
        target_python="python",
        target_python_version="3.11",
        target_packages={},
        harness_packages={},
        gradio_version="6",
        machine=Machine(system="Linux", release="6", architecture="x", cpu_count=2, memory_bytes=1),
        clock=ClockAnchor(monotonic_ns=0, wall_ns=0),
    )
    fields: dict[str, object] = {
        "manifest": manifest,
        "seal": COMPLETED,
        "events": [],
        "phases": [],
        "recorded": InMemoryHistory(HistoryBuilder().build()),
        "target": [],
        "loadgen": [],
        "plateaus": [],
    }
    return RecordedRun(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_slope_of_exact_plateaus_is_exact() -> None:
    steps = [plateau(n, 10_000 + 700 * n, uss=50_000 + 900 * n) for n in (0, 8, 16, 24, 32)]
    live, uss = per_session(steps, live_bytes), per_session(steps, uss_bytes)
    assert live is not None
    assert uss is not None
    assert (live.estimate, live.low, live.high) == (700, 700, 700)
    assert uss.estimate == 900


def test_one_disturbed_plateau_does_not_move_the_slope() -> None:
    steps = [plateau(n, 10_000 + 700 * n + (10**9 if n == 16 else 0)) for n in (0, 8, 16, 24, 32, 40)]
    line = per_session(steps, live_bytes)
    assert line is not None
    assert line.estimate == pytest.approx(700)
    assert line.low <= 700 <= line.high


def test_only_the_staircase_enters_the_fit() -> None:
    steps = [plateau(n, 10_000 + 700 * n) for n in (0, 8, 16, 24, 32)]
    line = per_session([*steps, plateau(0, 10**8, label="after-close")], live_bytes)
    assert line is not None
    assert (line.estimate, line.points) == (700, 5)


def test_too_little_evidence_gives_no_slope() -> None:
    assert theil_sen([0, 1, 2, 3], [0, 1, 2, 3]) is None
    assert theil_sen([1, 1, 1, 1, 1], [0, 1, 2, 3, 4]) is None
    assert per_session([plateau(n, None) for n in (0, 8, 16, 24, 32)], live_bytes) is None


def test_percentiles_come_from_the_raw_operations_that_succeeded() -> None:
    values = [float(v) for v in range(1, 101)]
    operations = [operation(i, v) for i, v in enumerate(values)] + [
        operation(0, 9999, outcome="fail"),
        operation(0, 5, action="close"),
    ]
    figures = latencies(operations)
    assert set(figures) == {"click"}
    assert figures["click"].count == 100
    assert figures["click"].p50 == pytest.approx(np.percentile(values, 50))
    assert figures["click"].p99 == pytest.approx(np.percentile(values, 99))


def test_only_operations_that_begin_in_the_window_count() -> None:
    operations = [operation(0.5, 100), operation(1.5, 100), operation(2.95, 100), operation(3, 1)]
    assert [o.invoke_ns / SECOND for o in in_window(operations, (SECOND, 3 * SECOND))] == [1.5, 2.95]
    assert throughput_per_s([*operations, operation(1.2, 1, action="reload")], (SECOND, 3 * SECOND)) == 0.5


def test_cpu_time_is_interpolated_at_the_edges_of_the_window() -> None:
    samples = [process(t, cpu_s=t / 2) for t in range(6)]
    assert cpu_seconds(samples, (int(1.5 * SECOND), int(3.5 * SECOND))) == pytest.approx(1.0)
    assert cpu_seconds(samples, (10 * SECOND, 12 * SECOND)) is None


def events(*rows: tuple[str, float, dict[str, object]]) -> list[RunEvent]:
    return [
        RunEvent(time_ns=int(at * SECOND), wall_ns=0, kind=kind, detail=detail) for kind, at, detail in rows
    ]


def test_a_whole_run_in_figures() -> None:
    happened = events(
        ("phase", 0, {"name": "load"}),
        ("steady", 1, {}),
        ("sampler_gap", 2, {"process": "target", "gap_s": 1.0}),
        ("phase", 20, {"name": "end"}),
    )
    history = HistoryBuilder()
    for second in range(1, 10):
        history.click("a", second, begin=second * SECOND + 1, end=second * SECOND + 20_000_000)
    data = run_data(
        events=happened,
        phases=phases(happened),
        recorded=InMemoryHistory(history.build()),
        loadgen=[process(t, cpu_s=0.9 * t) for t in range(12)],
        target=[process(t, cpu_s=0.5 * t, rss=100 + t) for t in range(12)],
        plateaus=[
            *(plateau(n, 700 * n) for n in (0, 8, 16, 24, 32)),
            plateau(0, 1234, label="after-close", quiet=False),
        ],
    )
    figures = analyse(data)
    assert figures.timed_window_s == 9.0
    assert figures.throughput_per_s == 1.0
    assert figures.latency_ms["act"].count == 9
    assert figures.loadgen.cpu_utilisation == pytest.approx(0.9)
    assert figures.loadgen.cpu_ms_per_operation == pytest.approx(900)
    assert figures.loadgen.rss_bytes_per_session == 10
    assert figures.server.cpu_utilisation == pytest.approx(0.5)
    assert figures.server.rss_high_water_bytes == 111
    assert figures.memory.after_close_live_bytes == 1234
    assert figures.samples.gaps == 1
    # Nobody watched the generator from inside, it was busy, and a gap; the plateau after closing does not enter the fit.
    assert len(figures.warnings) == 3
    assert "no samples of the load generator" in figures.warnings[0]
    assert "90%" in figures.warnings[1]


def test_a_run_without_a_load_phase_has_no_figures_and_does_not_crash() -> None:
    figures = analyse(run_data(seal=None))
    assert figures.throughput_per_s is None
    assert figures.latency_ms == {}
    assert figures.memory.bytes_per_open_session.live is None
    assert figures.loadgen.cpu_ms_per_operation is None


def test_users_that_start_too_late_cause_a_warning() -> None:
    happened = events(("phase", 0, {"name": "load"}), ("phase", 20, {"name": "end"}))
    assert any(
        "--spawn-rate" in w for w in analyse(run_data(events=happened, phases=phases(happened))).warnings
    )
