"""What one action sets off: its events, their results, and what popped up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from harness.page.blueprint import Component
from harness.page.event_queue import Event, Inbox
from harness.page.page_errors import OperationFailed, PageMisuse


class Toast(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the app lets pop up: `gr.Info`, `gr.Warning`, and the like.

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
    """Everything that one action of the person has set off: events, those that follow them, and so on.

    Attributes:
        steps: the events, in the order in which they began.
        toasts: what popped up.
        skipped: events that did not begin, since they were still running from an earlier action (`trigger_mode="once"`),
            or since a later action took their place (`always_last`).
        accepted_ns, started_ns: of the first event, monotonic nanoseconds.
        first_output_ns: of the first partial output, None if there was none.
        completed_ns: of the event that ended last.
        files: addresses of the files that events brought, each with the components that show or offer it.
        brought: component id → the last value that one of the events brought for it.

    Args:
        find: the component that a person means by a name.
    """

    def __init__(self, find: Callable[[str | int], Component] | None = None) -> None:
        self._find = find
        self.brought: dict[int, Any] = {}
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
        """Nothing of it is under way any more."""
        return self.open == 0

    @property
    def event_ids(self) -> list[str]:
        """Gradio's names for its events."""
        return [step.event_id for step in self.steps if step.event_id]

    def value(self, name: str | int) -> Any:
        """What this action brought for a component, whatever others that went on at the same time have put there since.

        Args:
            name: as for `GradioPage.fill`.

        Raises:
            OperationFailed: an event of it failed, or did not begin since it was under way already.
            PageMisuse: it brought nothing for that component.
        """
        assert self._find is not None
        component = self._find(name)
        if component.id in self.brought:
            return self.brought[component.id]
        if self.failures:
            raise self.failures[0]
        if self.skipped:
            raise OperationFailed(
                "rejected",
                "it was still running, and the app does not let it run several times at once (see its trigger_mode)",
            )
        raise PageMisuse(
            f"This action brought nothing for {component}.",
            f"It set off {', '.join(step.name for step in self.steps) or 'nothing'}. "
            "Read what the page shows with page.value.",
        )

    def time(self, event: Event) -> None:
        """Take over the times of an event that has ended."""
        self.accepted_ns = _first(self.accepted_ns, event.accepted_ns)
        self.started_ns = _first(self.started_ns, event.started_ns)
        self.first_output_ns = _first(self.first_output_ns, event.first_output_ns)
        self.completed_ns = max(self.completed_ns or 0, event.completed_ns or 0) or None


def _first(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
