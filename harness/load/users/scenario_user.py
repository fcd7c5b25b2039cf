"""What all kinds of simulated users have in common: arriving, acting, thinking, leaving."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, ClassVar, Self

from locust.exception import StopUser

from harness.errors import StorageError
from harness.load.gradio_user import GradioUser
from harness.load.session import LoadSession, SessionRetired
from harness.load.users.run_context import RunContext
from harness.page.gradio_page import GradioPage
from harness.page.page_errors import PageMisuse
from harness.page.stock_client import StockPage
from harness.records import LOAD_PHASE
from harness.workload import Workload


class ScenarioUser(GradioUser):
    """A user of a scenario. Subclasses say in `use_app` when it opens the page, acts and leaves."""

    abstract = True
    run_context: ClassVar[RunContext]
    _arrived = False
    _workload: Workload | None = None

    @classmethod
    def for_run(
        cls,
        context: RunContext,
        *,
        url: str,
        timeout_s: float,
        page_class: type[GradioPage] | type[StockPage],
        **attributes: Any,
    ) -> type[Self]:
        """Make the Locust user class of this kind for one run.

        Args:
            context: shared by all users of the process.
            url: root of the app.
            timeout_s: longest wait for one result.
            page_class: page or stock client.
            attributes: further class attributes that this kind of user needs.
        """
        return type(
            cls.__name__,
            (cls,),
            {
                "abstract": False,
                "run_context": context,
                "host": url,
                "timeout_s": timeout_s,
                "page_class": page_class,
                **attributes,
            },
        )

    def use_app(self) -> None:
        """Everything that this user does, from its first page to its last. Every kind of user overrides this."""
        raise NotImplementedError

    def on_start(self) -> None:
        """Register; the pages are opened in `use_app`."""
        self.rng = self.run_context.next_user_rng()
        self._action = "open"
        self.run_context.present.add(self)

    def on_stop(self) -> None:
        """Unregister; `use_app` has closed the pages."""
        self.run_context.present.discard(self)

    def live(self) -> None:
        """The user's only Locust task."""
        self.use_app()
        raise StopUser()

    tasks: ClassVar[list[Any]] = [live]

    def make_session(self) -> LoadSession:
        """A session of this run."""
        context = self.run_context
        return self.session_with(
            context.recorder,
            context.registry,
            worker=context.worker,
            number=context.next_session_number(),
            rng=self.rng,
            params=context.params,
            auth=context.login(self._user_number),
            account=context.account(self._user_number),
        )

    # --- the steps of a visit ---

    def _arrive(self, intended_ns: int | None = None) -> Workload:
        """Open the page and let the workload arrive.

        Args:
            intended_ns: when opening should have begun, monotonic nanoseconds; None if no schedule decided that.

        Raises:
            SessionRetired: the page could not be opened, or the workload could not arrive.
        """
        if self._action == "open":
            self._become_new_user()
        self.session = self.make_session()
        self.run_context.open_sessions += 1
        self._opened = True
        self._arrived = False
        self._workload = None
        try:
            self.session.intended_ns = intended_ns
            self._open_page()
            try:
                workload = self._workload = self.run_context.workload(self.session)
            except Exception as error:
                self.session.workload_broke(error)
                raise SessionRetired(str(error)) from error
            self._attempt(workload.arrive, intended_ns)
        except BaseException:
            self._leave()
            raise
        self._arrived = True
        return workload

    def _open_page(self) -> None:
        try:
            self.session.open(self._action)
        except SessionRetired:
            if self.session.page.connected:
                # The app knows this session and will notice that it closes, so the workload must say what closing does.
                with contextlib.suppress(Exception):
                    self._workload = self.run_context.workload(self.session)
            raise

    def _attempt(self, step: Callable[[], None], intended_ns: int | None = None) -> None:
        """Let the workload act. An exception of its own code is recorded and retires the session.

        Args:
            step: the method of the workload.
            intended_ns: when its first operation should begin, or should have begun. Operations after the first have no
                intended time.

        Raises:
            SessionRetired: the outcome of an operation is unknown, or the workload raised. A `PageMisuse` has been
                reported to the run as well, which ends.
        """
        self.session.intended_ns = intended_ns
        try:
            step()
        except (SessionRetired, StorageError):
            raise
        except PageMisuse as error:
            if not self.session.retired:  # raised between two operations, so no operation has recorded it
                self.session.workload_broke(error)
            self.run_context.on_misuse(error)
            raise SessionRetired(str(error)) from error
        except Exception as error:
            self.session.workload_broke(error)
            raise SessionRetired(str(error)) from error
        finally:
            self.session.intended_ns = None

    def _leave(self) -> None:
        """Close the page, unless it is closed already."""
        if not getattr(self, "_opened", False):
            return
        self._opened = False
        context = self.run_context
        context.open_sessions -= 1
        if self._arrived and context.recorder.phase == LOAD_PHASE:
            context.recent_visitors.remember(self._user_number, self._browser)
        try:
            self.session.leave(self._workload)
        except PageMisuse as error:
            context.on_misuse(error)

    def _think(self, mean_s: float) -> int | None:
        """Wait for the think time, half to one and a half times the mean.

        Returns:
            When the next action should begin, monotonic nanoseconds; None if the phase ended meanwhile.
        """
        began_ns = time.monotonic_ns()
        if mean_s <= 0:
            # Without think time a user waits for its results anyway; waiting for zero seconds would cost a timer each time.
            return None if self.run_context.leaving.is_set() else began_ns
        length_s = self.rng.uniform(0.5, 1.5) * mean_s
        if self.run_context.leaving.wait(length_s):
            return None
        return began_ns + round(length_s * 1e9)
