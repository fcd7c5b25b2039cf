from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from harness.analysis import analyse
from harness.analysis.memory.growth_figures import growth_figures
from harness.analysis.memory.growth_records import Growth
from harness.analysis.memory.leak_checks import check_growth
from harness.profiles import BASES
from harness.recorded_run import RecordedRun
from harness.records import Check, ExternalApp, StateVariable
from tests.builders import HistoryBuilder
from tests.unit.analysis.memory.memory_runs import LIVE, Lengths, Then, experiment, memory_run
from tests.unit.analysis.test_figures import SECOND


def judged(data: RecordedRun) -> dict[str, Growth]:
    return {growth.path: growth for growth in growth_figures(data)[0]}


def checks(data: RecordedRun) -> dict[str, Check]:
    return {check.name: check for check in check_growth(*growth_figures(data))}


def verdicts(data: RecordedRun) -> tuple[str, str]:
    found = checks(data)
    return found["leak-per-request"].verdict, found["leak-per-session"].verdict


def test_a_list_that_only_grows_is_an_exact_leak_per_request() -> None:
    data = memory_run({"app.LOG": lambda t: t.requests}, facts={"app.LOG": {"kind": "list"}})
    growth = judged(data)["app.LOG"]
    assert (growth.verdict, growth.per_request, growth.exact, growth.bytes_per_request) == (
        "leak-per-request",
        1.0,
        True,
        100.0,
    )
    check = checks(data)["leak-per-request"]
    assert verdicts(data) == ("fail", "pass")
    assert check.evidence == {"batches": 5, "requests": 100, "paths": 1, "grown": 1}
    assert [(a.kind, a.variable, a.occurrences) for a in check.anomalies] == [
        ("leak-per-request", "app.LOG", 100)
    ]
    prose = check.anomalies[0].explanation
    assert "app.LOG (a list) grew by exactly 1.00 entries per request over 5 batches of 20 requests" in prose
    assert "keeps about 100 B per request in memory" in prose
    assert "did not shrink after all sessions had closed" in prose


def test_a_dict_that_is_never_pruned_is_a_leak_per_session() -> None:
    data = memory_run({"app.SEEN": lambda t: t.sessions})
    growth = judged(data)["app.SEEN"]
    assert (growth.verdict, growth.per_session, growth.per_request, growth.exact) == (
        "leak-per-session",
        1.0,
        0.0,
        True,
    )
    assert verdicts(data) == ("pass", "fail")
    prose = checks(data)["leak-per-session"].anomalies[0].explanation
    assert "exactly 1.00 entries per session over 3 rounds of 8 sessions that opened and closed" in prose


def test_entries_added_when_a_session_closes_are_a_leak_per_session() -> None:
    data = memory_run({"app.ARCHIVE": lambda t: 2 * (t.sessions - t.open)})
    growth = judged(data)["app.ARCHIVE"]
    assert (growth.verdict, growth.per_session, growth.exact) == ("leak-per-session", 2.0, True)


SMALL: dict[str, Callable[[Then], int]] = {
    "full before the batches": lambda t: min(t.requests, 64),
    "full in the midst of the batches": lambda t: min(t.requests, 150),
    "full under load": lambda t: min(t.requests, 300),
    "full of sessions": lambda t: min(t.sessions, 60),
    "of one entry per session and action, all of which come up": lambda t: min(2 * t.sessions, 160),
    "still filling, ever more slowly": lambda t: int(200 * (1 - 0.99**t.requests)),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_bounded_cache_is_no_leak_even_if_its_limit_is_unknown(name: str) -> None:
    unknown = memory_run({"app.CACHE": SMALL[name]})
    known = memory_run({"app.CACHE": SMALL[name]}, facts={"app.CACHE": {"kind": "lru_cache", "cap": 10_000}})
    for data in (unknown, known):
        assert verdicts(data) == ("pass", "pass")
        assert {g.verdict for g in judged(data).values()} <= {"bounded"}


def test_a_known_limit_counts_before_it_is_reached() -> None:
    data = memory_run(
        {"app.CACHE": lambda t: t.requests}, facts={"app.CACHE": {"kind": "lru_cache", "cap": 5000}}
    )
    growth = judged(data)["app.CACHE"]
    assert (growth.verdict, growth.cap) == ("bounded", 5000)
    assert "5,000" in growth.reason
    assert verdicts(data) == ("pass", "pass")


def test_a_cache_with_repeating_keys_is_inconclusive_and_a_list_that_grows_as_slowly_leaks() -> None:
    rng = random.Random(3)
    hits = [sum(rng.random() < 0.4 for _ in range(n)) for n in (20,) * 5]

    def slowly(t: Then) -> int:
        batch = max(0, min(5, t.number - 5))
        return 40 + sum(hits[:batch]) + (240 + 6 * (t.number - 11) if t.number > 10 else 0)

    cache = memory_run({"app.CACHE": slowly})
    assert judged(cache)["app.CACHE"].verdict == "inconclusive"
    assert verdicts(cache)[0] == "inconclusive"
    assert "A longer run decides" in checks(cache)["leak-per-request"].reason
    log = memory_run({"app.LOG": slowly}, facts={"app.LOG": {"kind": "list"}})
    assert verdicts(log)[0] == "fail"
    assert "about 0." in checks(log)["leak-per-request"].anomalies[0].explanation


@pytest.mark.parametrize(
    "length",
    [
        lambda t: t.open,
        lambda t: 5 * t.open,
        lambda t: 3 * t.requests if t.open else 0,
        lambda t: 10**7 * (t.number == 8),
    ],
)
def test_entries_released_when_sessions_close_are_no_leak(length: Callable[[Then], int]) -> None:
    data = memory_run({"app.HELD": length})
    assert judged(data)["app.HELD"].verdict == "transient"
    assert verdicts(data) == ("pass", "pass")


def test_state_that_gradio_releases_later_is_no_leak_of_the_app() -> None:
    lengths: Lengths = {
        "gradio.StateHolder.session_data": lambda t: t.sessions,
        "gradio.StateHolder.session_data[*].state_data": lambda t: 2 * t.sessions,
        "gradio.StateHolder.session_data[*].state_data[*]": lambda t: t.requests,
        "gradio.Queue.event_analytics": lambda t: t.requests,
        "gradio.Queue.pending_event_ids_session": lambda t: t.sessions,
        "gradio.Blocks.something_new": lambda t: t.sessions,
    }
    data = memory_run(lengths)
    found = {path: growth.verdict for path, growth in judged(data).items()}
    assert found == {
        "gradio.StateHolder.session_data": "framework-floor",
        "gradio.StateHolder.session_data[*].state_data": "retained-until-ttl",
        "gradio.StateHolder.session_data[*].state_data[*]": "retained-until-ttl",
        "gradio.Queue.event_analytics": "bounded",
        "gradio.Queue.pending_event_ids_session": "framework-floor",
        "gradio.Blocks.something_new": "framework-floor",
    }
    assert verdicts(data) == ("pass", "pass")


@pytest.mark.parametrize("path", ["temp_file_sets[*]", "upload_file_set"])
def test_gradios_names_of_uploaded_files_are_its_own_share(path: str) -> None:
    path = f"gradio.Blocks.{path}"
    data = memory_run({path: lambda t: t.requests}, facts={path: {"kind": "set"}})
    assert judged(data)[path].verdict == "framework-floor"
    assert "delete_cache" in judged(data)[path].reason
    assert verdicts(data) == ("pass", "pass")


def test_a_leak_of_gradios_own_says_so() -> None:
    data = memory_run({"gradio.Queue.event_ids_to_events": lambda t: t.requests})
    assert verdicts(data) == ("fail", "pass")
    assert "a dict of Gradio’s own" in checks(data)["leak-per-request"].anomalies[0].explanation


def test_one_leak_is_reported_once_by_its_outermost_container() -> None:
    lengths: Lengths = {
        "app.HISTORIES": lambda t: t.sessions,
        "app.HISTORIES[*]": lambda t: t.requests,
        "app.HISTORIES[*][*]": lambda t: 3 * t.requests,
        "app.HISTORIES_OLD": lambda t: t.requests,
    }
    data = memory_run(lengths, facts={"app.HISTORIES_OLD": {"kind": "list"}})
    found = judged(data)
    assert found["app.HISTORIES[*]"].verdict == found["app.HISTORIES[*][*]"].verdict == "leak-per-session"
    assert found["app.HISTORIES[*][*]"].within == "app.HISTORIES"
    assert found["app.HISTORIES_OLD"].within is None
    assert [a.variable for a in checks(data)["leak-per-session"].anomalies] == ["app.HISTORIES"]
    assert [a.variable for a in checks(data)["leak-per-request"].anomalies] == ["app.HISTORIES_OLD"]


def history_of(
    moments: list[Then], actions: Callable[[int], str], effects: dict[str, tuple[str, object]] | None = None
) -> HistoryBuilder:
    """The requests before each plateau, each with an action that depends on its number."""
    history = HistoryBuilder()
    done = 0
    for then in moments:
        for number in range(done, then.requests):
            at = (then.number - 1) * SECOND + number
            history.add("s0-1", action=actions(number), begin=at, end=at + 1, effects=effects)
        done = then.requests
    return history


def test_growth_with_one_action_alone_names_that_action() -> None:
    moments = experiment()
    rng = random.Random(5)
    kinds = ["save" if rng.random() < 0.3 else "look" for _ in range(2000)]

    def saved(t: Then) -> int:
        return kinds[: t.requests].count("save")

    data = memory_run({"app.SAVED": saved}, moments=moments, history=history_of(moments, lambda n: kinds[n]))
    growth = judged(data)["app.SAVED"]
    assert (growth.verdict, growth.per_action, growth.per_request, growth.exact) == (
        "leak-per-request",
        "save",
        1.0,
        True,
    )
    assert "exactly 1.00 entries per `save`" in checks(data)["leak-per-request"].anomalies[0].explanation


@pytest.mark.parametrize(
    ("scope", "verdict"), [("everyone", "declared"), ("user", "declared"), ("session", "leak-per-request")]
)
def test_declared_state_is_no_leak(scope: str, verdict: str) -> None:
    moments = experiment()
    history = history_of(moments, lambda _: "sign", {"guests": ("append", "t-1")})
    state = {"guests": StateVariable(model="list", initial=[], scope=scope)}  # type: ignore[arg-type]
    data = memory_run({"app.GUESTS": lambda t: t.requests}, moments=moments, history=history, state=state)
    assert judged(data)["app.GUESTS"].verdict == verdict
    twice = memory_run(
        {"app.GUESTS": lambda t: 2 * t.requests}, moments=moments, history=history, state=state
    )
    assert judged(twice)["app.GUESTS"].verdict == "leak-per-request"


@pytest.mark.parametrize(("by", "verdict"), [("user", "declared"), ("session", "leak-per-session")])
def test_entries_per_user_are_distinguished_from_entries_per_session(by: str, verdict: str) -> None:
    """Every third session of the load phase is a reload by the same user."""
    moments, history, users, begun = experiment(), HistoryBuilder(), [0] * 200, 0
    for then in moments:
        for number in range(begun, then.sessions):
            known = then.label == "after-close" and number % 3 == 0
            users[number] = users[number - 1] + (not known)
            at = (then.number - 1) * SECOND + number
            history.add(
                f"s0-{number}",
                action="reload" if known else "open",
                begin=at,
                end=at + 1,
                user=f"u{users[number]}",
            )
        begun = then.sessions
    state = {"notes": StateVariable(model="list", initial=[], scope="user")}

    def kept(t: Then) -> int:
        return users[t.sessions - 1] if by == "user" else t.sessions

    data = memory_run({"app.NOTES": kept}, moments=moments, history=history, state=state)
    assert judged(data)["app.NOTES"].verdict == verdict


# --- the live heap ---


def warming_up(t: Then) -> int:
    return LIVE + int(400_000 * (1 - 0.98**t.requests)) + 1200 * t.requests + 10_000 * t.sessions


def test_a_heap_that_warms_up_or_swings_is_no_leak() -> None:
    assert verdicts(memory_run({}, live=warming_up)) == ("pass", "pass")
    assert verdicts(memory_run({}, live=lambda t: LIVE + (50_000_000 if t.open else 0))) == ("pass", "pass")
    assert verdicts(memory_run({}, live=lambda t: LIVE + (10**8 if t.number == 8 else 0))) == ("pass", "pass")


def test_unnamed_bytes_are_a_leak_of_the_live_heap() -> None:
    data = memory_run({}, live=lambda t: warming_up(t) + 100_000 * t.requests)
    assert verdicts(data) == ("fail", "pass")
    anomaly = checks(data)["leak-per-request"].anomalies[0]
    assert anomaly.variable == "live heap"
    assert "no container that was counted accounts for it" in anomaly.explanation


def test_bytes_of_a_leaking_container_are_reported_with_it() -> None:
    facts = {"app.LOG": {"kind": "list"}}
    data = memory_run(
        {"app.LOG": lambda t: t.requests}, facts=facts, live=lambda t: warming_up(t) + 100 * t.requests
    )
    assert [a.variable for a in checks(data)["leak-per-request"].anomalies] == ["app.LOG"]


def test_unnamed_bytes_are_inconclusive_if_opaque_objects_increase_too() -> None:
    data = memory_run({}, live=lambda t: warming_up(t) + 100_000 * t.requests, opaque=lambda t: t.requests)
    assert verdicts(data) == ("inconclusive", "pass")


def test_unnamed_bytes_that_stop_under_load_are_no_leak() -> None:
    data = memory_run({}, live=lambda t: warming_up(t) + 100_000 * min(t.requests, 200))
    assert verdicts(data) == ("pass", "pass")


def test_unnamed_bytes_that_grow_only_because_size_estimates_shrink_are_no_leak() -> None:
    shrinking = {"app.HELD": {"kind": "list"}}
    data = memory_run({"app.HELD": lambda t: 10**6 - 500 * t.requests}, facts=shrinking, live=warming_up)
    assert growth_figures(data)[1].unnamed_bytes_per_request.low > 32_768  # type: ignore[union-attr]
    assert verdicts(data) == ("pass", "pass")


def test_containers_are_judged_even_if_live_bytes_are_unknown() -> None:
    data = memory_run({"app.LOG": lambda t: t.requests}, facts={"app.LOG": {"kind": "list"}})
    blind = [
        msgspec.structs.replace(p, probe=msgspec.structs.replace(p.probe, live_bytes=None))
        for p in data.plateaus
    ]
    assert verdicts(msgspec.structs.replace(data, plateaus=blind)) == ("fail", "pass")


# --- runs that cannot be judged ---


def test_leak_checks_do_not_apply_to_an_app_without_a_probe() -> None:
    external = ExternalApp(url="http://x/", protocol="sse_v3", pid=7, process="python", not_sampled="")
    data = msgspec.structs.replace(memory_run({}, external=external), census=[])
    for check in checks(data).values():
        assert (check.verdict, check.applies) == ("pass", False)
        assert check.reason.startswith("Does not apply: gradsoak did not start the app")


def test_a_leak_check_that_the_profile_leaves_out_does_not_apply() -> None:
    plan = msgspec.structs.replace(BASES["quick"].staircase, request_batches=0)
    moments = experiment(batches=0)
    found = checks(memory_run({"app.SEEN": lambda t: t.sessions}, moments=moments, plan=plan))
    assert (found["leak-per-request"].verdict, found["leak-per-request"].applies) == ("pass", False)
    assert (found["leak-per-session"].verdict, found["leak-per-session"].applies) == ("fail", True)


@pytest.mark.parametrize(
    "data",
    [
        memory_run({}, moments=experiment()[:8]),  # interrupted
        memory_run({}, moments=[]),
        msgspec.structs.replace(memory_run({}), census=[]),  # the probe could not
        memory_run({}, pid=lambda t: 1 if t.number < 8 else 2),  # another process
    ],
)
def test_too_little_evidence_is_unknown(data: RecordedRun) -> None:
    for check in checks(data).values():
        assert (check.verdict, check.applies, check.evidence) == ("unknown", True, {})


def test_a_lost_worker_leaves_requests_uncounted() -> None:
    data = memory_run({"app.LOG": lambda t: t.requests})
    lost = [
        msgspec.structs.replace(p, requests=None, sessions=None) if number > 7 else p
        for number, p in enumerate(data.plateaus)
    ]
    assert verdicts(msgspec.structs.replace(data, plateaus=lost)) == ("unknown", "unknown")


def test_the_figures_list_growth_worst_first() -> None:
    data = memory_run({"app.A": lambda t: t.open, "app.B": lambda t: t.requests, "app.C": lambda _: 5})
    analysis = analyse(data)
    assert [(g.path, g.verdict) for g in analysis.growth] == [
        ("app.B", "leak-per-request"),
        ("app.A", "transient"),
    ]
    assert (analysis.growth_basis.batches, analysis.growth_basis.rounds) == (5, 3)


def test_growth_inside_a_bounded_container_is_bounded_unless_it_outgrows_it() -> None:
    facts: dict[str, dict[str, object]] = {
        "app.RECENT": {"kind": "deque", "cap": 100_000},
        "app.RECENT[*]": {"kind": "dict"},
    }
    rows = {"app.RECENT": lambda t: t.requests, "app.RECENT[*]": lambda t: 3 * t.requests}
    found = judged(memory_run(rows, facts=facts))["app.RECENT[*]"]
    assert (found.verdict, found.within) == ("bounded", "app.RECENT")
    by_session = {"app.RECENT": lambda t: t.sessions, "app.RECENT[*]": lambda t: 3 * t.sessions}
    assert verdicts(memory_run(by_session, facts=facts)) == ("pass", "pass")
    full = {"app.RECENT": lambda t: min(8, t.requests - 55), "app.RECENT[*]": lambda t: t.requests}
    facts["app.RECENT"] = {"kind": "deque", "cap": 8}
    assert verdicts(memory_run(full, facts=facts)) == ("fail", "pass")
    # It was filled while batches were counted, and no more under load.
    filled = {"app.RECENT": lambda t: min(200, t.requests), "app.RECENT[*]": lambda t: 3 * t.requests}
    facts["app.RECENT"] = {"kind": "deque", "cap": 200}
    assert verdicts(memory_run(filled, facts=facts)) == ("fail", "pass")


def test_an_exact_leak_inside_a_possible_cache_is_a_leak() -> None:
    lengths: Lengths = {
        "app.PEOPLE": lambda t: t.requests // 3 + t.number % 2,
        "app.PEOPLE[*].log": lambda t: t.requests,
    }
    found = judged(memory_run(lengths, facts={"app.PEOPLE[*].log": {"kind": "list"}}))
    assert found["app.PEOPLE"].verdict == "inconclusive"
    assert found["app.PEOPLE[*].log"].verdict == "leak-per-request"


def test_pending_work_that_is_done_later_is_inconclusive() -> None:
    def waiting(t: Then) -> int:
        if t.label == "staircase":
            return 0
        return t.requests - 100 if t.label == "requests" else 500 - 40 * (t.number - 11)

    found = judged(memory_run({"app.JOBS.queue": waiting}, facts={"app.JOBS.queue": {"kind": "deque"}}))
    assert found["app.JOBS.queue"].verdict == "inconclusive"
    assert "120 were gone some time after" in found["app.JOBS.queue"].reason


def test_a_container_that_the_census_no_longer_reaches_is_not_called_transient() -> None:
    def seen(t: Then) -> int:
        return t.requests if t.label in ("staircase", "requests") else -1

    data = memory_run(
        {"app.DESK.rows": seen, "app.X": lambda _: 1}, facts={"app.DESK.rows": {"kind": "list"}}
    )
    assert judged(data)["app.DESK.rows"].verdict == "transient"
    census = [
        msgspec.structs.replace(c, complete_depth=2 if c.plateau > 10 else None, visited=150_000)
        for c in data.census
    ]
    found = judged(msgspec.structs.replace(data, census=census))["app.DESK.rows"]
    assert found.verdict == "inconclusive"
    assert "stopped before reaching it, after 150,000 objects" in found.reason


@pytest.mark.parametrize(("kind", "verdict"), [("list", "inconclusive"), ("dict", "bounded")])
def test_a_list_that_grows_occasionally_and_never_shrinks_is_inconclusive(kind: str, verdict: str) -> None:
    errors = [2, 2, 2, 3, 3, 3, 5, 5, 7, 7, 8, 30, 30, 31, 33]
    data = memory_run({"app.ERRORS": lambda t: errors[t.number]}, facts={"app.ERRORS": {"kind": kind}})
    assert judged(data)["app.ERRORS"].verdict == verdict
