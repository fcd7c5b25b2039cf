"""A small Gradio server, simulated: operations that overlap, of which some are never acknowledged, and switchable faults.

An operation takes effect at one moment between its invoke and its completion (or, where the app promises no more than that the
last of overlapping updates wins, reads the state at one moment and writes it at a later one). One that times out takes
effect at some moment after its invoke, or never.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import strategies as st

from harness.records import StateVariable
from harness.workload import append_only_list, counter, record, register
from tests.builders import HistoryBuilder

# Session → the person whose session it is. `a2` is what `a` becomes by a reload.
PEOPLE = {"a": "ann", "b": "bob", "a2": "ann"}
CHANGES = ("append", "click", "write", "put", "clear log", "clear n", "clear r", "clear form")
VARIABLE = {"append": "log", "click": "n", "write": "r", "put": "form"}


@dataclass(frozen=True)
class Step:
    """One operation: it begins at a moment of its own, takes effect `until_effect` moments later, and ends `until_end` after that."""

    session: str
    what: str
    until_effect: int = 0
    until_end: int = 0
    outcome: str = "ok"
    applied: bool = True
    late: int = 0


def steps(*, overlap: int, max_size: int = 14, whats: tuple[str, ...] = (*CHANGES, "read", "read")) -> Any:
    """Lists of steps; with overlap 0 each is over before the next begins."""
    return st.lists(
        st.builds(
            Step,
            session=st.sampled_from(sorted(PEOPLE)),
            what=st.sampled_from(whats),
            until_effect=st.integers(0, overlap),
            until_end=st.integers(0, overlap),
            outcome=st.sampled_from(["ok", "ok", "ok", "ok", "info", "app", "pending"]),
            applied=st.booleans(),
            late=st.integers(0, 3 * overlap),
        ),
        min_size=1,
        max_size=max_size,
    )


def models(
    scope: str = "session", concurrent_updates: str = "atomic", within: int = 0
) -> dict[str, StateVariable]:
    """The server's variables, as a workload would declare them."""
    more: dict[str, Any] = {"scope": scope, "concurrent_updates": concurrent_updates}
    return {
        "log": append_only_list(within_s=within * 1e-9, **more),
        "n": msgspec.structs.replace(counter(**more), within_s=within * 1e-9),
        "r": register(**more),
        "form": record(scope=scope),  # type: ignore[arg-type]
    }


def fresh() -> dict[str, Any]:
    return {"log": [], "n": 0, "r": None, "form": {}}


def change(state: dict[str, Any], what: str, value: str) -> dict[str, tuple[str, Any]]:
    """Change the state, and return the effect as a history records it."""
    name, _, variable = what.partition(" ")
    if what == "append":
        state["log"] = [*state["log"], value]
        return {"log": ("append", value)}
    if what == "click":
        state["n"] += 1
        return {"n": ("increment", 1)}
    if what == "write":
        state["r"] = value
        return {"r": ("write", value)}
    if what == "put":
        entries = {"xyz"[len(value) % 3]: value, "last": value}
        state["form"] = {**state["form"], **entries}
        return {"form": ("put", entries)}
    if name == "clear":
        state[variable] = fresh()[variable]
        return {variable: ("clear", None)}
    return {}


@dataclass
class Server:
    """Keeps the state of each owner, without a fault."""

    scope: str = "session"
    concurrent_updates: str = "atomic"
    # How many moments an append or a click may take to show after it was acknowledged; each session's in their order.
    within: int = 0
    # Session → the worker that drives it, and how far that worker's clock is ahead.
    workers: dict[str, tuple[str, int]] = field(default_factory=dict)
    # Steps from here on belong to the load phase, those before to the staircase; None: all to the load phase.
    split: int | None = None
    states: dict[str, dict[str, Any]] = field(default_factory=dict)

    def owner(self, session: str) -> str:
        return {"session": session, "user": PEOPLE[session], "everyone": ""}[self.scope]

    def state(self, session: str) -> dict[str, Any]:
        return self.states.setdefault(self.owner(session), fresh())

    def play(self, played: list[Step]) -> HistoryBuilder:
        """Let the steps happen, and write down what their sessions would see."""
        moments: list[tuple[float, int, str, int]] = []
        times: dict[int, tuple[int, int]] = {}
        shown_from: dict[str, float] = {}
        for number, step in enumerate(played):
            begin = 100 * (number + 1) + (100_000 if number >= (self.split or 0) else 0)
            effect = begin + 100 * step.until_effect + 10 + number % 7
            end = effect + 100 * step.until_end + 20 + number % 5
            times[number] = begin, end
            if step.outcome != "ok" and not step.applied:
                continue
            late: float = 100 * step.late if step.outcome in ("info", "pending") else 0
            if self.within and step.what in ("append", "click") and step.outcome == "ok":
                at = max(effect + min(100 * step.late, self.within), shown_from.get(step.session, 0) + 0.5)
                moments.append((effect, 1, "answer", number))
                late = at - effect
                shown_from[step.session] = at
            moments.append((begin + 1 + number % 3, 0, "read", number))
            moments.append((effect + late, 1, "write", number))
        seen: dict[int, dict[str, Any]] = {}
        before: dict[int, dict[str, Any]] = {}
        effects: dict[int, dict[str, tuple[str, Any]]] = {
            number: change(fresh(), step.what, f"v{number}") for number, step in enumerate(played)
        }
        for _, _, what, number in sorted(moments):
            step = played[number]
            state = self.state(step.session)
            if what == "answer":
                seen[number] = copy.deepcopy(state)
                continue
            if what == "read":
                before[number] = copy.deepcopy(state)
                continue
            if self.concurrent_updates == "last-wins" and step.what != "put":
                # What it read when it began is what it works on; only its own variable is written back.
                for variable in effects[number]:
                    state[variable] = before[number][variable]
            change(state, step.what, f"v{number}")
            seen.setdefault(number, copy.deepcopy(state))
        built = HistoryBuilder()
        opened: set[str] = set()
        for number, step in enumerate(played):
            begin, end = times[number]
            worker, ahead = self.workers.get(step.session, ("0", 0))
            phase = "staircase" if number < (self.split or 0) else "load"
            if step.session not in opened:
                opened.add(step.session)
                at = begin - 50 + ahead
                built.open(
                    step.session, PEOPLE[step.session], begin=at, end=at + 1, worker=worker, phase=phase
                )
            reads = dict(seen[number]) if step.outcome == "ok" else {}
            if step.what.startswith("clear"):
                # A page shows of a clear only what was cleared.
                reads = {name: value for name, value in reads.items() if name == step.what.partition(" ")[2]}
            built.add(
                step.session,
                effects=effects[number],
                reads=reads,
                outcome="fail" if step.outcome == "app" else step.outcome,
                error={"info": "timeout", "app": "app"}.get(step.outcome),
                begin=begin + ahead,
                end=end + ahead,
                worker=worker,
                phase=phase,
            )
        return built
