"""Growth by type: only exact growth counts, and only if no container explains it."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis.memory.growth_figures import growth_figures
from harness.analysis.memory.growth_records import Growth
from harness.analysis.memory.leak_checks import check_growth
from harness.analysis.memory.type_growth import suspicious
from harness.recorded_run import RecordedRun
from harness.records import Census, Container, Holder, Retainer
from tests.unit.analysis.memory.memory_runs import Lengths, Then, memory_run

CHAIN = ["lib.cache: module", ".SEEN: set", "[*]: lib.cache.Entry"]


def held(target: str, *chain: str, of: str = "type", pinned: int | None = 4096) -> Retainer:
    return Retainer(
        target=target,
        of=of,  # type: ignore[arg-type]
        before=0,
        now=10,
        holders=[Holder(chain=list(chain), count=10)],
        pinned_bytes=pinned,
    )


def run(
    name: str,
    count: object,
    *,
    retainers: list[Retainer] | None = None,
    lengths: Lengths | None = None,
    **more: object,
) -> RecordedRun:
    data = memory_run(lengths or {"app.X": lambda _: 1}, types=lambda t: {name: count(t)}, **more)  # type: ignore[operator, arg-type]
    census = [msgspec.structs.replace(c, objects=1000) for c in data.census]
    return msgspec.structs.replace(data, census=census, retainers=retainers or [])


def of_type(data: RecordedRun) -> list[Growth]:
    return [g for g in growth_figures(data)[0] if g.kind == "type"]


def test_objects_held_only_by_a_library_are_a_leak_with_a_retainer_path() -> None:
    data = run("lib.cache.Entry", lambda t: t.requests, retainers=[held("lib.cache.Entry", *CHAIN)])
    (found,) = of_type(data)
    assert (found.verdict, found.per_request, found.exact, found.within) == (
        "leak-per-request",
        1.0,
        True,
        None,
    )
    assert (found.retainer_path, found.pinned_bytes) == (CHAIN, 4096)
    check = check_growth(*growth_figures(data))[0]
    assert check.verdict == "fail"
    (anomaly,) = check.anomalies
    assert "lib.cache.Entry (a type) grew by exactly 1.00 objects per request" in anomaly.explanation
    assert "Retainer path: lib.cache: module → .SEEN: set → [*]: lib.cache.Entry." in anomaly.explanation


def test_one_object_per_session_beyond_the_baseline_is_found() -> None:
    floor = run("lib.cache.Entry", lambda t: 2 * t.sessions)
    same = run("lib.cache.Entry", lambda t: 2 * t.sessions, baseline=floor)
    assert of_type(same) == []
    more = run(
        "lib.cache.Entry",
        lambda t: 3 * t.sessions,
        baseline=floor,
        retainers=[held("lib.cache.Entry", *CHAIN)],
    )
    (found,) = of_type(more)
    assert (found.verdict, found.per_session) == ("leak-per-session", 3.0)


def test_without_a_baseline_run_only_objects_with_a_known_foreign_holder_leak_per_session() -> None:
    count = lambda t: t.sessions  # noqa: E731
    assert of_type(run("lib.cache.Entry", count)) == []
    gradios = held("lib.cache.Entry", "gradio.App: gradio.routes.App", ".kept: dict", "[*]: lib.cache.Entry")
    assert of_type(run("lib.cache.Entry", count, retainers=[gradios])) == []
    assert len(of_type(run("lib.cache.Entry", count, retainers=[held("lib.cache.Entry", *CHAIN)]))) == 1


def test_an_incomplete_baseline_run_counts_as_none() -> None:
    whole = run("lib.cache.Entry", lambda t: 2 * t.sessions)
    first_step = next(i for i, p in enumerate(whole.plateaus) if p.label == "requests")
    short = msgspec.structs.replace(
        whole, plateaus=whole.plateaus[:first_step], census=whole.census[:first_step]
    )
    gradios = held("lib.cache.Entry", "gradio.App: gradio.routes.App", ".kept: dict", "[*]: lib.cache.Entry")
    assert (
        of_type(run("lib.cache.Entry", lambda t: 2 * t.sessions, baseline=short, retainers=[gradios])) == []
    )


def test_tasks_still_running_after_close_leak_only_if_the_baseline_has_fewer() -> None:
    """Gradio's tasks wait for the next heartbeat of a page, up to 15 seconds."""
    waiting = held("_asyncio.Task", "task sleep: _asyncio.Task")
    count = lambda t: t.sessions  # noqa: E731
    assert of_type(run("_asyncio.Task", count, retainers=[waiting])) == []
    floor = run("_asyncio.Task", lambda _: 5)
    assert len(of_type(run("_asyncio.Task", count, retainers=[waiting], baseline=floor))) == 1
    assert (
        of_type(run("_asyncio.Task", count, retainers=[waiting], baseline=run("_asyncio.Task", count))) == []
    )


def test_objects_in_a_leaking_container_are_reported_once() -> None:
    inside = held("app.Entry", "app: module", ".LOG: list", "[*]: app.Entry")
    data = run(
        "app.Entry",
        lambda t: t.requests,
        retainers=[inside],
        lengths={"app.LOG": lambda t: t.requests},
        facts={"app.LOG": {"kind": "list"}},
    )
    (found,) = of_type(data)
    assert found.within == "app.LOG"
    assert check_growth(*growth_figures(data))[0].anomalies_total == 1
    (unknown,) = of_type(msgspec.structs.replace(data, retainers=[]))
    assert unknown.within == "app.LOG"


def test_objects_in_a_bounded_container_are_no_leak() -> None:
    inside = held(
        "gradio.queueing.Row",
        "gradio.Queue: gradio.queueing.Queue",
        ".event_analytics: dict",
        "[*]: gradio.queueing.Row",
    )
    data = run(
        "gradio.queueing.Row",
        lambda t: t.requests,
        retainers=[inside],
        lengths={"gradio.Queue.event_analytics": lambda t: t.requests},
    )
    assert of_type(data) == []


def test_objects_with_unknown_holder_are_no_leak_if_a_bounded_container_gained_as_many() -> None:
    data = run(
        "app.Row",
        lambda t: t.requests,
        lengths={"app.RECENT": lambda t: t.requests},
        facts={"app.RECENT": {"kind": "deque", "cap": 10_000}},
    )
    assert of_type(data) == []
    unreached = msgspec.structs.replace(held("app.Row"), holders=[])
    assert of_type(msgspec.structs.replace(data, retainers=[unreached])) == []
    elsewhere = held("app.Row", *CHAIN)
    assert len(of_type(msgspec.structs.replace(data, retainers=[elsewhere]))) == 1


def test_objects_whose_holder_was_not_recorded_are_inconclusive() -> None:
    floor = run("lib.cache.Entry", lambda t: t.sessions)
    for data in (
        run("lib.cache.Entry", lambda t: t.requests),
        run("lib.cache.Entry", lambda t: 2 * t.sessions, baseline=floor),
    ):
        (found,) = of_type(data)
        assert found.verdict == "inconclusive"
        assert found.reason.endswith("and never fell. What refers to them was not recorded.")
        assert {check.verdict for check in check_growth(*growth_figures(data))} == {"pass", "inconclusive"}


def test_growth_that_is_not_exact_or_does_not_stay_is_no_leak_of_a_type() -> None:
    def noisy(t: Then) -> int:
        return t.requests + t.number % 2

    assert of_type(run("lib.cache.Entry", noisy)) == []
    assert of_type(run("lib.cache.Entry", lambda t: t.requests if t.open else 0)) == []
    assert of_type(run("lib.cache.Entry", lambda t: min(t.requests, 150))) == []
    assert of_type(run("dict", lambda t: t.requests)) == []


def test_a_container_is_reported_with_its_retainer_path_and_exact_size() -> None:
    chain = ["app: module", ".LOG: list", "[*]: dict"]
    data = memory_run({"app.LOG": lambda t: t.requests}, facts={"app.LOG": {"kind": "list"}})
    kept = msgspec.structs.replace(data, retainers=[held("app.LOG", *chain, of="container", pinned=777)])
    (found,) = growth_figures(kept)[0]
    assert (found.retainer_path, found.pinned_bytes) == (chain, 777)
    rough = held("app.LOG", *chain, of="container", pinned=777)
    kept = msgspec.structs.replace(data, retainers=[msgspec.structs.replace(rough, exact=False)])
    assert growth_figures(kept)[0][0].pinned_bytes != 777


def test_a_type_that_the_search_did_not_reach_is_still_judged() -> None:
    unreached = msgspec.structs.replace(held("lib.cache.Entry"), holders=[])
    (found,) = of_type(run("lib.cache.Entry", lambda t: t.requests, retainers=[unreached]))
    assert (found.verdict, found.retainer_path) == ("leak-per-request", [])


# --- whether a short run asks the app for retainers ---


def census(lengths: dict[str, int], types: dict[str, int] | None = None) -> Census:
    return Census(
        plateau=0,
        time_ns=0,
        containers=[
            Container(
                path=path,
                owner="gradio" if path.startswith("gradio.") else "app",
                kind="dict",
                length=length,
                pinned_bytes=0,
            )
            for path, length in lengths.items()
        ],
        visited=1,
        known_bytes=0,
        opaque=0,
        complete_depth=None,
        pause_ms=1.0,
        objects=1000,
        types=types or {},
    )


def grew(path: str, before: int, after: int) -> bool:
    return suspicious(census({path: before}), census({path: after}), 100)


@pytest.mark.parametrize(
    "path",
    [
        "gradio.StateHolder.session_data",
        "gradio.StateHolder.session_data[*].state_data[*]['items']",
        "gradio.Queue.event_analytics[*]",
        "gradio.Queue.pending_messages_per_session",
    ],
)
def test_growth_of_gradios_own_containers_is_not_suspicious(path: str) -> None:
    assert not grew(path, 0, 500)


@pytest.mark.parametrize(
    "path", ["app.LOG", "gradio.Queue.event_ids_to_events", "gradio.App.iterators_to_reset"]
)
def test_growth_of_any_other_container_is_suspicious(path: str) -> None:
    assert grew(path, 3, 4)
    assert not grew(path, 4, 4)
    assert not grew(path, 4, 3)


def test_a_new_container_is_suspicious() -> None:
    assert suspicious(census({}), census({"app.NEW": 1}), 100)


def test_a_type_with_one_more_object_per_request_is_suspicious() -> None:
    first = census({}, {"lib.Entry": 5, "dict": 10})
    assert suspicious(first, census({}, {"lib.Entry": 105}), 100)
    assert not suspicious(first, census({}, {"lib.Entry": 104}), 100)
    assert not suspicious(first, census({}, {"dict": 1000}), 100)
    assert not suspicious(first, first, 0)
