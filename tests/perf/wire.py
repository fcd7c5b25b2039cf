"""A call by hand over one blocking socket: the least that any client waits."""

from __future__ import annotations

import json
import socket
import sys
import time
from urllib.parse import urlsplit


def _socket_class() -> type[socket.socket]:
    """The standard library's socket, also in a process that Locust has patched."""
    if "gevent.monkey" in sys.modules:
        return sys.modules["gevent.monkey"].get_original("socket", "socket")
    return socket.socket


class Wire:
    """One session without a page: `queue/join` and `queue/data` on one kept-alive connection.

    Args:
        url: root of the app, on 127.0.0.1.
        fn_index: number of the function, whose inputs are a text and two states.
        session_hash: name of the session.
    """

    def __init__(self, url: str, fn_index: int, session_hash: str) -> None:
        parts = urlsplit(url)
        self._host = f"{parts.hostname}:{parts.port}"
        self._fn_index = fn_index
        self._session_hash = session_hash
        self._socket = _socket_class()(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.connect((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(30.0)

    def call(self, text: str) -> int:
        """Make one call; returns the monotonic nanoseconds at which `process_completed` had arrived.

        Raises:
            OSError: the connection broke, or the answer did not come.
        """
        return self._call(text)[0]

    def stream(self, text: str) -> bytes:
        """Make one call; returns its whole event stream, as it came."""
        return self._call(text)[1]

    def _call(self, text: str) -> tuple[int, bytes]:
        body = json.dumps(
            {
                "data": [text, None, None],
                "fn_index": self._fn_index,
                "session_hash": self._session_hash,
            }
        ).encode()
        self._socket.sendall(
            f"POST /gradio_api/queue/join HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        self._read_answer()
        self._socket.sendall(
            f"GET /gradio_api/queue/data?session_hash={self._session_hash} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()
        )
        stream = b""
        arrived = 0
        while not stream.endswith(b"\r\n0\r\n\r\n"):
            stream += self._receive()
            if not arrived:
                at = stream.find(b'"process_completed"')
                if at >= 0 and stream.find(b"\n\n", at) >= 0:
                    arrived = time.monotonic_ns()
        if not arrived or b'"success":true' not in stream:
            raise OSError(f"no result: {stream[-300:]!r}")
        return arrived, stream

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read_answer(self) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError(f"queue/join answered {head.splitlines()[0]!r}")
        length = next(
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length")
        )
        while len(body) < length:
            body += self._receive()

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise OSError("the server hung up")
        return data
