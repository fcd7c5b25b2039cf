"""Each bad input gets one clear error, the right exit code, and loses nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.records import EXPLAIN_PHASE, Info, Invoke
from harness.run_dir import RunDir
from tests.integration.cli import gradsoak, interrupted

CLEAN_APP = """
import gradio as gr

def click(label, count, clicks):
    return count + 1, [*clicks, label], count + 1, [*clicks, label]

with gr.Blocks() as demo:
    count, clicks, label = gr.State(0), gr.State([]), gr.Textbox()
    gr.Button().click(click, [label, count, clicks], [count, clicks, gr.Number(), gr.JSON()], api_name="click")
"""


def app_that(step: str) -> str:
    """The clean app with a step before its answer; `CALLS` holds every label that came so far, this one included."""
    body = "".join(f"    {line}\n" for line in ["CALLS.append(label)", *step.splitlines()])
    return f"import os, time\nCALLS = []\n{CLEAN_APP.replace('    return count', body + '    return count')}"


DYING_APP = app_that("if len(CALLS) > 25:\n    print('out of memory, probably', flush=True)\n    os._exit(3)")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["conters"], "Did you mean counters"),
        (["counters", "--users", "0"], "--users 0 is not possible"),
        (["counters", "--spawn-rate", "-2"], "Give a number: above 0."),
        (["counters", "--duration", "soon"], "--duration 'soon' is not a duration"),
        (["counters", "--profile", "huge"], "quick"),
        (["counters", "--param", "X=1"], "has no parameter"),
        (["counters", "--python", "/nonexistent/python"], "not a Python"),
        (["counters", "--python", "/bin/true"], "not a Python"),
        (["counters", "--out", "/proc/nowhere/run"], "Cannot create"),
        (["."], "has no app.py"),
        (["."], "give its address with --url"),
        (["counters", "--nonsense"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_an_impossible_command_is_refused_before_anything_starts(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    done = gradsoak("run", *arguments, cwd=tmp_path)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_error_for_an_interpreter_without_gradio_names_the_command_that_installs_it(
    tmp_path: Path,
) -> None:
    import venv

    venv.create(tmp_path / "bare")
    done = gradsoak("run", "counters", "--python", tmp_path / "bare/bin/python", cwd=tmp_path)
    assert done.code == 2
    assert "has no gradio" in done.err
    assert "-m pip install gradio" in done.err


def test_a_folder_that_holds_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/manifest.json").write_text("{}")
    done = gradsoak("run", "counters", "--out", "run", cwd=tmp_path)
    assert done.code == 2
    assert "already holds a run" in done.err
    assert (tmp_path / "run/manifest.json").read_text() == "{}"


def test_with_json_an_error_is_one_object_too(tmp_path: Path) -> None:
    done = gradsoak("run", "conters", "--json", cwd=tmp_path)
    assert done.code == 2
    assert done.json()["error"]["exit_code"] == 2
    assert done.json()["verdict"] == "unknown"


def test_an_app_that_raises_at_import_shows_its_own_traceback(make_scenario, tmp_path: Path) -> None:
    folder = make_scenario("def load():\n    raise RuntimeError('no model weights')\n\nload()\n")
    done = gradsoak("run", folder, "--out", "run", cwd=tmp_path)
    assert done.code == 4
    assert "RuntimeError: no model weights" in done.err
    assert "app.py" in done.err
    assert "bootstrap.py" not in done.err
    assert RunDir.open(tmp_path / "run").checks().verdict == "unknown"


def test_an_app_that_never_opens_its_port_is_given_up(make_scenario, tmp_path: Path) -> None:
    folder = make_scenario("import time\nprint('still loading', flush=True)\ntime.sleep(600)\n")
    done = gradsoak("run", folder, "--out", "run", "--ready-timeout", "2s", cwd=tmp_path)
    assert done.code == 4
    assert "not ready after 2 s" in done.err
    assert "still loading" in done.err
    assert "--ready-timeout" in done.err


def test_if_the_app_dies_the_record_until_then_is_kept(make_scenario, tmp_path: Path) -> None:
    done = gradsoak("run", make_scenario(DYING_APP), "--out", "run", "--json", cwd=tmp_path)
    assert done.code == 4
    assert done.json()["verdict"] == "unknown"
    assert "exit status 3" in done.err
    assert "out of memory, probably" in done.err
    run = RunDir.open(tmp_path / "run")
    shards, torn = run.history()
    assert len(shards["0"]) >= 25 * 2
    assert torn == []
    seal = run.sealed()
    assert seal is not None
    assert seal.ended == "target_failed"
    assert (run.path / "derived/report.html").stat().st_size > 0


MISTAKEN_WORKLOAD = """
from harness.workload import Workload, action, append, append_only_list, counter, increment


class Visitor(Workload):
    state = {"count": counter(), "clicks": append_only_list()}

    def arrive(self):
        self.click()
        OUTSIDE

    @action
    def click(self):
        label = self.token()
        with self.operation("click", count=increment(), clicks=append(label)) as seen:
            seen["count"], seen["clicks"] = CALL
"""


@pytest.mark.parametrize(
    ("call", "outside", "line", "says", "hint"),
    [
        (
            'self.page.call("/nope", label)',
            "",
            16,
            "The app has no endpoint '/nope'.",
            "It has /click(label).",
        ),
        (
            'self.page.call("/click", label)',
            'self.page.call("/later")',
            10,
            "no endpoint '/later'",
            "It has /click(label).",
        ),
    ],
)
def test_a_workload_that_asks_for_what_the_app_does_not_have_ends_the_run_with_one_error(
    call: str, outside: str, line: int, says: str, hint: str, make_scenario, click_url: str, tmp_path: Path
) -> None:
    workload = MISTAKEN_WORKLOAD.replace("CALL", call).replace("OUTSIDE", outside)
    folder = make_scenario(None, workload=workload)
    done = gradsoak("run", folder, "--url", click_url, "--out", "run", "--json", cwd=tmp_path)
    assert done.code == 2
    assert done.err.count("Error:") == 1
    assert f"workload.py:{line}: " in done.err
    assert says in done.err
    assert hint in done.err
    assert "Traceback" not in done.err
    assert done.json()["verdict"] == "unknown"
    run = RunDir.open(tmp_path / "run")
    seal = run.sealed()
    assert seal is not None
    assert seal.ended == "misused"
    # One session is enough to know, and nothing was sent in vain a second time.
    assert done.json()["figures"]["operations"]["errors"] == {"workload": 1}


def test_an_app_whose_function_sometimes_fails_is_still_measured(make_scenario, tmp_path: Path) -> None:
    app = app_that("if len(CALLS) % 4 == 0:\n    raise gr.Error('every fourth click fails')")
    done = gradsoak("run", make_scenario(app), "--out", "run", "--json", cwd=tmp_path)
    result = done.json()
    assert result["figures"]["operations"]["errors"].keys() == {"app"}
    assert (result["verdict"], done.code) == ("pass", 0)
    # In the staircase as well, every fourth session gets no state, and does not count as one that has it.
    assert any("of the staircase could not be" in warning for warning in result["figures"]["warnings"])
    run = RunDir.open(tmp_path / "run")
    steps = [p for p in run.plateaus() if p.label == "staircase"]
    assert any(step.open_sessions < 2 * level for level, step in enumerate(steps))
    # Without batches and rounds no growth is judged, so the app is not searched for what retains objects.
    assert EXPLAIN_PHASE not in [e.detail["name"] for e in run.events() if e.kind == "phase"]


def test_a_missing_login_of_a_started_app_is_refused_with_the_reason(make_scenario, tmp_path: Path) -> None:
    """A wrong login, which the same inspection refuses, is in test_outside.py."""
    folder = make_scenario(
        "import gradio as gr\nwith gr.Blocks() as demo:\n    gr.Textbox()\ndemo.launch(auth=('a', 'b'))\n"
    )
    done = gradsoak("run", folder, "--out", "run", cwd=tmp_path)
    assert done.code == 2
    assert "asks for a login" in done.err
    assert "--auth" in done.err


def test_a_history_that_cannot_be_written_ends_the_run(
    scenarios: Path, click_url: str, tmp_path: Path
) -> None:
    """The kernel's limit on file size stands for the full disk: every write beyond it fails."""
    script = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)); runpy.run_module('harness', run_name='__main__')"
    )

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            "run",
            str(scenarios / "counters"),
            "--url",
            click_url,
            "--out",
            "run",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "Cannot write" in done.stderr
    assert "run/history/0.jsonl" in done.stderr or "derived" in done.stderr
    assert (tmp_path / "run/history/0.jsonl").stat().st_size > 0


def test_report_refuses_a_folder_without_a_run(tmp_path: Path) -> None:
    done = gradsoak("report", ".", cwd=tmp_path)
    assert done.code == 2
    assert "holds no run" in done.err


BROKEN_WORKLOAD = """
import itertools
from harness.workload import Workload, action, append, append_only_list, counter, increment

VISITS = itertools.count()


class Visitor(Workload):
    state = {"count": counter(), "clicks": append_only_list()}

    def arrive(self):
        self.use_app()
        # Every second session fails here, the others in their action.
        if next(VISITS) % 2:
            raise ZeroDivisionError("planted in arrive")

    @action
    def click(self):
        self.use_app()
        raise ZeroDivisionError("planted in click")

    def use_app(self):
        label = self.token()
        with self.operation("click", count=increment(), clicks=append(label)) as seen:
            seen["count"], seen["clicks"] = self.page.call("/click", label)
"""


def test_a_workload_that_raises_between_operations_is_never_a_pass(
    make_scenario, click_url: str, tmp_path: Path
) -> None:
    folder = make_scenario(None, workload=BROKEN_WORKLOAD)
    done = gradsoak("run", folder, "--url", click_url, "--out", "run", "--json", cwd=tmp_path)
    assert (done.json()["verdict"], done.code) == ("unknown", 3)
    raised = {r.error.message for r in RunDir.open(tmp_path / "run").history()[0]["0"] if isinstance(r, Info)}
    assert {
        place for place in ("arrive", "click") if any(f"planted in {place}" in text for text in raised)
    } == {
        "arrive",
        "click",
    }


def test_an_app_that_hangs_and_then_stops_working_is_never_a_pass(make_scenario, tmp_path: Path) -> None:
    app = app_that(
        "if len(CALLS) == 8:\n    time.sleep(3)\nif len(CALLS) > 20:\n    raise gr.Error('broken from now on')"
    ).replace('api_name="click"', 'api_name="click", concurrency_limit=None')
    folder = make_scenario(app)
    settings = folder / "scenario.toml"
    settings.write_text(
        settings.read_text().replace("[profile.quick]", "[profile.quick]\noperation_timeout_s = 0.5")
    )
    done = gradsoak("run", folder, "--out", "run", "--json", cwd=tmp_path)
    assert (done.json()["verdict"], done.code) == ("unknown", 3)
    assert done.json()["figures"]["operations"]["errors"].keys() == {"app", "timeout"}
    assert any("did not succeed (app, timeout)" in text for text in done.json()["figures"]["warnings"])
    # The outcome of a call that hangs is unknown, and its session is closed.
    records = RunDir.open(tmp_path / "run").history()[0]["0"]
    session_of = {r.id: r.session for r in records if isinstance(r, Invoke)}
    hung = {session_of[r.id] for r in records if isinstance(r, Info)}
    assert hung
    for session in hung:
        own = [r for r in records if session_of[r.id] == session]
        last = max(i for i, r in enumerate(own) if isinstance(r, Info))
        assert [r.action for r in own[last:] if isinstance(r, Invoke)] == ["close"]


def test_a_slow_ramp_does_not_outlast_its_time(make_scenario, click_url: str, tmp_path: Path) -> None:
    done = gradsoak(
        "run", make_scenario(None), "--url", click_url, "--users", "2", "--spawn-rate", "0.01", "--out", "run",
        cwd=tmp_path,
    )  # fmt: skip
    assert "--spawn-rate" in done.out  # a warning: not everybody had started
    events = RunDir.open(tmp_path / "run").events()
    times = {e.detail["name"]: e.time_ns for e in events if e.kind == "phase"}
    assert (times["drain"] - times["load"]) / 1e9 < 15


@pytest.mark.xdist_group("bench")
def test_sigterm_while_a_report_is_drawn_has_a_code_of_the_table(bench: Path, tmp_path: Path) -> None:
    shutil.copytree(bench / "counters", tmp_path / "run")
    (tmp_path / "run/derived/analysis.json").unlink()
    code, _ = interrupted(
        "report",
        "run",
        "--json",
        cwd=tmp_path,
        when=(tmp_path / "run/derived/analysis.json").exists,
        how=signal.SIGTERM,
    )
    assert code == 3
    assert json.loads((tmp_path / "out").read_text())["error"]["exit_code"] == 3


def test_with_json_a_wrong_option_is_one_object_too(tmp_path: Path) -> None:
    done = gradsoak("run", "--json", cwd=tmp_path)
    assert done.code == 2
    assert done.json()["error"]["exit_code"] == 2
