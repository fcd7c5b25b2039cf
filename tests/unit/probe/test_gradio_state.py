"""Values in gr.State as the probe reports them, on stand-ins for Gradio's own classes."""

from __future__ import annotations

import collections
import types
from typing import Any

import pytest

from harness.probe import gradio_state


class Turn:
    pass


class Session:
    def __init__(self, *values: Any) -> None:
        self.state_data = dict(enumerate(values))


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch):
    """A StateHolder that the probe has noticed."""
    monkeypatch.setattr(gradio_state, "_holders", [])

    class StateHolder:
        def __init__(self) -> None:
            self.session_data: Any = collections.OrderedDict()

    module = types.ModuleType("gradio.state_holder")
    module.StateHolder = StateHolder  # type: ignore[attr-defined]
    gradio_state.remember_holders(module)
    return StateHolder()


def test_values_are_counted_by_type_and_containers_with_what_they_hold(holder: Any) -> None:
    holder.session_data["a"] = Session(1, [Turn()], {"x": Turn()}, None, [], [1])
    holder.session_data["b"] = Session(2, [Turn()], {}, Turn(), (), ["x"])
    turn = f"{__name__}.{Turn.__qualname__}"
    assert gradio_state.state_types() == {
        "int": 2, f"list of {turn}": 2, f"dict of {turn}": 1, "dict": 1, "NoneType": 1, "list": 3, "tuple": 1, turn: 1,
    }  # fmt: skip


def test_very_many_sessions_and_types_cost_no_more(holder: Any) -> None:
    kinds = [type(f"Kind{n}", (), {}) for n in range(100)]
    for n in range(3000):
        holder.session_data[n] = Session(kinds[n % 100]())
    counts = gradio_state.state_types()
    assert counts is not None
    assert len(counts) == 40
    assert sum(counts.values()) == 400  # ten of each, among the last thousand sessions


def test_without_gradio_or_with_another_release_everything_is_none(
    holder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gradio_state.state_types() == {}
    holder.session_data["a"] = object()
    assert gradio_state.state_types() is None
    holder.session_data = 3
    assert gradio_state.state_types() is None
    monkeypatch.setattr(gradio_state, "_holders", [])
    assert gradio_state.state_types() is None


def test_entries_of_the_queue_are_counted_structure_by_structure(holder: Any) -> None:
    assert gradio_state.queue() is None
    jealous = type("Jealous", (dict,), {"__len__": lambda self: 1 // 0})(a=1)
    for number in (1, 2):  # two pages
        held = type(holder)()
        events = types.SimpleNamespace(
            waiting={n: n for n in range(number)}, active=[1], odd=jealous, lock=object()
        )
        held.blocks = types.SimpleNamespace(_queue=events)
        globals()[f"_held_{number}"] = held  # a StateHolder is only remembered weakly
    try:
        assert gradio_state.queue() == {"waiting": 3, "active": 2, "odd": 2}
    finally:
        del globals()["_held_1"], globals()["_held_2"]


def test_the_largest_page_counts(holder: Any) -> None:
    assert (gradio_state.limits()["components"], gradio_state.limits()["functions"]) == (None, None)
    small = types.SimpleNamespace(blocks={1: 1}, fns={1: 1, 2: 2})
    large = types.SimpleNamespace(default_config=types.SimpleNamespace(blocks={1: 1, 2: 2}, fns={1: 1}))
    other = type(holder)()
    holder.blocks, other.blocks = small, large
    assert (gradio_state.limits()["components"], gradio_state.limits()["functions"]) == (2, 1)
