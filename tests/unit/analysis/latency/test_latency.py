"""Planted histories with known stages."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis import analyse, check_generator
from harness.checkers import combine
from harness.history import History, InMemoryHistory, WorkerFacts, Workers, phases
from harness.recorded_run import RecordedRun
from harness.records import Check, Error, GeneratorSample, Operation, worst
from tests.unit.analysis.test_figures import SECOND, events, run_data

MS = 1_000_000


def planted(
    number: int,
    at_s: float,
    *,
    late_ms: float = 0,
    accept_ms: float = 2,
    wait_ms: float = 30,
    service_ms: float = 10,
    first_ms: float | None = None,
    session: str = "s",
    action: str = "click",
    intended: bool = True,
    **more: Any,
) -> Operation:
    """An operation that was due at `at_s` and began late by the given times."""
    due = int(at_s * SECOND)
    begin = due + int(late_ms * MS)
    started = begin + int((accept_ms + wait_ms) * MS)
    return Operation(
        worker="0",
        id=number,
        session=session,
        action=action,
        phase="load",
        outcome="ok",
        intended_ns=due if intended else None,
        invoke_ns=begin,
        accepted_ns=begin + int(accept_ms * MS),
        started_ns=started,
        first_output_ns=None if first_ms is None else started + int(first_ms * MS),
        complete_ns=started + int(service_ms * MS),
        **more,
    )


def samples(*, cpu: float = 0.1, lag_ms: float = 1.0, end_s: float = 20) -> list[GeneratorSample]:
    return [
        GeneratorSample(
            time_ns=int(i / 2 * SECOND),
            wall_ns=0,
            cpu_s=cpu * i / 2,
            due_ns=int((i - 1) / 2 * SECOND),
            tick_ns=50 * MS,
            lag_ns=[int(lag_ms * MS)] * 10,
        )
        for i in range(int(2 * end_s) + 1)
    ]


def run(operations: list[Operation], *, rate: float | None = None, **changes: Any) -> RecordedRun:
    """A run with a timed window from 1 s to 10 s."""
    happened = events(("phase", 0, {"name": "load"}), ("steady", 1, {}), ("phase", 20, {"name": "end"}))
    data = run_data(
        events=happened,
        phases=phases(happened),
        recorded=InMemoryHistory(
            History(operations=sorted(operations, key=lambda o: o.invoke_ns), problems=[])
        ),
        **{"generator": {"0": samples()}, **changes},
    )
    profile = msgspec.structs.replace(data.manifest.profile, arrival_rate=rate)
    return msgspec.structs.replace(data, manifest=msgspec.structs.replace(data.manifest, profile=profile))


def test_each_stage_has_its_planted_length() -> None:
    figures = analyse(
        run([planted(i, 1 + i / 20, late_ms=3, first_ms=4, session=f"s{i}") for i in range(100)], rate=20)
    )
    assert figures.model == "open"
    stages = figures.stages_ms["click"]
    for name, expected in (
        ("page_wait", 0),
        ("generator_delay", 3),
        ("accept", 2),
        ("queue_wait", 30),
        ("service", 10),
        ("first_output", 3 + 2 + 30 + 4),
    ):
        part = getattr(stages, name)
        assert (part.p50, part.p99, part.max, part.count) == (
            pytest.approx(expected),
            pytest.approx(expected),
            pytest.approx(expected),
            100,
        ), name
    assert figures.latency_ms["click"].p50 == pytest.approx(45)
    assert stages.mean is not None
    parts = msgspec.to_builtins(stages.mean)
    assert parts.pop("count") == 100
    assert sum(parts.values()) == pytest.approx(45)


def test_the_closed_model_counts_from_the_actual_start_and_says_so() -> None:
    figures = analyse(run([planted(i, 1 + i / 20, late_ms=3, session=f"s{i}") for i in range(100)]))
    assert figures.model == "closed"
    assert figures.latency_ms["click"].p50 == pytest.approx(42)
    stages = figures.stages_ms["click"]
    assert stages.generator_delay is not None
    assert stages.generator_delay.p50 == pytest.approx(3)
    assert stages.page_wait is None
    assert stages.mean is not None
    assert stages.mean.generator_delay == 0


def test_a_standstill_counts_for_arrivals_that_had_to_wait() -> None:
    """The server stands still for 4 s. Arrivals continue; each waits for the rest of the standstill."""
    operations = []
    for i in range(80):
        at_s = 1 + i / 10
        begin = max(at_s, 6.0) if at_s >= 2 else at_s
        operations.append(planted(i, at_s, late_ms=(begin - at_s) * 1000, session=f"s{i}"))
    by_model = {rate: analyse(run(operations, rate=rate)).latency_ms["click"] for rate in (None, 10.0)}
    assert by_model[None].max == pytest.approx(42)
    assert by_model[10.0].max == pytest.approx(4042)
    assert (by_model[None].p90, by_model[10.0].p90) == (pytest.approx(42), pytest.approx(3252))


def test_operations_due_in_the_window_count_even_if_they_end_after_it() -> None:
    operations = [
        planted(1, 9.5, service_ms=5000, session="a"),
        planted(2, 0.5, session="b"),  # due before the harness heard that it had begun, at 1 s
        planted(3, 11.5, session="c"),
    ]
    assert analyse(run(operations, rate=1.0)).latency_ms["click"].count == 2
    closed = analyse(run(operations)).latency_ms["click"]
    assert (closed.count, closed.max) == (1, pytest.approx(5032))


@pytest.mark.parametrize("rate", [None, 1.0])
def test_operations_never_seen_to_end_are_in_no_percentile_and_cause_a_warning(rate: float | None) -> None:
    timed_out = msgspec.structs.replace(planted(2, 3, session="b", service_ms=7000), outcome="info")
    pending = msgspec.structs.replace(planted(3, 4, session="c"), outcome="pending", complete_ns=None)
    later = planted(4, 12.5, session="d", action="close", wait_ms=0, accept_ms=0, service_ms=0)
    outside = msgspec.structs.replace(
        planted(5, 11, session="e", service_ms=60_000), outcome="info", worker="1"
    )
    figures = analyse(run([planted(1, 2), timed_out, pending, later, outside], rate=rate))
    assert figures.latency_ms["click"].count == 1
    (warning,) = [text for text in figures.warnings if "never seen to end" in text]
    assert "2 of 3 operations of the timed window" in warning
    # Operation 3 had not ended when its worker last wrote anything down, 8.5 s after it began.
    assert "up to 8.5 s" in warning
    assert not any("never seen to end" in text for text in analyse(run([planted(1, 2)], rate=rate)).warnings)


def test_a_page_that_is_still_opening_counts_as_page_wait() -> None:
    opening = planted(1, 2, action="open")
    opening = msgspec.structs.replace(
        opening, accepted_ns=None, started_ns=None, complete_ns=opening.invoke_ns + 500 * MS
    )
    acting = planted(2, 2, late_ms=504)
    figures = analyse(run([opening, acting], rate=1.0))
    stages = figures.stages_ms["click"]
    assert stages.page_wait is not None
    assert stages.generator_delay is not None
    assert (stages.page_wait.max, stages.generator_delay.max) == (pytest.approx(500), pytest.approx(4))
    assert figures.latency_ms["click"].max == pytest.approx(546)
    assert figures.generator.workers["0"].late_start_ms is not None
    assert figures.generator.workers["0"].late_start_ms.max == pytest.approx(4)


def test_a_start_message_before_the_response_makes_no_negative_wait() -> None:
    early = msgspec.structs.replace(planted(1, 2), accepted_ns=int(2.035 * SECOND))
    stages = analyse(run([early])).stages_ms["click"]
    assert stages.queue_wait is not None
    assert stages.accept is not None
    assert (stages.queue_wait.max, stages.accept.max) == (0, pytest.approx(32))


def test_stages_in_an_impossible_order_are_left_out() -> None:
    impossible = msgspec.structs.replace(planted(1, 2, intended=False), started_ns=int(3 * SECOND))
    assert analyse(run([impossible])).stages_ms == {}


def verdict(data: RecordedRun) -> Check:
    return check_generator(analyse(data).generator)


HUNDRED = [planted(i, 1 + i / 20, session=f"s{i}") for i in range(100)]


def test_a_generator_that_kept_up_passes_with_its_figures() -> None:
    check = verdict(run(HUNDRED))
    assert check.verdict == "pass"
    assert check.evidence["cpu_percent"] == 10
    assert check.evidence["lag_p95_ms"] == 1
    assert check.evidence["lag_measurements"] > 100


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"generator": {"0": samples(cpu=0.93)}}, "used 93% of a core (limit 90%)"),
        ({"generator": {"0": samples(lag_ms=70)}}, "was 70 ms late at p95 (limit 50 ms"),
        ({"generator": {"0": samples(), "1": samples(cpu=0.99)}}, "worker 1 used 99%"),
    ],
)
def test_a_generator_that_did_not_keep_up_is_inconclusive(changes: dict[str, Any], says: str) -> None:
    data = run(HUNDRED, **changes)
    check = verdict(data)
    assert check.verdict == "inconclusive"
    assert says in check.reason
    assert "--workers" in check.reason
    assert analyse(data).warnings[0] == check.reason


def test_late_starts_alone_are_enough() -> None:
    late = [planted(i, 1 + i / 20, late_ms=80, session=f"s{i}") for i in range(100)]
    check = verdict(run(late))
    assert check.verdict == "inconclusive"
    assert "began 80 ms late at p95" in check.reason
    assert check.evidence["late_start_p95_ms"] == 80


def test_delays_that_are_small_beside_the_median_do_not_count() -> None:
    slow = [planted(i, 1 + i / 20, wait_ms=500, session=f"s{i}") for i in range(100)]
    assert verdict(run(slow, generator={"0": samples(lag_ms=70)})).verdict == "pass"
    assert verdict(run(HUNDRED, generator={"0": samples(lag_ms=45)})).verdict == "pass"


def test_a_generator_without_samples_is_unknown() -> None:
    for watched in ({}, {"0": []}, {"0": samples(end_s=0.5)}):
        assert verdict(run(HUNDRED, generator=watched)).verdict == "unknown"
    assert verdict(run_data(generator={"0": samples()})).verdict == "unknown"


@pytest.mark.parametrize("silent", [{}, {"2": []}, {"2": samples(end_s=0.5)}])
def test_one_worker_without_samples_makes_the_check_unknown(
    silent: dict[str, list[GeneratorSample]],
) -> None:
    workers = Workers(facts={name: WorkerFacts(name=name) for name in ("1", "2")})

    def of_two(generator: dict[str, list[GeneratorSample]]) -> Check:
        data = run(HUNDRED, generator=generator)
        history = msgspec.structs.replace(data.history, workers=workers)
        return verdict(msgspec.structs.replace(data, recorded=InMemoryHistory(history)))

    assert of_two({"1": samples(), "2": samples()}).verdict == "pass"
    doubtful = of_two({"1": samples(), **silent})
    assert doubtful.verdict == "unknown"
    assert "no samples of worker 2" in doubtful.reason
    # What one of them did wrong is proven all the same.
    assert of_two({"1": samples(cpu=0.99), **silent}).verdict == "inconclusive"


def test_only_the_timed_window_counts() -> None:
    before = [msgspec.structs.replace(s, lag_ns=[SECOND] * 10) for s in samples(end_s=0.5)]
    data = run(HUNDRED, generator={"0": [*before, *samples()[2:]]})
    assert verdict(data).verdict == "pass"


def test_a_loop_blocked_through_the_whole_window_is_noticed_after_it() -> None:
    """No sample and no end of an operation falls into the window, because the loop was blocked."""
    still = GeneratorSample(
        time_ns=14 * SECOND,
        wall_ns=0,
        cpu_s=13.5,
        due_ns=int(0.5 * SECOND),
        tick_ns=50 * MS,
        lag_ns=[14 * SECOND - int(0.5 * SECOND) - n * 50 * MS for n in range(270)],
    )
    data = run([planted(1, 2, late_ms=12_000)], generator={"0": [*samples(end_s=0.5), still]})
    check = verdict(data)
    assert check.verdict == "inconclusive"
    assert check.evidence["lag_measurements"] == 180  # the moments due from 1 s to 10 s
    assert check.evidence["cpu_percent"] > 90
    figures = analyse(data).generator.workers["0"]
    assert figures.late_start_ms is not None
    assert figures.late_start_ms.max == 12_000


def test_few_measurements_are_enough_if_even_the_median_is_beyond_the_limit() -> None:
    few = [msgspec.structs.replace(s, lag_ns=s.lag_ns[:1]) for s in samples(lag_ms=200)]
    check = verdict(run(HUNDRED, generator={"0": few}))
    assert (check.verdict, check.evidence["lag_measurements"]) == ("inconclusive", 18)
    assert "200 ms late at p90" in check.reason


def test_dropped_arrivals_are_added_over_all_workers_and_cause_a_warning() -> None:
    def counted(arrivals: int, dropped: int) -> list[GeneratorSample]:
        return [
            *samples(),
            GeneratorSample(
                time_ns=21 * SECOND,
                wall_ns=0,
                cpu_s=3,
                due_ns=0,
                tick_ns=1,
                lag_ns=[],
                arrivals=arrivals,
                dropped=dropped,
            ),
        ]

    figures = analyse(run(HUNDRED, rate=20.0, generator={"0": counted(60, 5), "1": counted(50, 0)}))
    assert figures.arrivals is not None
    assert (figures.arrivals.total, figures.arrivals.started, figures.arrivals.dropped) == (110, 105, 5)
    assert any("5 of 110 arrivals were dropped" in warning for warning in figures.warnings)
    assert not any("was the bottleneck" in warning for warning in figures.warnings)
    assert analyse(run(HUNDRED)).arrivals is None


@pytest.mark.parametrize(
    ("rate", "arrivals", "warned"),
    [
        (20.0, 150, True),
        (20.0, 200, False),
        (20.0, 181, False),
        (20.0, 260, True),
        (1.0, 5, False),
        (100.0, 905, False),
    ],
)
def test_too_few_or_too_many_arrivals_cause_a_warning(rate: float, arrivals: int, warned: bool) -> None:
    """Arrivals in 10 s. A difference that chance explains, or a small one, causes no warning."""
    last = msgspec.structs.replace(samples()[-1], arrivals=arrivals)
    data = run(HUNDRED, rate=rate, generator={"0": [*samples(), last]})
    about = f"{arrivals} arrivals are on record instead of the {10 * rate:.0f} that {rate:g} per second make"
    assert any(about in warning for warning in analyse(data).warnings) == warned
    assert data.seal is not None
    early = msgspec.structs.replace(data, seal=msgspec.structs.replace(data.seal, ended="interrupted"))
    assert not any(about in warning for warning in analyse(early).warnings)


def test_verdicts_combine_with_the_worst_first() -> None:
    assert worst(["pass", "inconclusive"]) == "inconclusive"
    assert worst(["pass", "inconclusive", "unknown"]) == "unknown"
    assert worst(["inconclusive", "unknown", "fail"]) == "fail"
    assert worst(["pass"]) == "pass"
    assert worst([]) == "unknown"


def test_a_failed_run_stays_failed_if_the_generator_was_the_bottleneck() -> None:
    doubt = verdict(run(HUNDRED, generator={"0": samples(cpu=0.99)}))
    leak = Check(name="cross-session-read", verdict="fail", reason="A leak.", evidence={})
    assert combine([leak, doubt]).verdict == "fail"
    assert combine([leak, doubt]).reason == "A leak."
    assert combine([doubt]).reason == doubt.reason


def test_a_stopped_queue_is_explained_by_its_limit() -> None:
    message = "the queue is full or stopped (503): Queue is stopped."
    refused = [
        msgspec.structs.replace(o, outcome="fail", error=Error(kind="rejected", message=message))
        for o in HUNDRED[:3]
    ]
    warnings = analyse(run([*refused, *HUNDRED[3:]])).warnings
    (warning,) = [text for text in warnings if "2,000 sessions" in text]
    assert "3 operations were answered with 'Queue is stopped'" in warning
    assert not any("2,000" in text for text in analyse(run(HUNDRED)).warnings)
