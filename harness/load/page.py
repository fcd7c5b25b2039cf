"""GradioPage: one browser tab, which to Gradio is one session.

gradio_client stays the authority on Gradio's protocol: configuration, endpoints, files, session hash, output
processing. Transport and waiting are replaced, because its own poll every 50 ms and open two connections per call.
"""

from __future__ import annotations

import time
from typing import Any

import gevent
import gevent.event
import msgspec
from geventhttpclient.response import HTTPParseError
from gradio_client import Client
from gradio_client.client import Endpoint
from gradio_client.utils import construct_args

from harness.load.outcomes import OperationFailed, OperationUnknown
from harness.load.transport import EventStream, Transport

# Config and endpoint descriptions are the same for every tab of an app: decode them once per process.
_decoded: dict[bytes, dict[str, Any]] = {}


class Timing(msgspec.Struct):
    """When the last call reached its stages, monotonic nanoseconds.

    Attributes:
        accepted_ns: the server had queued it.
        started_ns: the server said that it had started to work on it.
        completed_ns: its result had arrived on the socket.
    """

    accepted_ns: int | None = None
    started_ns: int | None = None
    completed_ns: int | None = None


class _Event:
    """One queued event and the messages about it."""

    def __init__(self) -> None:
        self.timing = Timing()
        self.result: gevent.event.AsyncResult = gevent.event.AsyncResult()

    def take(self, arrived_ns: int, message: dict[str, Any]) -> bool:
        """Digest one message; True if it was the last one."""
        kind = message["msg"]
        if kind == "process_starts":
            self.timing.started_ns = arrived_ns
        elif kind == "process_completed":
            self.timing.completed_ns = arrived_ns
            self.result.set(message)
            return True
        return False


class _Protocol(Client):  # type: ignore[misc]
    """gradio_client with our transport: what it fetches at construction comes from the tab's own connection."""

    def __init__(self, url: str, transport: Transport) -> None:
        self._transport = transport
        self.wants_heartbeat = False
        super().__init__(
            url,
            token=False,  # never send the tester's own Hugging Face token to the app
            verbose=False,
            download_files=False,
            ssl_verify=False,  # a TLS context per client costs 25 ms, and http:// has no use for it
            analytics_enabled=False,
        )

    def _get_config(self) -> dict[str, Any]:
        config = dict(_fetch(self._transport, "config"))
        self.wants_heartbeat = bool(config.get("connect_heartbeat", True))
        # The parent class would start a thread of its own, and end it only at the server's next heartbeat.
        config["connect_heartbeat"] = False
        return config

    def _get_api_info(self) -> dict[str, Any]:
        prefix = self.api_prefix.lstrip("/")
        # Not something that a browser asks for, so it is asked once per process.
        key = f"{self.src_prefixed}info".encode()
        if key not in _decoded:
            _decoded[key] = _fetch(self._transport, f"{prefix}info?serialize=False")
        return _decoded[key]


def _fetch(transport: Transport, path: str) -> dict[str, Any]:
    status, body = transport.get(path)
    if status == 429:
        raise OperationFailed("rejected", "the server limits the rate of requests (429)")
    if status != 200:
        raise OperationFailed("rejected", f"GET {path} answered {status}")
    if body not in _decoded:
        _decoded[body] = msgspec.json.decode(body)
    return _decoded[body]


class GradioPage:
    """One session: opened, acted in, closed. Not to be used by two greenlets before `open` has returned.

    Args:
        url: root of the app.
        timeout_s: longest wait for the result of one call.

    Attributes:
        last: the stages of the call that ended last.
    """

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._transport = Transport(url, timeout_s)
        self._client: _Protocol | None = None
        self._events: dict[str, _Event] = {}
        self._early: dict[str, _Event] = {}
        self._reader: gevent.Greenlet | None = None
        self._heartbeat: EventStream | None = None
        self._heartbeat_reader: gevent.Greenlet | None = None
        self.last = Timing()

    @property
    def session_hash(self) -> str:
        """Gradio's name for this session."""
        return str(self._protocol().session_hash)

    def open(self) -> None:
        """Load the app's configuration and connect the heartbeat, as a browser does.

        Raises:
            OperationFailed, OperationUnknown: the app could not be loaded.
        """
        self.last = Timing()
        self._client = _Protocol(self._url, self._transport)
        if self._client.wants_heartbeat:
            self._heartbeat = self._transport.stream(self._path(f"heartbeat/{self.session_hash}"))
            if self._heartbeat.status != 200:
                raise OperationFailed("rejected", f"the heartbeat answered {self._heartbeat.status}")
            self._heartbeat_reader = gevent.spawn(_drain, self._heartbeat)
        self.last.completed_ns = time.monotonic_ns()

    def call(self, api_name: str, *args: Any) -> Any:
        """Trigger an event and wait for its result. See `harness.workload.Page.call`.

        Raises:
            OperationFailed: the app's function raised, or the server refused the event.
            OperationUnknown: no result arrived.
            KeyError: the app has no such endpoint.
        """
        endpoint = self._endpoint(api_name)
        data = construct_args(endpoint.parameters_info, args, {})
        data = endpoint.process_input_files(*endpoint.insert_empty_state(*data))
        event = self._join(endpoint.fn_index, data)
        self.last = event.timing
        try:
            message = event.result.get(timeout=self._timeout_s)
        except gevent.Timeout:
            raise OperationUnknown("timeout", f"{api_name}: no result within {self._timeout_s:g} s") from None
        output = message.get("output") or {}
        if not message.get("success", True) or "error" in output:
            detail = (
                output.get("error")
                or "the app's function raised an error (its text is hidden: show_error=False)"
            )
            raise OperationFailed("app", f"{api_name}: {detail}")
        return endpoint.process_predictions(*output["data"])

    def close(self) -> None:
        """Close the tab: every connection ends, and with the heartbeat the session."""
        for greenlet in (self._reader, self._heartbeat_reader):
            if greenlet is not None:
                greenlet.kill(block=False)
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None
        if self._client is not None:
            self._client.close()
        self._transport.close()

    def _protocol(self) -> _Protocol:
        if self._client is None:
            raise RuntimeError("the page is not open")
        return self._client

    def _endpoint(self, api_name: str) -> Endpoint:
        client = self._protocol()
        for endpoint in client.endpoints.values():
            if endpoint.api_name == api_name:
                return endpoint
        known = sorted(str(e.api_name) for e in client.endpoints.values() if e.api_name)
        raise KeyError(f"the app has no endpoint {api_name!r}; it has {', '.join(known) or 'none'}")

    def _path(self, suffix: str) -> str:
        return f"{self._protocol().api_prefix.lstrip('/')}{suffix}"

    def _join(self, fn_index: int, data: tuple[Any, ...]) -> _Event:
        body = {"data": list(data), "fn_index": fn_index, "session_hash": self.session_hash}
        status, answer = self._transport.post(self._path("queue/join"), body)
        if status != 200:
            text = answer.decode("utf-8", "replace")[:300]
            if status == 503:
                raise OperationFailed("rejected", f"the queue is full or stopped (503): {text}")
            if status == 422:
                raise OperationFailed("rejected", f"the input is not valid (422): {text}")
            if status < 500:
                raise OperationFailed("rejected", f"queue/join answered {status}: {text}")
            raise OperationUnknown("protocol", f"queue/join answered {status}: {text}")
        event_id = msgspec.json.decode(answer)["event_id"]
        event = self._early.pop(event_id, None) or _Event()
        event.timing.accepted_ns = time.monotonic_ns()
        if event.result.ready():
            return event
        self._events[event_id] = event
        if self._reader is None:
            self._reader = gevent.spawn(self._read)
        return event

    def _read(self) -> None:
        """Follow the session's event stream for as long as an event is pending."""
        problem: Exception | None = None
        try:
            while self._events:
                stream = self._transport.stream(self._path(f"queue/data?session_hash={self.session_hash}"))
                try:
                    if stream.status != 200:
                        raise OperationUnknown("protocol", f"queue/data answered {stream.status}")
                    if not self._follow(stream):
                        raise OperationUnknown(
                            "connection", "the event stream ended before the result arrived"
                        )
                finally:
                    stream.close()
        except (OSError, HTTPParseError, msgspec.DecodeError) as error:
            problem = OperationUnknown("connection", f"the event stream broke: {error}")
        except (OperationUnknown, OperationFailed) as error:
            problem = (
                error if isinstance(error, OperationUnknown) else OperationUnknown("connection", str(error))
            )
        finally:
            self._reader = None
            pending, self._events = self._events, {}
            for event in pending.values():
                event.result.set_exception(problem or OperationUnknown("connection", "the page was closed"))

    def _follow(self, stream: EventStream) -> bool:
        """Hand out messages; True if the server closed the stream in order."""
        for arrived, message in stream.messages():
            kind = message.get("msg")
            if kind == "close_stream":
                return True
            if kind in ("heartbeat", "estimation", "log", "progress"):
                continue
            event_id = message.get("event_id")
            if event_id is None:
                text = message.get("message") or "no reason given"
                raise OperationUnknown("protocol", f"the server reports {kind}: {text}")
            event = self._events.get(event_id)
            if event is None:  # a message can overtake the answer to the request that created its event
                event = self._early.setdefault(event_id, _Event())
            if event.take(arrived, message):
                self._events.pop(event_id, None)
        return not self._events


def _drain(stream: EventStream) -> None:
    try:
        stream.drain()
    except (OSError, HTTPParseError, AttributeError):
        return  # the server ended, or the tab was closed
