"""A board with several copies, of which each person reads one: what follows what, compared with a search of all pairs."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.workload import append_only_list
from tests.builders import HistoryBuilder
from tests.property.test_checkers import found_in

COPY_OF = {"a": 0, "b": 0, "c": 1, "d": 1, "e": 2}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(COPY_OF)),
        st.sampled_from(["post", "read", "read", "post without an answer"]),
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)),
    ),
    min_size=1,
    max_size=16,
)
# Time alone requires nothing.
BOARD = {"log": append_only_list(scope="everyone", within_s=1.0)}


def play(
    steps: list[tuple[str, str, tuple[int, int, int]]], *, in_order: bool
) -> tuple[HistoryBuilder, bool]:
    """Let people post on their copy, and what is posted arrive at the others.

    Args:
        steps: who does what, and how long it takes to reach each copy.
        in_order: a copy gets everything in the order in which it was posted; otherwise only what one person posts.

    Returns:
        The history, and whether a read shows a write without what its session had read before, or before that.
    """
    built = HistoryBuilder()
    arrivals: list[list[tuple[int, int, str]]] = [[], [], []]
    due: dict[tuple[int, str], int] = defaultdict(int)
    known: dict[str, set[str]] = defaultdict(set)
    follows: dict[str, set[str]] = {}
    wrong = False

    def shown(copy: int, now: int) -> list[str]:
        return [value for at, _, value in sorted(arrivals[copy]) if at <= now]

    for number, (session, what, delays) in enumerate(steps):
        now, copy = 10 * (number + 1), COPY_OF[session]
        value = f"v{number}"
        if what.startswith("post"):
            follows[value] = set(known[session])
            for other, delay in enumerate(delays):
                queue = other, "" if in_order else session
                if other != copy:
                    due[queue] = max(due[queue], now + 2 + delay)
                arrivals[other].append((now + 2 if other == copy else due[queue], number, value))
        seen = shown(copy, now + 4)
        if what == "post without an answer":
            built.append(session, value, begin=now, end=now + 5, outcome="fail", error="app")
            continue
        if what == "post":
            built.append(session, value, seen, begin=now, end=now + 5)
        else:
            built.read(session, seen, begin=now, end=now + 5)
        known[session] |= set(seen)
        places = {element: place for place, element in enumerate(seen)}
        wrong |= any(
            places.get(first, len(seen)) > place for then, place in places.items() for first in follows[then]
        )
    return built, wrong


@given(STEPS)
def test_copies_that_get_everything_in_order_are_not_accused(
    steps: list[tuple[str, str, tuple[int, int, int]]],
) -> None:
    built, wrong = play(steps, in_order=True)
    assert not wrong
    assert found_in(built, BOARD) == set()


@settings(max_examples=300)
@given(STEPS)
def test_an_answer_that_overtakes_its_question_is_found_exactly_when_it_can_be_seen(
    steps: list[tuple[str, str, tuple[int, int, int]]],
) -> None:
    built, wrong = play(steps, in_order=False)
    assert found_in(built, BOARD) == ({"writes-follow-reads"} if wrong else set())


@pytest.mark.slow
@settings(max_examples=10_000)
@given(STEPS, st.booleans())
def test_no_difference_from_a_search_of_all_pairs_in_many_more_histories(
    steps: list[tuple[str, str, tuple[int, int, int]]], in_order: bool
) -> None:
    built, wrong = play(steps, in_order=in_order)
    assert found_in(built, BOARD) == ({"writes-follow-reads"} if wrong else set())
