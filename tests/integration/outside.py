"""Things that a tester may point `--url` at: real Gradio apps that the tests start themselves, and servers that are none."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

# Each click answers with the session's own count and labels, as the workload of `counters` wants it.
CLICK_APP = """
import os, sys, time
import gradio as gr

def click(label, count, clicks):
    return count + 1, [*clicks, label], count + 1, [*clicks, label]

with gr.Blocks() as demo:
    count, clicks, label = gr.State(0), gr.State([]), gr.Textbox(label="Label")
    gr.Button().click(click, [label, count, clicks], [count, clicks, gr.Number(), gr.JSON()], api_name="click")
"""
LAUNCH = """
GATE = os.environ.get("GATE")
while GATE and not os.path.exists(GATE):
    time.sleep(0.01)
demo.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), auth=[tuple(a.split(":")) for a in sys.argv[2:]] or None)
"""
# Mounted below a path of a larger site.
MOUNT = """
import fastapi, uvicorn
site = gr.mount_gradio_app(fastapi.FastAPI(), demo, path="/inner/app")
uvicorn.run(site, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_app(
    folder: Path, *arguments: str, port: int, source: str = CLICK_APP + LAUNCH, gate: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start an app as its owner would, without waiting for it."""
    folder.mkdir(exist_ok=True)
    (folder / "outside.py").write_text(source)
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    if gate is not None:
        environment["GATE"] = str(gate)
    with (folder / "outside.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, folder / "outside.py", str(port), *arguments],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, in `certificate`, with its key in `key`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key", "-out", folder / "certificate"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "certificate"


def wait_for(url: str, process: subprocess.Popen[bytes], certificate: Path | None = None) -> None:
    """Until the app answers, with its config or with the demand for a login."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "the app of the test ended"
        if answers(url, certificate):
            return
        time.sleep(0.02)
    raise AssertionError("the app of the test never answered")


def answers(url: str, certificate: Path | None = None) -> bool:
    trusted = None if certificate is None else ssl.create_default_context(cafile=certificate)
    try:
        with urllib.request.urlopen(f"{url}/config", timeout=5, context=trusted):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False


@contextlib.contextmanager
def running_app(
    folder: Path,
    *arguments: str,
    source: str = CLICK_APP + LAUNCH,
    path: str = "",
    certificate: Path | None = None,
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """An app that runs while the block does: its address, without a slash at the end, and its process."""
    port = free_port()
    process = start_app(folder, *arguments, port=port, source=source)
    try:
        url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}{path}"
        wait_for(url, process, certificate)
        yield url, process
    finally:
        process.kill()
        process.wait()


class Page:
    """What a fake server says to one path."""

    def __init__(self, status: int, body: str = "", **headers: str) -> None:
        self.status = status
        self.body = body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@contextlib.contextmanager
def fake_server(
    pages: Mapping[str, Page | list[Page]],
    *,
    certificate: Path | None = None,
    post: dict[str, Page] | None = None,
) -> Iterator[str]:
    """A real, tiny HTTP server: 404 for every path that is not named; of a list, each page once, and the last for ever. Its address, without a slash at the end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0], Page(404, "Not Found"))
            if isinstance(page, list):
                page = page.pop(0) if len(page) > 1 else page[0]
            self._say(page)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._say((post or {}).get(self.path, Page(404, "Not Found")))

        def _say(self, page: Page) -> None:
            body = page.body.encode()
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def raw_server(answer: bytes | None) -> Iterator[str]:
    """A port that takes connections and says one thing, or, with None, nothing at all."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            if answer is not None:
                connection.recv(65536)
                connection.sendall(answer)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in connections:
            connection.close()
