"""The census of made-up modules: which containers are found, their paths and lengths, and that no code of the app runs."""

from __future__ import annotations

import array
import collections
import functools
import sys
import threading
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.probe import app_roots, census, path_walk
from harness.records import Container


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """An empty app: `__main__`, in a folder of its own."""
    module = types.ModuleType("__main__")
    module.__file__ = str(tmp_path / "app.py")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def define(app: types.ModuleType, text: str) -> None:
    exec(compile(text, "app.py", "exec"), app.__dict__)


def found(taker: census.CensusTaker | None = None) -> dict[str, Container]:
    answer: dict[str, Any] = (taker or census.CensusTaker()).take()
    containers = [Container(**container) for container in answer["containers"]]
    return {c.path: c for c in containers if c.owner == "app"}


def test_every_kind_of_container_is_counted_under_its_name(app: types.ModuleType) -> None:
    app.LOG = [object() for _ in range(3)]
    app.SEEN = {"a", "b"}
    app.LAST = collections.deque([1, 2], maxlen=10)
    app.ORDERED = collections.OrderedDict(first=[1], second=[2, 3])
    app.BUFFER = bytearray(1000)
    app.PIXELS = np.zeros((10, 10), dtype=np.uint8)
    app.TEXT = "x" * 500
    seen = found()
    lengths = {path: (c.kind, c.length, c.cap) for path, c in seen.items()}
    assert lengths["app.LOG"] == ("list", 3, None)
    assert lengths["app.SEEN"] == ("set", 2, None)
    assert lengths["app.LAST"] == ("deque", 2, 10)
    assert lengths["app.ORDERED"] == ("OrderedDict", 2, None)
    assert lengths["app.ORDERED['second']"] == ("list", 2, None)
    assert lengths["app.BUFFER"] == ("bytearray", 1000, None)
    assert lengths["app.PIXELS"] == ("ndarray", 100, None)
    assert lengths["app.TEXT"] == ("str", 500, None)


@pytest.mark.parametrize("make", [bytearray, lambda: array.array("H")])
def test_a_buffer_is_as_long_as_what_it_holds_and_not_as_what_it_has_allocated(
    app: types.ModuleType, make: Callable[[], Any]
) -> None:
    """Allocated bytes grow in steps of an eighth with pauses in between, which would look like a full cache."""
    app.BUFFER = make()
    lengths = []
    for _ in range(12):
        for _ in range(20):
            app.BUFFER.extend(b"x" * 1000)
        lengths.append(found()["app.BUFFER"].length)
    one = lengths[0]
    assert lengths == [n * one for n in range(1, 13)]


def test_what_differs_between_the_entries_of_one_container_is_one_path(app: types.ModuleType) -> None:
    app.SESSIONS = {f"hash{i}": {"items": [1] * i, "name": "x"} for i in range(1, 21)}
    seen = found()
    assert (seen["app.SESSIONS"].length, seen["app.SESSIONS"].containers) == (20, 1)
    assert (seen["app.SESSIONS[*]"].length, seen["app.SESSIONS[*]"].containers) == (40, 20)
    assert seen["app.SESSIONS[*]['items']"].length == sum(range(1, 21))


def test_paths_stay_what_they_were_when_a_dict_grows(app: types.ModuleType) -> None:
    app.STORE = {"users": [1], "log": [1, 2]}
    taker = census.CensusTaker()
    before = found(taker)
    app.STORE.update({f"other{i}": [1] for i in range(30)})
    after = found(taker)
    assert before["app.STORE['log']"].length == after["app.STORE['log']"].length == 2
    assert after["app.STORE"].length == 32
    assert after["app.STORE[*]"].length == 30


def test_closures_defaults_caches_classes_and_instances_are_searched(app: types.ModuleType) -> None:
    define(
        app,
        """
import functools

def make():
    hidden = [1, 2, 3]
    def handler(text, seen=[4, 5], *, more={"k": [6]}):
        hidden.append(text)
    handler.calls = [7]
    return handler

class Shop:
    orders = [1, 2]
    def __init__(self):
        self.basket = {"apples": [1, 2, 3]}

class Slotted:
    __slots__ = ("rows",)
    def __init__(self):
        self.rows = [1, 2, 3, 4]

@functools.lru_cache(maxsize=8)
def squared(n):
    return n * n

@functools.cache
def table(n):
    return [n] * n

handler, shop, slotted = make(), Shop(), Slotted()
for n in range(20):
    squared(n)
table(5), table(6)
""",
    )
    seen = found()
    lengths = {path: c.length for path, c in seen.items()}
    assert lengths["app.handler.<hidden>"] == 3
    assert lengths["app.handler(seen=)"] == 2
    assert lengths["app.handler(more=)['k']"] == 1
    assert lengths["app.handler.calls"] == 1
    assert lengths["app.Shop.orders"] == 2
    assert lengths["app.shop.basket['apples']"] == 3
    assert lengths["app.slotted.rows"] == 4
    assert (seen["app.squared"].kind, seen["app.squared"].length, seen["app.squared"].cap) == (
        "lru_cache",
        8,
        8,
    )
    assert (seen["app.table"].length, seen["app.table"].cap) == (2, None)
    assert lengths["app.table[*]"] == 11


def test_bytes_are_those_of_everything_below_and_counted_once(app: types.ModuleType) -> None:
    rows = [bytes(1000 + i) for i in range(50)]
    app.FIRST = {"rows": rows}
    app.SECOND = rows
    app.BIG = [float(i) for i in range(100_000)]
    app.CACHED = functools.lru_cache(maxsize=None)(lambda n: bytes(n))
    app.CACHED(70_000)
    taker = census.CensusTaker()
    answer = taker.take()
    seen = {c["path"]: c["pinned_bytes"] for c in answer["containers"]}
    assert seen["app.FIRST"] + seen.get("app.SECOND", 0) == pytest.approx(50 * 1057 + 632, rel=0.1)
    assert seen["app.BIG"] == pytest.approx(100_000 * (8 + 24), rel=0.05)
    assert answer["known_bytes"] >= seen["app.FIRST"] + seen["app.BIG"]


def test_nothing_of_the_apps_own_code_runs(app: types.ModuleType) -> None:
    define(
        app,
        """
calls = []

class Jealous(dict):
    def __len__(self): calls.append("len"); raise RuntimeError
    def __iter__(self): calls.append("iter"); raise RuntimeError
    def __getattribute__(self, name): calls.append(name); raise RuntimeError
    def __sizeof__(self): calls.append("size"); raise RuntimeError
    def __eq__(self, other): calls.append("eq"); raise RuntimeError
    __hash__ = None

class Lazy:
    @property
    def rows(self): calls.append("rows"); raise RuntimeError
    def __getattr__(self, name): calls.append(name); raise AttributeError(name)

jealous, lazy = Jealous(a=1, b=2), Lazy()
""",
    )
    seen = found()
    assert seen["app.jealous"].length == 2
    assert app.calls == []


def test_objects_of_libraries_and_weak_references_are_not_counted(app: types.ModuleType) -> None:
    thing = threading.Thread()
    app.elsewhere = collections
    app.path_of = Path.cwd
    app.refers = weakref.ref(thing)
    app.thing = thing
    assert not any(path.startswith(("app.elsewhere", "app.path_of", "app.refers")) for path in found())


def test_a_module_in_the_apps_folder_is_the_apps_and_an_installed_one_is_not(
    app: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, where in (("store", "store.py"), ("library", "venv/lib/site-packages/library.py")):
        module = types.ModuleType(name)
        module.__file__ = str(tmp_path / where)
        module.ROWS = [1, 2, 3]  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    seen = found()
    assert seen["store.ROWS"].length == 3
    assert "library.ROWS" not in seen


def test_a_walk_is_bounded_and_what_lies_too_deep_is_not_listed_by_halves(
    app: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_walk, "MAX_VISITED", 60)
    app.ROWS = [[[i]] for i in range(100)]
    answer = census.CensusTaker().take()
    paths = {c["path"]: c["length"] for c in answer["containers"]}
    assert answer["complete_depth"] is not None
    assert paths["app.ROWS"] == 100
    assert "app.ROWS[*]" not in paths
    assert answer["visited"] <= 60


def test_what_refers_to_itself_ends(app: types.ModuleType) -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    app.LOOP = loop
    assert found()["app.LOOP"].length == 2


def test_containers_may_change_meanwhile(app: types.ModuleType) -> None:
    app.ROWS = {i: [i] for i in range(2000)}
    stop = threading.Event()

    def change() -> None:
        number = 2000
        while not stop.is_set():
            app.ROWS[number] = [number]
            app.ROWS.pop(number - 2000, None)
            number += 1

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        for _ in range(10):
            assert found()["app.ROWS"].length in (2000, 2001)
    finally:
        stop.set()
        thread.join()


class Row:
    def __init__(self, fn: object) -> None:
        self.fn = fn


def test_objects_that_only_handlers_refer_to_are_counted(
    app: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(
        app,
        """
import functools

class Desk:
    def __init__(self):
        self.calls = []
    def ring(self):
        self.calls.append(1)

def named(text):
    named.seen.append(text)
named.seen = [0]

def build():
    log, sheet, desk = [1, 2], [1], Desk()
    def say(text):
        log.append(text)
    def write(to, text):
        to.append(text)
    def called():
        desk.ring()
    desk.ring()
    return [say, functools.partial(write, sheet), desk.ring, named, print, len.__call__, called]
""",
    )
    for inside in ("blocks", "default_config"):
        rows = {number: Row(fn) for number, fn in enumerate(app.build())}
        config = types.SimpleNamespace(fns=rows if inside == "default_config" else list(rows.values()))
        blocks = types.SimpleNamespace(default_config=config) if inside == "default_config" else config
        monkeypatch.setattr(app_roots.gradio_state, "blocks", lambda blocks=blocks: [blocks])
        lengths = {path: c.length for path, c in found().items()}
        assert lengths["app.build.<locals>.say.<log>"] == 2
        assert lengths["app.build.<locals>.write.args[*]"] == 1
        assert lengths["app.Desk().calls"] == 1
        assert lengths["app.named.seen"] == 1
        assert not any("print" in path for path in lengths)


def test_containers_at_one_path_have_a_limit_only_if_each_has_one(app: types.ModuleType) -> None:
    app.QUEUES = {f"k{n}": collections.deque(maxlen=10 if n % 2 else None) for n in range(20)}
    app.RINGS = {f"k{n}": collections.deque(maxlen=10) for n in range(20)}
    seen = found()
    assert seen["app.QUEUES[*]"].cap is None
    assert seen["app.RINGS[*]"].cap == 200
