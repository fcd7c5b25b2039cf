"""The heartbeat: a connection that is open as long as its page. When it ends, the server knows that the page has closed.

Thousands of pages may be idle. So a heartbeat is a socket and a watcher of the event loop, not a greenlet with a response
parser. The server's messages on it carry no information, so they are read and discarded.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import gevent
import gevent.socket

_BLOCK_BYTES = 4096


class Heartbeat:
    """An open heartbeat.

    Args:
        socket: the connection; the headers of the answer have been read.
        on_lost: called once if the server ends it.
    """

    __slots__ = ("_on_lost", "_socket", "_watcher")

    def __init__(self, socket: gevent.socket.socket, on_lost: Callable[[], None]) -> None:
        self._socket: gevent.socket.socket | None = socket
        self._on_lost = on_lost
        self._watcher = gevent.get_hub().loop.io(socket.fileno(), 1)
        self._watcher.start(self._readable)

    def _readable(self) -> None:
        """Read and discard. Runs in the event loop itself, so it must not wait. Over TLS the bytes stay encrypted."""
        if self._socket is None:
            return
        try:
            if os.read(self._socket.fileno(), _BLOCK_BYTES):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.close()
        self._on_lost()

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._watcher.stop()
            self._watcher.close()
            self._socket.close()
            self._socket = None
