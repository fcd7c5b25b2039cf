"""Sessions, State and limits of Gradio, read from its objects. What this release keeps elsewhere is None."""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import sys
import types
import weakref
from typing import Any

_holders: list[weakref.ref[object]] = []
# Enough sessions to see all types of values. The question comes at every plateau, so the number is limited.
_MAX_SESSIONS = 1000
_MAX_TYPES = 40
_SIZED: tuple[type[Any], ...] = (dict, list, set, frozenset, tuple, collections.deque)
_PLAIN = (str, int, float, bool, type(None), list, tuple, dict)


def remember_holders(module: types.ModuleType) -> None:
    """Record every StateHolder when it is constructed. Called right after the app imported `gradio.state_holder`.

    Finding them later with `gc.get_objects()` would sometimes break the app: it takes references to tuples that another thread is
    still building, and CPython then refuses to resize them (`SystemError`).
    """
    kind = getattr(module, "StateHolder", None)
    original = getattr(kind, "__init__", None)
    if kind is None or original is None:
        return

    @functools.wraps(original)
    def init(self: object, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        with contextlib.suppress(TypeError):  # the class has no weak references: its sessions are then null
            _holders.append(weakref.ref(self))

    kind.__init__ = init


def version() -> str | None:
    """Gradio's version, None until the app has imported it."""
    return getattr(sys.modules.get("gradio"), "__version__", None)


def state_holders() -> list[object]:
    """Every live StateHolder."""
    return [holder for holder in (ref() for ref in _holders) if holder is not None]


def counts() -> dict[str, int | None]:
    """Numbers of sessions held by Gradio, of those whose page has not closed, and of their State values."""
    found = [getattr(holder, "session_data", None) for holder in state_holders()]
    held = [sessions for sessions in found if isinstance(sessions, dict)]
    if not held:
        return {"sessions": None, "open_sessions": None, "states": None}
    sessions = [session for holder in held for session in list(holder.values())]
    closed = [getattr(session, "is_closed", None) for session in sessions]
    states = [_length(getattr(session, "state_data", None)) for session in sessions]
    return {
        "sessions": len(sessions),
        "open_sessions": None if None in closed else closed.count(False),
        "states": None if None in states else sum(number or 0 for number in states),
    }


def blocks() -> list[object]:
    """The Blocks of every live StateHolder."""
    found = (getattr(holder, "blocks", None) for holder in state_holders())
    return list({id(one): one for one in found if one is not None}.values())


def queue() -> dict[str, int] | None:
    """Attribute of Gradio's Queue → number of its entries, for every attribute with a length, over all Queues; None without any."""
    counts: dict[str, int] = {}
    for one in blocks():
        for name, value in list(getattr(getattr(one, "_queue", None), "__dict__", {}).items()):
            for kind in _SIZED:
                if issubclass(type(value), kind):
                    counts[name] = counts.get(name, 0) + kind.__len__(value)
                    break
    return counts or None


def state_types() -> dict[str, int] | None:
    """Type of the values in gr.State → their number, over the sessions used last. A container is named with its first element's type."""
    counts: dict[str, int] = {}
    try:
        for holder in state_holders():
            sessions = list(getattr(holder, "session_data").values())  # noqa: B009
            for session in sessions[-_MAX_SESSIONS:]:
                for value in list(session.state_data.values()):
                    name = _type_name(value)
                    if name in counts or len(counts) < _MAX_TYPES:
                        counts[name] = counts.get(name, 0) + 1
    except (AttributeError, TypeError, RuntimeError):
        return None  # this release of Gradio keeps them elsewhere, or they changed during the loop
    return counts if _holders else None


def _type_name(value: object) -> str:
    first: object = None
    if type(value) in (list, tuple, dict) and value:
        first = next(iter(value.values() if isinstance(value, dict) else value))  # type: ignore[call-overload]
    name = _name(type(value))
    return name if type(first) in _PLAIN else f"{name} of {_name(type(first))}"


def _name(kind: type) -> str:
    module = getattr(kind, "__module__", "")
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def limits() -> dict[str, object]:
    """Settings that limit the life of state (session capacity, seconds after close, heartbeat interval), and the size of the page."""
    holders = state_holders()
    # Gradio creates a StateHolder when the app is defined and another at the launch; sessions use the latter.
    used = max(holders, key=lambda holder: _length(getattr(holder, "session_data", None)) or 0, default=None)
    capacity = getattr(used, "capacity", None)
    return {
        "state_session_capacity": capacity if isinstance(capacity, int) else None,
        "state_ttl_when_closed_s": _ttl(holders),
        "heartbeat_interval_s": _heartbeat(),
        **_page(),
    }


def _page() -> dict[str, object]:
    """Numbers of components and functions of the largest Blocks, and of components by class of Gradio."""
    page: dict[str, object] = {"components": None, "functions": None, "component_types": None}
    most = -1
    for one in blocks():
        # Gradio 4.31 and later keep them in `default_config`, under the same names.
        inside = getattr(one, "default_config", one)
        components = getattr(inside, "blocks", None)
        number = _length(components)
        if number is None or number <= most:
            continue
        most = number
        kinds: dict[str, int] = {}
        for component in list(components.values()) if isinstance(components, dict) else ():
            kind = type(component)
            if getattr(kind, "__module__", "").startswith("gradio."):
                kinds[kind.__name__] = kinds.get(kind.__name__, 0) + 1
        page = {
            "components": number,
            "functions": _length(getattr(inside, "fns", None)),
            "component_types": kinds,
        }
    return page


def _ttl(holders: list[object]) -> float | None:
    for holder in holders:
        for session in list(getattr(holder, "session_data", {}).values()):
            ttl = getattr(session, "STATE_TTL_WHEN_CLOSED", None)
            if isinstance(ttl, (int, float)):
                return float(ttl)
    return None


def _heartbeat() -> float | None:
    rate = getattr(sys.modules.get("gradio.utils"), "get_heartbeat_rate", None)
    try:
        return float(rate()) if callable(rate) else float(os.environ["GRADIO_HEARTBEAT_INTERVAL"])
    except (KeyError, TypeError, ValueError):
        return None


def _length(thing: object) -> int | None:
    try:
        return len(thing)  # type: ignore[arg-type]
    except TypeError:
        return None
