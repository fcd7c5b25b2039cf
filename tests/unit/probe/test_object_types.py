"""Objects by type: counted exactly, and unnoticed by those that are under construction meanwhile."""

from __future__ import annotations

import collections
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.probe import object_types

TURNS = 40


def slowly(look: Callable[[], object], seen: list[object]) -> Iterator[int]:
    """More elements than a tuple has room for at first; the heap is read while the tuple is being built."""
    for number in range(TURNS):
        if number == TURNS // 2:
            seen.append(look())
        yield number


class Kept:
    pass


class Unasked(type):
    """Its types answer nothing themselves."""

    def __subclasses__(cls) -> Any:
        raise AssertionError("the app's own code was run")

    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError("the app's own code was run")

    def __eq__(cls, other: object) -> bool:
        raise AssertionError("the app's own code was run")

    def __hash__(cls) -> int:
        raise AssertionError("the app's own code was run")


class Hidden(metaclass=Unasked):
    pass


def counted() -> dict[str, int]:
    answer = object_types.count()
    assert answer is not None
    return answer[0]


def test_objects_are_counted_exactly_and_gone_ones_are_not() -> None:
    name = f"{__name__}.Kept"
    kept = [Kept() for _ in range(1000)]
    first = counted()
    assert first[name] == 1000
    kept += [Kept() for _ in range(7)]
    assert object_types.difference(first, counted())[name] == 1007
    kept.clear()
    assert object_types.difference(first, counted())[name] == 0


def test_what_waits_for_the_collector_is_not_counted() -> None:
    """Old garbage is collected when memory is brought to rest, just before."""
    ring = Kept()
    ring.itself = ring  # type: ignore[attr-defined]
    before = counted()[f"{__name__}.Kept"]
    del ring
    gc.collect()
    assert counted().get(f"{__name__}.Kept", 0) == before - 1


def test_all_agrees_with_the_collectors_own_list() -> None:
    counts = counted()
    everything = gc.get_objects()
    reference = collections.Counter(object_types.type_name(type(thing)) for thing in everything)
    assert sum(counts.values()) == pytest.approx(len(everything), abs=50)
    assert {name for name in reference if abs(reference[name] - counts.get(name, 0)) > 20} <= {
        "tuple",
        "dict",
    }


def test_types_with_a_metaclass_are_counted_without_asking_them() -> None:
    things = [Hidden() for _ in range(5)]
    assert counted()[f"{__name__}.Hidden"] == len(things)


def test_a_tuple_under_construction_does_not_notice() -> None:
    seen: list[object] = []
    assert tuple(slowly(object_types.count, seen)) == tuple(range(TURNS))
    assert seen[0] is not None


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="what CPython does")
def test_holding_the_collectors_list_breaks_the_app() -> None:
    """The fault that counting must avoid: this is how a census used to end an app."""
    with pytest.raises(SystemError):
        tuple(slowly(gc.get_objects, []))


def test_threads_that_build_tuples_all_the_time_are_not_disturbed() -> None:
    stop = threading.Event()
    built, faults = [0, 0, 0], []
    junk = [[] for _ in range(50_000)]  # type: ignore[var-annotated]  # so many that another thread waits for its turn

    def build(number: int) -> None:
        try:
            while not stop.is_set():
                tuple(str(i) for i in range(TURNS))
                built[number] += 1
        except SystemError as error:
            faults.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=build, args=(number,)) for number in range(len(built))]
    try:
        for thread in threads:
            thread.start()
        for _ in range(12):
            assert counted()["list"] >= len(junk)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not faults
    assert min(built) > 12


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_left_as_it_was(collecting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        if not collecting:
            gc.disable()
        counted()
        assert gc.isenabled() == collecting
        monkeypatch.setattr(object_types, "_count_elements", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            object_types._count_by_id({})
        assert gc.isenabled() == collecting
    finally:
        gc.enable()


def test_without_the_interpreters_lock_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert object_types.count() is None
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    assert object_types.count() is not None
    monkeypatch.setattr(object_types, "_count_elements", None)
    assert object_types.count() is None
