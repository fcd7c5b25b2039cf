"""The memory verdict: for each verdict, a run that must get it and one that must not."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from harness.analysis import analyse
from harness.analysis.memory.session_cost import MemoryFigures
from harness.recorded_run import RecordedRun
from harness.records import ExternalApp, StateSizes
from tests.unit.analysis.memory.memory_runs import LIVE, Lengths, Then, experiment, memory_run, said

MOMENTS = experiment(rounds=4)
HOUR = said(state_ttl_when_closed_s=3600.0)
SECOND = said(state_ttl_when_closed_s=1.0)


def judged(
    lengths: Lengths | None = None, live: Callable[[Then], float] = lambda _: 0, **more: object
) -> MemoryFigures:
    return analyse(run(lengths, live, **more)).memory


def run(
    lengths: Lengths | None = None, live: Callable[[Then], float] = lambda _: 0, **more: object
) -> RecordedRun:
    fields: dict[str, object] = {"moments": MOMENTS, **more}
    return memory_run(
        {"app.NAMES": lambda _: 3, **(lengths or {})}, live=lambda t: LIVE + round(live(t)), **fields
    )  # type: ignore[arg-type]


def floor(open_session: float = 60_000, closed: float = 15_000) -> RecordedRun:
    return run(live=lambda t: open_session * t.open + closed * (t.sessions - t.open))


def test_memory_without_growth_is_flat() -> None:
    memory = judged(live=lambda t: 60_000 * t.open + 15_000 * (t.sessions - t.open), baseline=floor())
    assert (memory.verdict, memory.next_step) == ("flat", None)
    assert "100 requests and 32 sessions" in memory.reason


def test_a_leak_is_named_with_its_rate() -> None:
    memory = judged({"app.LOG": lambda t: 2 * t.requests}, facts={"app.LOG": {"kind": "list"}})
    assert memory.verdict == "leak-per-request"
    assert memory.reason == ("app.LOG grows by 2.00 entries (200 B) per request, and no memory is freed.")
    assert judged({"app.SEEN": lambda t: t.sessions}).verdict == "leak-per-session"


def test_a_proven_leak_comes_before_a_doubtful_one() -> None:
    lengths: Lengths = {"app.LOG": lambda t: t.requests, "app.CACHE": lambda t: t.requests // 3}
    memory = judged(lengths, facts={"app.LOG": {"kind": "list"}})
    assert memory.verdict == "leak-per-request"
    doubtful = judged({"app.CACHE": lambda t: t.requests // 3})
    assert doubtful.verdict == "inconclusive"
    assert "app.CACHE may be a leak" in doubtful.reason
    assert doubtful.next_step == "gradsoak run s --profile soak"


def test_a_cache_with_a_known_bound_is_named() -> None:
    memory = judged(
        {"app.cached": lambda t: min(128, t.requests)},
        facts={"app.cached": {"kind": "lru_cache", "cap": 128}},
    )
    assert memory.verdict == "bounded"
    assert "app.cached (at most 128)" in memory.reason


def test_growth_that_has_stopped_is_bounded() -> None:
    assert judged({"app.CACHE": lambda t: min(100, t.requests)}).verdict == "bounded"


def kept(t: Then) -> float:
    return 160_000 * t.open + 115_000 * (t.sessions - t.open)


def test_state_of_closed_sessions_is_retained_until_its_time_to_live() -> None:
    memory = judged(live=kept, baseline=floor(), states=lambda t: t.sessions, events=[HOUR])
    assert memory.verdict == "retained-until-ttl"
    assert "100 KB" in memory.reason
    assert "3,600 s" in memory.reason


@pytest.mark.parametrize(
    ("states", "events"),
    [(0, [HOUR]), (40, [SECOND]), (40, [])],
    ids=["no-state", "its-time-is-over", "unknown"],
)
def test_retained_bytes_without_unexpired_state_are_unexplained(states: int, events: list[object]) -> None:
    memory = judged(live=kept, baseline=floor(), states=lambda _: states, events=events)
    assert memory.verdict == "inconclusive"
    assert memory.next_step == "gradsoak run s --profile soak --memray"


def test_gradios_accounts_of_sessions_are_bounded_by_its_capacity() -> None:
    """Gradio's account of a session holds the last values of its components; those of the baseline app are smaller."""

    def held(bytes_each: int) -> MemoryFigures:
        return judged(
            {
                "gradio.StateHolder.session_data": lambda t: bytes_each // 100 * t.sessions
            },  # 100 bytes for each entry
            live=kept,
            baseline=floor(),
            states=lambda _: 0,
            events=[SECOND],
        )

    memory = held(114_000)
    assert (memory.verdict, memory.next_step) == ("bounded", None)
    assert "leaves 100 KB beyond Gradio's own share in gradio.StateHolder.session_data" in memory.reason
    assert held(60_000).verdict == "inconclusive"


def test_without_a_baseline_run_moderate_retention_is_called_flat() -> None:
    assert judged(live=kept, states=lambda t: t.sessions, events=[SECOND]).verdict == "flat"


def test_released_objects_whose_memory_stays_are_allocator_retention() -> None:
    def rss(t: Then) -> int:
        return 2 * LIVE + (80_000_000 if t.sessions > 9 else 0)

    memory = judged(live=lambda t: 1_900_000 * t.open, rss=rss, baseline=floor(1_900_000, 0))
    assert memory.verdict == "allocator-retention"
    assert "80.0 MB" in memory.reason
    small = judged(
        live=lambda t: 60_000 * t.open, rss=lambda t: 2 * LIVE + 9_000_000, baseline=floor(60_000, 0)
    )
    assert small.verdict == "flat"


def test_too_few_plateaus_decide_nothing() -> None:
    short = judged(moments=[t for t in MOMENTS if t.label == "staircase"])
    assert short.verdict == "inconclusive"
    assert short.next_step == "gradsoak run s --profile staircase"
    some = judged(moments=[t for t in MOMENTS if t.label != "second-round"])
    assert some.verdict == "inconclusive"
    assert "leak per session is unknown" in some.reason


def test_an_app_that_gradsoak_did_not_start_is_not_judged() -> None:
    external = ExternalApp(
        url="http://127.0.0.1:1/", protocol="sse_v3", pid=1, process="python", not_sampled=""
    )
    memory = judged(external=external, moments=[])
    assert (memory.verdict, memory.next_step) == ("inconclusive", None)
    assert "gradsoak did not start the app" in memory.reason


def test_gradios_share_is_adjusted_to_the_requests_per_session() -> None:
    busy = [msgspec.structs.replace(t, requests=4 * t.requests) for t in MOMENTS]

    def live(t: Then) -> float:
        return 60_000 * t.open + 15_000 * (t.sessions - t.open) + 2_500 * t.requests

    memory = judged(live=live, moments=busy, baseline=run(live=live))
    assert memory.verdict == "flat"
    told = {(e.moment, e.item): e.each_bytes for e in memory.ledger if e.unit == "session"}
    assert told["held", "state"] == pytest.approx(0, abs=1)
    assert told["closed", "retained-after-close"] == pytest.approx(0, abs=1)
    assert memory.floor_per_open_session.live is not None
    assert memory.floor_per_open_session.live.estimate == pytest.approx(60_000 + 4 * 2_500)


def test_without_a_baseline_run_counted_state_is_known_to_be_retained() -> None:
    def sizes(each: int) -> Callable[[Then], StateSizes]:
        return lambda t: StateSizes(
            sessions=t.sessions,
            total_bytes=each * t.sessions,
            shared_bytes=0,
            median_bytes=each,
            max_bytes=each,
        )

    memory = judged(live=kept, states=lambda t: t.sessions, events=[HOUR], state_sizes=sizes(100_000))
    assert memory.verdict == "retained-until-ttl"
    assert "100 KB, until 3,600 s after" in memory.reason
    assert (
        judged(live=kept, states=lambda t: t.sessions, events=[HOUR], state_sizes=sizes(28)).verdict == "flat"
    )
    assert judged(live=kept, states=lambda _: 0, events=[HOUR], state_sizes=sizes(100_000)).verdict == "flat"


def test_retention_beyond_any_framework_is_not_flat_without_a_baseline_run() -> None:
    memory = judged(live=lambda t: 5_000_000 * t.sessions)
    assert (memory.verdict, memory.next_step) == ("inconclusive", "gradsoak run s --profile staircase")


def test_memory_that_grows_beyond_the_heap_is_not_allocator_retention() -> None:
    def mapped(t: Then) -> int:
        return 2 * LIVE + 1_000_000 * t.requests

    memory = judged(live=lambda t: 60_000 * t.open, rss=mapped, baseline=floor(60_000, 0))
    assert memory.verdict == "inconclusive"
    assert "beyond the live heap grew by 1.00 MB per request" in memory.reason

    def stopped(t: Then) -> int:
        return 2 * LIVE + 1_000_000 * min(t.requests, 200)

    memory = judged(live=lambda t: 60_000 * t.open, rss=stopped, baseline=floor(60_000, 0))
    assert memory.verdict == "allocator-retention"


def test_memory_of_child_processes_is_not_allocator_retention() -> None:
    def rss(t: Then) -> int:
        return 2 * LIVE + (80_000_000 if t.sessions > 9 else 0)

    data = run(live=lambda t: 1_900_000 * t.open, rss=rss, baseline=floor(1_900_000, 0))
    alone = [
        msgspec.structs.replace(p, probe=msgspec.structs.replace(p.probe, rss_bytes=2 * LIVE))
        for p in data.plateaus
    ]
    assert analyse(data).memory.verdict == "allocator-retention"
    assert analyse(msgspec.structs.replace(data, plateaus=alone)).memory.verdict == "flat"


def test_growth_not_counted_with_requests_has_not_stopped() -> None:
    no_batches = [t for t in MOMENTS if t.label != "requests"]
    renumbered = [msgspec.structs.replace(t, number=n) for n, t in enumerate(no_batches)]
    memory = judged({"app.CACHE": lambda t: min(60 + 7, t.requests)}, moments=renumbered)
    assert memory.verdict == "inconclusive"
    assert "leak per request is unknown" in memory.reason
