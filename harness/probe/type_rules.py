"""Which way objects of a type are searched, and which types are skipped."""

from __future__ import annotations

import array
import collections
import functools
import io
import re
import types
import weakref
from typing import Any

TEXTS = (str, bytes)
BUFFERS = (bytearray, array.array, io.BytesIO, io.StringIO, memoryview)
SEQUENCES = (list, tuple, collections.deque)
SETS = (set, frozenset)
LRU = type(functools.lru_cache(lambda: None))
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
    (SEQUENCES, "elements"),
    (SETS, "elements"),
    (LRU, "lru"),
    (BUFFERS, "buffer"),
    (type, "type"),
    (types.FunctionType, "function"),
    (types.MethodType, "method"),
    ((staticmethod, classmethod), "wrapper"),
    (property, "property"),
)
# A walk ends at these types, because they lead to everything else. Gradio's own objects are roots themselves.
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


def how(kind: type) -> str:
    """Which way objects of a type are searched; `ignore` for types that are skipped."""
    if issubclass(kind, _IGNORED):
        return "ignore"
    if is_end(kind):
        return "ignore"
    for bases, way in _WAYS:
        if issubclass(kind, bases):
            return way
    if any(base.__name__ == "ndarray" and base.__module__ == "numpy" for base in kind.__mro__):
        return "array"
    return "object"


def is_end(kind: type) -> bool:
    """Whether objects of a type lead to everything else."""
    return any((base.__module__, base.__name__) in _ENDS for base in kind.__mro__)
