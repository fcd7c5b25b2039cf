"""The locustfile of the documentation, under Locust's own command and web page."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.app_under_test import Target, inspect_interpreter
from tests.conftest import REPO
from tests.integration.cli import POLL_S
from tests.integration.scripted import CLOSE, CUT, ScriptedServer, completed, serve, starts

LOCUSTFILE = REPO / "docs/examples/locustfile.py"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("locustfile")
    target = Target(REPO / "scenarios/counters/app.py", inspect_interpreter(), folder / "log", {})
    target.wait_ready(60)
    yield target
    target.stop()


def fetch(url: str, form: dict[str, str] | None = None) -> Any:
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    with urllib.request.urlopen(url, data, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except urllib.error.URLError:
            pass
        time.sleep(POLL_S)
    raise AssertionError("it never came to that")


def test_the_example_works_with_the_web_page(app: Target, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    history = tmp_path / "history.jsonl"
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", app.url]
    with (tmp_path / "log").open("w") as log:
        locust = subprocess.Popen(
            [*command, "--web-host", "127.0.0.1", "--web-port", str(port)],
            cwd=tmp_path,
            env={"HISTORY": str(history), "PATH": "/usr/bin:/bin"},
            stdout=log,
            stderr=log,
        )
    try:
        web = f"http://127.0.0.1:{port}"

        def rows() -> dict[str, Any]:
            return {row["name"]: row for row in fetch(f"{web}/stats/requests")["stats"]}

        until(lambda: fetch(f"{web}/swarm", {"user_count": "3", "spawn_rate": "3", "host": app.url}))
        until(lambda: rows().get("count", {}).get("num_requests", 0) >= 6)
        figures = rows()
        fetch(f"{web}/stop", {})
    finally:
        locust.terminate()
        assert locust.wait(30) is not None
    assert figures["open"]["num_requests"] == 3
    assert all(row["num_failures"] == 0 for row in figures.values()), (tmp_path / "log").read_text()
    assert 0 < figures["count"]["median_response_time"] < 20_000
    records = [json.loads(line) for line in history.read_text().splitlines()]
    sessions: dict[int, str] = {r["id"]: r["session"] for r in records if r["type"] == "invoke"}
    seen: dict[str, list[int]] = {}
    for record in records:
        if record["type"] == "ok" and record.get("reads"):
            seen.setdefault(sessions[record["id"]], []).append(record["reads"]["total"])
    assert len(seen) >= 2
    assert all(totals == list(range(1, len(totals) + 1)) for totals in seen.values())


CLICKER = """
import gevent
from locust import constant, task
from harness.load import GradioUser


class Visitor(GradioUser):
    wait_time = constant(0.01)
    history_path = "history.jsonl"

    @task
    def go(self):
        if self.environment.stats.get("go", "gradio").num_requests >= 6:
            # Not from the user's own greenlet, which quitting would kill before it is done.
            gevent.spawn(self.environment.runner.quit)
        with self.session.operation("go", {}):
            self.page.call("/go", "a")
"""


def test_a_user_whose_session_was_lost_loads_the_page_again(tmp_path: Path) -> None:
    """One broken stream must not stop a user for the rest of the test."""
    (tmp_path / "locustfile.py").write_text(CLICKER)
    with serve(ScriptedServer(connect_heartbeat=False)) as server:
        server.streams.append(lambda _: [starts("e1"), CUT])
        for number in range(2, 50):
            server.streams.append(lambda _, event=f"e{number}": [completed(event, "b"), CLOSE])
        command = [
            sys.executable,
            "-m",
            "locust",
            "-f",
            "locustfile.py",
            "--headless",
            "-u",
            "1",
            "-t",
            "60s",
        ]
        done = subprocess.run(
            [*command, "--host", server.url, "--json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    stats = {row["name"]: row for row in json.loads(done.stdout)}
    assert stats["go"]["num_failures"] == 1
    assert stats["go"]["num_requests"] >= 6
    assert (stats["open"]["num_requests"], stats["reload"]["num_requests"]) == (1, 1)
    records = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    begun = {r["action"]: r["user"] for r in records if r.get("user")}
    assert begun["reload"] == begun["open"]  # the same person
