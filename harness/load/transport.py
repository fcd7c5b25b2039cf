"""HTTP as one browser tab uses it: a kept-alive connection for requests, streams beside it.

geventhttpclient instead of gradio_client's httpx calls: those open a new connection, with a TLS context, for every
request, which costs more than the server's own work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.socket
import msgspec
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError

from harness.load.outcomes import OperationFailed, OperationUnknown

# uvicorn closes idle connections after 5 s. A browser would notice and open another; so do we, before they are closed.
_IDLE_LIMIT_S = 3.0


class Transport:
    """The connections of one tab.

    Args:
        url: root of the app, `http://host:port/path/`.
        timeout_s: longest wait for the answer to a request.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._root = parts.path.rstrip("/") + "/"
        self._address = (
            parts.hostname or "127.0.0.1",
            parts.port or (443 if parts.scheme == "https" else 80),
        )
        self._tls = parts.scheme == "https"
        self._timeout_s = timeout_s
        self._requests: HTTPClient | None = None
        self._last_used = 0.0
        self._streams: set[HTTPClient] = set()

    def get(self, path: str) -> tuple[int, bytes]:
        """GET a path below the app's root: status and body."""
        return self._request("GET", path, b"", {})

    def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """POST a JSON body: status and body of the answer."""
        return self._request("POST", path, msgspec.json.encode(body), {"Content-Type": "application/json"})

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        now = time.monotonic()
        if self._requests is not None and now - self._last_used > _IDLE_LIMIT_S:
            self._drop()
        if self._requests is None:
            self._requests = self._client(self._timeout_s)
        try:
            response = self._requests.request(method, self._root + path, body, headers)
            answer = response.status_code, bytes(response.read())
        except ConnectionRefusedError as error:
            self._drop()
            # Nothing was sent, so nothing can have happened.
            raise OperationFailed("rejected", f"the server refuses connections ({method} {path})") from error
        except (TimeoutError, gevent.socket.timeout) as error:
            self._drop()
            raise OperationUnknown(
                "timeout", f"{method} {path}: no answer within {self._timeout_s:g} s"
            ) from error
        except (OSError, HTTPParseError) as error:
            self._drop()
            raise OperationUnknown("connection", f"{method} {path}: {error}") from error
        self._last_used = time.monotonic()
        return answer

    def stream(self, path: str) -> EventStream:
        """Open a stream of server-sent events; its headers have arrived when this returns."""
        client = self._client(None)
        self._streams.add(client)
        try:
            with gevent.Timeout(self._timeout_s, TimeoutError("no answer")):
                response = client.request("GET", self._root + path, b"", {"Accept": "text/event-stream"})
        except (OSError, HTTPParseError) as error:
            self._streams.discard(client)
            client.close()
            raise OperationUnknown("connection", f"GET {path}: {error}") from error
        return EventStream(self, client, response)

    def close(self) -> None:
        """Close every connection, streams included."""
        self._drop()
        for client in list(self._streams):
            client.close()
        self._streams.clear()

    def _forget(self, client: HTTPClient) -> None:
        self._streams.discard(client)
        client.close()

    def _drop(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None

    def _client(self, network_timeout_s: float | None) -> HTTPClient:
        host, port = self._address
        return HTTPClient(
            host,
            port,
            ssl=self._tls,
            network_timeout=network_timeout_s,
            connection_timeout=self._timeout_s,
            disable_ipv6=host == "127.0.0.1",
        )


class EventStream:
    """An open stream of server-sent events.

    Attributes:
        status: HTTP status of the answer.
    """

    def __init__(self, transport: Transport, client: HTTPClient, response: Any) -> None:
        self._transport = transport
        self._client = client
        self._response = response
        self.status: int = response.status_code

    def messages(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The JSON of each `data:` line, with the monotonic nanoseconds at which it was read from the socket.

        Raises:
            OSError, HTTPParseError: the connection broke.
        """
        while line := self._response.readline(b"\n"):
            if line.startswith(b"data:"):
                arrived = time.monotonic_ns()
                yield arrived, msgspec.json.decode(line[5:])

    def drain(self) -> None:
        """Read and forget whatever comes, until the server or `close` ends it."""
        while self._response.readline(b"\n"):
            pass

    def close(self) -> None:
        """Hang up, as a closed tab does."""
        socket = self._response._sock
        if socket is not None:
            try:
                socket.close()
            finally:
                self._response._sock = None
        self._transport._forget(self._client)
