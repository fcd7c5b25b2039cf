"""A small Gradio server with switchable faults; the checkers must be silent without a fault and find each planted one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import check_history
from harness.workload import append_only_list, counter, register
from tests.builders import COMPLETED, HistoryBuilder

STATE = {"log": append_only_list(), "n": counter(), "r": register()}
SESSIONS = st.sampled_from("abc")
STEPS = st.lists(
    st.tuples(SESSIONS, st.sampled_from(["append", "click", "write", "read", "timeout"])),
    min_size=1,
    max_size=25,
)


class Server:
    """Keeps a log, a count and a register per session, or, with the fault `shared`, one of each for everybody."""

    def __init__(self, fault: str | None = None, at: int = 0) -> None:
        self.fault = fault
        self.at = at
        self.step = 0
        self.state: dict[str, dict] = {}
        self.history = HistoryBuilder()
        self.writers: set[str] = set()
        self.lost = False

    def of(self, session: str) -> dict:
        owner = "everybody" if self.fault == "shared" else session
        return self.state.setdefault(owner, {"log": [], "n": 0, "r": None})

    def do(self, session: str, what: str, applied: bool) -> None:
        self.step += 1
        mine = self.of(session)
        value = f"{session}{self.step}"
        lose = self.fault == "lose" and self.step == self.at and what == "append"
        if what in ("append", "timeout"):
            if (what == "append" or applied) and not lose:
                mine["log"].append(value)
            self.lost |= lose
            if what == "timeout":
                self.history.append(session, value, outcome="info", error="timeout")
            else:
                self.history.append(session, value, list(mine["log"]))
        elif what == "click":
            mine["n"] += 1
            self.history.click(session, mine["n"])
        elif what == "write":
            mine["r"] = value
            self.history.write(session, value, value)
        else:
            self.history.add(session, reads={"log": list(mine["log"]), "n": mine["n"], "r": mine["r"]})


def run(server: Server, steps: list[tuple[str, str]], applied: bool = True) -> tuple[str, set[str]]:
    for session, what in steps:
        server.do(session, what, applied)
    checks = check_history(server.history.build(), STATE, COMPLETED)
    return checks.verdict, {check.name for check in checks.checks if check.verdict == "fail"}


@given(STEPS, st.booleans())
def test_a_server_that_keeps_sessions_apart_is_never_accused(
    steps: list[tuple[str, str]], applied: bool
) -> None:
    verdict, found = run(Server(), steps, applied)
    assert found == set()
    assert verdict in ("pass", "unknown")


@pytest.mark.slow
@settings(max_examples=10_000)
@given(STEPS, st.booleans())
def test_a_server_that_keeps_sessions_apart_is_never_accused_in_many_more_histories(
    steps: list[tuple[str, str]], applied: bool
) -> None:
    assert run(Server(), steps, applied)[1] == set()


@given(STEPS)
def test_shared_state_is_found_whenever_it_could_be_seen(steps: list[tuple[str, str]]) -> None:
    """Brute force: somebody read after somebody else had written to the same variable."""
    visible = False
    log_by: set[str] = set()
    clicks_by: set[str] = set()
    last_writer = None
    for session, what in steps:
        if what in ("append", "timeout"):
            log_by.add(session)
        if what == "click":
            clicks_by.add(session)
        if what == "write":
            last_writer = session
        if what in ("append", "read") and log_by - {session}:
            visible = True
        if what in ("click", "read") and clicks_by - {session}:
            visible = True
        if what == "read" and last_writer not in (None, session):
            visible = True
    _, found = run(Server("shared"), steps)
    assert ("cross-session-read" in found) == visible


@given(STEPS, st.integers(1, 25))
def test_a_lost_append_is_found_at_once(steps: list[tuple[str, str]], at: int) -> None:
    server = Server("lose", at)
    _, found = run(server, steps)
    assert found == ({"lost-update"} if server.lost else set())
