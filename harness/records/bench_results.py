"""Records of a bench: one row per scenario."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.records.verdicts import Guarantee, Verdict

Suite = Literal["core", "all", "named"]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with its 95 % confidence interval.

    Attributes:
        estimate: the estimate, in the unit of the field that holds it.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    estimate: float
    low: float
    high: float


class BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario of a bench.

    Attributes:
        scenario: the scenario's name.
        title: the scenario's title.
        description: the scenario's description, one sentence.
        patterns: numbers of the patterns of docs/scenarios.md that it shows; empty for a planted fault.
        run: path of the run folder, relative to the bench folder.
        verdict: the run's verdict.
        expected: the outcome that the scenario declares, in words.
        met: whether the run gave that outcome.
        error: why the run ended early; null if it was completed.
        exit_code: exit code that `gradsoak run` would have ended with.
        reason: the reason for the verdict, one or more sentences.
        checks: check → verdict; `pass` also for a check that does not apply.
        does_not_apply: check that does not apply → why.
        anomalies: kind of anomaly → number of anomalies.
        guarantees: (`promises` in the file) the status of each guarantee, as in `checks.json`.
        operations: number of operations in the whole run.
        sessions: number of sessions opened in the whole run.
        live_bytes_per_session: live heap that one more open session costs, bytes; null if it was not measured.
        uss_bytes_per_session: unique set size that one more open session costs, bytes; null if it was not measured.
        slowest_action: the workload's action with the highest 95th percentile; null if no action has one.
        p50_ms: median response time of that action, milliseconds; null with too few operations.
        p95_ms: 95th percentile of its response time, milliseconds; null with too few operations.
        latency_doubtful: whether the load generator was, or may have been, the bottleneck.
        throughput_per_s: completed actions of the workload per second; null if it was not measured.
        server_rss_high_water_bytes: largest sample of the app's resident memory, bytes; null without samples.
        duration_s: wall time of the run, seconds.
        warnings: sentences about what makes some figures doubtful.
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
    """`bench.json`: the results of one bench.

    Attributes:
        schema_version: version of this format.
        bench_id: name of the bench folder.
        gradsoak_version: version of gradsoak that ran the bench.
        gradio_version: version of Gradio under test.
        python_version: version of the Python that ran the apps.
        machine: operating system, architecture and number of cores.
        profile: name of the profile that all scenarios ran under.
        suite: which scenarios were chosen: the `core` of the bundled ones, `all` of them, or those `named`.
        left_out: number of bundled scenarios that the suite leaves out; 0 if scenarios were named.
        started_wall_ns: start of the bench, nanoseconds since 1970.
        duration_s: wall time of the bench, seconds.
        ended: `completed` or `interrupted`.
        rows: one row for each scenario that was run.
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
