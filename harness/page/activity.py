"""What one action sets off: its events, their results, and what popped up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from harness.page.blueprint import Component
from harness.page.event_queue import Event, Inbox
from harness.page.page_errors import OperationFailed, PageMisuse


class Toast(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the app shows for a moment: `gr.Info`, `gr.Warning` and others.

    Attributes:
        level: `info`, `warning`, `success` or `error`.
    """

    level: str
    title: str
    text: str


class Step(msgspec.Struct, kw_only=True):
    """One event that an action set off.

    Attributes:
        name: the endpoint, `/click` for example, or `event 7` if it has no name.
        event_id: Gradio's name for it, empty if it did not go through the queue.
        outcome: `running`, `completed`, `failed`, `cancelled`.
        error: the app's error, None if there was none.
        partials: every partial output, in order, as lists of values by output.
        outputs: the final values, by output; State is None.
    """

    name: str
    event_id: str = ""
    outcome: str = "running"
    error: str | None = None
    partials: list[list[Any]] = []
    outputs: list[Any] = []


class Activity:
    """Everything that one action has set off: its events, the events that follow them, and so on.

    Attributes:
        steps: the events, in the order in which they began.
        toasts: messages that the app showed.
        skipped: number of events that did not begin, because they were still running from an earlier action
            (`trigger_mode="once"`) or because a later action replaced them (`always_last`).
        accepted_ns, started_ns: of the first event, monotonic nanoseconds.
        first_output_ns: of the first partial output, None if there was none.
        completed_ns: of the event that ended last.
        files: addresses of files in the results, each with the components that show or offer it.
        received: component id → the last value that one of the events returned for it.
        open: number of events that are running or put off.

    Args:
        find: returns the component of a name.
    """

    def __init__(self, find: Callable[[str | int], Component] | None = None) -> None:
        self._find = find
        self.received: dict[int, Any] = {}
        self.files: dict[str, list[Component]] = {}
        self.steps: list[Step] = []
        self.toasts: list[Toast] = []
        self.skipped = 0
        self.inbox = Inbox()
        self.open = 0
        self.failures: list[OperationFailed] = []
        self.accepted_ns: int | None = None
        self.started_ns: int | None = None
        self.first_output_ns: int | None = None
        self.completed_ns: int | None = None

    @property
    def settled(self) -> bool:
        """Whether all its events have ended."""
        return self.open == 0

    @property
    def event_ids(self) -> list[str]:
        """Gradio's names for its events."""
        return [step.event_id for step in self.steps if step.event_id]

    def value(self, name: str | int) -> Any:
        """The value that this action returned for a component, even if a concurrent action has replaced it on the page.

        Args:
            name: as for `GradioPage.fill`.

        Raises:
            OperationFailed: one of its events failed, or did not begin because it was already running.
            PageMisuse: it returned nothing for that component.
        """
        assert self._find is not None
        component = self._find(name)
        if component.id in self.received:
            return self.received[component.id]
        if self.failures:
            raise self.failures[0]
        if self.skipped:
            raise OperationFailed(
                "rejected",
                "it was still running, and the app does not let it run several times at once (see its trigger_mode)",
            )
        raise PageMisuse(
            f"This action returned nothing for {component}.",
            f"It set off {', '.join(step.name for step in self.steps) or 'nothing'}. "
            "Read the value that the page shows with page.value.",
        )

    def time(self, event: Event) -> None:
        """Add the times of an event that has ended."""
        self.accepted_ns = _first(self.accepted_ns, event.accepted_ns)
        self.started_ns = _first(self.started_ns, event.started_ns)
        self.first_output_ns = _first(self.first_output_ns, event.first_output_ns)
        self.completed_ns = max(self.completed_ns or 0, event.completed_ns or 0) or None


def _first(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
