"""What-if settings: parse a change of one setting of the app or its environment, to be tried in a run of its own. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.profiles import parse_duration
from harness.records import Profile

# The environment variable with settings that the probe applies; see harness/probe/gradio_overrides.py.
SETTINGS = "GRADSOAK_SETTINGS"
PRELOAD = "LD_PRELOAD"
TIME_TO_LIVE = "time_to_live"
CAPACITY = "state_session_capacity"
DELETE_CACHE = "delete_cache"
JEMALLOC = "jemalloc"
POSSIBLE = (
    f"Possible: {TIME_TO_LIVE}=SECONDS, {CAPACITY}=SESSIONS, {DELETE_CACHE}=FREQUENCY,AGE (seconds), {JEMALLOC}, "
    f"{JEMALLOC}=PATH, MALLOC_ARENA_MAX=2, PYTHONMALLOC=malloc, any other environment variable NAME=VALUE in capitals, or a "
    "parameter of the scenario"
)
# Gradio deletes expired State once a second.
_SWEEP_S = 2.0
# The longest time to live that a run waits for.
_MAX_TTL_S = 3600.0
# In glibc these names end in an underscore. Without it glibc ignores them.
_UNDERSCORED = ("MALLOC_TRIM_THRESHOLD", "MALLOC_TOP_PAD", "MALLOC_MMAP_THRESHOLD", "MALLOC_MMAP_MAX")
_NUMBERS = ("MALLOC_ARENA_MAX", "MALLOC_ARENA_TEST", *(f"{name}_" for name in _UNDERSCORED))
_PYTHON_ALLOCATORS = ("malloc", "pymalloc", "mimalloc", "default", "debug", "malloc_debug", "pymalloc_debug")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_LONGEST_SLUG = 80


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """One setting to try.

    Attributes:
        label: the setting in its canonical form: `time_to_live=60`.
        slug: the name of its folder.
        environment: the environment variables of the app that it sets.
        params: the scenario parameters that it changes.
        idle_s: how long sessions must be idle until the setting can have an effect, in seconds.
    """

    label: str
    slug: str
    environment: dict[str, str] = {}
    params: dict[str, str] = {}
    idle_s: float = 0.0


def setting_name(label: str) -> str:
    """The name of the setting: `time_to_live` for `time_to_live=60`."""
    return label.partition("=")[0]


def parse(
    texts: Sequence[str],
    *,
    params: Mapping[str, str],
    environment: Mapping[str, str],
    find_jemalloc: Callable[[str | None], str],
) -> list[WhatIf]:
    """Parse the values of `--what-if`.

    Args:
        texts: one setting each.
        params: the scenario's parameters, as the run has them.
        environment: the app's environment without these settings and without the parameters.
        find_jemalloc: returns the path of the library to preload. Its argument is the path that the user named, or None.

    Raises:
        UsageError: a setting is unknown, impossible, given twice, or changes nothing.
    """
    found: list[WhatIf] = []
    for text in texts:
        what_if = _parse_one(text.strip(), params, environment, find_jemalloc)
        if what_if.slug in {other.slug for other in found}:
            raise UsageError(f"--what-if {text} is given twice.", "Give each setting once.")
        found.append(what_if)
    return found


def with_idle_phase(profile: Profile, what_ifs: Sequence[WhatIf]) -> Profile:
    """Return the profile, with an idle phase that is long enough for the longest time to live among the settings."""
    idle_s = max((what_if.idle_s for what_if in what_ifs), default=0.0)
    if idle_s <= profile.staircase.idle_s:
        return profile
    return msgspec.structs.replace(
        profile, staircase=msgspec.structs.replace(profile.staircase, idle_s=idle_s)
    )


def _parse_one(
    text: str,
    params: Mapping[str, str],
    environment: Mapping[str, str],
    find_jemalloc: Callable[[str | None], str],
) -> WhatIf:
    name, equals, value = (part.strip() for part in text.partition("="))
    if name == JEMALLOC and name not in params:
        path = find_jemalloc(value or None)
        before = environment.get(PRELOAD)
        return _what_if(
            f"{name}={value}" if value else name,
            environment={PRELOAD: f"{path}:{before}" if before else path},
        )
    if not equals or not name:
        raise UsageError(f"--what-if {text!r} is not NAME=VALUE.", f"{POSSIBLE}{_scenario_has(params)}.")
    if name in params:
        _refuse_unchanged(text, params[name], value)
        return _what_if(f"{name}={value}", params={name: value})
    if name == TIME_TO_LIVE:
        return _time_to_live(text, value)
    if name == CAPACITY:
        return _through_probe(name, value, _whole(text, value, least=1, what="sessions"))
    if name == DELETE_CACHE:
        return _delete_cache(text, value)
    if not _VARIABLE.fullmatch(name):
        known = [TIME_TO_LIVE, CAPACITY, DELETE_CACHE, JEMALLOC, *params]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        raise UsageError(
            f"--what-if has no setting {name!r}.",
            (f"Did you mean {near[0]}? " if near else "") + f"{POSSIBLE}{_scenario_has(params)}.",
        )
    _check_variable(name, value)
    _refuse_unchanged(text, environment.get(name), value)
    return _what_if(f"{name}={value}", environment={name: value})


def _time_to_live(text: str, value: str) -> WhatIf:
    seconds = parse_duration(value)
    if not 0 < seconds <= _MAX_TTL_S:
        raise UsageError(
            f"--what-if {text}: the run leaves sessions idle until their State is deleted, for at most an hour.",
            "Give a time above 0 and up to 3600 seconds, for example time_to_live=10.",
        )
    what_if = _through_probe(TIME_TO_LIVE, f"{seconds:g}", _plain(seconds))
    return msgspec.structs.replace(what_if, idle_s=seconds + _SWEEP_S)


def _delete_cache(text: str, value: str) -> WhatIf:
    parts = value.split(",")
    if len(parts) != 2:
        raise UsageError(
            f"--what-if {text}: delete_cache needs two times: how often Gradio deletes files, and their minimum age.",
            "For example: --what-if delete_cache=10,10, both in seconds.",
        )
    times = [_plain(parse_duration(part)) for part in parts]
    if min(times) <= 0:
        raise UsageError(
            f"--what-if {text}: both times must be above 0.", "For example: --what-if delete_cache=10,10."
        )
    return _through_probe(DELETE_CACHE, ",".join(f"{seconds:g}" for seconds in times), times)


def _through_probe(name: str, shown: str, value: Any) -> WhatIf:
    return _what_if(f"{name}={shown}", environment={SETTINGS: json.dumps({name: value})})


def _plain(seconds: float) -> int | float:
    return int(seconds) if seconds == int(seconds) else seconds


def _whole(text: str, value: str, *, least: int, what: str) -> int:
    if not value.isdecimal() or int(value) < least:
        raise UsageError(
            f"--what-if {text}: {value!r} is not a number of {what}.",
            f"Give a whole number, {least} or more.",
        )
    return int(value)


def _check_variable(name: str, value: str) -> None:
    if name in _UNDERSCORED:
        raise UsageError(
            f"glibc does not know {name}: its name ends in an underscore.", f"--what-if {name}_={value}"
        )
    if name.startswith("GRADSOAK_") or name == "PYTHONPATH":
        raise UsageError(f"gradsoak sets {name} itself.", "Choose another variable or a parameter.")
    if name in _NUMBERS:
        _whole(
            f"{name}={value}",
            value,
            least=1 if name == "MALLOC_ARENA_MAX" else 0,
            what="the kind that this variable takes",
        )
    if name == "PYTHONMALLOC" and value not in _PYTHON_ALLOCATORS:
        raise UsageError(
            f"Python has no allocator {value!r} and would not start.",
            f"Choose one of: {', '.join(_PYTHON_ALLOCATORS)}.",
        )
    if "\0" in value:
        raise UsageError(
            f"The value of {name} contains a zero byte.", "An environment variable cannot contain one."
        )


def _refuse_unchanged(text: str, before: str | None, after: str) -> None:
    if before == after:
        raise UsageError(
            f"--what-if {text} changes nothing: the run has this value already.", "Give another value."
        )


def _scenario_has(params: Mapping[str, str]) -> str:
    return f" ({', '.join(sorted(params))})" if params else " (this one has none)"


def _what_if(label: str, **changes: Any) -> WhatIf:
    slug = re.sub(r"[^A-Za-z0-9._=,+-]+", "-", label)[:_LONGEST_SLUG].strip(".-") or "setting"
    return WhatIf(label=label, slug=slug, **changes)
