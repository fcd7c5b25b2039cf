from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.errors import ExitCode, UsageError
from harness.profile_settings import SETTINGS
from harness.profiles import BASES, config_warnings, parse_duration, resolve


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("2m", 120), ("1m30s", 90), ("1h", 3600), ("1h2m3s", 3723), ("0.5s", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "fast", "2x", "-3", "1m-2s", "m"])
def test_a_text_that_is_no_duration_is_refused(text: str) -> None:
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
    ("overrides", "names", "wanted"),
    [
        ({"users": 0}, "--users 0", "a whole number: from 1 to 5,000"),
        ({"users": 10**9}, "--users 1000000000", "from 1 to 5,000"),
        ({"users": 2.5}, "--users 2.5", "a whole number"),
        ({"users": True}, "--users True", "a whole number"),
        ({"spawn_rate": -1.0}, "--spawn-rate -1", "a number: above 0"),
        ({"spawn_rate": 0.0}, "--spawn-rate 0", "above 0"),
        ({"spawn_rate": float("inf")}, "--spawn-rate inf", "above 0"),
        ({"duration_s": 0.0}, "--duration 0", "a duration: above 0, at most 24h"),
        ({"duration_s": 1e9}, "--duration 1e+09", "at most 24h"),
        ({"think_s": -0.1}, "--think -0.1", "from 0 to 24h"),
        ({"think_s": float("nan")}, "--think nan", "from 0 to 24h"),
        ({"actions_per_session": float("inf")}, "--actions-per-session inf", "1 or more"),
        ({"warmup_s": float("inf")}, "--warmup inf", "from 0 to 24h"),
        ({"reload_share": 1.1}, "--reload-share 1.1", "from 0 to 1"),
        ({"arrival_rate": 0.0}, "--arrival-rate 0", "above 0, at most 10,000"),
        ({"arrival_rate": float("nan")}, "--arrival-rate nan", "above 0"),
        ({"arrival_rate": 1e9}, "--arrival-rate 1e+09", "at most 10,000"),
        ({"arrival_rate": 5.0, "arrivals": "slowly"}, "--arrivals slowly", "poisson or uniform"),
        ({"arrival_rate": 5.0, "max_in_flight": 0}, "--max-in-flight 0", "from 1 to 5,000"),
        ({"arrival_rate": 5.0, "max_in_flight": 10**6}, "--max-in-flight 1000000", "from 1 to 5,000"),
        ({"control": "yes"}, "--control 'yes'", "true or false"),
        ({"staircase": {"levels": 3}}, "--levels 3", "a whole number: 4 or more"),
        ({"staircase": {"sessions_per_level": 0}}, "--sessions-per-level 0", "1 or more"),
        ({"staircase": {"request_batches": 4}}, "--request-batches 4", "5 or more, or 0"),
        ({"staircase": {"batch_timeout_s": 0}}, "--batch-timeout 0", "a duration: above 0"),
        ({"staircase": {"rounds": 2}}, "--rounds 2", "3 or more, or 0"),
    ],
)
def test_a_value_beyond_its_limits_is_refused_with_its_name_and_the_limits(
    overrides: dict[str, object], names: str, wanted: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("quick", {}, overrides)
    assert caught.value.message == f"{names} is not possible."
    assert wanted in caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_value_in_a_scenario_is_refused_with_its_place() -> None:
    for own, names in (
        ({"users": "many"}, "scenario.toml, profile.quick: users = 'many' is not possible."),
        ({"staircase": {"levels": 3}}, "scenario.toml, profile.quick: staircase.levels = 3 is not possible."),
        ({"think_s": "slow"}, "scenario.toml, profile.quick: think_s 'slow' is not a duration."),
    ):
        with pytest.raises(UsageError) as caught:
            resolve("quick", {"quick": own}, {})
        assert caught.value.message == names


def test_batches_without_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="5 batches of requests have no request"):
        resolve("quick", {}, {"staircase": {"requests_per_batch": 0}})
    none = resolve("quick", {}, {"staircase": {"requests_per_batch": 0, "request_batches": 0, "rounds": 0}})
    assert (none.staircase.request_batches, none.staircase.rounds) == (0, 0)


@pytest.mark.parametrize("name", BASES)
def test_a_built_in_profile_keeps_the_limits(name: str) -> None:
    base = msgspec.to_builtins(BASES[name])
    for key, setting in SETTINGS.items():
        value = (base[setting.table] if setting.table else base)[key]
        assert value is None or setting.allows(value), key


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
    assert "--arrival-rate" in caught.value.hint
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "own",
    [
        {"quick": {"userz": 3}},
        {"quick": {"staircase": {"steps": 3}}},
        {"quick": {"staircase": 5}},
        {"quick": {"arrival_rate": 5, "arrivals": "in droves"}},
    ],
)
def test_settings_that_no_profile_has_are_refused(own: dict[str, dict[str, object]]) -> None:
    with pytest.raises(UsageError):
        resolve("quick", own, {})


def test_a_staircase_setting_in_the_wrong_place_gets_a_hint() -> None:
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
def test_more_sessions_than_gradios_queue_supports_give_a_warning(
    changes: dict[str, Any], says: str | None
) -> None:
    found = config_warnings(msgspec.structs.replace(BASES["quick"], **changes))
    assert [says in text for text in found] == ([] if says is None else [True])
