"""Profiles: how much load, for how long. A built-in profile, changed by the scenario and then by the command line. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.profile_settings import SETTINGS
from harness.records import PlateauPlan, Profile

# Gradio keeps the pending messages of at most this many sessions; with one more its queue's worker ends with a KeyError. Source:
# an LRUCache(2000) in gradio/queueing.py, 6.31; observed with 2,100 sessions that asked at once.
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
    # For memory: more plateaus of fewer sessions, a short timed phase, and a baseline run with a stateless app.
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
    # For memory over a longer time: slow leaks, and caches that fill slowly.
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

# Settings of one model of load, without a meaning under the other.
_CLOSED_ONLY = ("users", "spawn_rate", "think_s")
_OPEN_ONLY = ("arrivals", "max_in_flight")

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_duration(text: str, name: str = "") -> float:
    """Seconds from `90`, `1.5`, `2m`, `1m30s`, `1h`.

    Args:
        text: what the user gave.
        name: the option or setting that it is for, for the error message.

    Raises:
        UsageError: it is none of these.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise UsageError(
            f"{name} {text!r} is not a duration.".lstrip(), "Give seconds, or for example 90s, 2m, 1m30s."
        )
    hours, minutes, seconds = (float(part) if part else 0.0 for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def resolve(name: str, own: Mapping[str, Mapping[str, Any]], overrides: Mapping[str, Any]) -> Profile:
    """Combine a built-in profile with a scenario's settings and the command line's; later ones win.

    Args:
        name: one of `BASES`.
        own: the scenario's own settings, by profile name; those of the memory experiment are a table `staircase` in it.
        overrides: settings of the command line, likewise; None means not given. `users` overrides a scenario's own
            `arrival_rate`, since the two belong to different models of load.

    Raises:
        UsageError: the profile or a setting does not exist, a value is not possible, or settings exclude each other.
    """
    _check_model(overrides)
    if name not in BASES:
        raise UsageError(f"There is no profile {name!r}.", f"Choose one of: {', '.join(BASES)}.")
    values = msgspec.to_builtins(BASES[name])
    declared = dict(own.get(name, {}))
    if overrides.get("users") is not None:
        declared.pop("arrival_rate", None)
    _merge(values, declared, f"scenario.toml, profile.{name}")
    _merge(values, overrides, "")
    profile = msgspec.convert(values, Profile)
    if profile.staircase.request_batches and not profile.staircase.requests_per_batch:
        raise UsageError(
            f"{profile.staircase.request_batches} batches of requests have no request: requests_per_batch is 0.",
            "Give --requests-per-batch 1 or more, or --request-batches 0.",
        )
    given = [SETTINGS[key].option for key in _OPEN_ONLY if overrides.get(key) is not None]
    if given and profile.model == "closed":
        raise UsageError(
            f"{given[0]} is about arrivals (the open model), and this profile has users instead (the closed model).",
            f"Add a rate of arrivals, for example --arrival-rate 20, or leave out {given[0]}.",
        )
    return profile


def _check_model(overrides: Mapping[str, Any]) -> None:
    given = [SETTINGS[key].option for key in _CLOSED_ONLY if overrides.get(key) is not None]
    if given and overrides.get("arrival_rate") is not None:
        raise UsageError(
            f"--arrival-rate and {given[0]} exclude each other: arrivals at a rate (the open model) wait for no answer, "
            "users (the closed model) do.",
            f"Leave out --arrival-rate or {given[0]}.",
        )


def _merge(values: dict[str, Any], settings: Mapping[str, Any], source: str, table: str = "") -> None:
    """Put settings into a profile's values.

    Args:
        values: of the profile, or of the table of it that is merged.
        settings: what is given.
        source: where it stands, for error messages; empty for the command line.
        table: name of the table that is merged.
    """
    for key, value in settings.items():
        if value is None:
            continue
        if key == "staircase" and not table:
            if not isinstance(value, Mapping):
                raise UsageError(
                    f"{source}: staircase must be a table, not {value!r}.",
                    "For example: staircase = { levels = 5 }.",
                )
            _merge(values[key], value, source, key)
            continue
        setting = SETTINGS.get(key)
        if setting is None or setting.table != table:
            raise _unknown(key, source, table)
        named = f"{source}: {table + '.' if table else ''}{key}" if source else setting.option
        if isinstance(value, str) and setting.is_duration:
            value = parse_duration(value, named)
        if not setting.allows(value):
            shown = f"{value:g}" if isinstance(value, float) else value if setting.choices else repr(value)
            raise UsageError(
                f"{named} {'= ' if source else ''}{shown} is not possible.",
                f"{setting.description} Give {setting.wanted()}.",
            )
        values[key] = value


def _unknown(key: str, source: str, table: str) -> UsageError:
    known = ", ".join(sorted(setting.key for setting in SETTINGS.values() if setting.table == table))
    of_stairs = not table and key in SETTINGS
    hint = f"It belongs to the staircase: staircase = {{ {key} = … }}. " if of_stairs else ""
    return UsageError(
        f"{source}: no profile has a setting {table + '.' if table else ''}{key}.",
        f"{hint}Known settings: {known}.",
    )


def config_warnings(profile: Profile) -> list[str]:
    """Warnings about a profile that exceeds a known limit of Gradio, as sentences without a full stop."""
    number, what = (
        (profile.users, "users")
        if profile.arrival_rate is None
        else (profile.max_in_flight, "sessions in flight")
    )
    if number <= QUEUE_SESSIONS:
        return []
    return [
        f"{number:,} {what} may have messages pending at the same time; if more than {QUEUE_SESSIONS:,} sessions do, Gradio's "
        "queue stops for good, and the app answers each request with 'Queue is stopped'"
    ]
