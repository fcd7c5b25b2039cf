"""Reads of lists that are recorded as differences: whatever was read comes back, and a history that grows costs what is new."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from harness.history.list_delta import MIN_KEPT, Restorer, Shortener
from harness.records import ListDelta, Ok

ELEMENTS = st.one_of(
    st.sampled_from(["a", "b", "t-ab12-0-1-1-0000"]),
    st.integers(-2, 2),
    st.booleans(),
    st.sampled_from(
        [0.0, -0.0, 1.0, None, [], [1], [True], {"a": 1}, {"a": 1.0}, {"a": 1, "b": 2}, {"b": 2, "a": 1}]
    ),
)
# What happens to a list between two readings.
CHANGES = st.one_of(
    st.tuples(st.just("append"), st.lists(ELEMENTS, max_size=3)),
    st.tuples(st.just("keep the last"), st.integers(0, 12)),
    st.tuples(st.just("replace"), st.lists(ELEMENTS, max_size=14)),
    st.tuples(st.just("change an element"), st.integers(0, 13)),
    st.tuples(st.just("something else"), st.sampled_from([None, "", 7, {"a": [1]}])),
)


def change(value: Any, what: str, how: Any) -> Any:
    if what == "something else":
        return how
    value = value if isinstance(value, list) else []
    if what == "append":
        return [*value, *how]
    if what == "keep the last":
        return value[-how:] if how else []
    if what == "replace":
        return how
    if how < len(value) and isinstance(value[how], dict):
        value[how]["changed"] = True  # in place, as an app's page may do
        return value
    return [element if place != how else "changed" for place, element in enumerate(value)]


@given(st.lists(ELEMENTS, min_size=6, max_size=14), st.lists(st.tuples(CHANGES, CHANGES), max_size=8))
@example(["a"] * 12, [(("append", ["a"]), ("keep the last", 9))])
def test_every_read_is_restored(start: list[Any], changes: list[tuple[Any, Any]]) -> None:
    reads: dict[str, Any] = {"one": copy.deepcopy(start), "other": copy.deepcopy(start)}
    shortener, restorer = Shortener(), Restorer()
    for operation, both in enumerate([(("append", []), ("append", [])), *changes], start=1):
        reads = {name: change(reads[name], *how) for name, how in zip(reads, both, strict=True)}
        whole, deltas = shortener.shorten(operation, reads)
        assert whole.keys() | deltas.keys() == reads.keys()
        assert not whole.keys() & deltas.keys()
        line = msgspec.json.encode(Ok(id=operation, time_ns=0, reads=whole, deltas=deltas))
        record = msgspec.json.decode(line, type=Ok)
        values, lost = restorer.restore(operation, record.reads, record.deltas)
        assert not lost
        for name, value in reads.items():
            assert msgspec.json.encode(values[name]) == msgspec.json.encode(value)


def test_the_record_of_a_chat_grows_with_its_turns_and_not_with_their_square() -> None:
    def recorded_bytes(turns: int) -> int:
        shortener, chat, size = Shortener(), [], 0
        for turn in range(turns):
            chat.append({"role": "user", "content": f"message {turn:04}"})
            whole, deltas = shortener.shorten(turn + 1, {"chat": chat})
            size += len(msgspec.json.encode(Ok(id=turn + 1, time_ns=0, reads=whole, deltas=deltas)))
        return size

    assert recorded_bytes(1600) < 2.2 * recorded_bytes(800)


def test_a_difference_to_a_missing_read_is_not_restored() -> None:
    restorer = Restorer()
    restorer.restore(1, {"log": list("abcdefgh")}, {})
    assert restorer.restore(3, {"n": 1}, {"log": ListDelta(since=2, keep=8, then=["i"])}) == (
        {"n": 1},
        ["log"],
    )
    # Nor is what refers to that one.
    assert restorer.restore(4, {}, {"log": ListDelta(since=3, keep=9)}) == ({}, ["log"])
    assert restorer.restore(5, {"log": ["x"]}, {}) == ({"log": ["x"]}, [])
    assert restorer.restore(6, {}, {"log": ListDelta(since=5, keep=2)}) == ({}, ["log"])
    assert MIN_KEPT == 8
