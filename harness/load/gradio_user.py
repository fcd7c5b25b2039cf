"""Locust users that own a session."""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gevent
import gevent.lock
from locust import User
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import WorkerRunner

from harness import tokens
from harness.errors import StorageError
from harness.load.canary_scanner import Registry, SessionWatch
from harness.load.recorder import Recorder
from harness.load.returning_users import People, Share
from harness.load.session import LoadSession, SessionRetired
from harness.page.gradio_page import Browser, GradioPage
from harness.page.page_errors import PageMisuse
from harness.page.stock_client import StockPage
from harness.records import DRAIN_PHASE, LOAD_PHASE, Driver, Profile
from harness.run_dir import JsonLinesWriter
from harness.workload import Workload

# Gradio answers most when few ask at once, and its queue breaks when more than 2,000 sessions do.
_HOLDERS_AT_WORK = 8
# Who comes back to an app after its restart does not think for long, whatever the profile says.
_RETURN_THINK_S = 1.0
_RETURN_ACTS = 2
# So many in a row that got no answer at the end speak for all: thousands more would wait in vain, eight at a time.
_GIVE_UP_AFTER = 3 * _HOLDERS_AT_WORK


DRIVERS: dict[Driver, type[GradioPage] | type[StockPage]] = {"page": GradioPage, "stock": StockPage}


def _coming_back(task: Callable[[Any], None]) -> Callable[[Any], None]:
    """A task before which a user whose session was lost loads the page again."""

    @functools.wraps(task)
    def begin(user: GradioUser) -> None:
        user.come_back()
        task(user)

    return begin


class GradioUser(User):  # type: ignore[misc]
    """A Locust user with one browser tab, for use in a locustfile.

    The tab is opened when the user starts and closed when it stops. In tasks, record each operation:

        with self.session.operation("greet", {}):
            self.page.call("/greet", "hello")

    The history is written to `history_path`, if that is set.

    Attributes:
        host: root of the app, as everywhere in Locust.
        timeout_s: longest wait for one result.
        history_path: file for the operations, default: none is kept. Workers below a Locust master add their number to it.
        auth: user name and password, for an app that asks for a login.
    """

    abstract = True
    timeout_s: ClassVar[float] = 30.0
    history_path: ClassVar[str | None] = None
    auth: ClassVar[tuple[str, str] | None] = None

    _recorders: ClassVar[dict[Path, Recorder]] = {}
    _numbers: ClassVar[itertools.count[int]] = itertools.count(1)
    _people: ClassVar[itertools.count[int]] = itertools.count(1)
    _registry: ClassVar[Registry] = Registry(secrets.token_hex(2))

    page_class: ClassVar[type[GradioPage] | type[StockPage]] = GradioPage

    session: LoadSession
    _browser: Browser
    _person: int

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        tasks = type(self).tasks
        # Of this user alone: the class's list belongs to Locust, and to subclasses.
        self.__dict__["tasks"] = [t if isinstance(t, type) else _coming_back(t) for t in tasks]

    @property
    def page(self) -> Any:
        """The open tab."""
        return self.session.page

    def on_start(self) -> None:
        """Open the tab; if that fails, it is tried again before the first task."""
        with contextlib.suppress(SessionRetired):
            self.new_session("open")

    def come_back(self) -> None:
        """Load the page again if the session was lost, as a person would. Happens before each task; a nested TaskSet may call it."""
        session = getattr(self, "session", None)
        if session is not None and session.retired:
            session.close()
            with contextlib.suppress(SessionRetired):
                self.new_session("reload")

    def on_stop(self) -> None:
        """Close the tab."""
        if getattr(self, "session", None) is not None:
            self.session.close()

    def new_session(self, action: str) -> None:
        """Open a tab and make it this user's session.

        Args:
            action: `open`, or `reload` when the same person loads the page again.

        Raises:
            SessionRetired: it could not be opened.
        """
        if action == "open":
            self._become_somebody_else()
        self.session = self.make_session()
        self.session.open(action)

    def _become_somebody_else(self) -> None:
        self._browser = Browser()
        self._person = next(GradioUser._people)

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
        registry: Registry,
        *,
        worker: int,
        number: int,
        rng: random.Random,
        params: Mapping[str, str],
        auth: tuple[str, str] | None = None,
        account: int = 0,
    ) -> LoadSession:
        """Build a session that reports to Locust as this user; `auth` goes before the class's own, and is the run's `account`."""
        user = tokens.user_name(registry.run_tag, worker, self._person)
        # What belongs to a user belongs to the account, where there is one: others who use it see it, too.
        watch = SessionWatch(
            registry, worker=worker, number=number, user=f"account {account}" if account else user
        )
        return LoadSession(
            self.page_class(
                self.host,
                timeout_s=self.timeout_s,
                auth=auth or self.auth,
                browser=self._browser,
                watcher=watch,
            ),
            recorder,
            run_tag=registry.run_tag,
            worker=worker,
            number=number,
            rng=rng,
            params=params,
            user=user,
            account=account,
            watch=watch,
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


class Director:
    """Tells the users of one worker what to do in the current phase. Shared by all of them.

    Attributes:
        auth: user names and passwords, which sessions take in turn.
        on_misuse: told when the workload asks for what the page does not have, so that the run can end.
        role: what a user that starts now will do: `hold` a session, `visit` again and again, `answer` arrivals, or `return`.
        leaving: set when visitors must finish.
        releasing: set when holders must close their sessions.
        present: users that have started and not ended, visitors and holders.
        holding: those of them that hold a session with its state.
        turns: holders that may be at work at the same time; the others wait, so that thousands of them stay a bounded load.
        sessions: how many have begun.
        hold_failures: sessions of the current step that could not be opened or given their state.
        holders: those that hold a session with its state, in the order in which they began.
        unanswered: holders that acted once more, since the last one that got an answer.
        looked_around: somebody has asked the app, after the load, what it says of itself.
        idle: users with an open session that wait for an arrival, the longest waiting first.
        in_use: users that answer arrivals, idle or not.
        reloads: says who of those that leave loads the page again.
        people: those of the load phase who have left, and may come back.
    """

    def __init__(
        self,
        *,
        workload: type[Workload],
        recorder: Recorder,
        profile: Profile,
        run_tag: str,
        worker: int,
        seed: int,
        params: Mapping[str, str],
        auth: Sequence[tuple[str, str]] = (),
        on_misuse: Callable[[PageMisuse], None] = lambda _: None,
    ) -> None:
        self.workload = workload
        self.auth = auth
        self.on_misuse = on_misuse
        self.recorder = recorder
        self.registry = Registry(run_tag, workload.variables, workload.shared)
        self.profile = profile
        self.worker = worker
        self.seed = seed
        self.params = params
        self.role = "visit"
        self.leaving = gevent.event.Event()
        self.releasing = gevent.event.Event()
        self.open_sessions = 0
        self.present: set[GradioUser] = set()
        self.holding = 0
        self.holders: dict[ScenarioUser, Workload] = {}
        self.turns = gevent.lock.BoundedSemaphore(_HOLDERS_AT_WORK)
        self.hold_failures = 0
        self.unanswered = 0
        self.looked_around = False
        self.sessions = 0
        self.idle: deque[ScenarioUser] = deque()
        self.in_use = 0
        self.reloads = Share(profile.reload_share)
        self.people = People()
        self._numbers = itertools.count(1)
        self._users = itertools.count(1)

    def next_user_rng(self) -> random.Random:
        """Random numbers of the next user: the same for the same seed, worker and order of arrival."""
        return random.Random(f"{self.seed}/{self.worker}/{next(self._users)}")

    def next_session_number(self) -> int:
        """Number of the next session of this worker."""
        self.sessions = next(self._numbers)
        return self.sessions

    def act(self, times: int, duration_s: float) -> None:
        """Let the held sessions act so many times in all, in turn, and wait for it. One that is retired has had its last turn.

        Args:
            times: in all.
            duration_s: nobody begins after that.
        """
        deadline = time.monotonic() + duration_s
        while times > 0 and time.monotonic() < deadline:
            able = [(user, w) for user, w in self.holders.items() if not user.session.retired][:times]
            if not able:
                return
            times -= len(able)
            gevent.joinall([gevent.spawn(user.act_once, workload, deadline) for user, workload in able])

    def account(self, person: int) -> int:
        """Which of the logins a person uses, from 1 on: they are taken in turn. 0 if there are none."""
        return (person - 1) % len(self.auth) + 1 if self.auth else 0

    def login(self, person: int) -> tuple[str, str] | None:
        """The login of a person, None if there are none."""
        return self.auth[self.account(person) - 1] if self.auth else None


class ScenarioUser(GradioUser):
    """A person of a scenario: opens the page, does what the workload says, closes or reloads it, comes again.

    Attributes:
        arrival_ns: under the open model, the arrival that this user was started for.
    """

    abstract = True
    director: ClassVar[Director]
    arrival_ns: int | None = None
    _arrived = False
    _workload: Workload | None = None

    def on_start(self) -> None:
        """Nothing: sessions belong to visits."""
        self.rng = self.director.next_user_rng()
        self._action = "open"
        self.director.present.add(self)

    def on_stop(self) -> None:
        """Leave; sessions were closed where they ended."""
        self.director.present.discard(self)

    def make_session(self) -> LoadSession:
        """A session of this run."""
        director = self.director
        number = director.next_session_number()
        return self.session_with(
            director.recorder,
            director.registry,
            worker=director.worker,
            number=number,
            rng=self.rng,
            params=director.params,
            auth=director.login(self._person),
            account=director.account(self._person),
        )

    def live(self) -> None:
        """The user's one Locust task: its whole life."""
        if self.director.role == "hold":
            self._hold()
        elif self.director.role == "answer":
            try:
                self._answer_arrivals()
            finally:
                self.director.in_use -= 1
        elif self.director.role == "return":
            self._return()
        else:
            while not self.director.leaving.is_set():
                self._visit()
        raise StopUser()

    tasks: ClassVar[list[Any]] = [live]

    def _hold(self) -> None:
        """Open a session, give it its state, keep it; act once more before closing, to see that it is all there."""
        director = self.director
        try:
            with director.turns:
                workload = self._arrive()
        except SessionRetired:
            director.hold_failures += 1
            return
        if self.session.errors:
            # Open, but without all of its state: it would make sessions look cheaper than they are.
            director.hold_failures += 1
            self._leave()
            return
        self.session.rest()
        director.holding += 1
        director.holders[self] = workload
        try:
            director.releasing.wait()
            with director.turns:
                if director.unanswered < _GIVE_UP_AFTER:
                    director.unanswered += 1
                    self._attempt(workload.act)
                    director.unanswered = 0
                    if director.recorder.phase == DRAIN_PHASE and not director.looked_around:
                        director.looked_around = True
                        self.session.look_around()
        except SessionRetired:
            pass
        finally:
            director.holding -= 1
            del director.holders[self]
            self._leave()

    def act_once(self, workload: Workload, deadline: float) -> None:
        """Act in the session that is held, unless it is that late when the turn comes."""
        director = self.director
        with director.turns, contextlib.suppress(SessionRetired):
            if director.unanswered < _GIVE_UP_AFTER and time.monotonic() < deadline:
                director.unanswered += 1
                self._attempt(workload.act)
                director.unanswered = 0
                self.session.rest()

    def _visit(self) -> None:
        profile = self.director.profile
        try:
            workload = self._arrive()
            for _ in range(self._visit_length()):
                intended_ns = self._think(profile.think_s)
                if intended_ns is None:
                    break
                self._attempt(workload.act, intended_ns)
        except SessionRetired:
            self._action = "open"
            # A server in trouble must not be hammered with new sessions.
            self._pause(max(profile.think_s, 0.5))
        else:
            self._action = "reload" if self.director.reloads.take() else "open"
        finally:
            self._leave()

    def _answer_arrivals(self) -> None:
        """The open model: act once for each arrival that is handed to this user's session, until somebody leaves.

        An arrival that opened the session waits for that, and the wait belongs to it. Leaving, and loading the page again,
        take the session's own time and nobody's.
        """
        director = self.director
        intended_ns = self.arrival_ns
        while True:
            try:
                workload = self._arrive(intended_ns)
                # What `arrive` did, beside opening the page, is what this person came for.
                acted = self.session.operations > 1
                while True:
                    if intended_ns is not None:
                        if not acted:
                            self._attempt(workload.act, intended_ns)
                        if self.rng.random() * director.profile.actions_per_session < 1.0:
                            break
                    intended_ns, acted = self._next_arrival(), False
                    if intended_ns is None:
                        return
            except SessionRetired:
                return
            finally:
                self._leave()
            if director.leaving.is_set() or not director.reloads.take():
                return
            self._action, intended_ns = "reload", None

    def _return(self) -> None:
        """Come back to the app after its restart: load the page again in the browser of an earlier visit, and look around."""
        director = self.director
        self._person, self._browser = director.people.next()
        self._action = "reload"
        try:
            workload = self._arrive()
            for _ in range(_RETURN_ACTS):
                self._attempt(workload.act, self._think(min(director.profile.think_s, _RETURN_THINK_S)))
        except SessionRetired:
            pass
        finally:
            self._leave()

    def _next_arrival(self) -> int | None:
        """Be idle until an arrival is handed to this user: when it was due. None at the end of the phase."""
        if self.director.leaving.is_set():
            return None
        self._called = gevent.event.AsyncResult()
        self.director.idle.append(self)
        called: int | None = self._called.get()
        return called

    def answer(self, arrival_ns: int | None) -> None:
        """Hand an arrival to this idle user; None sends it home."""
        self._called.set(arrival_ns)

    def _arrive(self, intended_ns: int | None = None) -> Workload:
        if self._action == "open":
            self._become_somebody_else()
        self.session = self.make_session()
        self.director.open_sessions += 1
        self._opened = True
        self._arrived = False
        self._workload = None
        try:
            self.session.intended_ns = intended_ns
            self._open()
            try:
                workload = self._workload = self.director.workload(self.session)
            except Exception as error:
                self.session.workload_broke(error)
                raise SessionRetired(str(error)) from error
            self._attempt(workload.arrive, intended_ns)
        except BaseException:
            self._leave()
            raise
        self._arrived = True
        return workload

    def _open(self) -> None:
        try:
            self.session.open(self._action)
        except SessionRetired:
            if self.session.page.connected:
                # The app knows of this session all the same, and will notice that it leaves.
                with contextlib.suppress(Exception):
                    self._workload = self.director.workload(self.session)
            raise

    def _attempt(self, step: Callable[[], None], intended_ns: int | None = None) -> None:
        """Let the workload act; what its own code raises is written down, and retires the session.

        What no session can do with this app is told to the director, who ends the run.

        Args:
            step: what to do.
            intended_ns: when its first operation should begin, or should have begun; those after it follow from that one.
        """
        self.session.intended_ns = intended_ns
        try:
            step()
        except (SessionRetired, StorageError):
            raise
        except PageMisuse as error:
            if not self.session.retired:  # between two operations, so none has recorded it
                self.session.workload_broke(error)
            self.director.on_misuse(error)
            raise SessionRetired(str(error)) from error
        except Exception as error:
            self.session.workload_broke(error)
            raise SessionRetired(str(error)) from error
        finally:
            self.session.intended_ns = None

    def _leave(self) -> None:
        if getattr(self, "_opened", False):
            self._opened = False
            self.director.open_sessions -= 1
            if self._arrived and self.director.recorder.phase == LOAD_PHASE:
                self.director.people.leaves(self._person, self._browser)
            try:
                self.session.leave(self._workload)
            except PageMisuse as error:
                self.director.on_misuse(error)

    def _visit_length(self) -> int:
        """Actions of one visit: geometric with the profile's mean, as people leave at any moment."""
        mean = max(1.0, self.director.profile.actions_per_session)
        length = 1
        while self.rng.random() > 1.0 / mean:
            length += 1
        return length

    def _think(self, mean_s: float) -> int | None:
        """Think; when the user should then act, in monotonic nanoseconds. None if the phase ended meanwhile."""
        began_ns = time.monotonic_ns()
        if mean_s <= 0:
            # Users without a pause wait for their answers; a wait of no length would cost them a timer each.
            return None if self.director.leaving.is_set() else began_ns
        length_s = self.rng.uniform(0.5, 1.5) * mean_s
        if self.director.leaving.wait(length_s):
            return None
        return began_ns + round(length_s * 1e9)

    def _pause(self, mean_s: float) -> None:
        """Wait before the next visit, no longer than the phase lasts."""
        self._think(mean_s)
