"""A restart of the app during a run: which state survives it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.records import Invoke, Ok
from harness.run_dir import RunDir
from harness.run_reader import open_run
from tests.integration.cli import Done, Running, entered

# Notes of each user, in an SQLite file. The browser keeps the user's identity. It also keeps a second value, whose secret
# the app draws anew at each start, as Gradio does by default.
APP = """
import contextlib, os, sqlite3, uuid
import gradio as gr

print("folder", os.environ["GRADSOAK_DATA"])
PATH = os.path.join(os.environ["GRADSOAK_DATA"], "notes.db")

def query(statement, *values):
    with contextlib.closing(sqlite3.connect(PATH, timeout=30)) as db, db:
        return db.execute(statement, values).fetchall()

query("create table if not exists notes (number integer primary key, person text, note text)")

def store(person, note):
    query("insert into notes (person, note) values (?, ?)", person, note)

def stored(person):
    return [note for (note,) in query("select note from notes where person = ? order by number", person)]
#ROWS

def arrive(person, forgetful, request: gr.Request):
    print("arrives", person is not None, forgetful is not None)
    person = person or uuid.uuid4().hex
    print("logged in", person, request.username)
    return person, person

def add(person, note):
    store(person, note)
    return stored(person)

with gr.Blocks() as demo:
    person = gr.BrowserState(None, storage_key="person", secret="notes")
    forgetful = gr.BrowserState(None, storage_key="forgetful")
    note, notes = gr.Textbox(label="Note"), gr.JSON(label="Notes")
    gr.Button("Add").click(add, [person, note], notes, concurrency_limit=None)
    gr.Button("Show").click(stored, person, notes, concurrency_limit=None)
    demo.load(arrive, [person, forgetful], [person, forgetful])

demo.launch()
"""

ROWS_IN_MEMORY = """
rows = []

def store(person, note):
    rows.append((person, note))

def stored(person):
    return [note for who, note in rows if who == person]
"""

# Where users log in, notes belong to the account. Several users may share one, so that adding and reading are one step.
BY_ACCOUNT = """
import threading
notes_of, lock = stored, threading.Lock()

def stored(person, request: gr.Request):
    return notes_of(request.username)

def add(person, note, request: gr.Request):
    with lock:
        store(request.username, note)
        return notes_of(request.username)
"""

WORKLOAD = """
from harness.workload import Workload, action, append, append_only_list

class Writer(Workload):
    state = {"notes": append_only_list(scope="user")}

    def arrive(self):
        with self.operation("show") as seen:
            self.page.click("Show")
            seen["notes"] = self.page.value("Notes")
        self.add()

    @action
    def add(self):
        note = self.token()
        with self.operation("add", notes=append(note)) as seen:
            self.page.fill("Note", note)
            self.page.click("Add")
            seen["notes"] = self.page.value("Notes")
"""

SETTINGS = "restart = true\n"
QUICKLY = ("--duration", "2s", "--out", "run", "--json")


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    return [event.detail for event in RunDir.open(run).events() if event.kind == kind]


def run_of(scenario: Path, tmp_path: Path, *arguments: str) -> tuple[Done, Path]:
    with Running("run", scenario, *QUICKLY, *arguments, cwd=tmp_path) as command:
        done = command.end()
        assert command.left() == []
    return done, tmp_path / "run"


def assert_users_returned(run: Path) -> None:
    """The users that returned are from the load phase, with their names, and each found its notes."""
    before: set[str] = set()
    notes: dict[str, int] = {}
    came_back: list[str] = []
    for records in RunDir.open(run).history()[0].values():
        begun = {r.session: r for r in records if isinstance(r, Invoke) and r.user}
        session_of = {r.id: r.session for r in records if isinstance(r, Invoke)}
        before |= {r.user for r in begun.values() if r.phase == "load"}
        again = {session: r for session, r in begun.items() if r.phase == "after-restart"}
        assert {r.action for r in again.values()} == {"reload"}
        came_back += [r.user for r in again.values()]
        for record in records:
            if isinstance(record, Ok) and session_of[record.id] in again and record.reads:
                user = again[session_of[record.id]].user
                notes.setdefault(user, len(record.reads["notes"]))
    assert len(came_back) == len(set(came_back)) == 4
    assert set(came_back) <= before
    assert set(notes) == set(came_back)
    assert all(count > 0 for count in notes.values())


def test_acknowledged_writes_are_there_after_a_restart(make_scenario, tmp_path: Path) -> None:
    done, run = run_of(make_scenario(APP, workload=WORKLOAD, settings=SETTINGS), tmp_path)
    assert (done.json()["verdict"], done.code) == ("pass", 0), done.err
    (restart,) = events(run, "target_restart")
    (ready,) = events(run, "target_ready")
    assert restart["old_pid"] == ready["pid"] != restart["new_pid"]
    assert restart["stopped"] == "was killed by SIGTERM"
    assert restart["duration_s"] > 0
    names = [phase["name"] for phase in events(run, "phase")]
    assert names.index("after-close") < names.index("restart") < names.index("after-restart")
    assert_users_returned(run)
    log = (run / "logs" / "target.log").read_text().splitlines()
    # Both processes use one folder, which is removed after the run, and one address.
    folders = [line.split()[1] for line in log if line.startswith("folder")]
    assert len(folders) == 2
    assert len(set(folders)) == 1
    assert not Path(folders[0]).parent.exists()
    # The app recognises returning users. A value that was encrypted with the old secret cannot be read.
    second = len(log) - 1 - log[::-1].index(f"folder {folders[0]}")
    assert "arrives True True" in log[:second]
    assert log[second + 1 :].count("arrives True False") == 4
    # Sampling continues with the new process, and the CPU time of the old one stays counted.
    samples = open_run(RunDir.open(run)).target
    ended = next(e.time_ns for e in RunDir.open(run).events() if e.kind == "target_restart")
    assert any(sample.time_ns > ended for sample in samples)
    assert [s.cpu_s for s in samples] == sorted(s.cpu_s for s in samples)


@pytest.mark.slow
def test_rows_in_memory_are_lost(make_scenario, tmp_path: Path) -> None:
    app = APP.replace("#ROWS", ROWS_IN_MEMORY)
    done, run = run_of(make_scenario(app, workload=WORKLOAD, settings=SETTINGS), tmp_path)
    assert (done.json()["verdict"], done.code) == ("fail", 1), done.err
    found = {check.name for check in RunDir.open(run).checks().checks if check.verdict == "fail"}
    assert found & {"lost-update", "reset"}


@pytest.mark.slow
def test_returning_users_log_in_with_the_same_account(make_scenario, tmp_path: Path) -> None:
    """After a restart the login cookie is invalid, so users log in again."""
    app = APP.replace("demo.launch()", "demo.launch(auth=lambda name, password: password == 'sesame')")
    app = app.replace("with gr.Blocks()", f"{BY_ACCOUNT}\nwith gr.Blocks()")
    scenario = make_scenario(app, workload=WORKLOAD, settings=SETTINGS)
    done, run = run_of(scenario, tmp_path, "--auth", "alice:sesame", "--auth", "bob:sesame")
    assert (done.json()["verdict"], done.code) == ("pass", 0), done.err
    assert_users_returned(run)
    logins: dict[str, list[str]] = {}
    for line in (run / "logs" / "target.log").read_text().splitlines():
        if line.startswith("logged in"):
            logins.setdefault(line.split()[2], []).append(line.split()[3])
    assert all(len(set(names)) == 1 for names in logins.values())
    assert {names[0] for names in logins.values()} == {"alice", "bob"}


@pytest.mark.slow
def test_users_return_to_each_of_several_workers(make_scenario, tmp_path: Path) -> None:
    scenario = make_scenario(APP, workload=WORKLOAD, settings=SETTINGS)
    done, run = run_of(scenario, tmp_path, "--workers", "2")
    assert (done.json()["verdict"], done.code) == ("pass", 0), done.err
    assert_users_returned(run)


@pytest.mark.slow
def test_an_app_that_does_not_start_again_ends_the_run(make_scenario, tmp_path: Path) -> None:
    app = APP.replace("#ROWS", 'assert not stored("marker"), "already used"\nstore("marker", "x")')
    done, run = run_of(make_scenario(app, workload=WORKLOAD, settings=SETTINGS), tmp_path)
    assert done.code == 4, done.err
    assert "After its restart: The app ended by itself with exit status 1 before it was ready." in done.err
    assert "already used" in done.err
    seal = RunDir.open(run).sealed()
    assert seal is not None
    assert seal.ended == "target_failed"
    assert not list(tmp_path.glob("gradsoak-*"))


@pytest.mark.slow
def test_a_run_interrupted_during_the_restart_leaves_nothing_behind(make_scenario, tmp_path: Path) -> None:
    app = APP.replace("#ROWS", 'import time\nif stored("marker"): time.sleep(600)\nstore("marker", "x")')
    scenario, run = make_scenario(app, workload=WORKLOAD, settings=SETTINGS), tmp_path / "run"
    with Running("run", scenario, *QUICKLY, cwd=tmp_path) as command:
        command.until(entered(run, "restart"))
        first = events(run, "target_ready")[0]["pid"]
        command.until(lambda: not psutil.pid_exists(first))
        command.look()
        command.process.send_signal(signal.SIGINT)
        done = command.end()
        assert command.left() == []
    assert done.code == 3, done.err
    seal = RunDir.open(run).sealed()
    assert seal is not None
    assert seal.ended == "interrupted"
    assert not list(tmp_path.glob("gradsoak-*"))
