"""Apps that run already: driven with `--url`, watched from outside, never stopped; and what happens when they break."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from harness import evaluate, profiles, scenario
from harness.app_under_test import inspect_url, locate
from harness.records import Fail, Invoke
from harness.run_dir import RunDir
from harness.runs.run_options import RunOptions
from harness.runs.single_run import execute
from tests.integration.cli import command, entered, files_with, gradsoak
from tests.integration.outside import (
    CLICK_APP,
    LAUNCH,
    MOUNT,
    answers,
    make_certificate,
    running_app,
    start_app,
)
from tests.stored import whole_history

SECRETS = ("open-sesame-1", "open-sesame-2")


@pytest.fixture
def workload(make_scenario) -> Path:
    """A scenario folder without an app."""
    return make_scenario(None)


def test_an_app_that_runs_already_is_tested_and_left_running(
    click_app: tuple[str, subprocess.Popen[bytes]], workload: Path, tmp_path: Path
) -> None:
    url, process = click_app
    settings = workload / "scenario.toml"
    settings.write_text(f'restart = true\n{settings.read_text()}\n[params]\nSIZE = "3"\n')
    done = gradsoak(
        "run", workload, "--url", f"{url}/?__theme=dark", "--param", "SIZE=4", "--auth", f"alice:{SECRETS[0]}",
        "--out", "run", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert (done.json()["verdict"], done.code) == ("pass", 0), done.err
    # None has done what it looks like.
    warnings = done.json()["figures"]["warnings"]
    assert any("the app asks for none" in text for text in warnings)
    assert any("only the workload received --param SIZE=4" in text for text in warnings)
    assert any("was not restarted" in text for text in warnings)
    assert files_with(tmp_path / "run", SECRETS[0]) == []
    assert process.poll() is None
    assert answers(url)
    run = RunDir.open(tmp_path / "run")
    external = run.manifest().external
    assert external is not None
    assert (external.url, external.protocol, external.pid) == (f"{url}/", "sse_v3", process.pid)
    memory = done.json()["figures"]["memory"]
    assert memory["bytes_per_open_session"]["live"] is None
    assert "gradsoak did not start the app" in memory["not_measured"]
    assert done.json()["figures"]["server"]["rss_high_water_bytes"] > 10_000_000
    assert {p.probe.live_bytes for p in run.plateaus()} == {None}
    assert not (run.path / "samples/probe.jsonl").exists()
    assert not (run.path / "logs/target.log").exists()
    report = (run.path / "derived/report.html").read_text()
    assert report.count("gradsoak did not start the app, so it has no probe") == 1


SHARED_APP = """
import os, sys, time
import gradio as gr

CLICKS = []  # the planted fault: one list for everybody

def click(label):
    CLICKS.append(label)
    return len(CLICKS), list(CLICKS)

with gr.Blocks() as demo:
    label = gr.Textbox(label="Label")
    gr.Button().click(click, label, [gr.Number(), gr.JSON()], api_name="click")
"""


def test_shared_state_is_found_from_outside_as_well(workload: Path, tmp_path: Path) -> None:
    with running_app(tmp_path / "app", source=SHARED_APP + LAUNCH) as (url, _):
        done = gradsoak("run", workload, "--url", url, "--out", "run", "--json", cwd=tmp_path)
    assert (done.json()["checks"]["cross-session-read"], done.code) == ("fail", 1), done.err


def test_where_no_process_can_be_seen_nothing_is_said_about_memory(
    click_app: tuple[str, subprocess.Popen[bytes]], workload: Path, tmp_path: Path
) -> None:
    found = scenario.load(workload, needs_app=False)
    located = locate(inspect_url(click_app[0]), None)
    record = msgspec.structs.replace(
        located.record, pid=None, process=None, not_sampled="it runs on another machine"
    )
    options = RunOptions(
        scenario=found,
        profile=profiles.resolve("quick", found.profiles, {}),
        params={},
        seed=1,
        interpreter=None,
        ready_timeout_s=10,
        argv=["gradsoak", "run"],
        external=msgspec.structs.replace(located, record=record),
    )
    run = RunDir.create(tmp_path / "run")
    assert execute(options, run, lambda _: None) is None
    evaluation = evaluate.evaluate_run(run)
    evaluate.render(run, evaluation)
    assert evaluation.checks.verdict == "pass"
    assert evaluation.analysis.memory.not_measured == (
        "Memory was not measured: gradsoak did not start the app, and it runs on another machine."
    )
    assert evaluation.analysis.server.rss_high_water_bytes is None
    # Sessions were held all the same, since they are what isolation is judged by.
    whole = whole_history(evaluation.run)
    assert any(o.phase == "drain" and o.reads for o in whole.operations)
    assert sorted(p.name for p in (run.path / "samples").iterdir()) == ["generator-0.jsonl", "loadgen.jsonl"]
    plots = {p.stem for p in (run.path / "derived/plots").iterdir()}
    assert {"latency", "stages", "throughput"} <= plots
    assert not any(name.startswith("memory") for name in plots)


def test_an_app_below_a_path_of_a_larger_site(workload: Path, tmp_path: Path) -> None:
    with running_app(tmp_path / "app", source=CLICK_APP + MOUNT, path="/inner/app") as (url, _):
        done = gradsoak("run", workload, "--url", f"{url}/", "--out", "run", "--json", cwd=tmp_path)
        assert (done.json()["verdict"], done.code) == ("pass", 0), done.err
        missed = gradsoak("run", workload, "--url", url.removesuffix("/inner/app"), cwd=tmp_path)
        assert missed.code == 2
        assert "mounted below a path" in missed.err
        beyond = gradsoak("run", workload, "--url", f"{url}/page", cwd=tmp_path)
        assert beyond.code == 2
        assert f"--url {url}/" in beyond.err


def test_logins_are_taken_in_turn_and_written_down_nowhere(workload: Path, tmp_path: Path) -> None:
    logins = [f"alice:{SECRETS[0]}", f"bob:{SECRETS[1]}"]
    (tmp_path / "accounts").write_text("\n".join(logins))
    with running_app(tmp_path / "app", *logins) as (url, _):
        nobody = gradsoak("run", workload, "--url", url, "--out", "nobody", cwd=tmp_path)
        assert nobody.code == 2
        assert "asks for a login" in nobody.err
        assert "--auth USER:PASSWORD" in nobody.err
        wrong = gradsoak("run", workload, "--url", url, "--auth", "alice:" + SECRETS[1], cwd=tmp_path)
        assert wrong.code == 2
        assert "refuses the login" in wrong.err
        assert SECRETS[1] not in wrong.err
        done = gradsoak(
            "run", workload, "--url", url, "--auth", f"@{tmp_path / 'accounts'}", "--auth", logins[0], "--out", "run", "--json", cwd=tmp_path
        )  # fmt: skip
    assert (done.json()["verdict"], done.code) == ("pass", 0), done.err
    for secret in SECRETS:
        assert files_with(tmp_path / "run", secret) == []
        assert secret not in done.out + done.err
    assert "***" in RunDir.open(tmp_path / "run").manifest().argv
    assert not (tmp_path / "nobody").exists()


ASKING_APP = f"""{CLICK_APP}
SEEN = open(os.environ["SEEN"], "a", buffering=1)
def who(user, password):
    SEEN.write(user + "\\n")
    return password in {SECRETS!r}
demo.launch(auth=who)
"""


def test_a_session_that_loses_its_login_is_refused_and_nothing_is_a_pass(
    make_scenario, tmp_path: Path
) -> None:
    """The app takes a password only so often; from then on pages cannot be opened."""
    source = ASKING_APP.replace(f"password in {SECRETS!r}", "sum(1 for _ in open(SEEN.name)) < 8")
    folder = make_scenario(source.replace('os.environ["SEEN"]', repr(str(tmp_path / "seen"))))
    done = gradsoak("run", folder, "--auth", f"alice:{SECRETS[0]}", "--out", "run", "--json", cwd=tmp_path)
    run = RunDir.open(tmp_path / "run")
    failed = [r for r in run.history()[0]["0"] if isinstance(r, Fail)]
    assert {r.error.kind for r in failed} == {"rejected"}
    assert any("login of 'alice'" in r.error.message for r in failed)
    assert done.code != 0
    assert files_with(run.path, SECRETS[0]) == []


TLS = LAUNCH.replace(
    "demo.launch(", "demo.launch(ssl_certfile='certificate', ssl_keyfile='key', ssl_verify=False, "
)
ONE_VISIT = """
import sys
from harness.page import GradioPage
from harness.page.page_errors import OperationFailed, OperationUnknown

page = GradioPage(sys.argv[1], timeout_s=20, auth=("alice", "secret"))
try:
    page.open()
    print(page.call("/click", "a")[0], page.call("/click", "b")[0], page.connected)
except (OperationFailed, OperationUnknown) as error:
    print(type(error).__name__, error)
page.close()
"""


def test_a_page_speaks_tls_and_trusts_whom_it_was_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    certificate = make_certificate(folder)
    with running_app(folder, "alice:secret", source=CLICK_APP + TLS, certificate=certificate) as (url, _):
        facts = [
            subprocess.run(
                [sys.executable, "-c", ONE_VISIT, f"{url}/"],
                env={**os.environ, "SSL_CERT_FILE": trusted},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            for trusted in (str(certificate), "")
        ]
    assert facts[0].stdout == "1 2 True\n", facts[0].stderr
    assert "certificate verify failed" in facts[1].stdout


class Command:
    """The command under way, and what is done to its app meanwhile."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        self._folder = folder
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                command(*arguments), cwd=folder, stdout=out, stderr=err, env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
            )  # fmt: skip

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert self.process.poll() is None, (self._folder / "err").read_text()
            assert time.monotonic() < deadline, "it never came so far"
            time.sleep(0.01)

    def end(self) -> tuple[int, str]:
        code = self.process.wait(timeout=90)
        return code, (self._folder / "err").read_text()


def test_an_app_that_dies_in_the_middle_ends_the_run_in_bounded_time(workload: Path, tmp_path: Path) -> None:
    with running_app(tmp_path / "app") as (url, process):
        running = Command(
            tmp_path, "run", workload, "--url", url, "--duration", "10m", "--out", "run", "--json"
        )
        running.until(entered(tmp_path / "run", "load"))
        process.kill()
        code, err = running.end()
    assert code == 4, err
    assert f"The app at {url} is gone during the phase 'load'" in err
    result = json.loads((tmp_path / "out").read_text())
    assert result["verdict"] == "unknown"
    # Refused connections are failures that cannot have had an effect; what was under way is unknown.
    assert set(result["figures"]["operations"]["errors"]) <= {"rejected", "connection", "protocol"}
    seal = RunDir.open(tmp_path / "run").sealed()
    assert seal is not None
    assert seal.ended == "target_failed"


def test_an_app_that_is_restarted_in_the_middle_is_seen_to_lose_state(workload: Path, tmp_path: Path) -> None:
    """A second process of the app waits until the file `gate` exists, and then takes the port of the first."""
    with running_app(tmp_path / "first") as (url, first):
        port = int(url.rpartition(":")[2])
        second = start_app(tmp_path / "second", port=port, gate=tmp_path / "gate")
        try:
            running = Command(
                tmp_path,
                "run",
                workload,
                "--url",
                url,
                "--duration",
                "6",
                "--think",
                "0.2",
                "--out",
                "run",
                "--json",
            )
            running.until(entered(tmp_path / "run", "load"))
            first.kill()
            first.wait()
            (tmp_path / "gate").touch()
            code, err = running.end()
            assert second.poll() is None, (tmp_path / "second/outside.log").read_text()
        finally:
            second.kill()
            second.wait()
    result = json.loads((tmp_path / "out").read_text())
    assert code == 1, err
    assert result["checks"]["lost-update"] == "fail"
    assert any("restarted" in warning for warning in result["figures"]["warnings"])


def test_ctrl_c_ends_the_run_and_not_the_app(
    click_app: tuple[str, subprocess.Popen[bytes]], workload: Path, tmp_path: Path
) -> None:
    url, process = click_app
    running = Command(tmp_path, "run", workload, "--url", url, "--duration", "60", "--out", "run")
    running.until(entered(tmp_path / "run", "load"))
    family = psutil.Process(running.process.pid).children(recursive=True)
    running.process.send_signal(signal.SIGINT)
    code, err = running.end()
    assert code == 3, err
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert process.poll() is None
    assert answers(url)
    run = RunDir.open(tmp_path / "run")
    seal = run.sealed()
    assert seal is not None
    assert seal.ended == "interrupted"
    assert any(isinstance(r, Invoke) for r in run.history()[0]["0"])
