"""What the probe costs the app: nothing while it is not asked, and so much for each census."""

from __future__ import annotations

import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.app_under_test import Target, inspect_interpreter
from harness.records import Census
from tests.perf import servers
from tests.perf.figures import Figure, NotMeasured, Settings, middle

# Short turns, many of them: what slows the machine down for seconds then slows both sides.
_TURN_CALLS = 120
# A ratio near 1 is to be told from one that is 3 % below.
_TURNS = 31
_OBJECTS = 1_000_000
_CENSUSES = 5
_READY_S = 120.0

HOLDING = f"""
import gradio as gr

class Turn:
    __slots__ = ("number", "texts")
    def __init__(self, number):
        self.number, self.texts = number, [str(number)]

# Two objects each, on top of the 220,000 of Gradio itself.
TURNS = [Turn(number) for number in range({(_OBJECTS - 220_000) // 2})]

with gr.Blocks() as demo:
    gr.Markdown("held")

demo.launch()
"""


def measure(settings: Settings) -> list[Figure]:
    """Throughput with the probe loaded over that without; and the pause of a census."""
    return [_idle(settings), *_pauses(settings)]


def _idle(settings: Settings) -> Figure:
    """The same app twice, once with the probe inside, called by turns by the same kind of client."""
    rates: dict[str, list[float]] = {"with": [], "without": []}
    cpu_ms: dict[str, list[float]] = {"with": [], "without": []}
    with (
        servers.app(settings.scratch) as loaded,
        _bare_app(settings.scratch) as plain,
        servers.contender("bare", loaded, settings.users) as first,
        servers.contender("bare", plain, settings.users) as second,
    ):
        sides = [("with", first, servers.Cpu(loaded.pid)), ("without", second, servers.Cpu(plain.pid))]
        for _, client, _ in sides:
            client.run(_TURN_CALLS)
        for turn in range(max(_TURNS, settings.rounds)):
            # Who begins changes, so that what goes on getting slower or faster harms neither.
            for name, client, clock in sides if turn % 2 == 0 else sides[::-1]:
                before = clock.seconds()
                done = client.run(_TURN_CALLS)
                rates[name].append(done.calls / done.wall_s)
                cpu_ms[name].append(1000 * (clock.seconds() - before) / done.calls)
    ratios = [loaded_ / plain_ for loaded_, plain_ in zip(rates["with"], rates["without"], strict=True)]
    return Figure(
        name="throughput of an app with the probe inside, not asked, of that without",
        unit="×",
        bar=0.97,
        direction="at least",
        spread="range of rounds",
        detail={
            "users": settings.users,
            "calls_per_turn": _TURN_CALLS,
            "per_s": {name: statistics.median(found) for name, found in rates.items()},
            "app_cpu_ms_per_call": {name: statistics.median(found) for name, found in cpu_ms.items()},
        },
        **middle(ratios),
    )


def _pauses(settings: Settings) -> list[Figure]:
    folder = settings.scratch / "holding"
    folder.mkdir()
    (folder / "app.py").write_text(HOLDING)
    target = Target(folder / "app.py", inspect_interpreter(), folder / "app.log")
    try:
        target.wait_ready(_READY_S)
        target.settle()
        taken = [target.census(number) for number in range(_CENSUSES)]
    finally:
        target.stop()
    found = [one for one in taken if one is not None and one.objects and one.types_pause_ms is not None]
    if len(found) < _CENSUSES:
        raise NotMeasured("the probe could not count the app's objects")
    detail: dict[str, Any] = {
        "objects": found[-1].objects,
        "visited": found[-1].visited,
        "containers": len(found[-1].containers),
        "pause_ms": [one.pause_ms for one in found],
        "types_pause_ms": [one.types_pause_ms for one in found],
    }
    return [
        Figure(
            name="census: counting objects by type, per million of them (nothing else runs)",
            unit="ms",
            bar=500.0,
            direction="at most",
            spread=f"range of {_CENSUSES}",
            detail=detail,
            **middle([_per_million(one, one.types_pause_ms or 0.0) for one in found]),
        ),
        Figure(
            name="census: the rest, collection and walk, per million (others take turns in the walk)",
            unit="ms",
            bar=2500.0,
            direction="at most",
            spread=f"range of {_CENSUSES}",
            detail=detail,
            **middle([_per_million(one, one.pause_ms - (one.types_pause_ms or 0.0)) for one in found]),
        ),
    ]


def _per_million(census: Census, pause_ms: float) -> float:
    assert census.objects
    return pause_ms * 1e6 / census.objects


@contextmanager
def _bare_app(folder: Path) -> Iterator[servers.App]:
    """The same app, started as its author would: `python app.py`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = {
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "plain-files"),
        "PYTHONUNBUFFERED": "1",
    }
    with (folder / "plain.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(servers.SCENARIO / "app.py")],
            cwd=servers.SCENARIO,
            env=environment,
            stdin=subprocess.DEVNULL,
            # As the other one: where sessions share a busy machine, each of them gets as much as the next.
            start_new_session=True,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + _READY_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotMeasured("the app without the probe did not start")
            time.sleep(0.1)
        yield servers.at(f"http://127.0.0.1:{port}/", process.pid)
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/config")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
