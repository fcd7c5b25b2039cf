"""The forms of `js=` that a page supports, and those that it must refuse."""

from __future__ import annotations

from typing import Any

import pytest

from harness.page.javascript import interpret


@pytest.mark.parametrize(
    ("source", "inputs", "outputs"),
    [
        ("() => [null, null, []]", [], [None, None, []]),  # ClearButton
        ("() => []", [], []),
        ("() => 'abc'", [], ["abc"]),
        ('() => "it\'s"', [], ["it's"]),
        ("() => 3.5", [], [3.5]),
        ("() => null", [], [None]),
        ("() => true", [], [True]),
        ("x => x", ["a"], ["a"]),
        ("(x) => x", [["a", "b"]], [["a", "b"]]),
        ("(a, b) => [b, a]", [1, 2], [2, 1]),
        ("(a, b) => [a, 'fixed', [b]]", [1, 2], None),
        ("(a, b) => ([a, 0])", [1, 2], [1, 0]),
        ("async () => [1, 2];", [], [1, 2]),
        ("(a, b) => [b, 'x, y']", [1, 2], [2, "x, y"]),
    ],
)
def test_constants_and_rearranged_inputs(source: str, inputs: list[Any], outputs: list[Any] | None) -> None:
    function = interpret(source, wrap=True)
    if outputs is None:
        assert function is None
    else:
        assert function is not None
        result = function(inputs)
        assert result == outputs or result == [outputs]


def test_a_single_receiver_gets_a_list_as_its_value_and_several_get_its_elements() -> None:
    constant = interpret("() => [1, 2]", wrap=False)
    assert constant is not None
    assert constant([]) == [1, 2]
    one = interpret("x => x", wrap=False)
    assert one is not None
    assert one(["only"]) == ["only"]


def test_a_constant_list_is_a_new_list_each_time() -> None:
    function = interpret("() => [[]]", wrap=True)
    assert function is not None
    function([])[0].append("mine")
    assert function([]) == [[]]


@pytest.mark.parametrize(
    "source",
    [
        "() => document.title",
        "(x) => x + 1",
        "() => { return 1 }",
        "() => {}",
        "function() { return 1 }",
        "(x) => [x, y]",
        "() => [1, ",
        "() => Math.random()",
        "() => alert('hello')",
        "",
    ],
)
def test_other_javascript_is_refused(source: str) -> None:
    assert interpret(source, wrap=True) is None
