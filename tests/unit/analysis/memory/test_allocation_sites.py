"""Which line counts as allocation site, and how results of memray and of tracemalloc are joined."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis import analyse
from harness.analysis.memory.allocation_sites import (
    MAX_SITES,
    Attribution,
    Site,
    Stack,
    by_site,
    frame,
    held_entries,
    join,
    lines_for,
    site_of,
    text_of,
    unheld_lines,
    worth_keeping,
)
from harness.records import Allocation, Frame, HeldEntries
from tests.unit.analysis.memory.memory_runs import memory_run

APP = "/home/me/my app"
SITE = "/home/me/venv/lib/python3.12/site-packages"


def line(file: str, number: int, function: str = "f") -> Frame:
    return frame(file, number, function, APP)


@pytest.mark.parametrize(
    ("file", "shown", "owner"),
    [
        (f"{APP}/app.py", "app.py", "app"),
        (f"{APP}/lib/store.py", "lib/store.py", "app"),
        (f"{APP}ended/app.py", "app.py", "other"),
        (f"{APP}/.venv/lib/python3.12/site-packages/pandas/core.py", "pandas/core.py", "other"),
        (f"{SITE}/gradio/queueing.py", "gradio/queueing.py", "gradio"),
        (f"{SITE}/gradio_client/client.py", "gradio_client/client.py", "other"),
        ("/usr/lib/python3/dist-packages/six.py", "six.py", "other"),
        ("/usr/lib/python3.12/json/decoder.py", "json/decoder.py", "other"),
        ("/home/me/src/gradio/gradio/blocks.py", "gradio/gradio/blocks.py", "gradio"),
        ("<string>", "<string>", "other"),
    ],
)
def test_a_file_name_is_relative_to_its_app_or_package(file: str, shown: str, owner: str) -> None:
    assert line(file, 3) == Frame(file=shown, line=3, function="f", owner=owner)  # type: ignore[arg-type]


def test_an_installed_app_still_belongs_to_the_user() -> None:
    folder = f"{SITE}/harness/_scenarios/counters"
    assert frame(f"{folder}/app.py", 1, "click", folder) == Frame(
        file="app.py", line=1, function="click", owner="app"
    )


def test_the_site_is_a_line_of_the_app_else_of_gradio_else_of_any_file() -> None:
    decoder, middleware = (
        line("/usr/lib/python3.12/json/decoder.py", 353),
        line(f"{SITE}/gradio/route_utils.py", 1102, "__call__"),
    )
    push, click = line(f"{SITE}/gradio/queueing.py", 310, "push"), line(f"{APP}/app.py", 14, "click")
    assert site_of([decoder, push, middleware, click]) == click
    assert site_of([decoder, middleware, push]) == push
    # On the way to everything that a request does: that line would say nothing.
    assert site_of([decoder, middleware]) == decoder
    assert site_of([middleware]) == middleware
    assert site_of([]) is None
    assert text_of(push) == "gradio/queueing.py:310 in push"
    assert text_of(Frame(file="app.py", line=2)) == "app.py:2"


def test_allocations_of_one_line_are_added_up_over_all_stacks() -> None:
    click, other = line(f"{APP}/app.py", 14, "click"), line(f"{APP}/app.py", 20, "reset")
    deep = [line("/usr/lib/python3.12/copy.py", 128), click]
    allocations = by_site(
        [
            Stack(frames=[click], bytes=100, count=2),
            Stack(frames=deep, bytes=300, count=3),
            Stack(frames=[other], bytes=1000, count=1),
            Stack(frames=[], bytes=7, count=1),
        ]
    )
    assert [(text_of(a.site), a.bytes, a.allocations) for a in allocations] == [
        ("app.py:20 in reset", 1000, 1),
        ("app.py:14 in click", 400, 5),
        ("outside of Python", 7, 1),
    ]
    assert allocations[1].stack == deep


def allocation(number: int, size: int) -> Allocation:
    site = line(f"{APP}/app.py", number)
    return Allocation(site=site, stack=[site], bytes=size, allocations=1)


def test_a_line_that_allocated_entries_is_kept_even_if_it_allocated_little() -> None:
    many = [allocation(n, 10_000 - n) for n in range(MAX_SITES + 50)]
    held = [HeldEntries(path="app.LOG", site=many[-1].site, entries=5, bytes=100)]
    kept = worth_keeping(many, held)
    assert kept == [*many[:MAX_SITES], many[-1]]


def test_containers_and_lines_are_joined_both_ways() -> None:
    push, store = line(f"{SITE}/gradio/queueing.py", 310, "push"), line(f"{APP}/app.py", 14, "click")
    held = [
        *held_entries("gradio.Queue.events", [Stack(frames=[push], bytes=4800, count=100)]),
        *held_entries(
            "app.LOG",
            [
                Stack(frames=[store], bytes=18_400, count=96),
                Stack(frames=[line(f"{APP}/app.py", 30, "rare")], bytes=10, count=4),
            ],
        ),
        *held_entries("app.LOG[*]", [Stack(frames=[store], bytes=9600, count=200)]),
    ]
    # memray saw little of what `click` allocated: dicts came from those that Python keeps for the next one.
    seen = by_site([Stack(frames=[push], bytes=5000, count=110), Stack(frames=[store], bytes=1000, count=2)])
    found = join(
        seen, held, total_bytes=7000, sessions=8, requests=72, flame_graph="attribution/flame-graph.html"
    )
    assert found.allocated_at == {
        "app.LOG": ["app.py:14 in click"],
        "app.LOG[*]": ["app.py:14 in click"],
        "gradio.Queue.events": ["gradio/queueing.py:310 in push"],
    }
    assert [(s.where, s.bytes, s.held_by, s.held_entries, s.held_bytes) for s in found.sites] == [
        ("app.py:14 in click", 1000, ["app.LOG"], 96, 18_400),
        ("gradio/queueing.py:310 in push", 5000, ["gradio.Queue.events"], 100, 4800),
        ("app.py:30 in rare", 0, ["app.LOG"], 4, 10),
    ]
    assert (found.total_bytes, found.sessions, found.requests) == (7000, 8, 72)
    assert lines_for(found, "app.LOG") == ["app.py:14 in click"]
    assert lines_for(found, "app.OTHER") == lines_for(None, "app.LOG") == []


def test_at_most_three_lines_with_a_relevant_share_are_named() -> None:
    stacks = [Stack(frames=[line(f"{APP}/app.py", n)], bytes=1, count=100 - n) for n in range(1, 6)]
    found = join([], held_entries("app.LOG", stacks), total_bytes=0, sessions=1, requests=1, flame_graph=None)
    assert found.allocated_at["app.LOG"] == ["app.py:1 in f", "app.py:2 in f", "app.py:3 in f"]


def test_only_a_line_with_a_large_share_is_named_for_the_live_heap() -> None:
    sites = [
        Site(where="app.py:9 in click", stack=[], bytes=90_000, allocations=10),
        Site(where="app.py:3 in click", stack=[], bytes=80_000, allocations=10, held_by=["app.LOG"]),
        Site(where="json/decoder.py:1 in f", stack=[], bytes=15_000, allocations=10),
    ]
    found = Attribution(sites=sites, requests=10)
    assert unheld_lines(found, 10_000.0) == ["app.py:9 in click"]
    assert unheld_lines(found, 60_000.0) == unheld_lines(found, None) == unheld_lines(None, 10_000.0) == []


def test_growth_is_reported_with_the_lines_that_allocated_it() -> None:
    data = memory_run(
        {"app.LOG": lambda then: then.requests, "app.STILL": lambda then: then.number // 20 + 1}
    )
    found = Attribution(
        allocated_at={"app.LOG": ["app.py:14 in click"]}, sessions=8, requests=72, total_bytes=99
    )
    without = analyse(data)
    assert [g.allocated_at for g in without.growth] == [[]]
    assert without.attribution is None
    analysis = analyse(msgspec.structs.replace(data, attribution=found))
    assert [(g.path, g.verdict, g.allocated_at) for g in analysis.growth] == [
        ("app.LOG", "leak-per-request", ["app.py:14 in click"])
    ]
    assert analysis.attribution == found
    # It explains, and decides nothing.
    assert [msgspec.structs.replace(g, allocated_at=[]) for g in analysis.growth] == without.growth
