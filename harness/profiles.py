"""Profiles: how much load for how long. Pure: a base, the scenario's own settings, then the command line's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.records import PlateauPlan, Profile

# Gradio keeps pending messages of so many sessions, and its queue's worker ends with a KeyError at one more. Source: an
# LRUCache(2000) in gradio/queueing.py, 6.31; seen when 2,100 sessions asked at once.
QUEUE_SESSIONS = 2000

BASES: dict[str, Profile] = {
    "quick": Profile(
        name="quick",
        users=10,
        spawn_rate=10.0,
        duration_s=12.0,
        think_s=0.2,
        actions_per_session=8.0,
        reload_share=0.3,
        warmup_s=3.0,
        operation_timeout_s=30.0,
        sample_interval_s=0.25,
        staircase=PlateauPlan(
            levels=5,
            sessions_per_level=8,
            settle_timeout_s=4.0,
            request_batches=5,
            requests_per_batch=20,
            rounds=3,
        ),
    ),
    "full": Profile(
        name="full",
        users=40,
        spawn_rate=10.0,
        duration_s=120.0,
        think_s=0.5,
        actions_per_session=12.0,
        reload_share=0.3,
        warmup_s=10.0,
        operation_timeout_s=60.0,
        sample_interval_s=0.25,
        staircase=PlateauPlan(
            levels=8,
            sessions_per_level=25,
            settle_timeout_s=10.0,
            request_batches=6,
            requests_per_batch=100,
            batch_timeout_s=10.0,
            rounds=4,
        ),
    ),
    # What memory is asked for, and little else: more plateaus, of fewer sessions, and a state-free app beside it.
    "staircase": Profile(
        name="staircase",
        users=8,
        spawn_rate=10.0,
        duration_s=5.0,
        think_s=0.2,
        actions_per_session=8.0,
        reload_share=0.3,
        warmup_s=1.0,
        operation_timeout_s=30.0,
        sample_interval_s=0.25,
        staircase=PlateauPlan(
            levels=6,
            sessions_per_level=8,
            requests_per_level=8,
            settle_timeout_s=4.0,
            request_batches=6,
            requests_per_batch=24,
            rounds=4,
        ),
        warm_until_flat=True,
        compress_ttl=True,
        control=True,
    ),
    # The same for slow leaks and caches that take their time to fill.
    "soak": Profile(
        name="soak",
        users=20,
        spawn_rate=10.0,
        duration_s=600.0,
        think_s=0.5,
        actions_per_session=12.0,
        reload_share=0.3,
        warmup_s=10.0,
        operation_timeout_s=60.0,
        sample_interval_s=1.0,
        staircase=PlateauPlan(
            levels=8,
            sessions_per_level=20,
            requests_per_level=40,
            settle_timeout_s=10.0,
            request_batches=12,
            requests_per_batch=400,
            batch_timeout_s=60.0,
            rounds=8,
        ),
        warm_until_flat=True,
        compress_ttl=True,
        control=True,
    ),
}

# With fewer plateaus the interval of the slope means nothing (see docs/methods/memory.md).
MIN_LEVELS = 4
# With fewer batches nobody can tell growth that goes on from growth that has stopped; 0 leaves them out.
MIN_BATCHES = 5
MIN_ROUNDS = 3
MAX_USERS = 5000
MAX_DURATION_S = 24 * 3600.0
MAX_ARRIVAL_RATE = 10_000.0

# What has no meaning where nobody waits for an answer before the next person comes, and the other way round.
_CLOSED_ONLY = {"users": "--users", "spawn_rate": "--spawn-rate", "think_s": "--think"}
_OPEN_ONLY = {"arrivals": "--arrivals", "max_in_flight": "--max-in-flight"}

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str) -> float:
    """Seconds from `90`, `1.5`, `2m`, `1m30s`, `1h`.

    Raises:
        UsageError: it is none of these.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise UsageError(f"{text!r} is not a duration.", "Give seconds, or for example 90s, 2m, 1m30s.")
    hours, minutes, seconds = (float(part) if part else 0.0 for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def resolve(name: str, own: Mapping[str, Mapping[str, Any]], overrides: Mapping[str, Any]) -> Profile:
    """Put a profile together.

    Args:
        name: one of `BASES`.
        own: the scenario's own settings, by profile name; `staircase` is a table in it.
        overrides: settings of the command line; None means not given. One that belongs to the closed model, such as
            `users`, takes a scenario's own `arrival_rate` away: the command line wins.

    Raises:
        UsageError: an unknown profile or setting, or one that is impossible.
    """
    _check_model(overrides)
    if name not in BASES:
        raise UsageError(f"There is no profile {name!r}.", f"Choose one of: {', '.join(BASES)}.")
    values = msgspec.to_builtins(BASES[name])
    if overrides.get("users") is not None:
        own = {key: {k: v for k, v in table.items() if k != "arrival_rate"} for key, table in own.items()}
    for source, settings in (("scenario.toml", own.get(name, {})), ("the command line", overrides)):
        for key, value in settings.items():
            if value is None:
                continue
            if key == "staircase":
                if not isinstance(value, Mapping):
                    raise UsageError(
                        f"{source}: staircase must be a table, not {value!r}.",
                        "For example: staircase = { levels = 5 }.",
                    )
                _merge(values["staircase"], value, f"{source}, staircase")
            else:
                _merge(values, {key: value}, source)
    try:
        profile = msgspec.convert(values, Profile)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"The profile {name!r} is not valid: {error}.", "See docs/file-formats.md for the settings."
        ) from error
    _check(profile)
    given = [flag for key, flag in _OPEN_ONLY.items() if overrides.get(key) is not None]
    if given and profile.model == "closed":
        raise UsageError(
            f"{given[0]} says how people arrive, and this profile has users instead of arrivals.",
            "Give a rate of arrivals too, for example --rate 20.",
        )
    return profile


def _check_model(overrides: Mapping[str, Any]) -> None:
    given = [flag for key, flag in _CLOSED_ONLY.items() if overrides.get(key) is not None]
    if given and overrides.get("arrival_rate") is not None:
        raise UsageError(
            f"--rate and {given[0]} exclude each other: people who arrive at a rate (the open model) neither wait for "
            "one another nor for an answer, users (the closed model) do.",
            f"Leave one of them out: --rate, or {given[0]}.",
        )


def _merge(values: dict[str, Any], settings: Mapping[str, Any], source: str) -> None:
    for key, value in settings.items():
        if key not in values or key == "name":
            known = ", ".join(sorted(set(values) - {"name"}))
            of_stairs = key in PlateauPlan.__struct_fields__
            hint = f"It is one of the staircase: staircase = {{ {key} = … }}. " if of_stairs else ""
            raise UsageError(
                f"{source} sets {key!r}, which no profile has.", f"{hint}Known settings: {known}."
            )
        values[key] = parse_duration(value) if isinstance(value, str) and key.endswith("_s") else value


def _check(profile: Profile) -> None:
    problems = [
        (profile.users < 1, f"{profile.users} users cannot make load", "--users 1 or more"),
        (
            profile.users > MAX_USERS,
            f"{profile.users} users are more than one generator is made for",
            f"--users {MAX_USERS} or fewer",
        ),
        (
            not _positive(profile.spawn_rate),
            f"a spawn rate of {profile.spawn_rate:g} users per second",
            "--spawn-rate above 0",
        ),
        (not _positive(profile.duration_s), f"a duration of {profile.duration_s:g} s", "--duration above 0"),
        (
            profile.duration_s > MAX_DURATION_S,
            f"a duration of {profile.duration_s:g} s",
            "--duration of at most 24h",
        ),
        (
            not 0 <= profile.think_s <= MAX_DURATION_S,
            f"a think time of {profile.think_s:g} s",
            "--think 0 or more",
        ),
        (
            not 1 <= profile.actions_per_session < math.inf,
            f"{profile.actions_per_session:g} actions per session",
            "actions_per_session of 1 or more",
        ),
        (
            not 0 <= profile.reload_share <= 1,
            f"a reload share of {profile.reload_share:g}",
            "reload_share between 0 and 1",
        ),
        (
            not 0 <= profile.warmup_s <= MAX_DURATION_S,
            f"a warm-up of {profile.warmup_s:g} s",
            "warmup_s between 0 and 24h",
        ),
        (
            not _positive(profile.operation_timeout_s),
            f"an operation timeout of {profile.operation_timeout_s:g} s",
            "operation_timeout_s above 0",
        ),
        (
            not profile.sample_interval_s >= 0.05,
            f"a sample every {profile.sample_interval_s:g} s",
            "sample_interval_s of 0.05 or more",
        ),
        (
            profile.arrival_rate is not None and not _positive(profile.arrival_rate),
            f"a rate of {profile.arrival_rate or 0:g} arrivals per second",
            "--rate above 0",
        ),
        (
            profile.arrival_rate is not None and profile.arrival_rate > MAX_ARRIVAL_RATE,
            f"a rate of {profile.arrival_rate or 0:g} arrivals per second",
            f"--rate of at most {MAX_ARRIVAL_RATE:g}",
        ),
        (
            not 1 <= profile.max_in_flight <= MAX_USERS,
            f"at most {profile.max_in_flight} sessions in flight",
            f"--max-in-flight between 1 and {MAX_USERS}",
        ),
        (
            profile.staircase.levels < MIN_LEVELS,
            f"a staircase of {profile.staircase.levels} levels",
            f"at least {MIN_LEVELS} levels",
        ),
        (
            profile.staircase.sessions_per_level < 1,
            f"{profile.staircase.sessions_per_level} sessions per level",
            "sessions_per_level of 1 or more",
        ),
        (
            profile.staircase.request_batches != 0 and profile.staircase.request_batches < MIN_BATCHES,
            f"{profile.staircase.request_batches} batches of requests",
            f"request_batches of {MIN_BATCHES} or more, or 0 for none",
        ),
        (
            profile.staircase.request_batches > 0 and profile.staircase.requests_per_batch < 1,
            f"{profile.staircase.requests_per_batch} requests per batch",
            "requests_per_batch of 1 or more",
        ),
        (
            profile.staircase.requests_per_level < 0,
            f"{profile.staircase.requests_per_level} requests per level",
            "requests_per_level of 0 or more",
        ),
        (
            not _positive(profile.staircase.batch_timeout_s),
            f"{profile.staircase.batch_timeout_s:g} s for a batch of requests",
            "batch_timeout_s above 0",
        ),
        (
            profile.staircase.rounds != 0 and profile.staircase.rounds < MIN_ROUNDS,
            f"{profile.staircase.rounds} rounds of sessions that come and go",
            f"rounds of {MIN_ROUNDS} or more, or 0 for none",
        ),
        (
            not 0 <= profile.staircase.idle_s <= MAX_DURATION_S,
            f"sessions that are left alone for {profile.staircase.idle_s:g} s",
            "idle_s between 0 and 24h",
        ),
        (
            not _positive(profile.staircase.settle_timeout_s),
            f"{profile.staircase.settle_timeout_s:g} s for settling",
            "settle_timeout_s above 0",
        ),
    ]
    for wrong, what, remedy in problems:
        if wrong:
            raise UsageError(f"The profile is impossible: {what}.", f"Give {remedy}.")


def doubts(profile: Profile) -> list[str]:
    """What a profile asks for that Gradio is known not to bear; sentences without a full stop."""
    number, what = (
        (profile.users, "users")
        if profile.arrival_rate is None
        else (profile.max_in_flight, "sessions in flight")
    )
    if number <= QUEUE_SESSIONS:
        return []
    return [
        f"{number:,} {what} may all have messages pending at once, and Gradio's queue breaks for good when more than "
        f"{QUEUE_SESSIONS:,} sessions do: from then on the app answers everybody with 'Queue is stopped'"
    ]


def _positive(value: float) -> bool:
    return value > 0 and not math.isinf(value)
