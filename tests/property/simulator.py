"""A small Gradio server, simulated: operations that overlap, of which some are never acknowledged, and switchable faults.

An operation takes effect at one moment between its invoke and its completion (or, where the app guarantees no more than that the
last of overlapping updates wins, reads the state at one moment and writes it at a later one). One that times out takes
effect at some moment after its invoke, or never.

A fault strikes at one step, and may do nothing that anybody could see:

    shared        everybody has the same state
    lost-update   the step's answer shows its effect, but the state does not keep it
    late-write    the same, but the state changes some time after the answer
    reset         the state is back at its beginning just before the step takes effect
    delivery      the step's answer is the one that another step got, or would have got
    crash         the server stops and starts anew: whoever is waiting gets no answer, and what was not kept elsewhere is gone
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
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
    shows: str = "all"  # or "nothing"

    @property
    def changes(self) -> bool:
        """Whether it is known to change something."""
        return self.what != "read" and self.outcome == "ok"


FAULTS = ("shared", "lost-update", "late-write", "reset", "delivery", "crash")
# Those that strike where something is written.
WRITING = ("lost-update", "late-write", "delivery")


@dataclass(frozen=True)
class Fault:
    """What goes wrong, at which step, and, by its sort, for how many moments, with which other step, or whether the state is kept."""

    kind: str
    at: int
    moments: int = 1
    other: int = 0
    keeps: bool = False


def faults(kind: str, steps: int = 5) -> Any:
    """Faults of one sort."""
    return st.builds(
        Fault,
        kind=st.just(kind),
        at=st.integers(0, steps - 1),
        moments=st.integers(1, 4),
        other=st.integers(0, steps - 1),
        keeps=st.booleans(),
    )


def few_steps(variable: str, max_size: int = 5) -> Any:
    """Steps on one variable, so few that all their orders can be tried; pages show what is there, or nothing."""
    changes = [what for what, name in VARIABLE.items() if name == variable]
    some = st.lists(
        st.builds(
            Step,
            session=st.sampled_from(["a"] * 6 + ["a2", "b"]),
            what=st.sampled_from([*changes * 4, "read", "read", "read", f"clear {variable}"]),
            # If all overlapped all others, every order would do.
            until_effect=st.sampled_from([0, 0, 0, 1, 2]),
            until_end=st.sampled_from([0, 0, 0, 1, 2]),
            outcome=st.sampled_from(["ok"] * 9 + ["info", "app", "pending"]),
            applied=st.booleans(),
            late=st.integers(0, 4),
            shows=st.sampled_from(["all", "all", "nothing"]),
        ),
        min_size=3,
        max_size=max_size,
    )
    look = st.sampled_from([True, True, False])
    return st.tuples(some, look).map(lambda found: found[0] + (looks(found[0]) if found[1] else []))


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


def looks(played: list[Step]) -> list[Step]:
    """In the end, each session looks once more."""
    return [Step(session, "read") for session in sorted({step.session for step in played})]


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
    fault: Fault | None = None

    def owner(self, session: str) -> str:
        if self.strikes("shared"):
            return ""
        return {"session": session, "user": PEOPLE[session], "everyone": ""}[self.scope]

    def state(self, session: str) -> dict[str, Any]:
        return self.states.setdefault(self.owner(session), fresh())

    def strikes(self, kind: str, number: int | None = None) -> bool:
        """Whether the fault is of this sort, and strikes at this step."""
        return self.fault is not None and self.fault.kind == kind and number in (None, self.fault.at)

    def play(self, played: list[Step]) -> HistoryBuilder:
        """Let the steps happen, and write down what their sessions would see."""
        moments: list[tuple[float, int, str, int]] = []
        times: dict[int, tuple[int, int]] = {}
        shown_from: dict[str, float] = {}
        if self.fault is not None:
            hit = [n for n, s in enumerate(played) if self.fault.kind not in WRITING or s.changes] or [0]
            at, other = (hit[n % len(hit)] for n in (self.fault.at, self.fault.other))
            self.fault = replace(self.fault, at=at, other=other)
        outcomes = {number: step.outcome for number, step in enumerate(played)}
        crash = math.inf
        for number, step in enumerate(played):
            begin = 100 * (number + 1) + (100_000 if number >= (self.split or 0) else 0)
            effect = begin + 100 * step.until_effect + 10 + number % 7
            end = effect + 100 * step.until_end + 20 + number % 5
            times[number] = begin, end
            if self.strikes("crash", number):
                crash = effect - 5
                moments.append((crash, -1, "crash", number))
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
            if self.strikes("late-write", number) and self.fault is not None:
                moments.append((end + 100 * self.fault.moments + 50, 1, "late", number))
        for number, (begin, end) in times.items():
            if begin < crash < end and outcomes[number] == "ok":
                outcomes[number] = "info"
                moments = [(at, *what) for at, *what in moments if what[2] != number or at <= crash]
        seen: dict[int, dict[str, Any]] = {}
        before: dict[int, dict[str, Any]] = {}
        effects: dict[int, dict[str, tuple[str, Any]]] = {
            number: change(fresh(), step.what, f"v{number}") for number, step in enumerate(played)
        }
        for _, _, what, number in sorted(moments):
            step = played[number]
            if what == "crash":
                if self.fault is not None and not self.fault.keeps:
                    self.states.clear()
                continue
            state = self.state(step.session)
            if what == "late":
                change(state, step.what, f"v{number}")
                continue
            if what == "answer":
                seen[number] = copy.deepcopy(state)
                continue
            if what == "read":
                before[number] = copy.deepcopy(state)
                continue
            if self.strikes("reset", number):
                state.update(fresh())
            kept = copy.deepcopy(state)
            if self.concurrent_updates == "last-wins" and step.what != "put":
                # What it read when it began is what it works on; only its own variable is written back.
                for variable in effects[number]:
                    state[variable] = before[number][variable]
            change(state, step.what, f"v{number}")
            seen.setdefault(number, copy.deepcopy(state))
            if self.strikes("lost-update", number) or self.strikes("late-write", number):
                state.update(kept)
        if (
            self.fault is not None
            and self.strikes("delivery")
            and {self.fault.at, self.fault.other} <= seen.keys()
        ):
            seen[self.fault.at] = seen[self.fault.other]
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
            outcome = outcomes[number]
            reads = dict(seen[number]) if outcome == "ok" and step.shows != "nothing" else {}
            if step.what.startswith("clear"):
                # A page shows of a clear only what was cleared.
                reads = {name: value for name, value in reads.items() if name == step.what.partition(" ")[2]}
            built.add(
                step.session,
                effects=effects[number],
                reads=reads,
                outcome="fail" if outcome == "app" else outcome,
                error={"info": "timeout", "app": "app"}.get(outcome),
                begin=begin + ahead,
                end=end + ahead,
                worker=worker,
                phase=phase,
            )
        return built
