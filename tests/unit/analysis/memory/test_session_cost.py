"""What a session, a closed session and a request cost, and the ledger that this makes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import pytest

from harness.analysis import RunData, analyse
from harness.analysis.memory.breakdown import BreakdownEntry
from harness.records import Attribution, ProbeSample, Seal, StateSizes
from tests.unit.analysis.memory.memory_runs import LIVE, Then, experiment, memory_run

# One plateau more than a quick run has, so that what a closed session leaves behind has an interval.
MOMENTS = experiment(rounds=4)
# Resident though no object uses it: the interpreter's code, and so on.
RESIDENT = 50_000_000


def run(live: Callable[[Then], float], **more: object) -> RunData:
    def bytes_of(then: Then) -> int:
        return LIVE + round(live(then))

    fields: dict[str, object] = {"rss": lambda t: bytes_of(t) + RESIDENT, "moments": MOMENTS, **more}
    return memory_run({"app.NAMES": lambda _: 3}, live=bytes_of, **fields)  # type: ignore[arg-type]


def control(each: float, closed: float = 0.0, request: float = 0.0) -> RunData:
    return run(lambda t: each * t.open + closed * (t.sessions - t.open) + request * t.requests)


def by_item(data: RunData, moment: str) -> dict[str, BreakdownEntry]:
    return {entry.item: entry for entry in analyse(data).memory.ledger if entry.moment == moment}


def test_sessions_and_requests_are_told_apart() -> None:
    """Each step of the staircase brings eight sessions and eight requests; only the batches tell what of it are requests."""
    memory = analyse(run(lambda t: 70_000 * t.open + 500 * t.requests + 9_000 * t.sessions)).memory
    session, request = memory.bytes_per_open_session.live, memory.bytes_per_request.live
    assert session is not None
    assert request is not None
    # Its own, and its first request.
    assert (session.estimate, session.low, session.high) == pytest.approx((79_500,) * 3)
    assert (request.estimate, request.low, request.high) == pytest.approx((500,) * 3)


def test_what_each_request_leaves_behind_is_not_the_closed_sessions() -> None:
    """In every round eight sessions come and go, with sixteen requests."""
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


def test_the_floor_is_what_a_state_free_app_costs() -> None:
    memory = analyse(run(lambda t: 170_000 * t.open, control=control(70_000))).memory
    assert memory.no_floor is None
    assert memory.floor_per_open_session.live is not None
    assert memory.floor_per_open_session.live.estimate == pytest.approx(70_000)
    alone = analyse(run(lambda t: 170_000 * t.open)).memory
    assert alone.floor_per_open_session.live is None
    assert alone.no_floor is not None
    assert "state-free app" in alone.no_floor


@pytest.mark.parametrize("moment", ["held", "closed"])
def test_the_ledger_adds_up_to_what_was_resident(moment: str) -> None:
    data = run(
        lambda t: 170_000 * t.open + 12_000 * t.sessions + 90 * t.requests + 7 * t.number**3,
        rss=lambda t: 2 * LIVE + 400_000 * t.number + 300_000 * t.open,
        returned=lambda t: 10_000 * t.number,
        control=control(70_000, 5_000, 40),
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


def test_the_ledger_of_held_sessions_takes_the_floor_from_their_cost() -> None:
    """Gradio keeps 100 bytes of each request: of the forty on the staircase that is part of what a session costs, of the hundred
    after it, it has a line of its own."""
    data = memory_run(
        {"gradio.Queue.event_analytics": lambda t: t.requests},
        moments=MOMENTS,
        live=lambda t: LIVE + 170_000 * t.open + 100 * t.requests,
        control=control(70_000, request=100),
    )
    framework = [e for e in analyse(data).memory.ledger if e.moment == "held" and e.item == "framework"]
    assert [(e.count, e.unit) for e in framework] == [(40, "session"), (100, "request")]
    assert [e.bytes for e in framework] == [pytest.approx(70_100 * 40), pytest.approx(100 * 100)]
    lines = by_item(data, "held")
    assert lines["state"].bytes == pytest.approx(100_000 * 40)
    assert abs(lines["unexplained"].bytes) < 10


def test_state_that_grows_with_requests_is_state_as_long_as_its_session_lasts() -> None:
    """Held: 40 sessions of 100 KB, and 100 requests that each added 1,000 bytes to them."""
    data = run(lambda t: (100_000 * t.open + 1_000 * t.requests) if t.open else 0, control=control(0))
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


def test_what_sessions_leave_behind_is_kept_whether_they_are_open_or_not() -> None:
    data = run(lambda t: 30_000 * t.open + 12_000 * t.sessions, control=control(20_000, 2_000))
    held, closed = by_item(data, "held"), by_item(data, "closed")
    assert held["retained-after-close"].each_bytes == pytest.approx(10_000)
    assert held["state"].each_bytes == pytest.approx(42_000 - 20_000 - 10_000)
    assert closed["retained-after-close"].bytes == pytest.approx(
        10_000 * (MOMENTS[-1].sessions - MOMENTS[0].sessions)
    )
    assert closed["framework"].each_bytes == pytest.approx(2_000)


def test_state_that_is_kept_for_its_time_to_live_is_state_while_its_session_is_open() -> None:
    data = run(
        lambda t: 20_000 * t.open + 102_000 * t.sessions,
        control=control(20_000, 2_000),
        states=lambda t: t.sessions,
    )
    held, closed = by_item(data, "held"), by_item(data, "closed")
    assert "retained-after-close" not in held
    assert held["state"].each_bytes == pytest.approx(102_000)
    assert closed["retained-after-close"].each_bytes == pytest.approx(100_000)


def test_what_is_counted_to_stay_of_each_session_is_told_though_the_slopes_do_not_show_it() -> None:
    data = memory_run(
        {"app.SEEN": lambda t: t.sessions},
        moments=MOMENTS,
        live=lambda t: LIVE + 100 * t.sessions,
        control=control(0, 500),
    )
    closed = by_item(data, "closed")["retained-after-close"]
    assert (closed.each_bytes, closed.count) == (
        pytest.approx(100),
        MOMENTS[-1].sessions - MOMENTS[0].sessions,
    )


def test_a_leak_has_a_line_of_its_own_in_both_moments() -> None:
    data = memory_run(
        {"app.LOG": lambda t: t.requests},
        facts={"app.LOG": {"kind": "list"}},
        moments=MOMENTS,
        live=lambda t: LIVE + 100 * t.requests,
        control=control(0),
    )
    held, closed = by_item(data, "held"), by_item(data, "closed")
    assert held["leaked-per-request"].each_bytes == pytest.approx(100)
    assert held["leaked-per-request"].count == MOMENTS[10].requests - MOMENTS[0].requests
    assert closed["leaked-per-request"].count == MOMENTS[-1].requests - MOMENTS[0].requests
    assert abs(held["unexplained"].bytes) < 10
    assert abs(closed["unexplained"].bytes) < 10


def test_without_a_control_what_was_counted_as_state_divides_the_cost_of_a_session() -> None:
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
    assert "the framework’s own included" in lines["retained-after-close"].basis


def test_without_a_control_what_closed_sessions_leave_behind_is_counted_once() -> None:
    sizes = StateSizes(sessions=40, total_bytes=40 * 500, shared_bytes=0, median_bytes=500, max_bytes=500)
    data = run(
        lambda t: 38_000 * t.open + 20_000 * t.sessions,
        state_sizes=lambda t: sizes if t.open == 40 else None,
    )
    held = by_item(data, "held")
    assert held["framework"].each_bytes == pytest.approx(58_000 - 500 - 20_000)
    assert held["state"].each_bytes == pytest.approx(500)
    assert held["retained-after-close"].each_bytes == pytest.approx(20_000)
    assert "the framework’s own included" in held["retained-after-close"].basis
    assert abs(held["unexplained"].bytes) < 100


def test_a_control_that_was_wanted_and_is_not_there_is_a_warning() -> None:
    def warned(data: RunData, *, wanted: bool = True, ended: str = "completed") -> list[str]:
        manifest = msgspec.structs.replace(
            data.manifest, profile=msgspec.structs.replace(data.manifest.profile, control=wanted)
        )
        seal = Seal(ended=ended, reason="", wall_ns=0, shards={})  # type: ignore[arg-type]
        found = analyse(msgspec.structs.replace(data, manifest=manifest, seal=seal)).warnings
        return [text for text in found if "Gradio’s own is not known" in text]

    alone = run(lambda t: 30_000 * t.open)
    (text,) = warned(alone)
    assert text.endswith("The state-free app that should have been measured beside this one was not.")
    assert warned(alone, wanted=False) == []
    assert warned(alone, ended="interrupted") == []  # that it ended early is told already
    assert warned(run(lambda t: 30_000 * t.open, control=control(20_000))) == []


def test_a_memray_pass_that_came_to_nothing_is_a_warning() -> None:
    data = run(lambda t: 30_000 * t.open)
    assert not any("allocated" in text for text in analyse(data).warnings)
    failed = msgspec.structs.replace(data, attribution=Attribution(not_measured="It was cut short."))
    assert "Where memory was allocated is not known. It was cut short." in analyse(failed).warnings


def test_a_state_that_was_not_counted_to_the_end_says_nothing() -> None:
    sizes = StateSizes(
        sessions=40, total_bytes=1, shared_bytes=0, median_bytes=1, max_bytes=1, complete=False
    )
    assert analyse(run(lambda t: t.open, state_sizes=lambda _: sizes)).memory.state_bytes_per_session is None


def test_without_a_probe_there_is_no_ledger() -> None:
    data = run(lambda _: 0)
    blind = [
        msgspec.structs.replace(p, probe=ProbeSample(time_ns=0, wall_ns=0), returned_bytes=None)
        for p in data.plateaus
    ]
    assert analyse(msgspec.structs.replace(data, plateaus=blind, census=[])).memory.ledger == []
    assert analyse(memory_run({}, moments=[])).memory.ledger == []


def test_measuring_has_its_price() -> None:
    cost = analyse(run(lambda _: 0)).memory.measuring
    assert cost is not None
    assert (cost.censuses, cost.pause_ms, cost.max_pause_ms, cost.objects) == (len(MOMENTS), 1.0, 1.0, 1)
    assert cost.pause_ms_per_million_objects == pytest.approx(1e6)
    assert cost.total_s == pytest.approx(len(MOMENTS) * 0.501)


def test_every_line_of_a_ledger_says_how_it_is_known() -> None:
    data = run(lambda t: 30_000 * t.open + 12_000 * t.sessions, control=control(20_000, 2_000))
    for entry in itertools.chain(analyse(data).memory.ledger):
        assert entry.basis.endswith(".")
        assert len(entry.basis) > 20
