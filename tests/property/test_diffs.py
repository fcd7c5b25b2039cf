"""Stream diffs: what Gradio's own server takes apart, we put together again, as gradio_client does."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import gradio.utils
import gradio_client.utils
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.page import diffs

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet="abc", max_size=4)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet="xyz", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def over_the_wire(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


@given(st.lists(values, min_size=2, max_size=5))
def test_every_partial_output_is_restored_and_stays_what_it_was(stages: list[Any]) -> None:
    now = over_the_wire(stages[0])
    restored = [now]
    for before, after in itertools.pairwise(stages):
        edits = over_the_wire(gradio.utils.diff(before, after))
        now = diffs.apply(now, edits)
        restored.append(now)
        assert now == gradio_client.utils.apply_diff(copy.deepcopy(before), edits)
    assert restored == stages


def test_edits_that_do_not_fit_are_an_error() -> None:
    for edits in (
        [["replace", ["x", 0], 1]],
        [["turn", [], 1]],
        [["turn", ["a"], 1]],
        [["delete", ["b"], 1]],
    ):
        with pytest.raises(ValueError, match=r"does not fit|unknown action"):
            diffs.apply({"a": 1}, edits)
