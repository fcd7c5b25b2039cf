"""`gradsoak bench` on small scenarios."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from harness import scenario
from tests.integration.cli import entered, gradsoak, interrupted


@pytest.mark.xdist_group("bench")
def test_a_bench_of_clean_and_faulty_scenarios_is_green(bench: Path) -> None:
    core = len(scenario.core())
    assert core >= 6
    assert f"{core} of {core} scenarios gave what they declare" in (bench / "stdout").read_text()
    rows = json.loads((bench / "bench.json").read_bytes())["rows"]
    assert {row["verdict"] for row in rows} == {"pass", "fail"}
    assert all(row["met"] for row in rows)
    page = (bench / "index.html").read_text()
    for row in rows:
        assert f'href="{row["run"]}/derived/report.html"' in page
        assert (bench / row["run"] / "derived/report.html").exists()


def test_a_scenario_whose_app_fails_does_not_stop_the_next_one_and_both_turn_the_bench_red(
    brief_scenarios: Path, make_scenario, tmp_path: Path
) -> None:
    broken = shutil.copytree(brief_scenarios / "counters", tmp_path / "broken")
    (broken / "app.py").write_text("raise RuntimeError('planted')\n")
    faulty = make_scenario(
        (brief_scenarios / "counters_global/app.py").read_text(), settings='[expect]\nverdict = "pass"\n'
    )
    done = gradsoak("bench", broken, faulty, "--out", "bench", "--json", cwd=tmp_path)
    assert done.code == 1
    failed, crossed = done.json()["rows"]
    assert (failed["verdict"], failed["met"], failed["exit_code"]) == ("unknown", False, 4)
    assert "RuntimeError: planted" in (tmp_path / "bench/index.html").read_text()
    assert (crossed["verdict"], crossed["met"]) == ("fail", False)
    assert crossed["anomalies"]["cross-session-read"] > 0


def test_an_interrupted_bench_keeps_its_page(brief_scenarios: Path, tmp_path: Path) -> None:
    code, left = interrupted(
        "bench",
        brief_scenarios / "counters",
        brief_scenarios / "large_lists",
        "--out",
        "bench",
        cwd=tmp_path,
        when=entered(tmp_path / "bench/counters", "load"),
        how=signal.SIGINT,
    )
    assert code == 3
    assert left == []
    bench = json.loads((tmp_path / "bench/bench.json").read_bytes())
    assert bench["ended"] == "interrupted"
    assert [row["scenario"] for row in bench["rows"]] == ["counters"]
    assert (tmp_path / "bench/index.html").exists()


def test_a_bench_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/thesis.txt").touch()
    done = gradsoak("bench", "--out", "bench", cwd=tmp_path)
    assert done.code == 2
    assert "is not empty" in done.err


def test_two_scenarios_of_one_name_are_refused_before_anything_starts(
    scenarios: Path, tmp_path: Path
) -> None:
    done = gradsoak("bench", "counters", scenarios / "counters", "--out", "bench", "--json", cwd=tmp_path)
    assert done.code == 2
    assert "are called counters" in done.json()["error"]["message"]
    assert not (tmp_path / "bench").exists()


def test_a_workload_that_cannot_be_imported_is_the_users_mistake(make_scenario, tmp_path: Path) -> None:
    app = "import gradio as gr\nwith gr.Blocks() as demo:\n    gr.Textbox()\n"
    done = gradsoak(
        "bench",
        make_scenario(app, workload="import nothing_like_it\n"),
        "--out",
        "bench",
        "--json",
        cwd=tmp_path,
    )
    assert (done.code, done.json()["verdict"]) == (2, "unknown")
    assert "nothing_like_it" in done.err
