"""The outcome of a bench: one row per scenario."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.records.verdicts import Guarantee, Verdict

Suite = Literal["core", "all", "named"]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


class BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario of a bench.

    Attributes:
        patterns: numbers of the ways to keep state that it shows, none for a planted fault; see docs/scenarios.md.
        run: path of the run folder, relative to the bench folder.
        verdict: what the run concluded.
        expected: what the scenario declares, in words.
        met: whether the two agree.
        error: what ended the run early, None if it was completed.
        exit_code: what `gradsoak run` would have ended with.
        checks: name → verdict; of those that do not apply, it is `pass`.
        does_not_apply: of these, name → why.
        anomalies: kind → how many.
        guarantees: (`promises` in the file) as in `checks.json`.
        live_bytes_per_session, uss_bytes_per_session: cost of one more open session.
        slowest_action: the action with the highest p95, tab actions aside.
        p50_ms, p95_ms: its latency; None where there were too few operations.
        latency_doubtful: whether the load generator was the bottleneck, or nobody knows.
        duration_s: wall time of the run.
    """

    scenario: str
    title: str
    description: str
    patterns: list[int] = []
    run: str
    verdict: Verdict
    expected: str
    met: bool
    error: str | None
    exit_code: int
    reason: str
    checks: dict[str, Verdict]
    does_not_apply: dict[str, str] = {}
    anomalies: dict[str, int]
    guarantees: list[Guarantee] = msgspec.field(name="promises", default_factory=list)
    operations: int
    sessions: int
    live_bytes_per_session: Interval | None
    uss_bytes_per_session: Interval | None
    slowest_action: str | None
    p50_ms: float | None
    p95_ms: float | None
    latency_doubtful: bool = False
    throughput_per_s: float | None
    server_rss_high_water_bytes: int | None
    duration_s: float
    warnings: list[str]


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """`bench.json`.

    Attributes:
        profile: name of the profile that all scenarios ran under.
        suite: what was to be run: the `core` of the bundled scenarios, `all` of them, or those that were `named`.
        left_out: bundled scenarios that do not belong to it; 0 for those that were named.
        ended: `completed` or `interrupted`.
    """

    schema_version: int
    bench_id: str
    gradsoak_version: str
    gradio_version: str
    python_version: str
    machine: str
    profile: str
    suite: Suite = "named"
    left_out: int = 0
    started_wall_ns: int
    duration_s: float
    ended: str
    rows: list[BenchRow]
