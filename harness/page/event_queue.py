"""Gradio's queue, as used by one page: events join the queue, and one stream brings the messages about all of them.

A greenlet that waits for an event reads the stream itself, as long as no other greenlet needs the stream. A separate reader
starts only when several events are in progress. So the usual case, one event at a time, needs no switch of greenlets.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import gevent
import gevent.event
import msgspec
from geventhttpclient.response import HTTPParseError

from harness.page import diffs
from harness.page.files import MARKS as FILE_MARKS
from harness.page.page_errors import OperationFailed, OperationUnknown
from harness.page.response_watcher import ResponseScanner
from harness.page.transport import EventStream, Transport

NewsKind = Literal["partial", "completed", "failed", "broken", "log"]
_SILENT = frozenset({"heartbeat", "estimation", "progress", "process_starts"})


class Event:
    """One queued event.

    Attributes:
        id: Gradio's name for it.
        fn_index: number of the dependency that it belongs to.
        accepted_ns, started_ns, first_output_ns, completed_ns: when the server had queued it, had started to work on it, and
            when its first partial output and its end had arrived; monotonic nanoseconds, None for a stage not reached.
        cancelled: its messages are ignored.
        files: whether its outputs may contain files.
        context: any object of its owner.
    """

    __slots__ = (
        "_partial",
        "accepted_ns",
        "cancelled",
        "completed_ns",
        "context",
        "files",
        "first_output_ns",
        "fn_index",
        "id",
        "inbox",
        "started_ns",
    )

    def __init__(self, inbox: Inbox, fn_index: int, context: Any) -> None:
        self.inbox = inbox
        self.fn_index = fn_index
        self.context = context
        self.id = ""
        self.accepted_ns: int | None = None
        self.started_ns: int | None = None
        self.first_output_ns: int | None = None
        self.completed_ns: int | None = None
        self.cancelled = False
        self.files = False
        self._partial: list[Any] | None = None

    def undiffed(self, data: list[Any], scanner: ResponseScanner) -> list[Any]:
        """The outputs of a partial message. Each message after the first contains diffs to the one before."""
        if self._partial is None:
            self._partial = data
        else:
            before = self._partial + [None] * (len(data) - len(self._partial))
            self._partial = [diffs.apply(old, edits) for old, edits in zip(before, data, strict=False)]
            margin = scanner.watcher.longest
            scanner.joints(
                self.fn_index,
                (
                    (place, text)
                    for place, (value, edits) in enumerate(zip(self._partial, data, strict=False))
                    for text in diffs.joints(value, edits, margin)
                ),
            )
        return self._partial


class News:
    """A message that the owner of an event must handle.

    Attributes:
        output: the message's `output` for `partial` and `completed`, its text for `failed`, the message itself for `log`,
            the error for `broken`.
    """

    __slots__ = ("event", "kind", "output")

    def __init__(self, event: Event, kind: NewsKind, output: Any) -> None:
        self.event = event
        self.kind = kind
        self.output = output


class Inbox:
    """Collects the news about some events for one waiting greenlet."""

    __slots__ = ("_arrived", "news")

    def __init__(self) -> None:
        self.news: deque[News] = deque()
        self._arrived: gevent.event.Event | None = None

    def put(self, news: News) -> None:
        """Add news."""
        self.news.append(news)
        self.wake()

    def wake(self) -> None:
        """Let the waiting greenlet check again."""
        if self._arrived is not None:
            self._arrived.set()

    def wait(self) -> None:
        """Wait for `put` or `wake`."""
        self._arrived = self._arrived or gevent.event.Event()
        self._arrived.clear()
        if not self.news:
            self._arrived.wait()


class EventQueue:
    """The queue of one session.

    Args:
        prefix: of the app's API, `gradio_api/` or empty.
        diffed: whether partial outputs come as diffs.
        on_unknown_message: called about a message that no known version of Gradio sends.
        scanner: scans every message.
    """

    def __init__(
        self,
        transport: Transport,
        prefix: str,
        session_hash: str,
        *,
        diffed: bool,
        on_unknown_message: Callable[[str], None],
        scanner: ResponseScanner,
    ) -> None:
        self._transport = transport
        self._join_path = f"{prefix}queue/join"
        self._stream_path = f"{prefix}queue/data?session_hash={session_hash}"
        self._diffed = diffed
        self._on_unknown_message = on_unknown_message
        self._scanner = scanner
        self._stream: EventStream | None = None
        self._pending: dict[str, Event] = {}
        self._early: dict[str, list[tuple[int, bytes, dict[str, Any]]]] = {}
        self._joining = 0
        self._messages_read = 0
        self._reading = False
        self._reader: gevent.Greenlet | None = None

    def join(self, body: dict[str, Any], inbox: Inbox, context: Any = None) -> Event:
        """Let an event join the queue.

        Args:
            body: `fn_index`, `data` and the other fields of the request.
            inbox: receives the news about the event.

        Raises:
            OperationFailed: the server refused it. `OperationFailed.__cause__` is `Invalid` for invalid input.
            OperationUnknown: there was no valid answer.
        """
        if self._pending:
            self._start_reader()
        event = Event(inbox, body["fn_index"], context)
        self._joining += 1
        try:
            status, answer = self._transport.post(self._join_path, body)
        finally:
            self._joining -= 1
            early = self._early
            if self._joining == 0:
                self._early = {}  # the remaining messages belong to abandoned events
        if status != 200:
            raise _refused(status, answer)
        event.accepted_ns = time.monotonic_ns()
        try:
            event.id = msgspec.json.decode(answer, type=_Accepted).event_id
        except msgspec.DecodeError as error:
            raise OperationUnknown("protocol", f"queue/join: {error}") from error
        self._pending[event.id] = event
        # A message can overtake the answer to the request that created its event.
        for arrived_ns, line, message in early.pop(event.id, ()):
            self._digest(event, arrived_ns, line, message)
        return event

    def wait(self, inbox: Inbox, done: Callable[[], bool]) -> None:
        """Wait until there is news in the inbox, or until `done` returns true."""
        while not inbox.news and not done():
            if self._reading:
                inbox.wait()
            else:
                self._read(lambda: bool(inbox.news) or done())
        if self._pending:
            self._start_reader()

    def abandon(self, events: Callable[[Event], bool]) -> None:
        """Forget events that no greenlet waits for any more."""
        for event in [event for event in self._pending.values() if events(event)]:
            del self._pending[event.id]

    def close(self) -> None:
        """Stop reading. Greenlets that still wait get an error: the page was closed."""
        if self._reader is not None:
            self._reader.kill(block=False)
            self._reader = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._fail_pending(OperationUnknown("connection", "the page was closed"))

    # --- reading ---

    def _start_reader(self) -> None:
        """Read in the background, so that messages that arrive meanwhile get their true times."""
        if not self._reading:
            self._reading = True
            self._reader = gevent.spawn(self._read_all)

    def _read_all(self) -> None:
        self._reading = False
        self._read(lambda: not self._pending)
        self._reader = None

    def _read(self, enough: Callable[[], bool]) -> None:
        """Read the stream until `enough` returns true, opening it again whenever the server closes it."""
        self._reading = True
        try:
            while not enough():
                fresh = self._stream is None or self._stream.closed
                if self._stream is None or fresh:
                    self._stream = self._open()
                self._stream.parked = False
                read_before = self._messages_read
                try:
                    in_order = self._follow(self._stream, enough)
                except (OSError, HTTPParseError):
                    if fresh or self._messages_read > read_before:
                        raise
                    in_order = False
                if in_order:
                    continue
                self._close_stream()
                # A stream from an earlier event may have ended unnoticed; that is no failure of this event.
                if self._pending and (fresh or self._messages_read > read_before):
                    raise OperationUnknown("connection", "the event stream ended before the result arrived")
        except (OSError, HTTPParseError, msgspec.DecodeError, ValueError) as error:
            self._close_stream()
            self._fail_pending(
                OperationUnknown("connection", f"the event stream broke: {error or type(error).__name__}")
            )
        except OperationUnknown as error:
            self._close_stream()
            self._fail_pending(error)
        except OperationFailed as error:
            self._fail_pending(OperationUnknown("connection", str(error)))
        finally:
            self._reading = False
            if self._stream is not None and not self._pending:
                self._stream.park()
            # Other greenlets may have relied on this one to read.
            for event in self._pending.values():
                event.inbox.wake()

    def _open(self) -> EventStream:
        stream = self._transport.stream(self._stream_path)
        if stream.status != 200:
            status = stream.status
            stream.close()
            raise OperationUnknown("protocol", f"queue/data answered {status}")
        return stream

    def _follow(self, stream: EventStream, enough: Callable[[], bool]) -> bool:
        """Handle messages until `enough` returns true or the server closes the stream.

        Returns:
            False if the stream ended without being closed by a message.

        Raises:
            OSError, HTTPParseError: the connection broke.
            OperationUnknown: the server reports an error of the session or of itself.
        """
        for arrived_ns, line, message in stream.messages():
            kind = _kind(message)
            if kind == "close_stream":
                stream.finish()
                self._stream = None
                return True
            event_id = message.get("event_id")
            if event_id is not None:
                event = self._pending.get(event_id)
                if event is not None:
                    self._digest(event, arrived_ns, line, message)
                elif self._joining:
                    self._early.setdefault(event_id, []).append((arrived_ns, line, message))
                else:
                    self._scanner.message(None, line, message)
            elif kind == "unexpected_error":
                self._scanner.message(None, line, message)
                text = message.get("message") or "no reason given"
                raise OperationUnknown("protocol", f"the server reports an unexpected error: {text}")
            elif kind not in _SILENT:
                self._scanner.message(None, line, message)
                self._on_unknown_message(f"a message of the unknown kind {kind!r} without an event")
            if enough():
                return True
        return False

    def _digest(self, event: Event, arrived_ns: int, line: bytes, message: dict[str, Any]) -> None:
        self._messages_read += 1
        kind = message["msg"]
        if not event.files:
            event.files = FILE_MARKS[0] in line or FILE_MARKS[1] in line
        self._scanner.message(event.fn_index, line, message)
        if kind == "process_starts":
            event.started_ns = arrived_ns
        elif kind == "process_completed":
            output = _output(message)
            event.completed_ns = arrived_ns
            del self._pending[event.id]
            if not message.get("success", True) or "error" in output:
                event.inbox.put(News(event, "failed", output.get("error")))
            else:
                self._scanner.outputs(event.fn_index, output.get("data") or (), "the result")
                event.inbox.put(News(event, "completed", output))
        elif kind in ("process_generating", "process_streaming"):
            if not message.get("success", True):
                return  # the completion message follows, repeats the error and ends the event
            output = _output(message)
            event.first_output_ns = event.first_output_ns or arrived_ns
            if self._diffed and kind == "process_generating":
                output = {**output, "data": event.undiffed(output.get("data") or [], self._scanner)}
            self._scanner.outputs(event.fn_index, output.get("data") or (), "a partial output")
            event.inbox.put(News(event, "partial", output))
        elif kind == "log":
            event.inbox.put(News(event, "log", message))
        elif kind == "unexpected_error":
            del self._pending[event.id]
            text = message.get("message") or "no reason given"
            error = OperationUnknown("protocol", f"the server reports an unexpected error: {text}")
            event.inbox.put(News(event, "broken", error))
        elif kind not in _SILENT:
            self._on_unknown_message(f"a message of the unknown kind {kind!r} about an event")

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _fail_pending(self, error: OperationUnknown) -> None:
        pending, self._pending = self._pending, {}
        for event in pending.values():
            event.inbox.put(News(event, "broken", error))


class _Accepted(msgspec.Struct):
    """The answer to `queue/join`."""

    event_id: str


def _kind(message: Any) -> str:
    kind = message.get("msg") if isinstance(message, dict) else None
    if not isinstance(kind, str):
        raise OperationUnknown("protocol", f"not a message of Gradio: {str(message)[:100]}")
    return kind


def _output(message: dict[str, Any]) -> dict[str, Any]:
    output = message.get("output") or {}
    if not isinstance(output, dict) or not isinstance(output.get("data") or [], list):
        raise OperationUnknown("protocol", f"not an output of Gradio: {str(output)[:100]}")
    return output


class Invalid(Exception):
    """The server's validators refused the input of an event."""


def _refused(status: int, answer: bytes) -> Exception:
    text = answer.decode("utf-8", "replace")[:300]
    if status == 503:
        return OperationFailed("rejected", f"the queue is full or stopped (503): {text}")
    if status == 422:
        refusal = OperationFailed("rejected", f"the input is not valid (422): {text}")
        refusal.__cause__ = Invalid(text)
        return refusal
    if status == 429:
        return OperationFailed("rejected", f"the server limits the rate of requests (429): {text}")
    if status < 500:
        return OperationFailed("rejected", f"queue/join answered {status}: {text}")
    return OperationUnknown("protocol", f"queue/join answered {status}: {text}")
