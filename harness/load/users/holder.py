"""Holders: users that open a session, give it its state and keep it open, so that its memory can be measured."""

from __future__ import annotations

import contextlib
import time
from typing import ClassVar

import gevent
import gevent.event
import gevent.lock

from harness.load.session import SessionRetired
from harness.load.users.scenario_user import ScenarioUser
from harness.records import DRAIN_PHASE
from harness.workload import Workload

# Gradio answers most requests per second when few arrive at once, and its queue breaks if more than 2,000 sessions do.
HOLDERS_AT_WORK = 8
# After this many attempts in a row without an answer the app counts as unresponsive: the other holders close at once
# instead of waiting for a timeout each.
_GIVE_UP_AFTER = 3 * HOLDERS_AT_WORK


class HeldSessions:
    """The sessions that holders keep open, and what all holders share.

    Attributes:
        holders: users that hold a session with its state, in the order in which they began.
        failures: sessions of the current step that could not be opened or given their state.
        releasing: set when holders must close their sessions.
        turns: limits how many holders work at the same time, so that thousands of them stay a bounded load.
        unanswered: attempts since the last one that got an answer.
        looked_around: whether a session has read the app's description of itself after the load.
    """

    def __init__(self) -> None:
        self.holders: dict[HolderUser, Workload] = {}
        self.failures = 0
        self.releasing = gevent.event.Event()
        self.turns = gevent.lock.BoundedSemaphore(HOLDERS_AT_WORK)
        self.unanswered = 0
        self.looked_around = False

    def __len__(self) -> int:
        """How many sessions are held with their state."""
        return len(self.holders)

    def begin_step(self) -> None:
        """Prepare for more sessions to be held."""
        self.failures = 0
        self.unanswered = 0
        self.releasing.clear()

    def act(self, requests: int, duration_s: float) -> None:
        """Let the held sessions act in turn, and wait for the results. A retired session gets no further turn.

        Args:
            requests: actions of all sessions together.
            duration_s: no action begins later than this.
        """
        deadline = time.monotonic() + duration_s
        while requests > 0 and time.monotonic() < deadline:
            able = [(user, w) for user, w in self.holders.items() if not user.session.retired][:requests]
            if not able:
                return
            requests -= len(able)
            gevent.joinall([gevent.spawn(user.act_once, workload, deadline) for user, workload in able])


class HolderUser(ScenarioUser):
    """Opens a session, gives it its state and keeps it open; acts once more before closing, to see that the state is intact."""

    abstract = True
    held: ClassVar[HeldSessions]

    def use_app(self) -> None:
        """Hold a session until the holders are released."""
        held = self.held
        try:
            with held.turns:
                workload = self._arrive()
        except SessionRetired:
            held.failures += 1
            return
        if self.session.errors:
            # The page is open without all of its state: it would make sessions look cheaper than they are.
            held.failures += 1
            self._leave()
            return
        self.session.rest()
        held.holders[self] = workload
        try:
            held.releasing.wait()
            with held.turns:
                self._check_state(workload)
        except SessionRetired:
            pass
        finally:
            del held.holders[self]
            self._leave()

    def act_once(self, workload: Workload, deadline: float) -> None:
        """Act in the held session, unless the deadline (`time.monotonic`) has passed when the turn comes."""
        with self.held.turns, contextlib.suppress(SessionRetired):
            if self._app_answers() and time.monotonic() < deadline:
                self._act(workload)
                self.session.rest()

    def _check_state(self, workload: Workload) -> None:
        if not self._app_answers():
            return
        self._act(workload)
        if self.run_context.recorder.phase == DRAIN_PHASE and not self.held.looked_around:
            self.held.looked_around = True
            self.session.look_around()

    def _act(self, workload: Workload) -> None:
        self.held.unanswered += 1
        self._attempt(workload.act)
        self.held.unanswered = 0

    def _app_answers(self) -> bool:
        return self.held.unanswered < _GIVE_UP_AFTER
