"""Costs of an open session, a closed session and a request, and the breakdown made from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import pytest

from harness.analysis import analyse
from harness.analysis.memory.breakdown import BreakdownEntry
from harness.recorded_run import RecordedRun
from harness.records import Attribution, ProbeSample, Seal, StateSizes
from tests.unit.analysis.memory.memory_runs import LIVE, Then, experiment, memory_run

# One plateau more than a quick run has, so that what a closed session leaves behind has an interval.
MOMENTS = experiment(rounds=4)
# Resident though no object uses it: the interpreter's code, and so on.
RESIDENT = 50_000_000


def run(live: Callable[[Then], float], **more: object) -> RecordedRun:
    def bytes_of(then: Then) -> int:
        return LIVE + round(live(then))

    fields: dict[str, object] = {"rss": lambda t: bytes_of(t) + RESIDENT, "moments": MOMENTS, **more}
    return memory_run({"app.NAMES": lambda _: 3}, live=bytes_of, **fields)  # type: ignore[arg-type]


def baseline(each: float, closed: float = 0.0, request: float = 0.0) -> RecordedRun:
    return run(lambda t: each * t.open + closed * (t.sessions - t.open) + request * t.requests)


def by_item(data: RecordedRun, moment: str) -> dict[str, BreakdownEntry]:
    return {entry.item: entry for entry in analyse(data).memory.ledger if entry.moment == moment}


def test_costs_of_sessions_and_of_requests_are_separated() -> None:
    """Each staircase step adds eight sessions and eight requests; only the batches show the share of requests."""
    memory = analyse(run(lambda t: 70_000 * t.open + 500 * t.requests + 9_000 * t.sessions)).memory
    session, request = memory.bytes_per_open_session.live, memory.bytes_per_request.live
    assert session is not None
    assert request is not None
    # Its own, and its first request.
    assert (session.estimate, session.low, session.high) == pytest.approx((79_500,) * 3)
    assert (request.estimate, request.low, request.high) == pytest.approx((500,) * 3)


def test_leaks_per_request_are_subtracted_from_closed_sessions() -> None:
    """In each round, eight sessions with sixteen requests open and close."""
    data = run(lambda t: 3_000 * t.sessions + 500 * t.requests)
    closed = analyse(data).memory.bytes_per_closed_session.live
    assert closed is not None
    assert closed.estimate == pytest.approx(4_000)  # nobody knows yet that requests leak
    leaking = memory_run(
        {"app.LOG": lambda t: t.requests},
        facts={"app.LOG": {"kind": "list"}},
        moments=MOMENTS,
        live=lambda t: LIVE + 3_000 * t.sessions + 100 * t.requests,
    )
    closed = analyse(leaking).memory.bytes_per_closed_session.live
    assert closed is not None
    assert closed.estimate == pytest.approx(3_000)


def test_three_rounds_are_too_few_for_an_interval() -> None:
    assert (
        analyse(run(lambda t: t.sessions, moments=experiment(rounds=3))).memory.bytes_per_closed_session.live
        is None
    )


def test_plateaus_of_two_processes_make_no_slope() -> None:
    memory = analyse(
        run(lambda t: 70_000 * t.open, pid=lambda t: 1 if t.number < 3 else 2 if t.number < 8 else 3)
    ).memory
    assert memory.bytes_per_open_session.live is None
    assert memory.bytes_per_request.live is None


def test_the_floor_is_the_cost_of_the_baseline_app() -> None:
    memory = analyse(run(lambda t: 170_000 * t.open, baseline=baseline(70_000))).memory
    assert memory.no_floor is None
    assert memory.floor_per_open_session.live is not None
    assert memory.floor_per_open_session.live.estimate == pytest.approx(70_000)
    alone = analyse(run(lambda t: 170_000 * t.open)).memory
    assert alone.floor_per_open_session.live is None
    assert alone.no_floor is not None
    assert "no baseline run" in alone.no_floor


@pytest.mark.parametrize("moment", ["held", "closed"])
def test_the_breakdown_adds_up_to_resident_memory(moment: str) -> None:
    data = run(
        lambda t: 170_000 * t.open + 12_000 * t.sessions + 90 * t.requests + 7 * t.number**3,
        rss=lambda t: 2 * LIVE + 400_000 * t.number + 300_000 * t.open,
        returned=lambda t: 10_000 * t.number,
        baseline=baseline(70_000, 5_000, 40),
    )
    entries = [e for e in analyse(data).memory.ledger if e.moment == moment]
    last = [
        p for p in data.plateaus if (p.label == "requests") == (moment == "held") and p.label != "staircase"
    ][-1]
    assert last.returned_bytes
    assert sum(e.bytes for e in entries) == last.process.rss_bytes + last.returned_bytes
    for entry in entries:
        if entry.each_bytes is not None:
            assert entry.count is not None
            assert entry.bytes == round(entry.each_bytes * entry.count)


def test_the_breakdown_of_open_sessions_subtracts_the_floor() -> None:
    """Gradio keeps 100 bytes of each request. For the forty on the staircase they are part of the cost of a session, for the
    hundred after it they have their own entry."""
    data = memory_run(
        {"gradio.Queue.event_analytics": lambda t: t.requests},
        moments=MOMENTS,
        live=lambda t: LIVE + 170_000 * t.open + 100 * t.requests,
        baseline=baseline(70_000, request=100),
    )
    framework = [e for e in analyse(data).memory.ledger if e.moment == "held" and e.item == "framework"]
    assert [(e.count, e.unit) for e in framework] == [(40, "session"), (100, "request")]
    assert [e.bytes for e in framework] == [pytest.approx(70_100 * 40), pytest.approx(100 * 100)]
    lines = by_item(data, "held")
    assert lines["state"].bytes == pytest.approx(100_000 * 40)
    assert abs(lines["unexplained"].bytes) < 10


def test_state_that_grows_with_requests_counts_as_state_while_its_session_is_open() -> None:
    """Open: 40 sessions of 100 KB, to which 100 requests added 1,000 bytes each."""
    data = run(lambda t: (100_000 * t.open + 1_000 * t.requests) if t.open else 0, baseline=baseline(0))
    state = [e for e in analyse(data).memory.ledger if (e.moment, e.item) == ("held", "state")]
    assert [(e.each_bytes, e.count, e.unit) for e in state] == [
        (pytest.approx(101_000), 40, "session"),
        (pytest.approx(1_000), 100, "request"),
    ]
    lines = by_item(data, "held")
    assert lines["unexplained"].bytes == pytest.approx(
        1_000 * 60, abs=2_000
    )  # the warm-up's, which nobody holds
    assert "leaked-per-request" not in lines


def test_bytes_that_sessions_leave_behind_count_as_retained_in_both_moments() -> None:
    data = run(lambda t: 30_000 * t.open + 12_000 * t.sessions, baseline=baseline(20_000, 2_000))
    held, closed = by_item(data, "held"), by_item(data, "closed")
    assert held["retained-after-close"].each_bytes == pytest.approx(10_000)
    assert held["state"].each_bytes == pytest.approx(42_000 - 20_000 - 10_000)
    assert closed["retained-after-close"].bytes == pytest.approx(
        10_000 * (MOMENTS[-1].sessions - MOMENTS[0].sessions)
    )
    assert closed["framework"].each_bytes == pytest.approx(2_000)


def test_state_kept_until_its_time_to_live_counts_as_state_while_its_session_is_open() -> None:
    data = run(
        lambda t: 20_000 * t.open + 102_000 * t.sessions,
        baseline=baseline(20_000, 2_000),
        states=lambda t: t.sessions,
    )
    held, closed = by_item(data, "held"), by_item(data, "closed")
    assert "retained-after-close" not in held
    assert held["state"].each_bytes == pytest.approx(102_000)
    assert closed["retained-after-close"].each_bytes == pytest.approx(100_000)


def test_counted_leaks_per_session_are_in_the_breakdown_even_if_slopes_miss_them() -> None:
    data = memory_run(
        {"app.SEEN": lambda t: t.sessions},
        moments=MOMENTS,
        live=lambda t: LIVE + 100 * t.sessions,
        baseline=baseline(0, 500),
    )
    closed = by_item(data, "closed")["retained-after-close"]
    assert (closed.each_bytes, closed.count) == (
        pytest.approx(100),
        MOMENTS[-1].sessions - MOMENTS[0].sessions,
    )


def test_a_leak_has_its_own_entry_in_both_moments() -> None:
    data = memory_run(
        {"app.LOG": lambda t: t.requests},
        facts={"app.LOG": {"kind": "list"}},
        moments=MOMENTS,
        live=lambda t: LIVE + 100 * t.requests,
        baseline=baseline(0),
    )
    held, closed = by_item(data, "held"), by_item(data, "closed")
    assert held["leaked-per-request"].each_bytes == pytest.approx(100)
    assert held["leaked-per-request"].count == MOMENTS[10].requests - MOMENTS[0].requests
    assert closed["leaked-per-request"].count == MOMENTS[-1].requests - MOMENTS[0].requests
    assert abs(held["unexplained"].bytes) < 10
    assert abs(closed["unexplained"].bytes) < 10


def test_without_a_baseline_run_counted_state_divides_the_cost_of_a_session() -> None:
    sizes = StateSizes(
        sessions=40, total_bytes=40 * 99_000, shared_bytes=0, median_bytes=99_000, max_bytes=99_000
    )
    data = run(lambda t: 170_000 * t.open, state_sizes=lambda t: sizes if t.open == 40 else None)
    memory = analyse(data).memory
    assert memory.state_bytes_per_session == 99_000
    lines = by_item(data, "held")
    assert lines["framework"].each_bytes == pytest.approx(71_000)
    assert lines["state"].each_bytes == pytest.approx(99_000)
    # What closed sessions leave behind is taken from the framework's, not from the State.
    more = run(
        lambda t: 170_000 * t.open + 20_000 * t.sessions,
        state_sizes=lambda t: sizes if t.open == 40 else None,
    )
    lines = by_item(more, "held")
    assert lines["framework"].each_bytes == pytest.approx(71_000)
    assert lines["state"].each_bytes == pytest.approx(99_000)
    assert lines["retained-after-close"].each_bytes == pytest.approx(20_000)
    assert "including Gradio’s own share" in lines["retained-after-close"].basis


def test_without_a_baseline_run_retained_bytes_are_counted_once() -> None:
    sizes = StateSizes(sessions=40, total_bytes=40 * 500, shared_bytes=0, median_bytes=500, max_bytes=500)
    data = run(
        lambda t: 38_000 * t.open + 20_000 * t.sessions,
        state_sizes=lambda t: sizes if t.open == 40 else None,
    )
    held = by_item(data, "held")
    assert held["framework"].each_bytes == pytest.approx(58_000 - 500 - 20_000)
    assert held["state"].each_bytes == pytest.approx(500)
    assert held["retained-after-close"].each_bytes == pytest.approx(20_000)
    assert "including Gradio’s own share" in held["retained-after-close"].basis
    assert abs(held["unexplained"].bytes) < 100


def test_a_requested_baseline_run_that_is_missing_causes_a_warning() -> None:
    def warned(data: RecordedRun, *, wanted: bool = True, ended: str = "completed") -> list[str]:
        manifest = msgspec.structs.replace(
            data.manifest, profile=msgspec.structs.replace(data.manifest.profile, control=wanted)
        )
        seal = Seal(ended=ended, reason="", wall_ns=0, shards={})  # type: ignore[arg-type]
        found = analyse(msgspec.structs.replace(data, manifest=manifest, seal=seal)).warnings
        return [text for text in found if "Gradio’s own share of memory is unknown" in text]

    alone = run(lambda t: 30_000 * t.open)
    (text,) = warned(alone)
    assert text.endswith("The baseline run is missing.")
    assert warned(alone, wanted=False) == []
    assert warned(alone, ended="interrupted") == []  # another warning says that it ended early
    assert warned(run(lambda t: 30_000 * t.open, baseline=baseline(20_000))) == []


def test_a_memray_pass_without_result_causes_a_warning() -> None:
    data = run(lambda t: 30_000 * t.open)
    assert not any("Allocation sites" in text for text in analyse(data).warnings)
    failed = msgspec.structs.replace(data, attribution=Attribution(not_measured="It was cut short."))
    assert "Allocation sites are unknown. It was cut short." in analyse(failed).warnings


def test_state_that_was_counted_incompletely_gives_no_figure() -> None:
    sizes = StateSizes(
        sessions=40, total_bytes=1, shared_bytes=0, median_bytes=1, max_bytes=1, complete=False
    )
    assert analyse(run(lambda t: t.open, state_sizes=lambda _: sizes)).memory.state_bytes_per_session is None


def test_without_a_probe_there_is_no_breakdown() -> None:
    data = run(lambda _: 0)
    blind = [
        msgspec.structs.replace(p, probe=ProbeSample(time_ns=0, wall_ns=0), returned_bytes=None)
        for p in data.plateaus
    ]
    assert analyse(msgspec.structs.replace(data, plateaus=blind, census=[])).memory.ledger == []
    assert analyse(memory_run({}, moments=[])).memory.ledger == []


def test_the_cost_of_measuring_is_reported() -> None:
    cost = analyse(run(lambda _: 0)).memory.measuring
    assert cost is not None
    assert (cost.censuses, cost.pause_ms, cost.max_pause_ms, cost.objects) == (len(MOMENTS), 1.0, 1.0, 1)
    assert cost.pause_ms_per_million_objects == pytest.approx(1e6)
    assert cost.total_s == pytest.approx(len(MOMENTS) * 0.501)


def test_every_entry_of_a_breakdown_says_how_it_was_measured() -> None:
    data = run(lambda t: 30_000 * t.open + 12_000 * t.sessions, baseline=baseline(20_000, 2_000))
    for entry in itertools.chain(analyse(data).memory.ledger):
        assert entry.basis.endswith(".")
        assert len(entry.basis) > 20
