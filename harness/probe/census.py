"""What the app holds, by access path: the length of every container that can be reached from the user's modules and from Gradio.

The way goes along references from known roots. Asking the garbage collector for all objects instead (`gc.get_objects()`)
would break the app now and then: it takes references to tuples that another thread is still building, and CPython then
refuses to resize them (`SystemError`).

Nothing of the app's own code runs here: lengths, elements and attributes are read with the methods of the built-in types.
What differs between the elements of one container is folded, so that `SESSIONS["a1"]` and `SESSIONS["b2"]` are one path,
`SESSIONS[*]`.
"""

from __future__ import annotations

import array
import collections
import functools
import gc
import io
import itertools
import os
import re
import sys
import time
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import gradio_state

# Objects that are looked into, of each owner; a walk costs a few microseconds for each.
MAX_VISITED = 150_000
MAX_DEPTH = 10
MAX_PATHS = 5_000
# Of a container with more elements than this, some are looked at. If they are plain values, so are the others.
SAMPLE_ABOVE = 512
SAMPLE = 128
# A dict with so few keys that are words, when first seen, is a record: its keys are part of the path.
RECORD_KEYS = 8
_TRIES = 3
_OURS = "_gradsoak_probe"

_WORD = re.compile(r"[A-Za-z_][A-Za-z_]{0,23}\Z")
_PLAIN = (
    int,
    float,
    complex,
    bool,
    type(None),
    str,
    bytes,
    type(Ellipsis),
    type(NotImplemented),
    range,
    slice,
)
_TEXTS = (str, bytes)
_BUFFERS = (bytearray, array.array, io.BytesIO, io.StringIO, memoryview)
_SEQUENCES = (list, tuple, collections.deque)
_SETS = (set, frozenset)
_LRU = type(functools.lru_cache(lambda: None))
_IGNORED = (
    types.ModuleType,
    types.CodeType,
    types.FrameType,
    types.TracebackType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    weakref.ref,
    weakref.ProxyType,
    weakref.CallableProxyType,
    re.Pattern,
    io.TextIOWrapper,
    io.BufferedWriter,
    io.BufferedReader,
    io.FileIO,
)
_WAYS: tuple[tuple[Any, str], ...] = (
    (dict, "dict"),
    (_SEQUENCES, "elements"),
    (_SETS, "elements"),
    (_LRU, "lru"),
    (_BUFFERS, "buffer"),
    (type, "type"),
    (types.FunctionType, "function"),
    (types.MethodType, "method"),
    ((staticmethod, classmethod), "wrapper"),
    (property, "property"),
)
# Small objects of these hold nothing that matters.
_KNOWN_MODULES = {"numpy", *sys.builtin_module_names, *getattr(sys, "stdlib_module_names", ())}
# Where a walk ends: these lead to everything else. Gradio's own are roots of their own.
_ENDS = {
    ("gradio.blocks", "Block"),
    ("gradio.blocks", "BlockFunction"),
    ("gradio.block_function", "BlockFunction"),
    ("gradio.queueing", "Queue"),
    ("gradio.state_holder", "StateHolder"),
    ("starlette.applications", "Starlette"),
    ("starlette.routing", "BaseRoute"),
    ("asyncio.events", "AbstractEventLoop"),
    ("logging", "Logger"),
    ("logging", "Handler"),
    ("uvicorn.server", "Server"),
    ("uvicorn.config", "Config"),
    ("threading", "_DummyThread"),
}


class Path:
    """One access path, and what was found there."""

    __slots__ = ("bytes", "cap", "containers", "depth", "kind", "length", "owner", "parent", "text")

    def __init__(self, text: str, parent: Path | None, owner: str) -> None:
        self.text = text
        self.parent = parent
        self.owner = owner
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.kind = ""
        self.containers = 0
        self.length = 0
        self.cap: int | None = None
        self.bytes = 0


class Census:
    """Takes one census after another, all with the same shapes of paths.

    Which keys of a dict belong to the path is decided when the path is first seen, so that paths do not change under way.
    """

    def __init__(self) -> None:
        self._records: dict[str, frozenset[str]] = {}

    def take(self, walker: Callable[..., _Walk] | None = None) -> dict[str, object]:
        """Walk from all roots, the user's first: what both reach is the user's.

        Args:
            walker: what makes the walk; by default the plain one.
        """
        began = time.perf_counter()
        modules = user_modules()
        walk = (walker or _Walk)(self._records, set(modules))
        for label, module in modules.values():
            walk.module(label, module)
        walk.run()
        for label, attributes in _gradio_roots():
            walk.attributes(label, attributes)
        walk.run()
        return {**walk.result(), "pause_ms": (time.perf_counter() - began) * 1000}


def user_modules() -> dict[str, tuple[str, types.ModuleType]]:
    """Name → label and module, of the app's own file and of every module that stands in its folder."""
    main = sys.modules.get("__main__")
    file = vars(main).get("__file__") if main is not None else None
    if main is None or not isinstance(file, str):
        return {}
    file = os.path.abspath(file)
    folder = os.path.dirname(file) + os.sep
    found = {"__main__": (os.path.splitext(os.path.basename(file))[0], main)}
    for name, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType) or module is main or name.startswith(_OURS):
            continue
        where = vars(module).get("__file__")
        if not isinstance(where, str) or not where.startswith(folder):
            continue
        inside = where[len(folder) :].split(os.sep)
        if "site-packages" not in inside and "dist-packages" not in inside:
            found[name] = (name, module)
    return found


def _gradio_roots() -> Iterator[tuple[str, dict[str, object]]]:
    for holder in gradio_state.state_holders():
        attributes = _attributes(holder)
        yield "gradio.StateHolder", attributes
        blocks = attributes.get("blocks")
        if blocks is None:
            continue
        inside = _attributes(blocks)
        for label, name in (("gradio.Queue", "_queue"), ("gradio.App", "app")):
            if inside.get(name) is not None:
                yield label, _attributes(inside[name])
        yield "gradio.Blocks", inside


class _Walk:
    def __init__(self, records: dict[str, frozenset[str]], user_names: set[str]) -> None:
        self._records = records
        self._user_names = user_names
        self._paths: dict[str, Path] = {}
        self._seen: set[int] = set()
        self._next: collections.deque[tuple[Path, object]] = collections.deque()
        self._kinds: dict[type, str] = {}
        self._slots: dict[type, list[tuple[str, types.MemberDescriptorType]]] = {}
        self._visited = 0
        self._budget = MAX_VISITED
        self._opaque = 0
        self._complete: dict[str, int] = {}

    # --- roots ---

    def module(self, label: str, module: types.ModuleType) -> None:
        """What a module's names stand for."""
        root = self._path(label, None, "app")
        for attribute, thing in _copy(vars(module)):
            if not _dunder(attribute):
                self._named(root, "." + attribute, thing)

    def attributes(self, label: str, attributes: dict[str, object]) -> None:
        """What the attributes of one of Gradio's objects stand for."""
        root = self._path(label, None, "gradio")
        for name, thing in attributes.items():
            self._named(root, "." + name, thing)

    def run(self) -> None:
        """Look into everything that was found, breadth first, as far as the budget goes."""
        self._budget = MAX_VISITED
        while self._next:
            path, thing = self._next.popleft()
            if self._budget <= 0 or len(self._paths) > MAX_PATHS:
                # Breadth first: whatever is not as deep as this was looked into.
                self._complete[path.owner] = path.depth
                self._next.clear()
                return
            self._budget -= 1
            self._visited += 1
            self._look_into(path, thing)

    # --- one object ---

    def _named(self, parent: Path, step: str, thing: Any) -> None:
        """Something that a name stands for: here a text or a number array is worth a line of its own."""
        if type(thing) in _TEXTS:
            if id(thing) not in self._seen:
                self._seen.add(id(thing))
                self._count(self._path(parent.text + step, parent), thing, len(thing), _size(thing))
        else:
            self._found(parent, step, thing)

    def _found(self, parent: Path, step: str, thing: object) -> None:
        kind = type(thing)
        if kind in _PLAIN:
            self._plain(parent, thing)
            return
        how = self._kinds.get(kind)
        if how is None:
            how = self._kinds[kind] = _how(kind)
        if how == "ignore" or parent.depth >= MAX_DEPTH or id(thing) in self._seen:
            return
        if how == "type" and _module_of(thing) not in self._user_names:
            return
        if how == "function" and not self._of_user(thing):  # type: ignore[arg-type]
            return
        self._seen.add(id(thing))
        self._next.append((self._path(parent.text + step, parent), thing))

    def _of_user(self, function: types.FunctionType) -> bool:
        if str(function.__globals__.get("__name__")).startswith(_OURS):
            return False  # the probe's own wrapper around `launch`
        wrapped = function.__dict__.get("__wrapped__", function)
        inside = wrapped if _is(wrapped, types.FunctionType) else function
        return inside.__globals__.get("__name__") in self._user_names

    def _plain(self, path: Path, thing: object) -> None:
        """A value without parts belongs to where it was found first."""
        if id(thing) not in self._seen:
            self._seen.add(id(thing))
            path.bytes += _size(thing)

    def _look_into(self, path: Path, thing: Any) -> None:
        how = self._kinds[type(thing)]
        if how == "dict":
            self._dict(path, thing)
            self._instance(path, thing)
        elif how == "elements":
            self._elements(path, thing)
            self._instance(path, thing)
        elif how == "lru":
            self._lru(path, thing)
        elif how == "buffer":
            self._count(path, thing, _filled(thing), _size(thing))
        elif how == "array":
            self._array(path, thing)
        elif how == "type":
            for name, value in _copy(vars(thing)):
                if not _dunder(name):
                    self._named(path, "." + name, value)
        elif how == "function":
            self._function(path, thing)
        elif how == "method":
            self._found(path, ".__self__", thing.__self__)
        elif how == "wrapper":
            self._found(path, "", thing.__func__)
        elif how == "property":
            for function in (thing.fget, thing.fset, thing.fdel):
                self._found(path, "", function)
        else:
            path.bytes += _size(thing)
            if not self._instance(path, thing):
                self._inside(path, thing)

    def _instance(self, path: Path, thing: object) -> bool:
        """What its attributes stand for, those in slots included; False if it has none."""
        kind = type(thing)
        slots = self._slots.get(kind)
        if slots is None:
            slots = self._slots[kind] = _slots_of(kind)
        attributes = _attributes_of(thing)
        if not attributes and not slots:
            return False
        for name, value in _copy(attributes) if attributes else ():
            self._named(path, f".{name}", value)
        for name, value in _slot_values(thing, slots):
            self._named(path, f".{name}", value)
        return True

    def _inside(self, path: Path, thing: object) -> None:
        """An object of an extension module: what the garbage collector knows of it."""
        inside = [part for part in gc.get_referents(thing) if not _is(part, type)]
        if not inside and _module_of(type(thing)).partition(".")[0] not in _KNOWN_MODULES:
            self._opaque += 1
        for part in inside:
            self._found(path, "", part)

    # --- kinds ---

    def _dict(self, path: Path, thing: Any) -> None:
        length = dict.__len__(thing)
        self._count(path, thing, length, _size(thing))
        items = _sampled(lambda: dict.items(thing), length)
        names = self._record_keys(path, items, length)
        plain = length > SAMPLE_ABOVE and all(type(v) in _PLAIN and type(k) in _PLAIN for k, v in items)
        if plain:
            self._scaled(path, itertools.chain.from_iterable(items), 2 * len(items), 2 * length)
            return
        if length > SAMPLE_ABOVE:
            items = _copy(thing)
        for key, value in items:
            if type(key) in _PLAIN:
                self._plain(path, key)
            else:
                self._found(path, ".keys()[*]", key)
            named = _is(key, str) and key in names
            if named:
                self._named(path, f"[{key!r}]", value)
            else:
                self._found(path, "[*]", value)

    def _record_keys(self, path: Path, items: list[tuple[Any, Any]], length: int) -> frozenset[str]:
        """Which keys are part of the path: those of a small dict whose keys are words, when it was first seen with any."""
        known = self._records.get(path.text)
        if known is not None or not length:
            return known or frozenset()
        words = [key for key, _ in items if _is(key, str) and _WORD.match(key)]
        record = length <= RECORD_KEYS and len(words) == length and path.containers <= 1
        names = frozenset(words) if record else frozenset()
        self._records[path.text] = names
        return names

    def _elements(self, path: Path, thing: Any) -> None:
        kind = next(base for base in (*_SEQUENCES, *_SETS) if issubclass(type(thing), base))
        length = kind.__len__(thing)
        cap = thing.maxlen if kind is collections.deque else None
        self._count(path, thing, length, _size(thing), cap)
        elements = _sampled(lambda: kind.__iter__(thing), length)
        if length > SAMPLE_ABOVE:
            if all(type(element) in _PLAIN for element in elements):
                self._scaled(path, elements, len(elements), length)
                return
            elements = _retried(lambda: list(kind.__iter__(thing)))
        for element in elements:
            self._found(path, "[*]", element)

    def _scaled(self, path: Path, sample: Iterable[object], taken: int, length: int) -> None:
        """Plain values, of which some stand for all."""
        before = path.bytes
        for value in sample:
            self._plain(path, value)
        path.bytes = before + (path.bytes - before) * length // max(1, taken)

    def _lru(self, path: Path, thing: Any) -> None:
        info = _LRU.cache_info(thing)
        self._count(path, thing, info.currsize, 0, info.maxsize)
        path.kind = "lru_cache"
        for part in gc.get_referents(thing):
            if _is(part, types.FunctionType):
                self._found(path, ".__wrapped__", part)
            elif type(part) is dict:
                # Its table: what it remembers stands there, or, if it has a limit, in links that the collector sees through.
                path.bytes += _size(part)
                for key, value in _copy(part) if info.maxsize is None else ():
                    self._found(path, ".keys()[*]", key)
                    self._found(path, "[*]", value)
            elif not _is(part, type):
                self._found(path, "[*]", part)

    def _array(self, path: Path, thing: Any) -> None:
        if thing.base is None:
            self._count(path, thing, int(thing.nbytes), _size(thing))
        else:
            self._found(path, ".base", thing.base)

    def _function(self, path: Path, thing: types.FunctionType) -> None:
        code = thing.__code__
        for cell_name, cell in zip(code.co_freevars, thing.__closure__ or ()):
            try:
                value = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            self._named(path, f".<{cell_name}>", value)
        defaults = thing.__defaults__ or ()
        arguments = code.co_varnames[: code.co_argcount]
        for name, value in zip(arguments[len(arguments) - len(defaults) :], defaults):
            self._named(path, f"({name}=)", value)
        for name, value in (thing.__kwdefaults__ or {}).items():
            self._named(path, f"({name}=)", value)
        for name, value in _copy(thing.__dict__):
            self._named(path, f".{name}", value)

    # --- account ---

    def _path(self, text: str, parent: Path | None, owner: str = "") -> Path:
        path = self._paths.get(text)
        if path is None:
            path = self._paths[text] = Path(text, parent, owner or (parent.owner if parent else "app"))
        return path

    def _count(self, path: Path, thing: object, length: int, size: int, cap: int | None = None) -> None:
        path.kind = path.kind or type(thing).__name__
        path.containers += 1
        path.length += length
        path.bytes += size
        if cap is not None:
            path.cap = (path.cap or 0) + cap

    def result(self) -> dict[str, object]:
        """The account, the bytes of everything below a path added to it."""
        pinned = {text: path.bytes for text, path in self._paths.items()}
        # A path is made after its parent, so the last one has no children that are still to come.
        for path in reversed(list(self._paths.values())):
            if path.parent is not None:
                pinned[path.parent.text] += pinned[path.text]
        listed = [
            path
            for path in self._paths.values()
            if path.containers and path.depth < self._complete.get(path.owner, MAX_DEPTH + 1)
        ]
        return {
            "containers": [
                {
                    "path": path.text,
                    "owner": path.owner,
                    "kind": path.kind,
                    "containers": path.containers,
                    "length": path.length,
                    "cap": path.cap,
                    "pinned_bytes": pinned[path.text],
                }
                for path in listed
            ],
            "visited": self._visited,
            "known_bytes": sum(path.bytes for path in self._paths.values()),
            "opaque": self._opaque,
            "complete_depth": min(self._complete.values()) if self._complete else None,
        }


def _is(thing: object, kind: type) -> bool:
    """`isinstance`, without asking the object itself: `__class__` may be the app's own code."""
    return issubclass(type(thing), kind)


def _how(kind: type) -> str:
    """How objects of a type are looked into."""
    if issubclass(kind, _IGNORED):
        return "ignore"
    for base in kind.__mro__:
        if (base.__module__, base.__name__) in _ENDS:
            return "ignore"
    for bases, how in _WAYS:
        if issubclass(kind, bases):
            return how
    if any(base.__name__ == "ndarray" and base.__module__ == "numpy" for base in kind.__mro__):
        return "array"
    return "object"


def _module_of(kind: object) -> str:
    name = getattr(kind, "__module__", None)
    return name if isinstance(name, str) else ""


def _dunder(name: object) -> bool:
    return not isinstance(name, str) or (name.startswith("__") and name.endswith("__"))


def _slots_of(kind: type) -> list[tuple[str, types.MemberDescriptorType]]:
    return [
        (name, member)
        for base in kind.__mro__
        for name, member in _copy(vars(base))
        if _is(member, types.MemberDescriptorType) and isinstance(name, str)
    ]


def _slot_values(
    thing: object, slots: list[tuple[str, types.MemberDescriptorType]]
) -> Iterator[tuple[str, object]]:
    for name, member in slots:
        try:
            yield name, member.__get__(thing, type(thing))
        except (AttributeError, TypeError):  # an empty slot
            continue


def _attributes_of(thing: object) -> dict[str, object] | None:
    try:
        found = object.__getattribute__(thing, "__dict__")
    except (AttributeError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _attributes(thing: object) -> dict[str, Any]:
    """Attributes of an object, those in slots included, without running anything of its class."""
    found = dict(_copy(_attributes_of(thing) or {}))
    found.update(_slot_values(thing, _slots_of(type(thing))))
    return {name: value for name, value in found.items() if isinstance(name, str)}


def _copy(mapping: Any) -> list[tuple[Any, Any]]:
    items = dict.items if issubclass(type(mapping), dict) else type(mapping).items
    return _retried(lambda: list(items(mapping)))


def _retried(make: Callable[[], list[Any]]) -> list[Any]:
    """A copy of something that other threads may be changing; after a few attempts, nothing."""
    for _ in range(_TRIES):
        try:
            return make()
        except RuntimeError:
            continue
    return []


def _sampled(make: Callable[[], Iterable[Any]], length: int) -> list[Any]:
    """All elements, or some that are spread evenly over them."""
    if length <= SAMPLE_ABOVE:
        return _retried(lambda: list(make()))
    return _retried(lambda: list(itertools.islice(make(), 0, None, length // SAMPLE)))


def _filled(thing: Any) -> int:
    """Bytes that a buffer holds.

    What it has allocated grows in leaps of an eighth, each many requests long: a leak would look as if it had stopped.
    """
    if isinstance(thing, bytearray):
        return bytearray.__len__(thing)
    if isinstance(thing, array.array):
        return array.array.__len__(thing) * int(array.array.itemsize.__get__(thing))
    return _size(thing)


def _size(thing: object) -> int:
    """Bytes of an object itself. A `__sizeof__` that is written in Python is not called: it is the app's own code."""
    kind = type(thing)
    try:
        if isinstance(getattr(kind, "__sizeof__", None), types.FunctionType):
            return int(object.__sizeof__(thing))
        return sys.getsizeof(thing, 0)
    except Exception:
        return 0
