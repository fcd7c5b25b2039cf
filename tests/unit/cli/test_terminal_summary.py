"""What the end of a run says on the console and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from harness.analysis import analyse
from harness.checkers import combine
from harness.cli.terminal_summary import as_json, print_summary
from harness.evaluate import Evaluation
from harness.recorded_run import RecordedRun
from harness.records import Check, not_applying
from harness.units import byte_size
from tests.unit.report import memories
from tests.unit.report.builders import anomaly, failing
from tests.unit.report.conftest import full

__all__ = ["full"]


@pytest.fixture
def evaluation(full: RecordedRun) -> Evaluation:
    checks = [
        Check(name="completeness", verdict="pass", reason="All there.", evidence={"operations": 3}),
        Check(
            name="reset",
            verdict="pass",
            reason="Does not apply: nothing was read twice.",
            evidence={},
            applies=False,
        ),
    ]
    return Evaluation(run=full, checks=combine(checks), analysis=analyse(full), witnesses=full.history)


def test_a_check_that_does_not_apply_is_not_shown_as_passed(
    evaluation: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    print_summary(Path("run"), evaluation)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("reset")]
    assert " ".join(line.split()) == "reset – does not apply Nothing was read twice."


def test_the_json_object_names_the_checks_that_do_not_apply(evaluation: Evaluation) -> None:
    told = json.loads(as_json(Path("run"), evaluation, None))
    assert told["checks"] == {"completeness": "pass", "reset": "pass"}
    assert told["does_not_apply"] == {"reset": "Nothing was read twice."}


def test_a_check_with_a_verdict_other_than_pass_always_applies() -> None:
    unsure = Check(name="canary", verdict="unknown", reason="Lost.", evidence={}, applies=False)
    assert not_applying([unsure]) == {}


def test_the_first_anomalies_of_each_kind_are_explained_and_the_others_counted(
    full: RecordedRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    crossed = failing([anomaly(number) for number in range(5)], total=900).checks[0]
    mixed = [
        anomaly(number, kind=("cross-session-read", "resurrected-state")[number % 2]) for number in range(4)
    ]
    canary = msgspec.structs.replace(failing(mixed).checks[0], name="canary")
    leak = failing([anomaly(1, kind="leak-per-request", sessions=[], variable="app.LOG")]).checks[0]
    checks = combine([crossed, canary, msgspec.structs.replace(leak, name="leak-per-request")])
    evaluation = Evaluation(run=full, checks=checks, analysis=analyse(full), witnesses=full.history)
    print_summary(Path("run"), evaluation, explained=3)
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("and ")] == ["and 897 more, see the report."]
    assert out.count("Operation A: session s0-0") == 2
    assert "s0-2 → s0-3 in clicks, 3 occurrences\n  Operation A: session s0-2 appended token-2." in out
    assert "token-4" not in out
    assert "\ncanary: cross-session-read\n" in out
    assert "\ncanary: resurrected-state\n" in out
    assert "\napp.LOG, 3 occurrences\n" in out
    assert "for example" not in out
    # Without being asked for, a single example.
    print_summary(Path("run"), evaluation)
    out = capsys.readouterr().out
    assert "for example  Operation A: session s0-0" in out
    assert out.count("Operation A:") == 1


def test_the_json_object_has_every_anomaly_kept_and_their_number(full: RecordedRun) -> None:
    checks = failing([anomaly(number) for number in range(5)], total=900)
    evaluation = Evaluation(run=full, checks=checks, analysis=analyse(full), witnesses=full.history)
    told = json.loads(as_json(Path("run"), evaluation, None, anomalies=True))
    assert told["anomalies_total"] == {"cross-session-read": 900}
    assert told["anomalies"] == {"cross-session-read": msgspec.to_builtins(checks.checks[0].anomalies)}
    assert "anomalies" not in json.loads(as_json(Path("run"), evaluation, None))


def test_memory_is_summarised_in_a_few_lines(
    evaluation: Evaluation,
    full: RecordedRun,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    data, analysis = memories.rich(full)
    told = Evaluation(run=data, checks=evaluation.checks, analysis=analysis, witnesses=data.history)
    print_summary(Path("run"), told)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert (
        "memory leak per request live heap: 183 KB (181–186) per open session, 24.4 KB (23.9–25.0) per closed session, "
        "8.30 KB (8.20–8.41) per request"
    ) in lines
    (grows,) = [line for line in lines if line.startswith("grows")]
    assert grows.startswith(
        "grows gradio.Queue.event_ids_to_events +1.00 per request, held by gradio.Queue: gradio.queueing.Queue → .event_ids_to_events"
    )
    assert grows.endswith(
        f"['app']: gradio.routes.App, allocated at {analysis.growth[0].allocated_at[0]}; and 1 more"
    )
    (own,) = [line for line in lines if line.startswith("Gradio's own")]
    floor = analysis.memory.floor_per_open_session.live
    assert floor is not None
    assert own.startswith(f"Gradio's own a stateless app takes {byte_size(floor.estimate)} per open session")
    assert [line for line in lines if line.startswith("advice")] == [f"advice {memories.ADVICE[0].text}"]
    unsure = memories.figures(verdict="inconclusive", next_step="Run it for longer.")
    told = msgspec.structs.replace(told, analysis=msgspec.structs.replace(analysis, memory=unsure, growth=[]))
    print_summary(Path("run"), told)
    out = capsys.readouterr().out
    assert "to decide          Run it for longer." in out
    assert "grows" not in out
    # Nobody who was not asked is quoted.
    print_summary(Path("run"), evaluation)
    out = capsys.readouterr().out
    assert "grows" not in out
    assert "Gradio's own" not in out
    assert "advice" not in out


def test_the_json_object_has_all_figures_of_memory(evaluation: Evaluation, full: RecordedRun) -> None:
    data, analysis = memories.rich(full)
    figures = json.loads(
        as_json(
            Path("run"),
            Evaluation(run=data, checks=evaluation.checks, analysis=analysis, witnesses=data.history),
            None,
        )
    )["figures"]
    assert figures["memory"]["verdict"] == "leak-per-request"
    assert {
        entry["item"]: entry["bytes"] for entry in figures["memory"]["ledger"] if entry["moment"] == "held"
    } == (memories.HELD)
    assert figures["memory"]["bytes_per_request"]["live"]["estimate"] == 8_300.0
    assert figures["growth"][0]["retainer_path"] == memories.CHAIN
    assert figures["attribution"]["sites"][0]["held_by"][0] == "gradio.Queue.event_ids_to_events"
    assert figures["advice"][0]["gain"]["folder"] == "what-if/time_to_live=60"
