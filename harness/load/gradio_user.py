"""Locust users with a page: `GradioUser`, for locustfiles and as the base of the users of a run."""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from locust import User
from locust.env import Environment
from locust.runners import WorkerRunner

from harness import tokens
from harness.load.canary_registry import CanaryRegistry
from harness.load.canary_scanner import SessionWatcher
from harness.load.recorder import Recorder
from harness.load.session import LoadSession, SessionRetired
from harness.page.browser import Browser
from harness.page.gradio_page import GradioPage
from harness.page.stock_client import StockPage
from harness.records import Driver
from harness.run_dir import JsonLinesWriter

DRIVERS: dict[Driver, type[GradioPage] | type[StockPage]] = {"page": GradioPage, "stock": StockPage}


def _reload_first(task: Callable[[Any], None]) -> Callable[[Any], None]:
    """The task, preceded by loading the page again if the user's session was lost."""

    @functools.wraps(task)
    def begin(user: GradioUser) -> None:
        user.come_back()
        task(user)

    return begin


class GradioUser(User):  # type: ignore[misc]
    """A Locust user with one page, for use in a locustfile.

    The page is opened when the user starts and closed when it stops. In tasks, record each operation:

        with self.session.operation("greet", {}):
            self.page.call("/greet", "hello")

    If `history_path` is set, the history is written there.

    Attributes:
        host: root of the app, as for every Locust user.
        timeout_s: longest wait for one result.
        history_path: file for the history; by default none is written. Workers below a Locust master add their number to it.
        auth: user name and password, for an app with a login.
    """

    abstract = True
    timeout_s: ClassVar[float] = 30.0
    history_path: ClassVar[str | None] = None
    auth: ClassVar[tuple[str, str] | None] = None

    _recorders: ClassVar[dict[Path, Recorder]] = {}
    _numbers: ClassVar[itertools.count[int]] = itertools.count(1)
    _user_numbers: ClassVar[itertools.count[int]] = itertools.count(1)
    _registry: ClassVar[CanaryRegistry] = CanaryRegistry(secrets.token_hex(2))

    page_class: ClassVar[type[GradioPage] | type[StockPage]] = GradioPage

    session: LoadSession
    _browser: Browser
    _user_number: int

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        tasks = type(self).tasks
        # On this user only: Locust and subclasses use the list of the class.
        self.__dict__["tasks"] = [t if isinstance(t, type) else _reload_first(t) for t in tasks]

    @property
    def page(self) -> Any:
        """The open page."""
        return self.session.page

    def on_start(self) -> None:
        """Open the page; if that fails, it is tried again before the first task."""
        with contextlib.suppress(SessionRetired):
            self.new_session("open")

    def come_back(self) -> None:
        """Load the page again if the session was lost. This happens before each task; a nested TaskSet may call it."""
        session = getattr(self, "session", None)
        if session is not None and session.retired:
            session.close()
            with contextlib.suppress(SessionRetired):
                self.new_session("reload")

    def on_stop(self) -> None:
        """Close the page."""
        if getattr(self, "session", None) is not None:
            self.session.close()

    def new_session(self, action: str) -> None:
        """Open a page as the new session of this user.

        Args:
            action: `open`, or `reload` when the same user loads the page again.

        Raises:
            SessionRetired: the page could not be opened.
        """
        if action == "open":
            self._become_new_user()
        self.session = self.make_session()
        self.session.open(action)

    def _become_new_user(self) -> None:
        self._browser = Browser()
        self._user_number = next(GradioUser._user_numbers)

    def make_session(self) -> LoadSession:
        """A session whose page is not open yet."""
        cls = GradioUser
        worker = max(0, getattr(self.environment.runner, "worker_index", 0))
        path = Path(self.history_path or "/dev/null")
        if self.history_path and isinstance(self.environment.runner, WorkerRunner):
            path = path.with_stem(f"{path.stem}-{worker}")
        if path not in cls._recorders:
            cls._recorders[path] = Recorder(JsonLinesWriter(path))
        return self.session_with(
            cls._recorders[path],
            cls._registry,
            worker=worker,
            number=next(cls._numbers),
            rng=random.Random(),
            params={},
        )

    def session_with(
        self,
        recorder: Recorder,
        registry: CanaryRegistry,
        *,
        worker: int,
        number: int,
        rng: random.Random,
        params: Mapping[str, str],
        auth: tuple[str, str] | None = None,
        account: int = 0,
    ) -> LoadSession:
        """Make a session that reports its requests to Locust as this user.

        Args:
            recorder: writes its operations.
            registry: tokens and secrets of the run.
            worker, number: name of the session, see `harness.tokens`.
            rng: its random numbers.
            params: the scenario's adjustable values.
            auth: user name and password, instead of those of the class.
            account: number of that login in the run, from 1 on; 0 if there is none.
        """
        user = tokens.user_name(registry.run_tag, worker, self._user_number)
        # With a login, state of a user belongs to the account: other users of the account may see it, too.
        watcher = SessionWatcher(
            registry, worker=worker, number=number, user=f"account {account}" if account else user
        )
        return LoadSession(
            self.page_class(
                self.host,
                timeout_s=self.timeout_s,
                auth=auth or self.auth,
                browser=self._browser,
                watcher=watcher,
            ),
            recorder,
            run_tag=registry.run_tag,
            worker=worker,
            number=number,
            rng=rng,
            params=params,
            user=user,
            account=account,
            watcher=watcher,
            on_request=self._report,
        )

    def _report(self, name: str, latency_ms: float, error: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type="gradio",
            name=name,
            response_time=latency_ms,
            response_length=0,
            exception=error,
            context={},
        )
