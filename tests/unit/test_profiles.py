from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.errors import ExitCode, UsageError
from harness.profiles import BASES, MIN_LEVELS, doubts, parse_duration, resolve


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("2m", 120), ("1m30s", 90), ("1h", 3600), ("1h2m3s", 3723), ("0.5s", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "fast", "2x", "-3", "1m-2s", "m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        parse_duration(text)


def test_the_command_line_wins_over_the_scenario_which_wins_over_the_base() -> None:
    own = {"quick": {"users": 7, "think_s": 0.9, "staircase": {"levels": 6}}, "full": {"users": 99}}
    profile = resolve("quick", own, {"think_s": 0.1, "users": None, "staircase": {"sessions_per_level": 3}})
    assert (profile.users, profile.think_s) == (7, 0.1)
    assert (profile.staircase.levels, profile.staircase.sessions_per_level) == (6, 3)
    assert profile.spawn_rate == BASES["quick"].spawn_rate


def test_a_scenario_may_write_durations_in_words() -> None:
    assert resolve("quick", {"quick": {"duration_s": "2m"}}, {}).duration_s == 120


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ({"users": 0}, "0 users"),
        ({"users": -1}, "-1 users"),
        ({"users": 10**9}, "more than one generator"),
        ({"spawn_rate": -1.0}, "spawn rate of -1"),
        ({"spawn_rate": 0.0}, "spawn rate of 0"),
        ({"spawn_rate": float("inf")}, "spawn rate of inf"),
        ({"duration_s": 0.0}, "duration of 0"),
        ({"duration_s": 1e9}, "duration of 1e"),
        ({"think_s": -0.1}, "think time of -0.1"),
        ({"think_s": float("nan")}, "think time of nan"),
        ({"actions_per_session": float("inf")}, "inf actions"),
        ({"warmup_s": float("inf")}, "warm-up of inf"),
        ({"arrival_rate": 0.0}, "rate of 0"),
        ({"arrival_rate": -3.0}, "rate of -3"),
        ({"arrival_rate": float("nan")}, "rate of nan"),
        ({"arrival_rate": 1e9}, "rate of 1e+09"),
        ({"arrival_rate": 5.0, "max_in_flight": 0}, "at most 0 sessions"),
        ({"arrival_rate": 5.0, "max_in_flight": 10**6}, "at most 1000000 sessions"),
        ({"staircase": {"levels": MIN_LEVELS - 1}}, "staircase of 3 levels"),
        ({"staircase": {"sessions_per_level": 0}}, "0 sessions per level"),
        ({"staircase": {"request_batches": 4}}, "4 batches of requests"),
        ({"staircase": {"requests_per_batch": 0}}, "0 requests per batch"),
        ({"staircase": {"batch_timeout_s": 0}}, "0 s for a batch"),
        ({"staircase": {"rounds": 2}}, "2 rounds of sessions"),
    ],
)
def test_impossible_profiles_are_refused_by_name(overrides: dict[str, object], names: str) -> None:
    with pytest.raises(UsageError, match="impossible") as caught:
        resolve("quick", {}, overrides)
    assert names in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_rate_makes_it_the_open_model() -> None:
    assert resolve("quick", {}, {}).model == "closed"
    profile = resolve("quick", {}, {"arrival_rate": 20.0, "arrivals": "uniform", "max_in_flight": 9})
    assert (profile.model, profile.arrivals, profile.max_in_flight) == ("open", "uniform", 9)
    own = {"quick": {"arrival_rate": 7, "arrivals": "uniform"}}
    assert resolve("quick", own, {}).arrival_rate == 7
    assert resolve("quick", own, {"arrival_rate": 8.0}).arrival_rate == 8
    assert resolve("quick", own, {"max_in_flight": 5}).max_in_flight == 5


def test_users_on_the_command_line_win_over_a_scenarios_rate() -> None:
    profile = resolve("quick", {"quick": {"arrival_rate": 7.0}}, {"users": 3})
    assert (profile.model, profile.users) == ("closed", 3)


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ({"arrival_rate": 5.0, "users": 3}, "--users"),
        ({"arrival_rate": 5.0, "think_s": 1.0}, "--think"),
        ({"arrival_rate": 5.0, "spawn_rate": 1.0}, "--spawn-rate"),
        ({"arrivals": "uniform"}, "--arrivals"),
        ({"max_in_flight": 7}, "--max-in-flight"),
    ],
)
def test_settings_of_the_other_model_are_refused_rather_than_ignored(
    overrides: dict[str, object], names: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("quick", {}, overrides)
    assert names in caught.value.message
    assert "--rate" in caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "own",
    [
        {"quick": {"userz": 3}},
        {"quick": {"users": "many"}},
        {"quick": {"staircase": {"steps": 3}}},
        {"quick": {"staircase": 5}},
        {"quick": {"arrival_rate": 5, "arrivals": "in droves"}},
    ],
)
def test_settings_that_no_profile_has_are_refused(own: dict[str, dict[str, object]]) -> None:
    with pytest.raises(UsageError):
        resolve("quick", own, {})


def test_a_setting_of_the_staircase_in_the_wrong_place_is_told_where_it_belongs() -> None:
    with pytest.raises(UsageError) as caught:
        resolve("staircase", {"staircase": {"levels": 4}}, {})
    assert "staircase = { levels = … }" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        resolve("staircase", {"staircase": {"sauce": 4}}, {})
    assert "staircase = {" not in caught.value.hint


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        resolve("huge", {}, {})
    assert "quick" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"users": 2000}, None),
        ({"users": 2001}, "2,001 users may"),
        ({"users": 5, "arrival_rate": 9.0, "max_in_flight": 2500}, "2,500 sessions in flight may"),
        ({"users": 5, "max_in_flight": 2500}, None),
        ({"users": 2001, "arrival_rate": 9.0, "max_in_flight": 2000}, None),
    ],
)
def test_more_sessions_than_gradios_queue_bears_are_doubted(
    changes: dict[str, Any], says: str | None
) -> None:
    found = doubts(msgspec.structs.replace(BASES["quick"], **changes))
    assert [says in text for text in found] == ([] if says is None else [True])
