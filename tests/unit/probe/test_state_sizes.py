"""What State values occupy: everything that they hold, once; what is shared; and no more patience than there is."""

from __future__ import annotations

import collections
import sys
import types
from typing import Any

import numpy as np
import pytest

from harness.probe import gradio_state, state_sizes
from harness.records import StateSizes

SIZES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]


class Turn:
    def __init__(self, text: str) -> None:
        self.text = text


class Slotted:
    __slots__ = ("data",)

    def __init__(self, data: object) -> None:
        self.data = data


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The sessions of a StateHolder that the probe has noticed."""
    holder = types.SimpleNamespace(session_data=collections.OrderedDict())
    monkeypatch.setattr(gradio_state, "state_holders", lambda: [holder])
    return holder.session_data


def session(*values: object) -> Any:
    return types.SimpleNamespace(state_data=dict(enumerate(values)))


def state() -> StateSizes:
    answer: Any = state_sizes.state()
    return StateSizes(**answer)


MAKERS = {
    "bytes": lambda size: b"x" * size,
    "bytearray": lambda size: bytearray(size),
    "ndarray": lambda size: np.zeros(size, dtype=np.uint8),
    "text": lambda size: "x" * size,
    "objects": lambda size: [Turn("x" * 200 + str(n)) for n in range(size // 330)],
    "floats": lambda size: [float(n) for n in range(size // 32)],
    "slots": lambda size: Slotted({"a": (bytes(size),)}),
    "closure": lambda size: (lambda data: lambda: data)(bytes(size)),
}


@pytest.mark.parametrize("size", SIZES[:4])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_value_is_as_large_as_it_was_made(held: dict[str, Any], make: Any, size: int) -> None:
    for n in range(2):
        held[str(n)] = session(make(size))
    sizes_ = state()
    assert sizes_.complete
    assert sizes_.sessions == 2
    # Every object has a head of its own, which counts most where the value is small.
    assert sizes_.median_bytes == pytest.approx(size, rel=0.12, abs=450)
    assert sizes_.total_bytes == pytest.approx(2 * sizes_.median_bytes, rel=0.02)


def test_what_sessions_share_is_counted_once_and_said_to_be_shared(held: dict[str, Any]) -> None:
    model = {"weights": bytearray(1_000_000)}
    for n in range(10):
        held[str(n)] = session([model, bytearray(50_000)], model)
    sizes_ = state()
    assert sizes_.total_bytes == pytest.approx(1_000_000 + 10 * 50_000, rel=0.01)
    assert sizes_.shared_bytes == pytest.approx(1_000_000, rel=0.01)
    assert sizes_.median_bytes == sizes_.max_bytes == pytest.approx(1_050_000, rel=0.01)


def test_constants_belong_to_no_session(held: dict[str, Any]) -> None:
    for n in range(3):
        held[str(n)] = session(None, True, 5, n + 1000)
    assert state().shared_bytes == 0
    assert state().max_bytes == sys.getsizeof(1000)


def test_modules_classes_and_what_all_functions_see_are_not_a_sessions(held: dict[str, Any]) -> None:
    held["a"] = session(Turn, sys, MAKERS["bytes"], Turn("x"))
    assert state().total_bytes < 1000


def test_a_state_that_is_too_large_is_measured_in_part(
    held: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_sizes, "MAX_VISITED", 2000)
    for n in range(30):
        held[str(n)] = session([[i] for i in range(n, n + 100)])
    sizes_ = state()
    assert not sizes_.complete
    assert sizes_.sessions == 19  # of 101 lists each, the last one cut short
    monkeypatch.setattr(state_sizes, "MAX_S", -1.0)
    monkeypatch.setattr(state_sizes, "MAX_VISITED", 10**6)
    assert not state().complete


def test_very_many_plain_values_are_sampled(held: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_sizes, "MAX_VISITED", 100)
    held["a"] = session({n: float(n) for n in range(100_000)}, ["again"] * 100_000)
    table = sys.getsizeof(dict.fromkeys(range(100_000)))
    assert state().total_bytes == pytest.approx(table + 100_000 * (28 + 24) + 800_056, rel=0.02)
    assert state().complete


def test_sessions_without_values_and_unknown_ones(held: dict[str, Any]) -> None:
    assert state() == StateSizes(sessions=0, total_bytes=0, shared_bytes=0, median_bytes=0, max_bytes=0)
    held["a"] = session()
    held["b"] = session(b"x" * 1000)
    assert state().sessions == 1
    held["c"] = object()
    assert state_sizes.state() is None
