"""Stream diffs: what Gradio's own server takes apart, we put together again, as gradio_client does."""

from __future__ import annotations

import copy
import itertools
from typing import Any

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


def edits_of_server(before: Any, after: Any) -> Any:
    """The diff that Gradio's server sends."""
    # Imported here, because the import takes seconds in every process that collects tests.
    from gradio.utils import diff

    return over_the_wire(diff(before, after))


@given(st.lists(values, min_size=2, max_size=5))
def test_partial_outputs_are_those_of_gradio_client_and_stay_what_they_were(stages: list[Any]) -> None:
    """Not those of the app: Gradio's server computes some diffs wrongly, [[1], 2] to [[]] for example, for every client."""
    now = over_the_wire(stages[0])
    restored, expected = [now], [copy.deepcopy(now)]
    for before, after in itertools.pairwise(stages):
        edits = edits_of_server(before, after)
        try:
            expected.append(gradio_client.utils.apply_diff(expected[-1], edits))
        except (IndexError, KeyError, TypeError):
            with pytest.raises(ValueError, match="does not fit"):
                diffs.apply(now, edits)
            return
        now = diffs.apply(now, edits)
        restored.append(now)
    assert restored == expected


@given(st.lists(st.text(alphabet="abc", max_size=8), min_size=1, max_size=6))
def test_a_growing_chat_is_restored_as_the_app_yielded_it(parts: list[str]) -> None:
    stages = [
        [{"role": "assistant", "content": text} for text in parts[:n]] for n in range(1, len(parts) + 1)
    ]
    now = over_the_wire(stages[0])
    for before, after in itertools.pairwise(stages):
        now = diffs.apply(now, edits_of_server(before, after))
        assert now == after


def test_edits_that_do_not_fit_are_an_error() -> None:
    for edits in (
        [["replace", ["x", 0], 1]],
        [["turn", [], 1]],
        [["turn", ["a"], 1]],
        [["delete", ["b"], 1]],
    ):
        with pytest.raises(ValueError, match=r"does not fit|unknown action"):
            diffs.apply({"a": 1}, edits)
