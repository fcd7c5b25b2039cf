"""Starts the simulated users of one load generator process, and waits for them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import gevent
from locust import User
from locust.runners import Runner

from harness.load.arrival_schedule import ArrivalCounts, dispatch, schedule, share_of_cap
from harness.load.commands import Drive
from harness.load.gradio_user import GradioUser
from harness.load.self_monitor import SelfMonitor
from harness.load.users.arrival_pool import ArrivalPool
from harness.load.users.arrival_user import ArrivalUser
from harness.load.users.holder import HeldSessions, HolderUser
from harness.load.users.reload_share import ReloadShare
from harness.load.users.returning_user import ReturningUser
from harness.load.users.run_context import RunContext
from harness.load.users.scenario_user import ScenarioUser
from harness.load.users.visitor import VisitorUser
from harness.page.gradio_page import GradioPage
from harness.page.stock_client import StockPage

_POLL_S = 0.02
# How fast holders start; `HeldSessions.turns` limits how many of them work at once.
_HOLD_SPAWN_RATE = 500.0
# A user that is cut off has had this much longer than one operation may take.
_CUT_OFF_MARGIN_S = 5.0


class UserCoordinator:
    """Starts users, has them do what a command says, and waits until they have finished.

    Args:
        context: what the users share.
        url: root of the app.
        timeout_s: longest wait for one result.
        page_class: page or stock client.
        monitor: counts the arrivals of the open model.
        make_runner: makes the Locust runner, given the user classes and the root of the app.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        url: str,
        timeout_s: float,
        page_class: type[GradioPage] | type[StockPage],
        monitor: SelfMonitor,
        make_runner: Callable[[list[type[User]], str], Runner],
    ) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._monitor = monitor
        self._held = HeldSessions()
        self._arrivals = ArrivalPool()
        common: dict[str, Any] = {"url": url, "timeout_s": timeout_s, "page_class": page_class}
        self._holder = HolderUser.for_run(context, **common, held=self._held)
        self._visitor = VisitorUser.for_run(context, **common)
        self._arrival_user = ArrivalUser.for_run(context, **common, pool=self._arrivals)
        self._returning_user = ReturningUser.for_run(context, **common)
        classes: list[type[User]] = [self._holder, self._visitor, self._arrival_user, self._returning_user]
        self._runner = make_runner(classes, url)

    @property
    def held(self) -> int:
        """Sessions that are held with their state."""
        return len(self._held)

    @property
    def visitors(self) -> int:
        """Users that are present and hold no session."""
        return len(self._context.present) - self.held

    # --- commands ---

    def hold(self, sessions: int) -> int:
        """Hold this many sessions in all, each with its state.

        Returns:
            How many could not be opened or given their state.
        """
        held = self._held
        missing = max(0, sessions - len(held))
        held.begin_step()
        goal = len(held) + missing
        self._start(self._holder, missing, _HOLD_SPAWN_RATE)
        while len(held) + held.failures < goal:
            gevent.sleep(_POLL_S)
        return held.failures

    def act(self, requests: int, duration_s: float) -> None:
        """Let the held sessions act; see `HeldSessions.act`."""
        self._held.act(requests, duration_s)

    def release(self) -> None:
        """Let the held sessions act once more and close."""
        self._held.releasing.set()
        self._wait_for_users(set())

    def drive(self, command: Drive, on_steady: Callable[[int], None]) -> ArrivalCounts | None:
        """Let users visit the app for a time.

        Args:
            command: how many and for how long; with a rate, arrivals of the open model.
            on_steady: called with the number of users once all of them have started.

        Returns:
            What became of the arrivals; None under the closed model.
        """
        context = self._context
        remaining = set(context.present)
        deadline = time.monotonic() + command.duration_s
        context.leaving.clear()
        context.reloads = ReloadShare(context.profile.reload_share)
        if command.arrival_rate is not None:
            return self._drive_open_model(command, command.arrival_rate, remaining, on_steady)
        if self._start(self._visitor, command.users, command.spawn_rate, deadline):
            on_steady(command.users)
        gevent.sleep(max(0.0, deadline - time.monotonic()))
        context.leaving.set()
        self._wait_for_users(remaining)
        return None

    def _drive_open_model(
        self, command: Drive, rate: float, remaining: set[GradioUser], on_steady: Callable[[int], None]
    ) -> ArrivalCounts:
        context, profile = self._context, self._context.profile
        limit = share_of_cap(profile.max_in_flight, command.place, command.workers)

        def start() -> ArrivalUser:
            # The greenlet begins when this one next waits, after the arrival has been set.
            (user,) = self._runner.spawn_users({self._arrival_user.__name__: 1})
            assert isinstance(user, ArrivalUser)
            return user

        due = schedule(
            rate,
            profile.arrivals,
            seed=str(context.seed),
            duration_s=command.duration_s,
            worker=command.place,
            workers=command.workers,
        )
        begin_ns = time.monotonic_ns()
        context.recorder.from_intended = True
        on_steady(0)
        counts = dispatch(
            due,
            begin_ns,
            clock=time.monotonic_ns,
            sleep=gevent.sleep,
            start=lambda intended_ns: self._arrivals.handle(intended_ns, limit, start),
            on_arrival=self._monitor.count,
        )
        gevent.sleep(max(0.0, command.duration_s - (time.monotonic_ns() - begin_ns) / 1e9))
        context.leaving.set()
        self._monitor.sample()
        self._arrivals.dismiss()
        self._wait_for_users(remaining)
        context.recorder.from_intended = False
        return counts

    def return_users(self, count: int) -> None:
        """Let the most recent visitors of the load phase return, and wait until they have left again.

        Args:
            count: how many return, if as many are remembered.
        """
        context = self._context
        remaining = set(context.present)
        context.leaving.clear()
        self._start(self._returning_user, context.recent_visitors.select(count), _HOLD_SPAWN_RATE)
        gevent.sleep(0)  # the greenlet of the last one begins now; only then is it present
        self._wait_for_users(remaining)
        context.leaving.set()

    def stop(self) -> None:
        """Stop all users at once; operations in progress stay without a completion."""
        self._runner.user_greenlets.kill(block=True, timeout=2.0)

    # --- users ---

    def _start(
        self, kind: type[ScenarioUser], count: int, spawn_rate: float, deadline: float = math.inf
    ) -> bool:
        """Start users one by one; False if the deadline passed before all had started.

        `runner.start` is not used: its target counts users that have ended by themselves as still present.
        """
        for number in range(count):
            if number:
                gevent.sleep(min(1.0 / spawn_rate, max(0.0, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                return False
            self._runner.spawn_users({kind.__name__: 1})
        return True

    def _wait_for_users(self, remaining: set[GradioUser]) -> None:
        """Wait until all users but the remaining ones have ended.

        If none of them ends for longer than one operation may take, those left are cut off.
        """
        present = self._context.present
        before, deadline = 0, math.inf
        while (waiting := len(present - remaining)) and time.monotonic() < deadline:
            if waiting != before:
                before, deadline = waiting, time.monotonic() + self._timeout_s + _CUT_OFF_MARGIN_S
            gevent.sleep(_POLL_S)
        for user in present - remaining:
            user.stop(force=True)
