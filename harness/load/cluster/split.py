"""How a command of the harness is divided among the workers. Pure; the parts add up exactly."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.load.commands import ActBatch, Command, Drive, Hold, Return


def split(total: int, parts: int) -> list[int]:
    """Divide a whole number into parts that differ by at most one, larger parts first.

    Raises:
        ValueError: `parts` is not positive.
    """
    if parts < 1:
        raise ValueError("there are no workers to divide it among")
    each, left = divmod(total, parts)
    return [each + (1 if part < left else 0) for part in range(parts)]


def top_up(held: Sequence[int], total: int) -> list[int]:
    """Raise the sessions that each worker holds until all hold `total` together, as evenly as possible.

    Args:
        held: sessions that each worker holds already; no worker closes any.
        total: the goal. If more are held already, nothing changes.

    Raises:
        ValueError: there are no workers.
    """
    if not held:
        raise ValueError("there are no workers to divide it among")
    goals = list(held)
    missing = total - sum(goals)
    # Level by level: the workers with the fewest sessions are raised to the next higher level, until none are missing.
    while missing > 0:
        low = min(goals)
        lowest = [place for place, goal in enumerate(goals) if goal == low]
        above = [goal for goal in goals if goal > low]
        room = (min(above) - low) * len(lowest) if above else missing
        for place, more in zip(lowest, split(min(room, missing), len(lowest)), strict=True):
            goals[place] += more
        missing -= min(room, missing)
    return goals


def share(command: Command, holding: Sequence[int]) -> list[Command]:
    """One command for each worker; together they equal the given command.

    Args:
        command: for all workers together.
        holding: sessions that each worker holds.

    Raises:
        ValueError: there are no workers.
    """
    workers = len(holding)
    if isinstance(command, Hold):
        return [msgspec.structs.replace(command, sessions=goal) for goal in top_up(holding, command.sessions)]
    if isinstance(command, ActBatch):
        parts = split(command.requests, workers)
        return [msgspec.structs.replace(command, requests=part) for part in parts]
    if isinstance(command, Return):
        return [msgspec.structs.replace(command, users=part) for part in split(command.users, workers)]
    if isinstance(command, Drive):
        users = split(command.users, workers)
        # In proportion to the users, so that all workers finish starting users at the same time.
        return [
            msgspec.structs.replace(
                command,
                users=part,
                spawn_rate=command.spawn_rate * (part / command.users if part else 1 / workers),
                place=place,
                workers=workers,
            )
            for place, part in enumerate(users)
        ]
    return [command] * workers
