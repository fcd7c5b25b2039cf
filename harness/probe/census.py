"""What the app holds, by type, and by access path: the length of every container that can be reached from the user's modules and from Gradio.

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
import contextlib
import functools
import gc
import itertools
import os
import re
import sys
import time
import types
from collections.abc import Iterable, Iterator
from typing import Any

from . import gradio_state, object_types, state_sizes
from .introspection import (
    PLAIN,
    SAMPLE_ABOVE,
    Attributes,
    copy,
    function_attributes,
    is_kind,
    retried,
    sampled,
    size_of,
)
from .type_rules import LRU, SEQUENCES, SETS, TEXTS, how

# Objects that are looked into, of each owner; a walk costs a few microseconds for each.
MAX_VISITED = 150_000
MAX_DEPTH = 10
MAX_PATHS = 5_000
# A dict with so few keys that are words, when first seen, is a record: its keys are part of the path.
RECORD_KEYS = 8
_OURS = "_gradsoak_probe"

_WORD = re.compile(r"[A-Za-z_][A-Za-z_]{0,23}\Z")
# Small objects of these hold nothing that matters.
_KNOWN_MODULES = {"numpy", *sys.builtin_module_names, *getattr(sys, "stdlib_module_names", ())}


class Path:
    """One access path, and what was found there."""

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
        # One of the containers has no limit.
        self.unbounded = False
        self.bytes = 0


class Census:
    """Takes one census after another, all with the same shapes of paths.

    Which keys of a dict belong to the path is decided when the path is first seen, so that paths do not change under way.

    What it keeps from one to the next are texts and numbers alone, so that the objects that it counts are the app's: the
    garbage collector knows of none of ours that the first census has not seen already.

    Attributes:
        first_types: objects by type at the first census; empty before it, or where they cannot be counted.
        first_lengths: the entries of every container at the first census, by access path.
    """

    def __init__(self) -> None:
        self._records: dict[str, str] = {}
        self._taken = False
        self._rehearsal: Census | None = None
        self.first_types: dict[str, int] = {}
        self.first_lengths: dict[str, int] = {}

    def rehearse(self) -> None:
        """Take the memory now that the first census will need for good, so that it is not taken for something that the app needs."""
        if not self._taken and self._rehearsal is None:
            self._rehearsal = Census()
            self._rehearsal.take()

    def take(self) -> dict[str, object]:
        """Count the objects by type, then walk from all roots, the user's first: what both reach is the user's."""
        began = time.perf_counter()
        counted = self._count_types()
        walk = self.walk()
        found = walk.result()
        if not self._taken:
            for path in walk.listed():
                self.first_lengths[path.text] = path.length
        self._taken = True
        self._rehearsal = None
        return {
            **found,
            **counted,
            "state": state_sizes.state(),
            "pause_ms": (time.perf_counter() - began) * 1000,
        }

    def walk(self, keep: bool = False) -> Walk:
        """Everything that can be reached from the user's modules and from Gradio.

        Args:
            keep: whether the walk shall remember which objects it has found where. It must be dropped soon.
        """
        modules = user_modules()
        walk = Walk(self._records, set(modules), keep)
        for label, module in modules.values():
            walk.module(label, module)
        walk.run()
        # Afterwards: what a name leads to is told by that name.
        for label, thing in handlers(modules):
            walk.handler(label, thing)
        walk.run()
        for label, thing in gradio_roots():
            walk.account(label, thing)
        walk.run()
        return walk

    def _count_types(self) -> dict[str, object]:
        counted = object_types.count()
        if counted is None:
            return {"objects": None, "types": {}, "types_pause_ms": None}
        counts, pause_ms = counted
        objects = sum(counts.values())
        if self._taken:
            counts = object_types.difference(self.first_types, counts)
        else:
            self.first_types.update(counts)
        return {"objects": objects, "types": counts, "types_pause_ms": pause_ms}


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


def handlers(modules: dict[str, tuple[str, types.ModuleType]]) -> Iterator[tuple[str, object]]:
    """Label and object, of what Gradio calls for the user and no module names: an app is often built within a function, and what its
    handlers share is then known to them alone.

    Args:
        modules: the user's, as `user_modules` tells them.
    """
    attributes = Attributes()
    named = {id(value) for _, module in modules.values() for _, value in copy(vars(module))}
    labels = {name: label for name, (label, _) in modules.items()}
    for blocks in gradio_state.blocks():
        inside = dict(attributes.of(blocks))
        inside = dict(attributes.of(inside["default_config"])) if "default_config" in inside else inside
        functions = inside.get("fns")
        rows = (
            [row for _, row in copy(functions)]
            if is_kind(functions, dict)
            else list(functions)
            if type(functions) is list
            else []
        )
        for row in rows:
            found = _users_part(dict(attributes.of(row)).get("fn"), labels, attributes)
            if found is not None and id(found[1]) not in named:
                yield found


def _users_part(thing: Any, labels: dict[str, str], attributes: Attributes) -> tuple[str, object] | None:
    """What of a handler is the user's, and what it is called; None if nothing is."""
    kind = type(thing)
    if kind is functools.partial:
        found = _users_part(thing.func, labels, attributes)
        return None if found is None else (found[0], thing)
    if kind is types.FunctionType:
        inside = thing
        with contextlib.suppress(AttributeError):
            wrapped = object.__getattribute__(thing, "__wrapped__")
            inside = wrapped if type(wrapped) is types.FunctionType else thing
        label = labels.get(str(inside.__globals__.get("__name__")))
        return None if label is None else (f"{label}.{inside.__qualname__}", thing)
    if kind is types.MethodType:
        owner = thing.__self__
        if is_kind(owner, type) or _module_of(type(owner)) in labels:
            return _users_part(owner, labels, attributes)
        # Gradio's own object that calls the user's function, as that of `gr.render` or `gr.ChatInterface`.
        function = dict(attributes.of(owner)).get("fn")
        return _users_part(function, labels, attributes) if type(function) is types.FunctionType else None
    named, instance = (thing, "") if issubclass(kind, type) else (kind, "()")
    label = labels.get(_module_of(named))
    return None if label is None else (f"{label}.{object_types.qualname(named)}{instance}", thing)


def gradio_roots() -> Iterator[tuple[str, object]]:
    """Label and object, of what Gradio keeps its own accounts in."""
    attributes = Attributes()
    for holder in gradio_state.state_holders():
        yield "gradio.StateHolder", holder
        blocks = dict(attributes.of(holder)).get("blocks")
        if blocks is None:
            continue
        inside = dict(attributes.of(blocks))
        for label, name in (("gradio.Queue", "_queue"), ("gradio.App", "app")):
            if inside.get(name) is not None:
                yield label, inside[name]
        yield "gradio.Blocks", blocks


class Walk:
    """One walk. See `Census.walk`.

    Attributes:
        found: access path → the containers there, if they are remembered.
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
        """What a module's names stand for."""
        root = self._path(label, None, "app")
        for attribute, thing in copy(vars(module)):
            if not _dunder(attribute):
                self._named(root, "." + attribute, thing)

    def handler(self, label: str, thing: object) -> None:
        """A function of the user's that Gradio calls, or an object to which it belongs."""
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
        """What the attributes of one of Gradio's objects stand for."""
        root = self._path(label, None, "gradio")
        root.type = type(thing)
        for name, value in self._attributes.of(thing):
            self._named(root, "." + name, value)

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
        if way == "type" and _module_of(thing) not in self._user_names:
            return
        if way == "function" and not self._of_user(thing):  # type: ignore[arg-type]
            return
        self._seen.add(id(thing))
        path = self._path(parent.text + step, parent)
        path.type = path.type or kind
        self._next.append((path, thing))

    def _of_user(self, function: types.FunctionType) -> bool:
        if str(function.__globals__.get("__name__")).startswith(_OURS):
            return False  # the probe's own wrapper around `launch`
        try:
            wrapped = object.__getattribute__(function, "__wrapped__")
        except AttributeError:
            wrapped = function
        inside = wrapped if is_kind(wrapped, types.FunctionType) else function
        return inside.__globals__.get("__name__") in self._user_names

    def _plain(self, path: Path, thing: object) -> None:
        """A value without parts belongs to where it was found first."""
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
        """What its attributes stand for, those in slots included; False if it has none."""
        attributes = self._attributes.of(thing)
        for name, value in attributes:
            self._named(path, f".{name}", value)
        return bool(attributes)

    def _inside(self, path: Path, thing: object) -> None:
        """An object of an extension module: what the garbage collector knows of it."""
        inside = [part for part in gc.get_referents(thing) if not is_kind(part, type)]
        if not inside and _module_of(type(thing)).partition(".")[0] not in _KNOWN_MODULES:
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
        """Which keys are part of the path: those of a small dict whose keys are words, when it was first seen with any."""
        known = self._names.get(path.text)
        if known is not None:
            return known
        text = self._records.get(path.text)
        if text is None:
            if not length:
                return frozenset()
            words = [key for key, _ in items if is_kind(key, str) and _WORD.match(key)]
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
        """Plain values, of which some stand for all."""
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
                # Its table: what it remembers stands there, or, if it has a limit, in links that the collector sees through.
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

    # --- account ---

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
        """The paths of containers, as deep as all containers are known."""
        return [
            path
            for path in self._paths.values()
            if path.containers and path.depth < self._complete.get(path.owner, MAX_DEPTH + 1)
        ]

    def pinned(self) -> dict[str, int]:
        """The bytes of everything at and below each path."""
        pinned = {text: path.bytes for text, path in self._paths.items()}
        # A path is made after its parent, so the last one has no children that are still to come.
        for path in reversed(list(self._paths.values())):
            if path.parent is not None:
                pinned[path.parent.text] += pinned[path.text]
        return pinned

    def result(self) -> dict[str, object]:
        """The account, the bytes of everything below a path added to it."""
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


def _module_of(kind: object) -> str:
    name = getattr(kind, "__module__", None)
    return name if isinstance(name, str) else ""


def _dunder(name: object) -> bool:
    return not isinstance(name, str) or (name.startswith("__") and name.endswith("__"))


def _filled(thing: Any) -> int:
    """Bytes that a buffer holds.

    What it has allocated grows in leaps of an eighth, each many requests long: a leak would look as if it had stopped.
    """
    if isinstance(thing, bytearray):
        return bytearray.__len__(thing)
    if isinstance(thing, array.array):
        return array.array.__len__(thing) * int(array.array.itemsize.__get__(thing))
    return size_of(thing)
