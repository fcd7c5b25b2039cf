"""Looking into objects: everything is found, nothing of the app's runs, nothing stays behind."""

from __future__ import annotations

import dataclasses
import functools
import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from harness.probe.introspection import Attributes, function_attributes, size_of


@dataclasses.dataclass
class Turn:
    number: int
    texts: list[str]
    extra: dict[str, int] | None = None


class Slotted:
    __slots__ = ("empty", "full")

    def __init__(self) -> None:
        self.full = [1]


class Both(Slotted):
    def __init__(self) -> None:
        self.full = [1]
        self.more = {"a": 1}


class Failure(Exception):
    def __init__(self) -> None:
        self.reason = [1]


class Table(dict):  # type: ignore[type-arg]
    pass


class Lazy:
    def __init__(self, full: bool) -> None:
        if full:
            self.rows = [1]

    @functools.cached_property
    def rows(self) -> Any:
        raise AssertionError("the app's own code was run")


def names(thing: object, attributes: Attributes | None = None) -> dict[str, object]:
    return {n: v for n, v in (attributes or Attributes()).of(thing) if not n.startswith("__")}


def extended() -> Turn:
    turn = Turn(1, [])
    turn.later = [3]  # type: ignore[attr-defined]
    return turn


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (Turn(1, ["a"]), {"number": 1, "texts": ["a"], "extra": None}),
        (extended(), {"number": 1, "texts": [], "extra": None, "later": [3]}),
        (Slotted(), {"full": [1]}),
        (Both(), {"full": [1], "more": {"a": 1}}),
        (Failure(), {"reason": [1]}),
        (Table(a={}), {}),
        (Lazy(True), {"rows": [1]}),
        (Lazy(False), {}),
        (functools.partial(print, 1), {"func": print, "args": (1,), "keywords": {}}),
        (object(), {}),
        ([{}], {}),
    ],
)  # fmt: skip
def test_attributes_are_found_also_of_the_second_object_of_a_type(
    thing: object, expected: dict[str, object]
) -> None:
    attributes = Attributes()
    names(Turn(0, ["another"]), attributes)
    names(Lazy(True), attributes)
    assert names(thing, attributes) == expected
    assert names(thing, attributes) == expected


def test_attributes_are_found_in_the_order_in_which_they_were_set() -> None:
    attributes = Attributes()
    assert [list(names(Turn(n, []), attributes)) for n in range(3)] == [["number", "texts", "extra"]] * 3


@pytest.mark.skipif(sys.version_info < (3, 11), reason="attributes stand in a dictionary of their own there")
@pytest.mark.parametrize(
    "make", [lambda n: Turn(n, []), lambda n: Table(), lambda n: functools.partial(print, n)]
)
def test_introspection_creates_no_dictionaries(make: Callable[[int], object]) -> None:
    things = [make(n) for n in range(2000)]
    attributes = Attributes()
    names(things[0], attributes)
    before = dictionaries(things)
    for thing in things:
        names(thing, attributes)
    assert dictionaries(things) == before


def dictionaries(things: list[object]) -> int:
    return sum(type(part) is dict for thing in things for part in gc.get_referents(thing))


def test_functions_are_not_given_a_dictionary_either() -> None:
    def bare(a: list[int] = [1], *, b: int = 2) -> None: ...  # noqa: B006

    def marked() -> None: ...

    marked.calls = [1]  # type: ignore[attr-defined]
    parts = len(gc.get_referents(bare))
    assert function_attributes(bare) == []
    assert len(gc.get_referents(bare)) == parts
    assert function_attributes(marked) == [("calls", [1])]


def test_a_size_that_the_app_computes_itself_is_not_asked_for() -> None:
    class Large:
        def __sizeof__(self) -> int:
            raise AssertionError("the app's own code was run")

    assert 0 < size_of(Large()) < 200
    assert size_of(b"x" * 1000) == sys.getsizeof(b"x" * 1000)
