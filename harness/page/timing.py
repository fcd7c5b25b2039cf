"""When an action reached its stages, and what the last action left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import msgspec


class Timing(msgspec.Struct):
    """When an action reached its stages, monotonic nanoseconds; None for a stage that it did not reach.

    Attributes:
        accepted_ns: the server had queued its first event.
        started_ns: the server said that it had started to work on it.
        first_output_ns: a first partial output had arrived on the socket.
        completed_ns: its last result had arrived on the socket.
        event_ids: Gradio's names for its events.
    """

    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    completed_ns: int | None = None
    event_ids: list[str] = []

    def extend(self, later: Timing) -> None:
        """Add a later action: together they began with the first and ended with the last."""
        self.accepted_ns = self.accepted_ns or later.accepted_ns
        self.started_ns = self.started_ns or later.started_ns
        self.first_output_ns = self.first_output_ns or later.first_output_ns
        self.completed_ns = later.completed_ns or self.completed_ns
        self.event_ids = self.event_ids + later.event_ids


class _Traces:
    """Times and partial outputs of actions; see `Timed`."""

    __slots__ = ("last", "partials", "span")

    def __init__(self) -> None:
        self.last = Timing()
        self.span = Timing()
        self.partials: list[Any] = []


class Timed:
    """Times and partial outputs of a page's actions. If actions run at the same time, each greenlet sees its own."""

    def __init__(self) -> None:
        self._common = _Traces()
        self._apart: dict[Any, _Traces] = {}

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Keep the times and outputs of this greenlet's actions apart from those of others."""
        greenlet = gevent.getcurrent()
        self._apart[greenlet] = _Traces()
        try:
            yield
        finally:
            del self._apart[greenlet]

    @property
    def last(self) -> Timing:
        """The stages of the action that ended last."""
        return self._traces.last

    @property
    def span(self) -> Timing:
        """The stages of all actions since this was last replaced, taken as one action."""
        return self._traces.span

    @span.setter
    def span(self, span: Timing) -> None:
        self._traces.span = span

    @property
    def partials(self) -> list[Any]:
        """Every partial output of the `call` that ended last, in the form of its result."""
        return self._traces.partials

    @property
    def _traces(self) -> _Traces:
        # Nearly always only one greenlet acts.
        return self._apart.get(gevent.getcurrent(), self._common) if self._apart else self._common

    def _time(self, timing: Timing) -> None:
        traces = self._traces
        traces.last = timing
        traces.span.extend(timing)
