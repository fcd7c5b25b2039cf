"""What grows by type: exact numbers only, and never what a container explains."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis import RunData
from harness.analysis.memory.growth import Growth
from harness.analysis.memory.growth_figures import growth_figures
from harness.analysis.memory.leak_checks import check_growth
from harness.analysis.memory.type_growth import suspicious
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
) -> RunData:
    data = memory_run(lengths or {"app.X": lambda _: 1}, types=lambda t: {name: count(t)}, **more)  # type: ignore[operator, arg-type]
    census = [msgspec.structs.replace(c, objects=1000) for c in data.census]
    return msgspec.structs.replace(data, census=census, retainers=retainers or [])


def of_type(data: RunData) -> list[Growth]:
    return [g for g in growth_figures(data)[0] if g.kind == "type"]


def test_objects_that_only_a_library_holds_are_a_leak_told_with_how_they_are_held() -> None:
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
    assert "It is held as lib.cache: module → .SEEN: set → [*]: lib.cache.Entry." in anomaly.explanation


def test_one_object_per_session_is_found_beside_what_the_framework_keeps() -> None:
    floor = run("lib.cache.Entry", lambda t: 2 * t.sessions)
    same = run("lib.cache.Entry", lambda t: 2 * t.sessions, control=floor)
    assert of_type(same) == []
    more = run(
        "lib.cache.Entry",
        lambda t: 3 * t.sessions,
        control=floor,
        retainers=[held("lib.cache.Entry", *CHAIN)],
    )
    (found,) = of_type(more)
    assert (found.verdict, found.per_session) == ("leak-per-session", 3.0)


def test_without_a_control_only_what_is_known_to_be_held_elsewhere_is_judged_by_session() -> None:
    count = lambda t: t.sessions  # noqa: E731
    assert of_type(run("lib.cache.Entry", count)) == []
    gradios = held("lib.cache.Entry", "gradio.App: gradio.routes.App", ".kept: dict", "[*]: lib.cache.Entry")
    assert of_type(run("lib.cache.Entry", count, retainers=[gradios])) == []
    assert len(of_type(run("lib.cache.Entry", count, retainers=[held("lib.cache.Entry", *CHAIN)]))) == 1


def test_a_control_that_was_cut_short_is_none() -> None:
    whole = run("lib.cache.Entry", lambda t: 2 * t.sessions)
    first_step = next(i for i, p in enumerate(whole.plateaus) if p.label == "requests")
    short = msgspec.structs.replace(
        whole, plateaus=whole.plateaus[:first_step], census=whole.census[:first_step]
    )
    gradios = held("lib.cache.Entry", "gradio.App: gradio.routes.App", ".kept: dict", "[*]: lib.cache.Entry")
    assert of_type(run("lib.cache.Entry", lambda t: 2 * t.sessions, control=short, retainers=[gradios])) == []


def test_what_is_under_way_when_a_page_has_closed_is_no_leak_unless_the_control_has_less_of_it() -> None:
    """Gradio's tasks wait for the next heartbeat of a page, up to 15 seconds."""
    waiting = held("_asyncio.Task", "task sleep: _asyncio.Task")
    count = lambda t: t.sessions  # noqa: E731
    assert of_type(run("_asyncio.Task", count, retainers=[waiting])) == []
    floor = run("_asyncio.Task", lambda _: 5)
    assert len(of_type(run("_asyncio.Task", count, retainers=[waiting], control=floor))) == 1
    assert (
        of_type(run("_asyncio.Task", count, retainers=[waiting], control=run("_asyncio.Task", count))) == []
    )


def test_what_a_leaking_container_holds_is_told_once() -> None:
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


def test_what_stands_in_a_container_that_is_bounded_is_bounded_too() -> None:
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


def test_what_a_bounded_container_may_hold_is_no_leak_where_nobody_knows_what_holds_it() -> None:
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


def test_what_nobody_knows_the_holder_of_is_no_leak_since_a_bounded_container_may_hold_it() -> None:
    floor = run("lib.cache.Entry", lambda t: t.sessions)
    for data in (
        run("lib.cache.Entry", lambda t: t.requests),
        run("lib.cache.Entry", lambda t: 2 * t.sessions, control=floor),
    ):
        (found,) = of_type(data)
        assert found.verdict == "inconclusive"
        assert found.reason.endswith("and none of them went; what holds them was not recorded.")
        assert {check.verdict for check in check_growth(*growth_figures(data))} == {"pass", "inconclusive"}


def test_growth_that_is_not_exact_or_does_not_stay_is_no_leak_of_a_type() -> None:
    def noisy(t: Then) -> int:
        return t.requests + t.number % 2

    assert of_type(run("lib.cache.Entry", noisy)) == []
    assert of_type(run("lib.cache.Entry", lambda t: t.requests if t.open else 0)) == []
    assert of_type(run("lib.cache.Entry", lambda t: min(t.requests, 150))) == []
    assert of_type(run("dict", lambda t: t.requests)) == []


def test_a_container_is_told_with_how_it_is_held_and_what_it_pins_exactly() -> None:
    chain = ["app: module", ".LOG: list", "[*]: dict"]
    data = memory_run({"app.LOG": lambda t: t.requests}, facts={"app.LOG": {"kind": "list"}})
    kept = msgspec.structs.replace(data, retainers=[held("app.LOG", *chain, of="container", pinned=777)])
    (found,) = growth_figures(kept)[0]
    assert (found.retainer_path, found.pinned_bytes) == (chain, 777)
    rough = held("app.LOG", *chain, of="container", pinned=777)
    kept = msgspec.structs.replace(data, retainers=[msgspec.structs.replace(rough, exact=False)])
    assert growth_figures(kept)[0][0].pinned_bytes != 777


def test_a_type_that_the_walk_did_not_come_to_is_judged_all_the_same() -> None:
    unreached = msgspec.structs.replace(held("lib.cache.Entry"), holders=[])
    (found,) = of_type(run("lib.cache.Entry", lambda t: t.requests, retainers=[unreached]))
    assert (found.verdict, found.retainer_path) == ("leak-per-request", [])


# --- whether a short run asks the app what holds what grew ---


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
def test_what_gradio_keeps_of_everybody_is_no_reason(path: str) -> None:
    assert not grew(path, 0, 500)


@pytest.mark.parametrize(
    "path", ["app.LOG", "gradio.Queue.event_ids_to_events", "gradio.App.iterators_to_reset"]
)
def test_anything_else_that_grew_is(path: str) -> None:
    assert grew(path, 3, 4)
    assert not grew(path, 4, 4)
    assert not grew(path, 4, 3)


def test_something_new_is() -> None:
    assert suspicious(census({}), census({"app.NEW": 1}), 100)


def test_as_many_more_of_a_type_as_there_were_requests_is() -> None:
    first = census({}, {"lib.Entry": 5, "dict": 10})
    assert suspicious(first, census({}, {"lib.Entry": 105}), 100)
    assert not suspicious(first, census({}, {"lib.Entry": 104}), 100)
    assert not suspicious(first, census({}, {"dict": 1000}), 100)
    assert not suspicious(first, first, 0)
