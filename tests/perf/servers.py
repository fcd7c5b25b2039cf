"""The processes that figures are taken from: the app, the stub, the clients. All of them end with ours."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from harness.app_under_test import Target, inspect_interpreter
from harness.errors import HarnessError
from harness.load.commands import Done, Drive, GeneratorConfig, Hold, Release
from harness.load.generator_client import LoadGenerator
from harness.profiles import BASES
from harness.records import HistoryRecord, Invoke, Ok
from tests.perf.figures import NotMeasured
from tests.perf.wire import Wire

REPO = Path(__file__).resolve().parent.parent.parent
SCENARIO = Path(__file__).resolve().parent / "scenario"
ACTION = "act"


class Cpu:
    """User + system time of another process, to the nanosecond (psutil sees hundredths of a second).

    Args:
        pid: the process; all its threads count, its children do not.
    """

    def __init__(self, pid: int) -> None:
        self._clock = (~pid << 3) | 2  # what clock_getcpuclockid(3) makes of a pid on Linux

    def seconds(self) -> float:
        """CPU time used so far."""
        return time.clock_gettime(self._clock)


class App(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is up.

    Attributes:
        fn_index: number of the function `/act`.
    """

    url: str
    pid: int
    fn_index: int


@contextmanager
def app(folder: Path, scenario: Path = SCENARIO) -> Iterator[App]:
    """The real app on a real Gradio server."""
    target = Target(scenario / "app.py", inspect_interpreter(), folder / "app.log")
    try:
        url = target.wait_ready(120.0)
        yield at(url, target.pid)
    finally:
        target.stop()


def at(url: str, pid: int) -> App:
    """A server of the real app that is up already."""
    return App(url=url, pid=pid, fn_index=_fn_index(_get(url + "config")))


def record(real: App) -> dict[str, Any]:
    """One call of the real app, with all that a client reads of it, for the stub to repeat."""
    text, session = "recorded-text", "recordedsession"
    wire = Wire(real.url, real.fn_index, session)
    try:
        stream = wire.stream(text)
    finally:
        wire.close()
    messages = re.findall(r"data: (\{.*\})\n", stream.decode())
    messages = [message for message in messages if json.loads(message)["msg"] != "close_stream"]
    event_id = next(
        json.loads(m)["event_id"] for m in messages if json.loads(m)["msg"] == "process_completed"
    )
    return {
        "config": _get(real.url + "config"),
        "info": _get(real.url + "gradio_api/info?serialize=False"),
        "text": text,
        "event_id": event_id,
        "messages": messages,
    }


@contextmanager
def stub(folder: Path, recording: dict[str, Any], fn_index: int) -> Iterator[App]:
    """A server that answers at once."""
    file = folder / "recording.json"
    file.write_text(json.dumps(recording), encoding="utf-8")
    with _piped("tests.perf.stub", str(file)) as process:
        port = _line(process)
        yield App(url=f"http://127.0.0.1:{port}/", pid=process.pid, fn_index=fn_index)


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What some calls cost the client that made them."""

    calls: int
    cpu_s: float
    wall_s: float

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per call."""
        return 1000 * self.cpu_s / self.calls


class Contender:
    """A client to compare with: `bare` or `stock`. See `tests.perf.contender`."""

    def __init__(self, process: subprocess.Popen[str], users: int) -> None:
        self._process = process
        self._users = users
        self.opening_cpu_s: float = json.loads(_line(process))["opening_cpu_s"]

    def run(self, calls: int) -> Round:
        """Make about as many calls: the same number for each user."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{max(1, round(calls / self._users))}\n")
        self._process.stdin.flush()
        answer = json.loads(_line(self._process))
        if answer["calls"] != answer["wanted"]:
            raise NotMeasured(f"only {answer['calls']} of {answer['wanted']} calls were answered")
        return Round(calls=answer["calls"], cpu_s=answer["cpu_s"], wall_s=answer["wall_s"])


@contextmanager
def contender(kind: str, server: App, users: int) -> Iterator[Contender]:
    """Start a client to compare with."""
    with _piped("tests.perf.contender", kind, server.url, str(server.fn_index), str(users)) as process:
        yield Contender(process, users)


class Generator:
    """gradsoak's own load generator process, as `gradsoak run` uses it, with its history on disk."""

    def __init__(self, server: App, folder: Path, workload: Path = SCENARIO / "workload.py") -> None:
        self._history = folder / f"history-{os.urandom(4).hex()}.jsonl"
        self._settled = folder / "settled"
        self._offset = 0
        self._actions: dict[int, Invoke] = {}
        self._decoder = msgspec.json.Decoder(HistoryRecord)
        self._load = LoadGenerator(log=folder / "generator.log", cwd=REPO)
        self._cpu = Cpu(self._load.pid)
        profile = msgspec.structs.replace(
            BASES["full"],
            users=1,
            think_s=0.0,
            # In practice one session per user and round: opening is not what is timed.
            actions_per_session=2e4,
            reload_share=0.0,
        )
        try:
            self._load.configure(
                GeneratorConfig(
                    url=server.url,
                    workload=str(workload),
                    history=str(self._history),
                    samples=str(folder / "generator.jsonl"),
                    run_tag="9e4f",
                    worker=0,
                    seed=1,
                    params={},
                    profile=profile,
                ),
                lambda: None,
            )
        except BaseException:
            self._load.stop()
            raise

    @property
    def pid(self) -> int:
        """Process id."""
        return self._load.pid

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        return self._cpu.seconds()

    def drive(self, users: int, seconds: float) -> Round:
        """Let users call without a pause, and look at the time when all of them were at it.

        On a machine with other work it may take long until all have started; then it is tried again with more time.

        Raises:
            NotMeasured: calls failed, or there was never a time when all users were at it.
        """
        for attempt in range(4):
            found = self._drive(users, seconds * 2**attempt)
            if found is not None and found.wall_s >= seconds / 2:
                return found
        raise NotMeasured(
            f"{users} users never were at it together for {seconds / 2:g} s; try a longer --seconds"
        )

    def _drive(self, users: int, seconds: float) -> Round | None:
        self.operations()  # those of before are not ours
        samples: list[tuple[int, float]] = []

        def tick() -> None:
            samples.append((time.monotonic_ns(), self._cpu.seconds()))

        leave = time.monotonic_ns() + int(seconds * 1e9)
        self._load.perform(Drive(users=users, spawn_rate=200.0, duration_s=seconds, phase="load"), tick)
        calls = [(invoke, ok) for invoke, ok in self.operations() if invoke.action == ACTION]
        first: dict[str, int] = {}
        for invoke, ok in calls:
            first.setdefault(invoke.session, ok.time_ns)
        if len(first) < users:
            return None
        # A user who began a second visit has a second session; all were at it when the first session of each was.
        everybody = sorted(first.values())[users - 1]
        window = [sample for sample in samples if everybody <= sample[0] <= leave]
        if len(window) < 2:
            return None
        (start_ns, cpu_before), (end_ns, cpu_after) = window[0], window[-1]
        return Round(
            calls=sum(start_ns < ok.time_ns <= end_ns for _, ok in calls),
            cpu_s=cpu_after - cpu_before,
            wall_s=(end_ns - start_ns) / 1e9,
        )

    def drive_unwatched(self, users: int, seconds: float) -> None:
        """Let users call without a pause; `operations` tells what came of it."""
        self._load.perform(
            Drive(users=users, spawn_rate=200.0, duration_s=seconds, phase="load"), lambda: None
        )

    def hold(self, sessions: int) -> Done:
        """Hold that many sessions open in all, each with its state."""
        done = self._load.perform(Hold(sessions=sessions, phase="staircase"), lambda: None)
        if done.held != sessions:
            raise NotMeasured(f"only {done.held} of {sessions} sessions could be opened")
        return done

    def release(self) -> None:
        """Let each held session act once more, and close it."""
        self._load.perform(Release(phase="drain"), lambda: None)

    def settle(self) -> None:
        """Let it collect its garbage and give memory back (the workload listens for the signal)."""
        self._settled.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 60.0
        while not self._settled.exists():
            if time.monotonic() > deadline:
                raise NotMeasured("the load generator did not collect its garbage")
            time.sleep(0.05)

    def operations(self) -> list[tuple[Invoke, Ok]]:
        """Operations that were completed since the last look.

        Raises:
            NotMeasured: one of them failed.
        """
        with self._history.open("rb") as stream:
            stream.seek(self._offset)
            new = stream.read()
            end = new.rfind(b"\n") + 1
        self._offset += end
        done = []
        for line in new[:end].splitlines():
            made = self._decoder.decode(line)
            if isinstance(made, Invoke):
                self._actions[made.id] = made
            elif isinstance(made, Ok):
                done.append((self._actions.pop(made.id), made))
            else:
                invoke = self._actions.pop(made.id)
                raise NotMeasured(f"{invoke.action} of {invoke.session} failed: {made.error.message}")
        return done

    def stop(self) -> None:
        """End the process."""
        self._load.stop()


@contextmanager
def generator(
    server: App, folder: Path, workload: Path = SCENARIO / "workload.py", **environment: str
) -> Iterator[Generator]:
    """Start gradsoak's load generator process against a server.

    Args:
        server: what it calls.
        folder: for its history and log.
        workload: what its users do.
        **environment: variables that the workload reads.
    """
    # The generator does not import from its working folder; workloads here import from this package.
    path = os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")]))
    variables = {"GRADSOAK_PERF_SETTLED": str(folder / "settled"), "PYTHONPATH": path, **environment}
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        started = Generator(server, folder, workload)
    except HarnessError as error:
        raise NotMeasured(f"{error.message} {error.hint}") from error
    finally:
        os.environ.clear()
        os.environ.update(before)
    try:
        yield started
    except HarnessError as error:
        raise NotMeasured(f"{error.message} {error.hint}") from error
    finally:
        started.stop()


@contextmanager
def _piped(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPO,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()  # it ends with its standard input, also if we are killed
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise NotMeasured(f"{' '.join(map(str, process.args[1:4]))} ended with status {process.wait()}")  # type: ignore[index]
    return line.strip()


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def _fn_index(config: str) -> int:
    for number, dependency in enumerate(json.loads(config)["dependencies"]):
        if dependency.get("api_name") == ACTION:
            return int(dependency.get("id", number))
    return -1
