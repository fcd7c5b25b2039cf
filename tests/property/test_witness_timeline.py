"""Whatever witnesses there are: nothing in their picture lies on anything else, and time runs from left to right."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import Anomaly, WitnessOperation
from harness.report.witness_timeline import WIDTH
from tests.unit.report.pictures import picture, touching

KINDS = ["cross-session-read", "lost-update", "monotonic-reads", "garbage-read", "visible-state"]
texts = st.text(max_size=12) | st.sampled_from(["t-7f3a-0-3-1-c9e1", "大" * 60, "x" * 400, "<b>&\"'\x07"])
values = st.recursive(
    texts | st.integers() | st.none() | st.floats(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
# From microseconds to hours, and moments that are the same.
moments = st.floats(0, 20_000) | st.sampled_from([0.0, 1.0, 1.000001, 1.001])
effects = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["append", "increment", "write", "put", "clear", "offer", "ask", "begin"]),
        "value": values,
    }
)


@st.composite
def witnesses(draw: st.DrawFn) -> Anomaly:
    sessions = draw(st.lists(texts.filter(bool), min_size=1, max_size=3))
    operations = []
    for letter in "ABCDEF"[: draw(st.integers(1, 6))]:
        begin = round(draw(moments), 6)
        took = draw(st.none() | st.sampled_from([0.0, 0.001, 0.5]) | st.floats(0, 100))
        operations.append(
            WitnessOperation(
                name=letter,
                operation=f"0:{letter}",
                session=draw(st.sampled_from(sessions)),
                action=draw(texts),
                phase="load",
                outcome="pending" if took is None else draw(st.sampled_from(["ok", "fail", "info"])),
                invoke_s=begin,
                complete_s=None if took is None else round(begin + took, 6),
                effects=draw(st.dictionaries(st.just("v"), effects, max_size=1)),
                reads=draw(st.dictionaries(st.just("v"), values, max_size=1)),
            )
        )
    return Anomaly(
        kind=draw(st.sampled_from(KINDS)),
        sessions=sessions,
        variable=draw(texts),
        occurrences=1,
        witness=operations,
        explanation="",
    )


@settings(max_examples=60)
@given(witnesses())
def test_nothing_lies_on_anything_else(anomaly: Anomaly) -> None:
    seen = picture(anomaly)
    assert touching(seen) == []
    assert list(seen.bars) != []
    assert not any(one.meets(other) for one, other in itertools.combinations(seen.bars.values(), 2))
    assert not any(
        box.meets(bar)
        for text, box in seen.texts
        if text.attrib["class"] != "letter"
        for bar in seen.bars.values()
    )
    for bar in seen.bars.values():
        assert 0 <= bar.left < bar.right <= WIDTH
        assert bar.right - bar.left >= 13.9


@settings(max_examples=60)
@given(witnesses())
def test_what_began_first_stands_first(anomaly: Anomaly) -> None:
    bars = picture(anomaly).bars
    for one, other in itertools.permutations(anomaly.witness, 2):
        if one.invoke_s < other.invoke_s:
            assert bars[one.name].left < bars[other.name].left
        if one.complete_s is not None and one.invoke_s < one.complete_s <= other.invoke_s:
            # A bar that has no length keeps one all the same, to hold its letter.
            assert bars[one.name].right <= max(bars[other.name].left, bars[one.name].left + 14.05)
