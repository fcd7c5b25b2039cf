"""One walk along references, from the names in the app and Gradio to every container, by access path.

All elements of a container share one path: `SESSIONS["a1"]` and `SESSIONS["b2"]` are both `SESSIONS[*]`. No code of the app
runs: lengths, elements and attributes are read with the methods of the built-in types.
"""

from __future__ import annotations

import array
import collections
import gc
import itertools
import re
import sys
import types
from collections.abc import Iterable
from typing import Any

from . import PACKAGE
from .introspection import (
    PLAIN,
    SAMPLE_ABOVE,
    Attributes,
    copy,
    function_attributes,
    is_kind,
    module_of,
    retried,
    sampled,
    size_of,
)
from .type_rules import LRU, SEQUENCES, SETS, TEXTS, how

# Maximum number of visited objects for each owner; a visit costs a few microseconds.
MAX_VISITED = 150_000
MAX_DEPTH = 10
MAX_PATHS = 5_000
# A dict that has at most so many keys when first seen, all of them words, is a record: its keys are part of the path.
RECORD_KEYS = 8
WORD = re.compile(r"[A-Za-z_][A-Za-z_]{0,23}\Z")
# Objects of these modules that refer to nothing are not counted as opaque.
_KNOWN_MODULES = {"numpy", *sys.builtin_module_names, *getattr(sys, "stdlib_module_names", ())}


class Path:
    """One access path, with the containers found there."""

    __slots__ = (
        "bytes",
        "cap",
        "containers",
        "depth",
        "kind",
        "length",
        "owner",
        "parent",
        "text",
        "type",
        "unbounded",
    )

    def __init__(self, text: str, parent: Path | None, owner: str) -> None:
        self.text = text
        self.parent = parent
        self.owner = owner
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.type: type | None = None
        self.kind = ""
        self.containers = 0
        self.length = 0
        self.cap: int | None = None
        # True if one of the containers has no limit.
        self.unbounded = False
        self.bytes = 0


class Walk:
    """One walk. See `CensusTaker.walk`.

    Attributes:
        found: access path → its containers; None unless they are kept.
    """

    def __init__(self, records: dict[str, str], user_names: set[str], keep: bool = False) -> None:
        self.found: dict[str, list[object]] | None = {} if keep else None
        self._records = records
        self._names: dict[str, frozenset[str]] = {}
        self._user_names = user_names
        self._paths: dict[str, Path] = {}
        self._seen: set[int] = set()
        self._next: collections.deque[tuple[Path, object]] = collections.deque()
        self._kinds: dict[type, str] = {}
        self._attributes = Attributes()
        self._visited = 0
        self._budget = MAX_VISITED
        self._opaque = 0
        self._complete: dict[str, int] = {}

    # --- roots ---

    def module(self, label: str, module: types.ModuleType) -> None:
        """Add the values of a module's names as roots."""
        root = self._path(label, None, "app")
        for attribute, thing in copy(vars(module)):
            if not _dunder(attribute):
                self._named(root, "." + attribute, thing)

    def handler(self, label: str, thing: object) -> None:
        """Add as a root a function of the app that Gradio calls, or the object it belongs to."""
        kind = type(thing)
        if id(thing) in self._seen or kind in PLAIN:
            return
        self._kinds[kind] = how(kind)
        if self._kinds[kind] == "ignore":
            return
        self._seen.add(id(thing))
        path = self._path(label, None, "app")
        path.type = path.type or kind
        self._next.append((path, thing))

    def account(self, label: str, thing: object) -> None:
        """Add the attributes of one of Gradio's objects as roots."""
        root = self._path(label, None, "gradio")
        root.type = type(thing)
        for name, value in self._attributes.of(thing):
            self._named(root, "." + name, value)

    def run(self) -> None:
        """Visit everything found so far, breadth first, until the budget is used up."""
        self._budget = MAX_VISITED
        while self._next:
            path, thing = self._next.popleft()
            if self._budget <= 0 or len(self._paths) > MAX_PATHS:
                # Breadth first: every object above this depth was visited.
                self._complete[path.owner] = path.depth
                self._next.clear()
                return
            self._budget -= 1
            self._visited += 1
            self._look_into(path, thing)

    # --- one object ---

    def _named(self, parent: Path, step: str, thing: Any) -> None:
        """Add the value of a name. Here a text counts as a container with its own path."""
        if type(thing) in TEXTS:
            if id(thing) not in self._seen:
                self._seen.add(id(thing))
                self._count(self._path(parent.text + step, parent), thing, len(thing), size_of(thing))
        else:
            self._found(parent, step, thing)

    def _found(self, parent: Path, step: str, thing: object) -> None:
        kind = type(thing)
        if kind in PLAIN:
            self._plain(parent, thing)
            return
        way = self._kinds.get(kind)
        if way is None:
            way = self._kinds[kind] = how(kind)
        if way == "ignore" or parent.depth >= MAX_DEPTH or id(thing) in self._seen:
            return
        if way == "type" and module_of(thing) not in self._user_names:
            return
        if way == "function" and not self._of_user(thing):  # type: ignore[arg-type]
            return
        self._seen.add(id(thing))
        path = self._path(parent.text + step, parent)
        path.type = path.type or kind
        self._next.append((path, thing))

    def _of_user(self, function: types.FunctionType) -> bool:
        if str(function.__globals__.get("__name__")).startswith(PACKAGE):
            return False  # the probe's wrapper around `launch`
        try:
            wrapped = object.__getattribute__(function, "__wrapped__")
        except AttributeError:
            wrapped = function
        inside = wrapped if is_kind(wrapped, types.FunctionType) else function
        return inside.__globals__.get("__name__") in self._user_names

    def _plain(self, path: Path, thing: object) -> None:
        """Count a value without parts at the path that reached it first."""
        if id(thing) not in self._seen:
            self._seen.add(id(thing))
            path.bytes += size_of(thing)

    def _look_into(self, path: Path, thing: Any) -> None:
        way = self._kinds[type(thing)]
        if way == "dict":
            self._dict(path, thing)
            self._instance(path, thing)
        elif way == "elements":
            self._elements(path, thing)
            self._instance(path, thing)
        elif way == "lru":
            self._lru(path, thing)
        elif way == "buffer":
            self._count(path, thing, _filled(thing), size_of(thing))
        elif way == "array":
            self._array(path, thing)
        elif way == "type":
            for name, value in copy(vars(thing)):
                if not _dunder(name):
                    self._named(path, "." + name, value)
        elif way == "function":
            self._function(path, thing)
        elif way == "method":
            self._found(path, ".__self__", thing.__self__)
        elif way == "wrapper":
            self._found(path, "", thing.__func__)
        elif way == "property":
            for function in (thing.fget, thing.fset, thing.fdel):
                self._found(path, "", function)
        else:
            path.bytes += size_of(thing)
            if not self._instance(path, thing):
                self._inside(path, thing)

    def _instance(self, path: Path, thing: object) -> bool:
        """Add the attributes of an object, slots included; False if it has none."""
        attributes = self._attributes.of(thing)
        for name, value in attributes:
            self._named(path, f".{name}", value)
        return bool(attributes)

    def _inside(self, path: Path, thing: object) -> None:
        """Add the referents of an object of an extension module, as far as the garbage collector knows them."""
        inside = [part for part in gc.get_referents(thing) if not is_kind(part, type)]
        if not inside and module_of(type(thing)).partition(".")[0] not in _KNOWN_MODULES:
            self._opaque += 1
        for part in inside:
            self._found(path, "", part)

    # --- kinds ---

    def _dict(self, path: Path, thing: Any) -> None:
        length = dict.__len__(thing)
        self._count(path, thing, length, size_of(thing))
        items = sampled(lambda: dict.items(thing), length)
        names = self._record_keys(path, items, length)
        plain = length > SAMPLE_ABOVE and all(type(v) in PLAIN and type(k) in PLAIN for k, v in items)
        if plain:
            self._scaled(path, itertools.chain.from_iterable(items), 2 * len(items), 2 * length)
            return
        if length > SAMPLE_ABOVE:
            items = copy(thing)
        for key, value in items:
            if type(key) in PLAIN:
                self._plain(path, key)
            else:
                self._found(path, ".keys()[*]", key)
            named = is_kind(key, str) and key in names
            if named:
                self._named(path, f"[{key!r}]", value)
            else:
                self._found(path, "[*]", value)

    def _record_keys(self, path: Path, items: list[tuple[Any, Any]], length: int) -> frozenset[str]:
        """The keys that are part of the path: those of a dict that was small, with words as keys, when first seen with any key."""
        known = self._names.get(path.text)
        if known is not None:
            return known
        text = self._records.get(path.text)
        if text is None:
            if not length:
                return frozenset()
            words = [key for key, _ in items if is_kind(key, str) and WORD.match(key)]
            record = length <= RECORD_KEYS and len(words) == length and path.containers <= 1
            text = self._records[path.text] = " ".join(words) if record else ""
        names = self._names[path.text] = frozenset(text.split())
        return names

    def _elements(self, path: Path, thing: Any) -> None:
        kind = next(base for base in (*SEQUENCES, *SETS) if issubclass(type(thing), base))
        length = kind.__len__(thing)
        cap = thing.maxlen if kind is collections.deque else None
        self._count(path, thing, length, size_of(thing), cap)
        elements = sampled(lambda: kind.__iter__(thing), length)
        if length > SAMPLE_ABOVE:
            if all(type(element) in PLAIN for element in elements):
                self._scaled(path, elements, len(elements), length)
                return
            elements = retried(lambda: list(kind.__iter__(thing)))
        for element in elements:
            self._found(path, "[*]", element)

    def _scaled(self, path: Path, sample: Iterable[object], taken: int, length: int) -> None:
        """Count a sample of plain values, scaled up to all of them."""
        before = path.bytes
        for value in sample:
            self._plain(path, value)
        path.bytes = before + (path.bytes - before) * length // max(1, taken)

    def _lru(self, path: Path, thing: Any) -> None:
        info = LRU.cache_info(thing)
        self._count(path, thing, info.currsize, 0, info.maxsize)
        path.kind = "lru_cache"
        for part in gc.get_referents(thing):
            if is_kind(part, types.FunctionType):
                self._found(path, ".__wrapped__", part)
            elif type(part) is dict:
                # The table of the cache. Without a limit it holds the cached values; with one, links to them that the collector follows.
                path.bytes += size_of(part)
                for key, value in copy(part) if info.maxsize is None else ():
                    self._found(path, ".keys()[*]", key)
                    self._found(path, "[*]", value)
            elif not is_kind(part, type):
                self._found(path, "[*]", part)

    def _array(self, path: Path, thing: Any) -> None:
        if thing.base is None:
            self._count(path, thing, int(thing.nbytes), size_of(thing))
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
        for name, value in function_attributes(thing):
            self._named(path, f".{name}", value)

    # --- results ---

    def _path(self, text: str, parent: Path | None, owner: str = "") -> Path:
        path = self._paths.get(text)
        if path is None:
            path = self._paths[text] = Path(text, parent, owner or (parent.owner if parent else "app"))
        return path

    def _count(self, path: Path, thing: object, length: int, size: int, cap: int | None = None) -> None:
        if self.found is not None:
            self.found.setdefault(path.text, []).append(thing)
        path.type = path.type or type(thing)
        path.kind = path.kind or type(thing).__name__
        path.containers += 1
        path.length += length
        path.bytes += size
        if cap is None:
            path.unbounded = True
        elif not path.unbounded:
            path.cap = (path.cap or 0) + cap

    def listed(self) -> list[Path]:
        """The paths of containers, down to the depth to which the walk is complete."""
        return [
            path
            for path in self._paths.values()
            if path.containers and path.depth < self._complete.get(path.owner, MAX_DEPTH + 1)
        ]

    def pinned(self) -> dict[str, int]:
        """Access path → bytes of everything at and below it."""
        pinned = {text: path.bytes for text, path in self._paths.items()}
        # A path is created after its parent, so in reverse order every child comes before its parent.
        for path in reversed(list(self._paths.values())):
            if path.parent is not None:
                pinned[path.parent.text] += pinned[path.text]
        return pinned

    def result(self) -> dict[str, object]:
        """The result as in the record `Census`. The bytes of a path include everything below it."""
        pinned = self.pinned()
        return {
            "containers": [
                {
                    "path": path.text,
                    "owner": path.owner,
                    "kind": path.kind,
                    "containers": path.containers,
                    "length": path.length,
                    "cap": None if path.unbounded else path.cap,
                    "pinned_bytes": pinned[path.text],
                }
                for path in self.listed()
            ],
            "visited": self._visited,
            "known_bytes": sum(path.bytes for path in self._paths.values()),
            "opaque": self._opaque,
            "complete_depth": min(self._complete.values()) if self._complete else None,
        }


def _dunder(name: object) -> bool:
    return not isinstance(name, str) or (name.startswith("__") and name.endswith("__"))


def _filled(thing: Any) -> int:
    """Bytes in use in a buffer.

    Allocated bytes would grow in steps of an eighth, many requests apart, so that a leak would seem to stop.
    """
    if isinstance(thing, bytearray):
        return bytearray.__len__(thing)
    if isinstance(thing, array.array):
        return array.array.__len__(thing) * int(array.array.itemsize.__get__(thing))
    return size_of(thing)
