"""How a command of the harness is divided among the workers. Pure; sums are exact."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.load.commands import ActBatch, Command, Drive, Hold, Return


def split(total: int, parts: int) -> list[int]:
    """Divide a whole number into parts that differ by at most one, the larger ones first.

    Raises:
        ValueError: there are no parts.
    """
    if parts < 1:
        raise ValueError("there is nobody to divide it among")
    each, left = divmod(total, parts)
    return [each + (1 if part < left else 0) for part in range(parts)]


def top_up(held: Sequence[int], total: int) -> list[int]:
    """Raise what each one holds until all hold `total` together, as evenly as possible. Nobody has to give anything up.

    Args:
        held: what each one holds already.
        total: the goal; if more is held already, it stays as it is.

    Raises:
        ValueError: there is nobody.
    """
    if not held:
        raise ValueError("there is nobody to divide it among")
    goals = list(held)
    missing = total - sum(goals)
    # Level by level: the lowest are raised to the next higher one, until what is missing has been given out.
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
    """One command for each worker, which together are the one that was given.

    Args:
        command: for all of them together.
        holding: sessions that each worker holds.

    Raises:
        ValueError: there is no worker.
    """
    workers = len(holding)
    if isinstance(command, Hold):
        return [msgspec.structs.replace(command, sessions=goal) for goal in top_up(holding, command.sessions)]
    if isinstance(command, ActBatch):
        parts = split(command.requests, workers)
        return [msgspec.structs.replace(command, requests=part) for part in parts]
    if isinstance(command, Return):
        return [msgspec.structs.replace(command, people=part) for part in split(command.people, workers)]
    if isinstance(command, Drive):
        users = split(command.users, workers)
        # In proportion to the users, so that all workers have started theirs at the same moment.
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
