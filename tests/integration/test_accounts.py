"""More users than accounts: state of a user belongs to its account, and no other account may see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.records import Invoke
from harness.run_dir import RunDir
from tests.integration.cli import files_with, gradsoak

SECRETS = ("open-sesame-1", "open-sesame-2")
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

SEEN = open("SEEN_FILE", "a", buffering=1)


def who(user, password):
    SEEN.write(user + "\\n")
    return password in SECRETS


demo.launch(auth=who)
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
def test_users_log_in_in_turn_and_users_of_one_account_share_its_state(
    make_scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, code: int, verdict: str
) -> None:
    seen = tmp_path / "seen"
    app = APP.replace("OWNER", owner).replace("SEEN_FILE", str(seen)).replace("in SECRETS", f"in {SECRETS!r}")
    monkeypatch.setenv("GRADSOAK_AUTH", f"ann:{SECRETS[0]}\nbob:{SECRETS[1]}")
    folder = make_scenario(app, workload=WORKLOAD)
    done = gradsoak("run", folder, "--out", "run", "--json", cwd=tmp_path)
    assert (done.json()["verdict"], done.code) == (verdict, code), done.err
    checks = done.json()["checks"]
    assert (checks["cross-session-read"], checks["canary"]) == (verdict, verdict)
    run = RunDir.open(tmp_path / "run")
    for secret in SECRETS:
        assert files_with(run.path, secret) == []
        assert secret not in done.out + done.err
    # Once each before the run, then one login for each user, in turn; a user who reloads the page is logged in already.
    users = seen.read_text().split()
    assert users[:4] == ["ann", "bob", "ann", "bob"]
    opened = [r.user for r in run.history()[0]["0"] if isinstance(r, Invoke) and r.action == "open"]
    odd = sum(int(user.rpartition("-")[2]) % 2 for user in opened)
    assert (users.count("ann"), users.count("bob")) == (1 + odd, 1 + len(opened) - odd)
