from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from harness.records import Effect, StateVariable
from harness.workload import (
    Model,
    Workload,
    action,
    append,
    append_only_list,
    clear,
    counter,
    does,
    increment,
    register,
    write,
)


class FakeSession:
    id = "s0-1"
    page = None
    params: Mapping[str, str] = {"SIZE": "3"}

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.recorded: list[tuple[str, dict[str, Effect], dict[str, Any]]] = []

    def token(self) -> str:
        return f"token-{len(self.recorded)}"

    @contextmanager
    def operation(self, name: str, effects: Mapping[str, Effect]) -> Iterator[dict[str, Any]]:
        reads: dict[str, Any] = {}
        yield reads
        self.recorded.append((name, dict(effects), reads))


class Visitor(Workload):
    state = {"n": counter(), "log": append_only_list(), "r": register()}

    @action
    def click(self) -> None:
        with self.operation("click", n=increment(), log=append(self.token())) as seen:
            seen["n"] = 1

    @action(weight=9)
    def look(self) -> None:
        with self.operation("look"):
            pass


def test_operations_reach_the_session_with_effects_and_observations() -> None:
    session = FakeSession()
    Visitor(session).click()
    assert session.recorded == [("click", {"n": increment(), "log": append("token-0")}, {"n": 1})]


def test_a_variable_may_have_any_name() -> None:
    class Guest(Workload):
        state = {"name": register(), "self": register()}

    session = FakeSession()
    with Guest(session).operation("sign in", name=write("a"), self=write("b")):
        pass
    assert session.recorded == [("sign in", {"name": write("a"), "self": write("b")}, {})]


def test_actions_are_chosen_by_weight_and_by_the_seed() -> None:
    def visit(seed: int) -> list[str]:
        session = FakeSession(seed)
        visitor = Visitor(session)
        for _ in range(200):
            visitor.act()
        return [name for name, _, _ in session.recorded]

    assert Visitor.actions() == {"click": 1, "look": 9}
    assert visit(3) == visit(3) != visit(4)
    assert 150 < visit(3).count("look") < 199


@pytest.mark.parametrize(
    ("effects", "error"),
    [
        ({"m": increment()}, KeyError),
        ({"log": increment()}, ValueError),
        ({"n": write(0)}, ValueError),
        ({"r": append("x")}, ValueError),
    ],
)
def test_an_effect_that_does_not_fit_the_state_is_refused_before_the_wire(
    effects: dict[str, Effect], error: type[Exception]
) -> None:
    session = FakeSession()
    with pytest.raises(error), Visitor(session).operation("click", **effects):
        pass
    assert session.recorded == []


def test_an_observation_without_a_declared_variable_is_an_error() -> None:
    session = FakeSession()
    with (
        pytest.raises(KeyError, match="lgo; `state` declares n, log, r"),
        Visitor(session).operation("look") as seen,
    ):
        seen["lgo"] = []
    assert session.recorded == []


@pytest.mark.parametrize("name", ["open", "reload", "close", "look-around"])
def test_names_that_the_load_generator_uses_are_refused(name: str) -> None:
    session = FakeSession()
    with pytest.raises(ValueError, match="the load generator uses open"), Visitor(session).operation(name):
        pass
    assert session.recorded == []


@pytest.mark.parametrize("amount", [0, -1, 1.5])
def test_counters_only_grow(amount: Any) -> None:
    with pytest.raises(ValueError, match="grows by whole numbers"):
        increment(amount)


def test_shared_must_be_a_list_of_names() -> None:
    with pytest.raises(TypeError, match=r"write shared = \['Leaderboard'\]"):
        type("Board", (Workload,), {"shared": "Leaderboard"})
    assert type("Board", (Workload,), {"shared": ["Leaderboard"]}).shared == ["Leaderboard"]


class Tally(Model):
    initial = {"seen": []}

    def step(self, state: Any, name: str, value: Any) -> Any:
        return {"seen": [*state["seen"], value]}

    def shows(self, state: Any) -> Any:
        return len(state["seen"])


class Watcher(Workload):
    state = {"tally": Tally(scope="user", concurrent_updates="last-wins"), "n": counter()}

    @action
    def look(self) -> None:
        with self.operation("look", tally=does("see", "x"), n=increment()):
            pass


def test_an_own_model_can_be_declared_like_the_others() -> None:
    assert Watcher.variables == {
        "tally": StateVariable(
            model="custom", initial={"seen": []}, scope="user", concurrent_updates="last-wins"
        ),
        "n": counter(),
    }
    assert Watcher.own_models == {"tally": Watcher.state["tally"]}
    assert not Tally().tells_all
    session = FakeSession()
    Watcher(session).act()
    assert session.recorded[0][1]["tally"] == Effect(op="does", value=["see", "x"])
    Watcher(session).check_effects("forget", {"tally": clear()})
    with pytest.raises(ValueError, match="append does not fit 'tally', which is a custom"):
        Watcher(session).check_effects("look", {"tally": append("x")})
    with pytest.raises(ValueError, match="does does not fit 'n', which is a counter"):
        Watcher(session).check_effects("look", {"n": does("see")})


def test_the_initial_state_of_a_model_must_be_made_of_json_values() -> None:
    class Odd(Model):
        initial = object()

    with pytest.raises(TypeError, match=r"Odd\.initial must be made of JSON values"):

        class Visitor2(Workload):
            state = {"odd": Odd()}
