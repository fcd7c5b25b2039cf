"""A server that answers at once: `python -m tests.perf.stub RECORDING`. Prints its port, ends with its standard input.

It speaks as much of Gradio's protocol as one tab needs, with answers that were recorded from the real app
(`tests.perf.servers.record`). Sessions count their calls, so that the checks of a scenario hold.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

_HEARTBEAT_S = 15.0

Recording = dict[str, Any]


def _answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_END = b"0\r\n\r\n"


def _chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


class Sessions:
    """What the server knows of its sessions, and the recorded answers.

    Args:
        recording: `config`, `info`, `text` (the input of the recorded call), `event_id`, `messages` (of its stream).
    """

    def __init__(self, recording: Recording) -> None:
        self.config = _answer(recording["config"].encode())
        self.info = _answer(recording["info"].encode())
        template = "".join(
            # Each event of a stream is a chunk of its own, as uvicorn sends them.
            f"data: {message}\n\n\0"
            for message in recording["messages"]
        )
        result = f",1,{json.dumps(recording['text'])}"
        assert template.count(result) == 1, "the recorded result is not where it was expected"
        template = template.replace(result, ",\1COUNT\1,\1TEXT\1").replace(recording["event_id"], "\1EVENT\1")
        self._parts = [part.split("\1") for part in template.split("\0") if part]
        self.calls: dict[str, int] = defaultdict(int)
        self.pending: dict[str, list[bytes]] = defaultdict(list)
        self.streams: dict[str, Connection] = {}
        self._events = 0

    def join(self, body: bytes) -> bytes:
        """Take a call: the answer to `queue/join`. Its messages go to the session's stream."""
        request = json.loads(body)
        session: str = request["session_hash"]
        text = next(value for value in request["data"] if isinstance(value, str))
        self._events += 1
        self.calls[session] += 1
        event_id = f"{self._events:032x}"
        values = {"EVENT": event_id, "COUNT": str(self.calls[session]), "TEXT": json.dumps(text)}
        chunks = b"".join(
            _chunk("".join(values.get(piece, piece) for piece in part).encode()) for part in self._parts
        )
        self.pending[session].append(chunks)
        stream = self.streams.pop(session, None)
        if stream is not None:
            stream.send(self.take(session))
        return _answer(b'{"event_id":"%s"}' % event_id.encode())

    def take(self, session: str) -> bytes:
        """Everything that a session's stream has to carry now; the last event of it closes the stream."""
        close = _chunk(b'data: {"msg":"close_stream","event_id":null}\n\n')
        return b"".join(self.pending.pop(session)) + close + _END


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection. Pipelining is not needed by anybody, and not done."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._buffer = b""
        self._transport: asyncio.Transport
        self._beat: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send small answers at once."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the tab."""
        if self._beat is not None:
            self._beat.cancel()
        for session, stream in list(self._sessions.streams.items()) if self._sessions.streams else ():
            if stream is self:
                del self._sessions.streams[session]

    def send(self, data: bytes) -> None:
        """Write to the client."""
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = 0
            if head.startswith(b"POST"):
                at = head.lower().find(b"content-length:")
                length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                if len(rest) < length:
                    return
            self._buffer = rest[length:]
            method, path, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
            self._respond(method, path.decode(), rest[:length])

    def _respond(self, method: bytes, path: str, body: bytes) -> None:
        sessions = self._sessions
        if path.endswith("/queue/join"):
            self.send(sessions.join(body))
        elif "/queue/data?session_hash=" in path:
            session = path.rpartition("=")[2]
            if session in sessions.pending:
                self.send(_STREAM_HEAD + sessions.take(session))
            else:
                self.send(_STREAM_HEAD)
                sessions.streams[session] = self
        elif "/heartbeat/" in path:
            self.send(_STREAM_HEAD)
            self._alive()
        elif path.split("?")[0].endswith("/info"):
            self.send(sessions.info)
        elif path.split("?")[0].rstrip("/").endswith("/config"):
            self.send(sessions.config)
        else:
            self.send(_answer(b'{"detail":"Not Found"}', b"404 Not Found"))

    def _alive(self) -> None:
        self.send(_chunk(b"data: ALIVE\n\n"))
        self._beat = asyncio.get_running_loop().call_later(_HEARTBEAT_S, self._alive)


async def _serve(recording: Recording) -> None:
    sessions = Sessions(recording)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(sessions), "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(port, flush=True)
    gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: gone.set() if not sys.stdin.buffer.read1(1024) else None)
    await gone.wait()


def main() -> None:
    """Serve until standard input ends."""
    asyncio.run(_serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
