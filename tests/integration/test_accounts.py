"""More users than accounts: state of a user belongs to its account, and no other account may see it."""

from __future__ import annotations

from pathlib import Path

from harness.run_dir import RunDir
from tests.integration.cli import gradsoak

APP = """
import gradio as gr

NOTES, COMMON = {}, []


def add(text, request: gr.Request):
    notes = NOTES.setdefault(request.username, [])
    notes.append(text)
    COMMON.append(text)  # the planted fault: one list for both accounts
    return list(notes), list(COMMON)


with gr.Blocks() as demo:
    text = gr.Textbox(label="Note")
    shown, common = gr.JSON(label="Notes"), gr.JSON(label="Common")
    gr.Button("Add").click(add, text, [shown, common], concurrency_limit=1)

demo.launch(auth=[("ann", "one"), ("bob", "two")])
"""
WORKLOAD = """
from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"notes": append_only_list(scope="user"), "common": append_only_list(scope="user")}

    def arrive(self):
        self.add()

    @action
    def add(self):
        note = self.token()
        with self.operation("add", notes=append(note), common=append(note)) as seen:
            self.page.fill("Note", note)
            shown = self.page.click("Add")
            seen["notes"], seen["common"] = shown.value("Notes"), shown.value("Common")
"""


def test_users_of_one_account_share_the_state_of_a_user(make_scenario, tmp_path: Path) -> None:
    folder = make_scenario(APP, workload=WORKLOAD)
    done = gradsoak(
        "run", folder, "--auth", "ann:one", "--auth", "bob:two", "--out", "run", "--json", cwd=tmp_path
    )
    assert done.code == 1, done.err
    checks = {check.name: check for check in RunDir.open(tmp_path / "run").checks().checks}
    crossed = checks["cross-session-read"]
    assert (crossed.verdict, checks["canary"].verdict) == ("fail", "fail")
    # Sessions of one account may see each other's notes; what both accounts see is the fault.
    assert {anomaly.variable for anomaly in crossed.anomalies} == {"common"}
    assert {check.verdict for name, check in checks.items() if check.anomalies_total == 0} <= {"pass"}
