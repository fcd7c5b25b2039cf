"""HTTP as one page uses it: kept-alive connections for requests and event streams, and cookies.

It uses geventhttpclient. gradio_client's httpx calls open a new connection, with a TLS context, for every request, which
costs more than the server's own work.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

import gevent
import gevent.socket
import gevent.ssl
import httpx
import msgspec
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse

from harness import __version__
from harness.page.page_errors import OperationFailed, OperationUnknown
from harness.page.response_watcher import ResponseScanner

# uvicorn closes idle connections after 5 s, which a browser would notice. Here they are closed before that.
_IDLE_LIMIT_S = 3.0
_SWEEP_S = 1.0
# A browser opens at most six connections to one server; the heartbeat uses one of them.
_CONNECTIONS = 5
_BLOCK_BYTES = 65536


@functools.cache
def _tls_context(cafile: str | None = None) -> gevent.ssl.SSLContext:
    """One context for the whole process, since making one takes 25 ms. It trusts SSL_CERT_FILE, as the check before the run does."""
    return gevent.ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or cafile)


@functools.cache
def _addresses(host: str, port: int, family: int) -> Any:
    """Addresses of a host, resolved once per process: gevent uses a thread for that, even for a numeric address."""
    return gevent.socket.getaddrinfo(host, port, family, gevent.socket.SOCK_STREAM)


class _Plain(ConnectionPool):  # type: ignore[misc]
    """geventhttpclient's connection pool, with fewer system calls for opening and checking connections."""

    def _resolve(self) -> Any:
        family = gevent.socket.AF_INET if self.disable_ipv6 else 0
        return _addresses(self._connection_host, self._connection_port, family)

    def after_connect(self, sock: gevent.socket.socket) -> None:
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)

    def _is_socket_alive(self, sock: gevent.socket.socket | None) -> bool:
        """Whether the server has neither closed the connection nor sent unexpected data.

        The parent class uses select(2), which is limited to 1,024 files.
        """
        if sock is None:
            return False
        try:
            sock._sock.recv(1, gevent.socket.MSG_PEEK | gevent.socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except (OSError, ValueError):
            return False
        return False


class _Encrypted(SSLConnectionPool):  # type: ignore[misc]
    """The same over TLS, where reading ahead is impossible."""

    _resolve = _Plain._resolve
    after_connect = _Plain.after_connect


class Transport:
    """The connections of one page.

    Args:
        url: root of the app, `http://host:port/path/`.
        timeout_s: longest wait for the answer to a request.
        cookies: the browser's cookies by name; the server's new ones are added.
        scanner: scans every answer.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_cookies",
        "_head",
        "_pool",
        "_root",
        "_scanner",
        "_streams",
        "_timeout_s",
        "_tls",
    )

    def __init__(
        self,
        url: str,
        timeout_s: float,
        cookies: dict[str, str] | None = None,
        scanner: ResponseScanner | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._root = parts.path.rstrip("/") + "/"
        self._tls = parts.scheme == "https"
        self._address = (parts.hostname or "127.0.0.1", parts.port or (443 if self._tls else 80))
        self._timeout_s = timeout_s
        self._cookies: dict[str, str] = {} if cookies is None else cookies
        self._scanner = scanner or ResponseScanner()
        self._pool: ConnectionPool | None = None
        self._streams: set[EventStream] = set()
        self._head = self._fixed_headers(parts.netloc.rpartition("@")[2])

    # --- requests ---

    def get(self, path: str) -> tuple[int, bytes]:
        """GET a path below the app's root: status and body."""
        return self._request("GET", path, b"", "")

    def get_file(self, path: str, limit: int | None = None) -> tuple[int, bytes, str]:
        """GET a file below the app's root. The caller scans it, since it knows which components show the file.

        Args:
            path: its path.
            limit: most bytes to read; None for all.

        Returns:
            Status, content, and the name in its headers.
        """
        response = self._send("GET", path, b"", "", "")
        try:
            body = bytes(response.read(limit))
        except (OSError, HTTPParseError) as error:
            raise _unknown("GET", path, error, self._timeout_s) from error
        finally:
            if response._sock is not None and response._pool is not None:
                # The rest of the file is still arriving, so the connection cannot be used again.
                response._pool.release_socket(response._sock)
                response._sock = response._pool = None
        return response.status_code, body, str(response.get("content-disposition") or "")

    def post(self, path: str, body: Any, *, scan: bool = True) -> tuple[int, bytes]:
        """POST a JSON body: status and body of the answer.

        Args:
            scan: False if the caller scans the answer itself.
        """
        return self._request("POST", path, msgspec.json.encode(body), "application/json", scan=scan)

    def post_form(self, path: str, fields: dict[str, str]) -> tuple[int, bytes]:
        """POST a form, as a login page does."""
        return self._request("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def upload(self, path: str, files: Sequence[tuple[str, bytes, str]]) -> tuple[int, bytes]:
        """POST files, each with name, content and MIME type, as a browser uploads them."""
        form = httpx.Request("POST", "http://upload", files=[("files", file) for file in files])
        return self._request("POST", path, form.read(), form.headers["Content-Type"])

    def stream(self, path: str) -> EventStream:
        """Open a stream of server-sent events; its headers have arrived when this returns."""
        response = self._send("GET", path, b"", "", "Accept: text/event-stream\r\n")
        if response._sock is not None:  # None if the whole answer arrived with the headers
            response._sock.settimeout(None)  # the caller limits the wait for an event
        stream = EventStream(self, response)
        self._streams.add(stream)
        return stream

    def lasting_stream(self, path: str) -> tuple[int, gevent.socket.socket | None]:
        """Open a stream on a separate connection, which then belongs to the caller.

        Returns:
            Status, and the socket after the headers; None instead of the socket if there is no such stream (404).
        """
        pool = self._connections(1)
        response = self._send("GET", path, b"", "", "Accept: text/event-stream\r\n", pool)
        socket = response._sock
        if socket is None and response.status_code == 404:
            return 404, None
        if socket is None:
            raise OperationUnknown("protocol", f"GET {path} ended at once")
        # From here on the socket belongs to the caller.
        response._sock = response._pool = None
        return response.status_code, socket

    def close(self) -> None:
        """Close every connection, streams included."""
        for stream in list(self._streams):
            stream.close()
        self.close_idle()

    def close_idle(self) -> None:
        """Close idle connections. The next request opens one again."""
        for stream in [stream for stream in self._streams if stream.parked]:
            stream.close()
        if self._pool is not None and not self._streams:
            self._pool.close()
            self._pool = None

    # --- one request ---

    def _request(
        self, method: str, path: str, body: bytes, content_type: str, *, scan: bool = True
    ) -> tuple[int, bytes]:
        response = self._send(method, path, body, content_type, "")
        try:
            answer = response.status_code, bytes(response.read())
        except (OSError, HTTPParseError) as error:
            raise _unknown(method, path, error, self._timeout_s) from error
        if (cookies := response.get("set-cookie")) is not None:
            self._keep_cookies(cookies)
        if scan:
            self._scanner.response(method, path, answer[1])
        return answer

    def _send(
        self,
        method: str,
        path: str,
        body: bytes,
        content_type: str,
        headers: str,
        pool: ConnectionPool | None = None,
    ) -> Any:
        """Send a request and wait for the headers of its answer.

        The head is assembled here from constant parts. HTTPClient.request validates and merges all headers again for each
        request, which takes longer than everything else that is done for one.
        """
        if pool is None:
            if self._pool is None:
                self._pool = self._connections(_CONNECTIONS)
            pool = self._pool
            _idle.touch(self)
        head = f"{method} {self._root}{path} HTTP/1.1\r\n{self._head}{headers}"
        if self._cookies:
            head += f"Cookie: {'; '.join(f'{name}={value}' for name, value in self._cookies.items())}\r\n"
        if body or method == "POST":
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        try:
            socket = pool.get_socket()
        except OSError as error:
            # Without a connection nothing was sent, so the server has done nothing.
            raise OperationFailed(
                "rejected", f"the server cannot be reached ({method} {path}): {error}"
            ) from error
        try:
            socket.settimeout(self._timeout_s)
            socket.sendall(head.encode("latin-1") + b"\r\n" + body)
        except BaseException as error:
            pool.release_socket(socket)
            if isinstance(error, OSError):
                raise _unknown(method, path, error, self._timeout_s) from error
            raise
        try:
            return HTTPSocketPoolResponse(socket, pool, block_size=_BLOCK_BYTES, method=method)
        except (OSError, HTTPParseError) as error:
            raise _unknown(method, path, error, self._timeout_s) from error

    def _connections(self, size: int) -> ConnectionPool:
        host, port = self._address
        options = {
            "size": size,
            "network_timeout": self._timeout_s,
            "connection_timeout": self._timeout_s,
            "disable_ipv6": host == "127.0.0.1",
        }
        if self._tls:
            return _Encrypted(host, port, host, port, ssl_context_factory=_tls_context, **options)
        return _Plain(host, port, host, port, **options)

    def _fixed_headers(self, host: str) -> str:
        return (
            f"Host: {host}\r\n"
            f"User-Agent: gradsoak/{__version__} (load test)\r\n"
            "Connection: keep-alive\r\n"
            # Gradio's own page sends this header; API clients do not.
            "x-gradio-user: app\r\n"
        )

    def _keep_cookies(self, header: str | list[str]) -> None:
        for text in [header] if isinstance(header, str) else header:
            try:
                for name, morsel in SimpleCookie(text).items():
                    self._cookies[name] = morsel.value
            except CookieError:
                continue

    def _forget(self, stream: EventStream) -> None:
        self._streams.discard(stream)


def _unknown(method: str, path: str, error: Exception, timeout_s: float) -> OperationUnknown:
    if isinstance(error, (TimeoutError, gevent.socket.timeout)):
        return OperationUnknown("timeout", f"{method} {path}: no answer within {timeout_s:g} s")
    return OperationUnknown("connection", f"{method} {path}: {error or type(error).__name__}")


class EventStream:
    """An open stream of server-sent events.

    Attributes:
        status: HTTP status of the answer.
        parked: no greenlet waits for its messages.
        closed: it has ended, and its connection is closed or free for other requests.
    """

    __slots__ = ("_response", "_transport", "closed", "parked", "status")

    def __init__(self, transport: Transport, response: Any) -> None:
        self._transport = transport
        self._response = response
        self.status: int = response.status_code
        self.parked = False
        self.closed = False

    def messages(self) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
        """Each `data:` line: when it was read from the socket (monotonic nanoseconds), the line, and the JSON in it.

        Raises:
            OSError, HTTPParseError: the connection broke.
            msgspec.DecodeError: a line contains no JSON.
        """
        readline = self._response.readline
        while line := readline(b"\n"):
            if line.startswith(b"data:"):
                line = bytes(line)
                yield time.monotonic_ns(), line, msgspec.json.decode(line[5:])

    def finish(self) -> None:
        """Read to the announced end, so that the connection can be used again."""
        try:
            with gevent.Timeout(1.0, False):
                while self._response.readline(b"\n"):
                    pass
        except (OSError, HTTPParseError):
            pass
        self.close()

    def park(self) -> None:
        """Mark it as idle; after some seconds it is closed with the other idle connections."""
        self.parked = True
        _idle.touch(self._transport)

    def close(self) -> None:
        """Close the connection, as a closed page does, unless the stream has ended by itself."""
        self.closed = True
        self._transport._forget(self)
        response = self._response
        if response._sock is not None and response._pool is not None:
            response._pool.release_socket(response._sock)
            response._sock = response._pool = None


class _IdleConnections:
    """Closes the connections of pages that have been idle for some seconds; one greenlet for all pages of the process."""

    def __init__(self) -> None:
        self._since: dict[Transport, float] = {}
        self._sweeper: gevent.Greenlet | None = None

    def touch(self, transport: Transport) -> None:
        """Note that a page is in use now."""
        self._since.pop(transport, None)
        self._since[transport] = time.monotonic()
        if self._sweeper is None:
            self._sweeper = gevent.spawn(self._sweep)

    def _sweep(self) -> None:
        while self._since:
            gevent.sleep(_SWEEP_S)
            limit = time.monotonic() - _IDLE_LIMIT_S
            # In order of last use, so all entries after the first recent one are recent.
            for transport, since in list(self._since.items()):
                if since > limit:
                    break
                del self._since[transport]
                transport.close_idle()
        self._sweeper = None


_idle = _IdleConnections()
