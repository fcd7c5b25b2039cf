"""One session of the load: its page, its name in the history, and the record of its operations."""

from __future__ import annotations

import itertools
import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import gevent

from harness import tokens
from harness.errors import StorageError
from harness.history.list_delta import Shortener
from harness.load.canary_scanner import SessionWatcher
from harness.load.recorder import Recorder
from harness.page.gradio_page import GradioPage
from harness.page.page_errors import OperationFailed, OperationUnknown, PageMisuse
from harness.page.stock_client import StockPage
from harness.records import Effect, Error
from harness.workload import Workload

_NOTHING: Mapping[str, Effect] = {}


class SessionRetired(Exception):
    """An operation ended as `info`, so the state that the server holds for this session is unknown."""


def _effects_of_closing(workload: Workload) -> Mapping[str, Effect]:
    effects: Any = workload.leave()
    if not isinstance(effects, Mapping):
        raise TypeError(
            f"leave() returned {effects!r}, not the effects of closing the page by state variable"
        )
    workload.check_effects("close", effects)
    return effects


def _rank(error: BaseException) -> int:
    """Which of several errors explains most, 0 first. `SessionRetired` comes last: it only follows from another error."""
    order = (StorageError, PageMisuse)
    return next(
        (n for n, kind in enumerate(order) if isinstance(error, kind)), 2 + isinstance(error, SessionRetired)
    )


class LoadSession:
    """The session that a workload acts in. See `harness.workload.Session`.

    Args:
        page: its page, not yet open.
        recorder: writes its operations.
        run_tag, worker, number: name of the session, see `harness.tokens`.
        rng: random numbers of this session.
        params: the scenario's adjustable values.
        user: the user's name, which a reload keeps.
        account: which of the run's logins the user has, from 1 on; 0 if none.
        watcher: searches the responses to the page.
        on_request: called after each operation with its name, latency in ms, and error, for Locust's own statistics.

    Attributes:
        intended_ns: when the next operation should begin, monotonic nanoseconds; None without a schedule. It is set before
            the operation, which resets it.
    """

    def __init__(
        self,
        page: GradioPage | StockPage,
        recorder: Recorder,
        *,
        run_tag: str,
        worker: int,
        number: int,
        rng: random.Random,
        params: Mapping[str, str],
        user: str,
        account: int = 0,
        watcher: SessionWatcher,
        on_request: Callable[[str, float, Exception | None], None],
    ) -> None:
        self.page = page
        self.random = rng
        self.params = params
        self.user = user
        self._account = account
        self.id = tokens.session_id(worker, number)
        self._recorder = recorder
        self._watcher = watcher
        self._run_tag = run_tag
        self._worker = worker
        self._number = number
        self._writes = itertools.count(1)
        self._readings = Shortener()
        self._on_request = on_request
        self.errors = 0
        self.operations = 0
        self.retired = False
        self.intended_ns: int | None = None

    def token(self) -> str:
        """A new value that names this session and no other write."""
        return tokens.mint(self._run_tag, self._worker, self._number, next(self._writes))

    def secret(self, text: str) -> None:
        """Declare a secret: from now on no response to any session may contain this text.

        Raises:
            ValueError: the text is so short that it may occur by chance.
        """
        self._watcher.secret(text)

    def open(self, action: str) -> None:
        """Open the page, and record that as an operation.

        Args:
            action: name of the operation, `open` or `reload`.

        Raises:
            SessionRetired: the page could not be opened; the history contains the reason.
        """
        with self.operation(action, {}):
            self.page.open()
        if self.errors:
            raise SessionRetired(action)

    def rest(self) -> None:
        """Close idle connections, so that the measured session is only an open page."""
        if isinstance(self.page, GradioPage):
            self.page.rest()

    def look_around(self) -> None:
        """Search the app's current description of itself, and record that as an operation.

        Raises:
            SessionRetired: the description could not be fetched.
        """
        if isinstance(self.page, GradioPage):
            with self.operation("look-around", {}):
                self.page.look_around()

    def at_once(self, actions: Sequence[Callable[[], None]]) -> None:
        """Do several actions at the same time, each in its own greenlet, and wait until all have ended.

        They begin in the order given; `intended_ns` applies to the first of their operations.

        Raises:
            StorageError, PageMisuse, SessionRetired, or an error of the workload: raised by one of the actions. Of several
                errors, the one that explains most.
        """
        greenlets = [gevent.spawn(self._apart, action) for action in actions]
        try:
            gevent.joinall(greenlets)
        finally:
            # If the user is stopped meanwhile, its actions must be stopped as well.
            gevent.killall(greenlets)
        errors = [error for greenlet in greenlets if (error := greenlet.value) is not None]
        errors = [error for error in errors if not isinstance(error, gevent.GreenletExit)]
        if errors:
            raise min(errors, key=_rank)

    def _apart(self, action: Callable[[], None]) -> BaseException | None:
        with self.page.apart():
            try:
                action()
            except gevent.GreenletExit:
                raise
            except BaseException as error:  # raised again by `at_once`
                return error
        return None

    def close(self, effects: Mapping[str, Effect] = _NOTHING) -> None:
        """Close the page, and record that as an operation with these effects on the state."""
        with self.operation("close", effects):
            self.page.close()

    def leave(self, workload: Workload | None) -> None:
        """Close the page, with the effects that the workload declares for closing. If it raises, the page is closed all the same.

        Args:
            workload: None if this session never had one.

        Raises:
            PageMisuse: the workload used something that the page does not have.
        """
        effects = _NOTHING
        misuse: PageMisuse | None = None
        try:
            if workload is not None:
                effects = _effects_of_closing(workload)
        except (SessionRetired, StorageError):
            pass  # the operation that raised it has recorded it
        except Exception as error:
            self.workload_broke(error)
            misuse = error if isinstance(error, PageMisuse) else None
        finally:
            self.close(effects)
        if misuse is not None:
            raise misuse

    def workload_broke(self, error: Exception) -> None:
        """Record an exception that the scenario's code raised between two operations."""
        operation, _ = self._recorder.invoke(self.id, "workload", {})
        self._workload_broke(operation, "workload", error)

    def _workload_broke(self, operation: int, name: str, error: Exception) -> None:
        self.errors += 1
        self.retired = True
        text = f"{type(error).__name__}: {error}"
        for where in traceback.extract_tb(error.__traceback__)[-1:]:
            text += f" ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
        self._recorder.info(operation, Error(kind="workload", message=text), scan=self._watcher.take())
        self._on_request(name, 0.0, error)
        traceback.print_exception(error)

    def _record_failure(self, operation: int, name: str, error: OperationFailed) -> None:
        self.errors += 1
        span = self.page.span
        # The refused event did not run, but an earlier event of the same operation may have run.
        begun = error.kind == "rejected" and (span.event_ids or span.accepted_ns is not None)
        kind: Any = "partly" if begun else error.kind
        self._recorder.fail(operation, Error(kind=kind, message=str(error)), span, self._watcher.take())
        self._on_request(name, 0.0, error)

    def _record_unknown(self, operation: int, name: str, error: OperationUnknown) -> None:
        self.errors += 1
        self.retired = True
        reason = Error(kind=error.kind, message=str(error))
        self._recorder.info(operation, reason, self.page.span, self._watcher.take())
        self._on_request(name, 0.0, error)

    @contextmanager
    def operation(self, name: str, effects: Mapping[str, Effect]) -> Iterator[dict[str, Any]]:
        """Record one operation: its invoke on entry, its completion on exit.

        A failure that the server reported is recorded and not raised: a user would go on as well.

        Args:
            name: name of the operation.
            effects: its effects on the state, by variable.

        Yields:
            The reads, by variable; filled in by the caller.

        Raises:
            SessionRetired: the outcome is unknown.
            PageMisuse: the workload used something that the page does not have; nothing was sent.
        """
        if self.retired and name != "close":
            raise SessionRetired(
                f"session {self.id} is retired: an operation before {name!r} has an unknown outcome"
            )
        self.operations += 1
        self._watcher.wrote(effects)
        intended_ns, self.intended_ns = self.intended_ns, None
        operation, since_ns = self._recorder.invoke(
            self.id,
            name,
            effects,
            None if name == "close" else intended_ns,
            user=self.user if name in ("open", "reload") else "",
            account=self._account if name in ("open", "reload") else 0,
        )
        reads: dict[str, Any] = {}
        self.page.span = type(self.page.span)()
        try:
            yield reads
        except OperationFailed as error:
            self._record_failure(operation, name, error)
        except OperationUnknown as error:
            self._record_unknown(operation, name, error)
            raise SessionRetired(str(error)) from error
        except (SessionRetired, StorageError):
            raise
        except PageMisuse as error:
            # Every session would make the same mistake, so the caller ends the run.
            self._workload_broke(operation, name, error)
            raise
        except Exception as error:
            self._workload_broke(operation, name, error)
            raise SessionRetired(str(error)) from error
        except BaseException:
            # The user was stopped: an invoke without a completion means exactly that.
            raise
        else:
            scan = self._watcher.take()
            latency_ns = self._recorder.ok(operation, since_ns, reads, self.page.span, scan, self._readings)
            self._on_request(name, latency_ns / 1e6, None)
