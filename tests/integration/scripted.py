"""A server that says what a test tells it to, in Gradio's protocol: for what a real server does too rarely to wait for."""

from __future__ import annotations

import copy
import functools
import http.server
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

Line = dict[str, Any] | bytes
Script = Callable[["ScriptedServer"], Iterable[Line]]
CUT = b"CUT"


@functools.cache
def config() -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and endpoint descriptions of a small app, as Gradio itself makes them."""
    with gr.Blocks() as demo:
        text, out = gr.Textbox(label="Text"), gr.Textbox(label="Out")
        button = gr.Button("Go")
        button.click(lambda text: text, text, out, api_name="go", concurrency_limit=None)
    return demo.get_config_file(), demo.get_api_info()


class ScriptedServer:
    """Answers of the queue are scripted; everything else is as in a small app.

    Attributes:
        joins: answers to `queue/join`, in order: a status with a body. Default: accepted, as e1, e2, …
        files: contents by path.
        streams: what each `queue/data` stream says, in order; `CUT` closes the connection in the middle.
        requests: paths that were asked for, in order, with the bodies of POSTs.
        accepted: set when an event has been accepted.
    """

    def __init__(self, **changes: Any) -> None:
        self._config, self._info = copy.deepcopy(config())
        self._config.update({"connect_heartbeat": True, **changes})
        self.joins: deque[tuple[int, Any]] = deque()
        self.streams: deque[Script] = deque()
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.files: dict[str, bytes] = {}
        self.config_status = 200
        self.config_headers: dict[str, str] = {}
        self.closing = threading.Event()
        self.heartbeats: list[Any] = []
        self._accepted = 0
        self._changed = threading.Condition()
        self.url = ""

    def wait_for_events(self, number: int) -> None:
        """Until that many events have been accepted."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._accepted >= number, timeout=20)

    # --- what the handler asks ---

    def get(self, path: str) -> tuple[int, Any]:
        if path.startswith("/config"):
            return self.config_status, self._config
        if path.startswith("/gradio_api/info"):
            return 200, self._info
        if path.startswith("/gradio_api/file="):
            return 200, self.files[path.removeprefix("/gradio_api/file=")]
        return 404, {"detail": "Not Found"}

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        if path.startswith("/gradio_api/queue/join"):
            if self.joins:
                return self.joins.popleft()
            with self._changed:
                self._accepted += 1
                self._changed.notify_all()
                return 200, {"event_id": f"e{self._accepted}"}
        if path == "/gradio_api/cancel":
            return 200, {"success": True}
        return 404, {"detail": "Not Found"}


def completed(event: str, *data: Any) -> Line:
    return {"msg": "process_completed", "event_id": event, "success": True, "output": {"data": list(data)}}


def starts(event: str) -> Line:
    return {"msg": "process_starts", "event_id": event}


CLOSE: Line = {"msg": "close_stream", "event_id": None}


@contextmanager
def serve(server: ScriptedServer) -> Iterator[ScriptedServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            server.requests.append((self.path, None))
            server.headers.append(dict(self.headers))
            if "/queue/data" in self.path:
                self._stream(server.streams.popleft()(server))
            elif "/heartbeat/" in self.path:
                self._begin_stream()
                server.heartbeats.append(self.connection)
                server.closing.wait(30)
                self.close_connection = True
            else:
                self._answer(*server.get(self.path), server.config_headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            parsed = json.loads(body) if body.startswith(b"{") else body
            server.requests.append((self.path, parsed))
            server.headers.append(dict(self.headers))
            self._answer(*server.post(self.path, parsed), {})

        def _answer(self, status: int, value: Any, headers: dict[str, str]) -> None:
            body = value if isinstance(value, bytes) else json.dumps(value, default=str).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _begin_stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def _stream(self, lines: Iterable[Line]) -> None:
            self._begin_stream()
            for line in lines:
                if line == CUT:
                    self.close_connection = True
                    return
                text = line if isinstance(line, bytes) else f"data: {json.dumps(line)}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            self.wfile.write(b"0\r\n\r\n")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        server.url = f"http://127.0.0.1:{httpd.server_port}/"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            httpd.shutdown()
            thread.join()
