"""A short run asks the app only where something grew that need not have."""

from __future__ import annotations

import pytest

from harness.analysis.memory.suspects import suspicious
from harness.records import Census, Container


def census(lengths: dict[str, int], types: dict[str, int] | None = None) -> Census:
    return Census(
        plateau=0,
        time_ns=0,
        containers=[
            Container(
                path=path,
                owner="gradio" if path.startswith("gradio.") else "app",
                kind="dict",
                length=length,
                pinned_bytes=0,
            )
            for path, length in lengths.items()
        ],
        visited=1,
        known_bytes=0,
        opaque=0,
        complete_depth=None,
        pause_ms=1.0,
        objects=1000,
        types=types or {},
    )


def grew(path: str, before: int, after: int) -> bool:
    return suspicious(census({path: before}), census({path: after}), 100)


@pytest.mark.parametrize(
    "path",
    [
        "gradio.StateHolder.session_data",
        "gradio.StateHolder.session_data[*].state_data[*]['items']",
        "gradio.Queue.event_analytics[*]",
        "gradio.Queue.pending_messages_per_session",
    ],
)
def test_what_gradio_keeps_of_everybody_is_no_reason(path: str) -> None:
    assert not grew(path, 0, 500)


@pytest.mark.parametrize(
    "path", ["app.LOG", "gradio.Queue.event_ids_to_events", "gradio.App.iterators_to_reset"]
)
def test_anything_else_that_grew_is(path: str) -> None:
    assert grew(path, 3, 4)
    assert not grew(path, 4, 4)
    assert not grew(path, 4, 3)


def test_something_new_is() -> None:
    assert suspicious(census({}), census({"app.NEW": 1}), 100)


def test_as_many_more_of_a_type_as_there_were_requests_is() -> None:
    first = census({}, {"lib.Entry": 5, "dict": 10})
    assert suspicious(first, census({}, {"lib.Entry": 105}), 100)
    assert not suspicious(first, census({}, {"lib.Entry": 104}), 100)
    assert not suspicious(first, census({}, {"dict": 1000}), 100)
    assert not suspicious(first, first, 0)
