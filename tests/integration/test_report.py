"""`gradsoak report`: its output, its exit codes, and that no file is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.workload import append_only_list
from tests.integration.cli import gradsoak
from tests.stored import clean, leaking, store

LOG = {"log": append_only_list()}


def test_a_faulty_run_is_explained_kind_by_kind(tmp_path: Path) -> None:
    store(tmp_path / "run", leaking(), **LOG)
    done = gradsoak("report", "run", "--explain", cwd=tmp_path)
    assert done.code == 1, done.err
    assert (
        "s0-1 → s0-2 in log, 6 occurrences\n  Operation A: session s0-1 appended s0-1-value-0 to log"
        in done.out
    )
    assert "state crossed from s0-1 to s0-2." in " ".join(done.out.split())
    assert "and 27 more, see the report." in done.out  # six sessions saw each other: 30 pairs
    assert (tmp_path / "run/derived/report.html").stat().st_size > 0
    short = gradsoak("report", "run", cwd=tmp_path)
    assert short.code == 1
    assert "for example" in short.out
    assert "and 27 more" not in short.out


def test_with_json_there_is_one_object_with_every_anomaly(tmp_path: Path) -> None:
    store(tmp_path / "run", leaking(), **LOG)
    done = gradsoak("report", "run", "--explain", "--json", cwd=tmp_path)
    result = done.json()
    assert (done.code, result["verdict"]) == (1, "fail")
    assert result["anomalies_total"] == {"cross-session-read": 30}
    assert len(result["anomalies"]["cross-session-read"]) == 30
    assert result["anomalies"]["cross-session-read"][0]["explanation"].startswith("Operation A: session s0-1")
    short = gradsoak("report", "run", "--json", cwd=tmp_path).json()
    assert result.keys() - short.keys() == {"anomalies", "anomalies_total"}


def test_a_clean_run_has_nothing_to_explain(tmp_path: Path) -> None:
    store(tmp_path / "run", clean(), **LOG)
    done = gradsoak("report", "run", "--explain", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "Operation A:" not in done.out


def test_a_path_without_a_run_is_one_error(tmp_path: Path) -> None:
    done = gradsoak("report", "nowhere", cwd=tmp_path)
    assert done.code == 2
    assert done.err.count("Error:") == 1
    assert "nowhere does not exist" in done.err
    assert "Traceback" not in done.err
    result = gradsoak("report", "nowhere", "--explain", "--json", cwd=tmp_path).json()
    assert result["error"]["exit_code"] == 2
    assert (result["verdict"], result["anomalies"], result["anomalies_total"]) == ("unknown", {}, {})


def test_a_full_disk_leaves_what_stood_there_and_does_not_hide_the_proof(tmp_path: Path) -> None:
    """The kernel's limit on file size stands for the full disk: every write beyond it fails."""
    run = store(tmp_path / "run", leaking(), **LOG).path
    assert gradsoak("report", "run", cwd=tmp_path).code == 1
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    script = (
        "import resource, runpy, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000)); runpy.run_module('harness', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "report", "run", "--explain"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "state crossed" in " ".join(done.stdout.split())
    assert done.stderr.count("Error:") == 1
    assert "Cannot write" in done.stderr
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_run_folder_after_a_word_that_is_no_verb_gets_the_command_that_evaluates_it(tmp_path: Path) -> None:
    store(tmp_path / "run", clean(), **LOG)
    done = gradsoak("check", "run", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("Error:") == 1
    assert "no verb 'check'" in done.err
    assert "gradsoak report run" in done.err
    assert not (tmp_path / "run/derived").exists()
    result = gradsoak("check", "run", "--json", cwd=tmp_path).json()
    assert result["error"]["exit_code"] == 2


def test_a_word_that_is_no_verb_names_the_verbs(tmp_path: Path) -> None:
    done = gradsoak("check", "app.py", cwd=tmp_path)
    assert done.code == 2
    assert done.err.count("Error:") == 1
    assert "Verbs: run, bench, report, init, scenarios." in done.err
    assert "Did you mean scenarios?" in gradsoak("scenario", cwd=tmp_path).err
    assert "No such option" in gradsoak("--nonsense", cwd=tmp_path).err
