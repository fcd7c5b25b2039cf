"""Between which sessions: all pairs of an anomaly's sessions, counted into a table that stays small. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.records import Crossings, SessionGroup

# Rows and columns that a person can still tell apart in a picture as wide as a phone; it also bounds what is kept of a
# run with thousands of sessions, whose pairs are millions.
MAX_GROUPS = 50


def crossings(occurrences: Iterable[tuple[Sequence[str], int]], began: Mapping[str, int]) -> Crossings | None:
    """Count how often the state of one session was seen in another.

    Args:
        occurrences: the sessions that each anomaly involves, the one that suffered last, and how often it occurred. One
            that involves several others counts for each of them.
        began: session → its place in the order in which sessions began. One that is not there (all that is known of it
            is its token) comes last.

    Returns:
        None if no anomaly involves more than one session.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for sessions, times in occurrences:
        for whose in sessions[:-1]:
            pairs[whose, sessions[-1]] += times
    if not pairs:
        return None
    names = sorted(
        {session for pair in pairs for session in pair},
        key=lambda session: (began.get(session, len(began)), len(session), session),
    )
    size = math.ceil(len(names) / MAX_GROUPS)
    place = {session: number // size for number, session in enumerate(names)}
    groups = [names[start : start + size] for start in range(0, len(names), size)]
    seen = [[0] * len(groups) for _ in groups]
    for (whose, by), times in pairs.items():
        seen[place[whose]][place[by]] += times
    return Crossings(
        sessions=len(names),
        pairs=len(pairs),
        occurrences=pairs.total(),
        groups=[SessionGroup(first=group[0], last=group[-1], sessions=len(group)) for group in groups],
        seen=seen,
    )
