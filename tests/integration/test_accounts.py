"""More users than accounts: state of a user belongs to its account, and no other account may see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import gradsoak

APP = """
import gradio as gr

NOTES = {}


def add(text, request: gr.Request):
    notes = NOTES.setdefault(OWNER, [])
    notes.append(text)
    return list(notes)


with gr.Blocks() as demo:
    text = gr.Textbox(label="Note")
    shown = gr.JSON(label="Notes")
    gr.Button("Add").click(add, text, shown, concurrency_limit=1)

demo.launch(auth=[("ann", "one"), ("bob", "two")])
"""
WORKLOAD = """
from harness.workload import Workload, action, append, append_only_list


class Visitor(Workload):
    state = {"notes": append_only_list(scope="user")}

    def arrive(self):
        self.add()

    @action
    def add(self):
        note = self.token()
        with self.operation("add", notes=append(note)) as seen:
            self.page.fill("Note", note)
            seen["notes"] = self.page.click("Add").value("Notes")
"""


@pytest.mark.parametrize(
    ("owner", "code", "verdict"), [("request.username", 0, "pass"), ("'everybody'", 1, "fail")]
)
def test_users_of_one_account_share_the_state_of_a_user(
    make_scenario, tmp_path: Path, owner: str, code: int, verdict: str
) -> None:
    folder = make_scenario(APP.replace("OWNER", owner), workload=WORKLOAD)
    done = gradsoak(
        "run", folder, "--auth", "ann:one", "--auth", "bob:two", "--out", "run", "--json", cwd=tmp_path
    )
    checks = done.json()["checks"]
    assert (checks["cross-session-read"], checks["canary"]) == (verdict, verdict), done.err
    if verdict == "fail":
        assert done.code == code
