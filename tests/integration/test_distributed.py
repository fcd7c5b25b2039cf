"""Runs on several processes below a Locust master on loopback, and the failures that can occur there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.records import Checks, Invoke
from harness.run_dir import RunDir
from tests.hostile import GENERATOR_MODULES, hostile_folder
from tests.integration.cli import Done, Running, entered, gradsoak, interrupted

# The time that Locust takes to import, several times over, on a machine that does other things as well.
PATIENCE = ("--join-timeout", "90s")


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    file = run / "events.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event["detail"] for event in found if event["kind"] == kind]


def has_recorded(run: Path, worker: str, phase: str) -> Callable[[], bool]:
    """Whether a worker has done something in a phase."""

    def check() -> bool:
        shard = run / "history" / f"{worker}.jsonl"
        return shard.exists() and f'"phase":"{phase}"' in shard.read_text()

    return check


def verdicts(run: Path) -> tuple[Checks, dict[str, str]]:
    checks = RunDir.open(run).checks()
    return checks, {worker.worker: worker.verdict for worker in checks.workers}


def sessions_of(run: Path) -> dict[str, set[str]]:
    shards, torn = RunDir.open(run).history()
    assert torn == []
    return {
        worker: {r.session for r in records if isinstance(r, Invoke)} for worker, records in shards.items()
    }


def assert_each_user_has_a_name(run: Path) -> None:
    """Opening a page makes a new user and reloading it does not, on each worker, for visitors and holders."""
    people: list[str] = []
    for worker, records in RunDir.open(run).history()[0].items():
        begun = [r for r in records if isinstance(r, Invoke) and r.action in ("open", "reload")]
        opened = [r.user for r in begun if r.action == "open"]
        assert {r.phase for r in begun} >= {"staircase"}
        assert all(user.split("-")[2] == worker for user in opened)
        assert {r.user for r in begun if r.action == "reload"} <= set(opened)
        assert not any(r.user for r in records if isinstance(r, Invoke) and r not in begun)
        people += opened
    assert len(people) == len(set(people))
    assert all(people)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def killed_in_the_middle(scenario: Path, tmp_path: Path, *options: str) -> tuple[Done, Path]:
    """A run with three workers, of which the second is killed under load."""
    run = tmp_path / "run"
    arguments = (
        "run", scenario, "--workers", "3", "--users", "6", "--out", "run", "--json", *PATIENCE, *options
    )  # fmt: skip
    with Running(*arguments, cwd=tmp_path) as command:
        command.until(has_recorded(run, "2", "load"))
        pid = next(e["pid"] for e in events(run, "worker_joined") if e["worker"] == "2")
        os.kill(pid, signal.SIGKILL)
        done = command.end()
        assert command.left() == []
        started = [word for line in command.family.values() for word in line]
    assert started.count("harness.load.cluster.master") == 1
    assert started.count("harness.load.cluster.worker") == 3
    return done, run


def test_a_killed_worker_makes_only_its_own_sessions_unknown(
    brief_scenarios: Path, click_url: str, tmp_path: Path
) -> None:
    done, run = killed_in_the_middle(brief_scenarios / "counters", tmp_path, "--url", click_url)
    assert done.code == 3, done.err
    assert done.json()["verdict"] == "unknown"
    seal = RunDir.open(run).sealed()
    assert seal is not None
    assert seal.ended == "completed"
    assert {"history/1.jsonl", "history/2.jsonl", "history/3.jsonl"} <= set(seal.shards)
    lost = events(run, "worker_lost")
    assert [(e["worker"], e["reason"]) for e in lost] == [("2", "was killed by SIGKILL")]
    assert lost[0]["open_sessions"] > 0
    checks, by_worker = verdicts(run)
    assert by_worker == {"1": "pass", "2": "unknown", "3": "pass"}
    verdict = {check.name: check.verdict for check in checks.checks}
    assert verdict["completeness"] == "unknown"
    assert {
        verdict[name] for name in ("cross-session-read", "garbage-read", "lost-update", "read-your-writes")
    } == {"pass"}
    assert "Worker 2 was lost: it was killed by SIGKILL." in checks.reason
    # The remaining workers went through every later phase.
    assert entered(run, "after-close")()
    sessions = sessions_of(run)
    assert all(session.startswith(f"s{worker}-") for worker, ids in sessions.items() for session in ids)
    assert {w.worker: w.sessions for w in checks.workers} == {w: len(ids) for w, ids in sessions.items()}
    assert "Worker 2 was lost" in (run / "derived/report.html").read_text()
    assert [w["verdict"] for w in done.json()["workers"]] == ["pass", "unknown", "pass"]
    assert any("Worker 2 was lost" in warning for warning in done.json()["figures"]["warnings"])


def test_if_a_worker_is_lost_before_the_load_the_others_make_all_arrivals(
    brief_scenarios: Path, click_url: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = (
        "run", brief_scenarios / "counters", "--url", click_url, "--workers", "3",
        "--arrival-rate", "12", "--arrivals", "uniform", "--duration", "5", "--out", "run", "--json", *PATIENCE,
    )  # fmt: skip
    with Running(*arguments, cwd=tmp_path) as command:
        command.until(has_recorded(run, "2", "staircase"))
        os.kill(next(e["pid"] for e in events(run, "worker_joined") if e["worker"] == "2"), signal.SIGKILL)
        done = command.end()
        assert command.left() == []
    assert done.code == 3, done.err
    (arrivals,) = events(run, "arrivals")
    assert arrivals["total"] == 60
    assert not any("arrivals are on record" in text for text in done.json()["figures"]["warnings"])


@pytest.mark.slow
def test_a_leak_among_the_other_workers_is_still_found(brief_scenarios: Path, tmp_path: Path) -> None:
    done, run = killed_in_the_middle(brief_scenarios / "counters_global", tmp_path)
    assert done.code == 1, done.err
    checks, by_worker = verdicts(run)
    assert checks.verdict == "fail"
    assert by_worker["1"] == by_worker["3"] == "fail"
    verdict = {check.name: check.verdict for check in checks.checks}
    assert verdict["cross-session-read"] == "fail"
    assert verdict["garbage-read"] == "pass"
    assert verdict["completeness"] == "unknown"
    # State crossed between processes, which no single worker can detect.
    pairs = {
        tuple(session.partition("-")[0] for session in anomaly.sessions)
        for check in checks.checks
        for anomaly in check.anomalies
    }
    assert {("s1", "s3"), ("s3", "s1")} & pairs


def test_shards_are_returned_over_the_connection_byte_for_byte(brief_scenarios: Path, tmp_path: Path) -> None:
    # No process may import files of the folder in which the user is: neither the command, nor the app, nor master and workers.
    # The generator's processes work in the scenario's folder, and may not import files of that either.
    hostile_folder(tmp_path)
    scenario = Path(shutil.copytree(brief_scenarios / "counters", tmp_path / "counters"))
    hostile_folder(scenario, GENERATOR_MODULES)
    arguments = ("--workers", "3", "--users", "2", "--shards", "return", "--out", "run", "--json", *PATIENCE)
    with Running("run", scenario, *arguments, cwd=tmp_path) as command:
        done = command.end()
        assert command.left() == []
    run = tmp_path / "run"
    assert done.code == 0, done.err
    shards = {e["worker"]: e for e in events(run, "worker_shard")}
    assert sorted(shards) == ["1", "2", "3"]
    for worker, shard in shards.items():
        assert shard["returned"]
        # The checksum is the worker's, of the file that it wrote.
        content = (run / "history" / f"{worker}.jsonl").read_bytes()
        assert content
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
    assert sorted(p.name for p in (run / "history").iterdir()) == ["1.jsonl", "2.jsonl", "3.jsonl"]
    assert_each_user_has_a_name(run)
    # Two users for three workers: one of them only holds sessions.
    assert {e["users"] for e in events(run, "steady")} == {2}
    assert verdicts(run)[1] == {"1": "pass", "2": "pass", "3": "pass"}
    # All on one machine, so all by one clock; and the estimate of the offset agrees.
    clocks = {e["clock"] for e in [*events(run, "worker_joined"), *events(run, "fleet")]}
    assert len(clocks) == 1
    offsets = events(run, "worker_clock")
    assert len(offsets) == 3
    assert all(abs(e["offset_ns"]) <= e["uncertainty_ns"] for e in offsets)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (signal.SIGINT, "was stopped by its user"),
        pytest.param(signal.SIGKILL, "sent no heartbeat for 10 s", marks=pytest.mark.slow),
    ],
)
def test_workers_of_other_machines_and_one_that_is_lost(
    how: signal.Signals, reason: str, brief_scenarios: Path, click_url: str, tmp_path: Path
) -> None:
    """Workers start before their master. One writes into the shared run folder. The other, which would return its shard, is
    ended during the run, by SIGINT or by SIGKILL."""
    scenario, port = brief_scenarios / "counters", ("--master-port", free_port())
    run = tmp_path / "run"
    with (
        Running("run", scenario, "--worker", *port, *PATIENCE, cwd=tmp_path, name="w1") as one,
        Running(
            "run", scenario, "--worker", "--shared-dir", ".", *port, *PATIENCE, cwd=tmp_path, name="w2"
        ) as other,
        Running(
            "run", scenario, "--url", click_url, "--master", "--workers", "2", *port, *PATIENCE,
            "--out", "run", "--json", cwd=tmp_path, name="master",
        ) as master,
    ):  # fmt: skip
        master.until(entered(run, "load"))
        one.look()
        other.look()
        one.process.send_signal(how)
        stopped = one.end()
        done = master.end()
        worked = other.end()
        assert one.left() == other.left() == master.left() == []
    assert done.code == 3, done.err
    assert worked.code == 0, worked.err
    lost = events(run, "worker_lost")
    assert [e["reason"] for e in lost] == [reason]
    number = lost[0]["worker"]
    checks, by_worker = verdicts(run)
    assert by_worker[number] == "unknown"
    assert sorted(by_worker.values()) == ["pass", "unknown"]
    assert f"The shard of worker {number} is missing." in checks.reason
    assert any("not sampled" in warning for warning in done.json()["figures"]["warnings"])
    assert {e["worker"]: e["shard"] for e in events(run, "worker_joined")}[number] == "return"
    kept = list(tmp_path.glob(f"gradsoak-worker-*/run-{number}.jsonl"))
    assert len(kept) == 1
    if how == signal.SIGINT:
        assert stopped.code == 3
        assert str(kept[0]) in stopped.err
        assert f"run/history/{number}.jsonl" in stopped.err
    shutil.copy(kept[0], run / "history" / f"{number}.jsonl")
    again = gradsoak("report", "run", cwd=tmp_path)
    assert again.code == 3, again.err
    checks, by_worker = verdicts(run)
    assert "is missing" not in checks.reason
    assert by_worker[number] == "unknown"
    sessions = {w.worker: w.sessions for w in checks.workers}
    assert sessions[number] >= len(sessions_of(run)[number]) > 0


def test_another_workload_is_refused_at_both_ends(
    brief_scenarios: Path, click_url: str, tmp_path: Path
) -> None:
    changed = tmp_path / "counters"
    shutil.copytree(brief_scenarios / "counters", changed)
    (changed / "workload.py").write_text((changed / "workload.py").read_text() + "\n# changed\n")
    port = ("--master-port", free_port())
    with (
        Running("run", changed, "--worker", *port, *PATIENCE, cwd=tmp_path, name="worker") as worker,
        Running(
            "run", brief_scenarios / "counters", "--url", click_url, "--master", *port, *PATIENCE, "--out", "run",
            cwd=tmp_path,
        ) as master,
    ):  # fmt: skip
        ends = [worker.end(), master.end()]
        assert worker.left() == master.left() == []
    for done in ends:
        assert done.code == 2, done.err
        assert "has another workload than the master" in done.err
        assert "Copy the scenario folder" in done.err
        assert "Traceback" not in done.err


def test_a_master_that_dies_ends_the_run_and_all_workers(brief_scenarios: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Running(
        "run", brief_scenarios / "counters", "--workers", "2", "--out", "run", *PATIENCE, cwd=tmp_path
    ) as command:
        command.until(has_recorded(run, "1", "load"))
        os.kill(command.pid_of("harness.load.cluster.master"), signal.SIGKILL)
        done = command.end()
        assert command.left() == []
    assert done.code == 70
    assert "was killed by SIGKILL" in done.err
    seal = RunDir.open(run).sealed()
    assert seal is not None
    assert seal.ended == "load_failed"
    # The records until then are kept, and prove nothing.
    assert all(sessions_of(run).values())
    assert RunDir.open(run).checks().verdict == "unknown"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(
    how: signal.Signals, brief_scenarios: Path, tmp_path: Path
) -> None:
    """SIGINT is in test_outside.py, where the app must go on, and in test_bench.py."""
    run = tmp_path / "run"
    # A command that can still end collects the shards. One that is killed must have left them in the run folder.
    shards = "return" if how == signal.SIGTERM else "folder"
    code, left = interrupted(
        "run", brief_scenarios / "counters", "--workers", "2", "--shards", shards, "--out", "run", *PATIENCE,
        cwd=tmp_path, when=entered(run, "load"), how=how,
    )  # fmt: skip
    assert left == []
    if how == signal.SIGTERM:
        assert code == 3
        seal = RunDir.open(run).sealed()
        assert seal is not None
        assert seal.ended == "interrupted"
        assert RunDir.open(run).checks().verdict == "unknown"
        assert (run / "derived/report.html").exists()
        # Shards that were to be returned at the end are kept.
        assert all(sessions_of(run)[worker] for worker in ("1", "2"))
    else:
        assert code == -signal.SIGKILL
        records = RunDir.open(run).history()[0]
        assert all(records[worker] for worker in ("1", "2"))
        done = gradsoak("report", "run", cwd=tmp_path)
        assert done.code == 3
        assert "never sealed" in " ".join(done.out.split()), done.out


def test_every_wait_has_a_limit(brief_scenarios: Path, click_url: str, tmp_path: Path) -> None:
    port = free_port()
    worker = gradsoak(
        "run",
        brief_scenarios / "counters",
        "--worker",
        "--master-port",
        port,
        "--join-timeout",
        "2s",
        cwd=tmp_path,
    )
    assert worker.code == 2
    assert f"No master answered at 127.0.0.1:{port} within 2 s." in worker.err
    master = gradsoak(
        "run", brief_scenarios / "counters", "--url", click_url, "--master", "--workers", "2", "--master-port", port,
        "--join-timeout", "1s", "--out", "run", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert master.code == 3
    assert f"Only 0 of 2 workers connected to 127.0.0.1:{port} within 1 s." in master.err
    assert "--worker" in master.json()["error"]["hint"]


def test_a_port_that_is_in_use_is_named(brief_scenarios: Path, click_url: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = gradsoak(
            "run",
            brief_scenarios / "counters",
            "--url",
            click_url,
            "--master",
            "--master-port",
            port,
            "--out",
            "run",
            cwd=tmp_path,
        )
    assert done.code == 2
    assert f"cannot listen at 127.0.0.1:{port}" in done.err
    assert "--master-port" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--workers", "0"], "--workers 0 is not possible"),
        (["--master", "--worker"], "either the master or a worker"),
        (["--master", "--master-bind-host", "0.0.0.0"], "--allow-remote"),
        (["--worker", "--master-host", "192.0.2.7"], "--allow-remote"),
        (["--worker", "--master-host", "no-such-host.invalid"], "cannot be resolved"),
        (["--worker", "--master-port", "70000"], "not a port"),
        (["--worker", "--shared-dir", "nowhere"], "not a folder"),
        (["--master-host", "127.0.0.1"], "is for workers"),
        (["--master-port", "5557"], "without a master"),
        (["--shards", "return"], "--shards has no meaning without a master"),
        (["--join-timeout", "5s"], "--join-timeout has no meaning without a master"),
        (["--workers", "3", "--arrival-rate", "5", "--max-in-flight", "2"], "cannot share 2 sessions"),
        (["--workers", "2", "--shards", "pigeon"], "folder or return"),
        (["--workers", "2", "--join-timeout", "soon"], "not a duration"),
    ],
)
def test_invalid_options_are_refused_before_anything_starts(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    done = gradsoak("run", "counters", *arguments, cwd=tmp_path)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []
