"""The warm-up: imports and caches of the first requests, kept out of what is measured."""

from __future__ import annotations

from harness.load.commands import Drive
from harness.runs.active_run import ActiveRun
from harness.runs.plateaus import PlateauRecorder

_USERS = 4
# The most sessions that act at the same time on the staircase (`HOLDERS_AT_WORK` in harness/load/users/holder.py). anyio keeps one
# thread for each and ends a thread that was idle for ten seconds. More users would leave threads that end, with 16 KB of live heap
# each, while the steps are measured.
_USERS_UNTIL_FLAT = 8
_MAX_TURNS = 6
# The live heap is flat if two warm-ups in a row differ by less than this share, or by less than this many bytes.
_FLAT_SHARE = 0.002
_FLAT_BYTES = 256 * 1024
# Growth is steady if a warm-up adds at least this share of what the one before it added.
_STEADY_SHARE = 0.6


def warm_up(run: ActiveRun, plateaus: PlateauRecorder) -> None:
    """Drive a few users. With `warm_until_flat` in the profile, repeat that until the live heap is flat or grows steadily."""
    profile = run.options.profile
    users = min(_USERS, profile.users)
    if profile.warm_until_flat:
        # As many at the same time as each step will add, because the app keeps threads and connections for that number.
        users = max(users, min(_USERS_UNTIL_FLAT, profile.staircase.sessions_per_level))
    run.enter("warm-up", users=users)
    levels: list[int] = []
    for turn in range(_MAX_TURNS if profile.warm_until_flat else 1):
        run.perform(Drive(users=users, spawn_rate=users, duration_s=profile.warmup_s, phase="warm-up"))
        if not profile.warm_until_flat:
            return
        live_bytes = plateaus.live_bytes()
        if live_bytes is None:
            return
        levels.append(live_bytes)
        if is_warm(levels):
            run.event("warm", turns=turn + 1, live_bytes=live_bytes)
            return
    run.warn(
        f"Memory was not flat after {_MAX_TURNS} warm-ups of {profile.warmup_s:g} s: the cost of the first sessions includes what the "
        "app imports or caches after that. Give the profile a longer warmup_s"
    )


def is_warm(levels: list[int]) -> bool:
    """Whether the live heap after each warm-up shows that the app has finished importing and filling caches.

    This is so if the heap is flat, or if it grows steadily: sessions that leave something behind, or a leak, cause that.

    Args:
        levels: live heap after each warm-up, in bytes.
    """
    if len(levels) < 2:
        return False
    grew = levels[-1] - levels[-2]
    if abs(grew) <= max(_FLAT_BYTES, _FLAT_SHARE * levels[-2]):
        return True
    return len(levels) > 2 and grew >= _STEADY_SHARE * (levels[-2] - levels[-3]) > 0
