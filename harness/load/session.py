"""A session in use: one page, its name in the history, and the operations that happen in it."""

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
    """An operation ended as `info`: what the server holds for this session is not known any more."""


def _asked_by_leaving(workload: Workload) -> Mapping[str, Effect]:
    effects: Any = workload.leave()
    if not isinstance(effects, Mapping):
        raise TypeError(f"leave() returned {effects!r}, not the effects of closing the tab by state variable")
    workload.check_effects("close", effects)
    return effects


def _rank(error: BaseException) -> int:
    """Which of several errors tells most: where one has retired the session, the others only met with that."""
    order = (StorageError, PageMisuse)
    return next(
        (n for n, kind in enumerate(order) if isinstance(error, kind)), 2 + isinstance(error, SessionRetired)
    )


class LoadSession:
    """What a workload acts in. See `harness.workload.Session`.

    Args:
        page: the tab, not yet open.
        recorder: where operations are written.
        run_tag, worker, number: name of the session, see `harness.tokens`.
        rng: random numbers of this session.
        params: the scenario's adjustable values.
        user: the person's name, which a reload keeps.
        account: which of the run's logins that person uses, from 1 on; 0 if none.
        watcher: scan at what the server sends to the page.
        on_request: called after each operation with its name, latency in ms, and error, for Locust's own statistics.

    Attributes:
        intended_ns: when the next operation should begin, monotonic nanoseconds; whoever decides that sets it before, and
            the operation takes it away. None where nobody did.
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
        """From now on, no response of the server may hold this text.

        Raises:
            ValueError: it is so short that it may stand anywhere.
        """
        self._watcher.secret(text)

    def open(self, action: str) -> None:
        """Open the page, as an operation of that name (`open` or `reload`).

        Raises:
            SessionRetired: it could not be opened; the history says why.
        """
        with self.operation(action, {}):
            self.page.open()
        if self.errors:
            raise SessionRetired(action)

    def rest(self) -> None:
        """Leave the tab alone: what is held is a page that is open, and not by chance a connection or two beside it."""
        if isinstance(self.page, GradioPage):
            self.page.rest()

    def look_around(self) -> None:
        """Look at what the app says of itself after all that has happened, as an operation.

        Raises:
            SessionRetired: nobody knows what it says.
        """
        if isinstance(self.page, GradioPage):
            with self.operation("look-around", {}):
                self.page.look_around()

    def at_once(self, actions: Sequence[Callable[[], None]]) -> None:
        """Do several actions at the same time, each in a greenlet of its own, and wait until all have ended.

        They begin in the order given; `intended_ns` belongs to the first of their operations.

        Raises:
            StorageError, PageMisuse, SessionRetired, or whatever the workload raised: by one of them. Of several, the
                one that says most about why.
        """
        greenlets = [gevent.spawn(self._apart, action) for action in actions]
        try:
            gevent.joinall(greenlets)
        finally:
            # If the user is stopped in the middle, so is all that it does.
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
            except BaseException as error:  # for whoever waits for it
                return error
        return None

    def close(self, effects: Mapping[str, Effect] = _NOTHING) -> None:
        """Close the tab, as an operation that asks this of the state."""
        with self.operation("close", effects):
            self.page.close()

    def leave(self, workload: Workload | None) -> None:
        """Close the tab; what that asks of the state, the workload says. The tab is closed whatever it says.

        Args:
            workload: None if this session never had one.

        Raises:
            PageMisuse: the workload asks for what the page does not have.
        """
        effects = _NOTHING
        misuse: PageMisuse | None = None
        try:
            if workload is not None:
                effects = _asked_by_leaving(workload)
        except (SessionRetired, StorageError):
            pass  # told already, by the operation that raised it
        except Exception as error:
            self.workload_broke(error)
            misuse = error if isinstance(error, PageMisuse) else None
        finally:
            self.close(effects)
        if misuse is not None:
            raise misuse

    def workload_broke(self, error: Exception) -> None:
        """Record that the scenario's own code raised between two operations, so that it cannot go unnoticed."""
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

    @contextmanager
    def operation(self, name: str, effects: Mapping[str, Effect]) -> Iterator[dict[str, Any]]:
        """Record one operation: its invoke on entry, its completion on exit.

        A failure that the server reported ends here, so that the visit goes on as a person would.

        Raises:
            SessionRetired: nobody knows what happened.
            PageMisuse: the workload asks for what the page does not have; nothing was sent.
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
            self.errors += 1
            span = self.page.span
            # What was refused did not run; but another event of the same operation may have run before.
            begun = error.kind == "rejected" and (span.event_ids or span.accepted_ns is not None)
            kind: Any = "partly" if begun else error.kind
            self._recorder.fail(operation, Error(kind=kind, message=str(error)), span, self._watcher.take())
            self._on_request(name, 0.0, error)
        except OperationUnknown as error:
            self.errors += 1
            self.retired = True
            why = Error(kind=error.kind, message=str(error))
            self._recorder.info(operation, why, self.page.span, self._watcher.take())
            self._on_request(name, 0.0, error)
            raise SessionRetired(str(error)) from error
        except (SessionRetired, StorageError):
            raise
        except PageMisuse as error:
            # Every session would make the same mistake: whoever drives this one is told, and ends it all.
            self._workload_broke(operation, name, error)
            raise
        except Exception as error:
            self._workload_broke(operation, name, error)
            raise SessionRetired(str(error)) from error
        except BaseException:
            # The user was stopped in the middle: the invoke stays without a completion, which says just that.
            raise
        else:
            scan = self._watcher.take()
            latency_ns = self._recorder.ok(operation, since_ns, reads, self.page.span, scan, self._readings)
            self._on_request(name, latency_ns / 1e6, None)
