"""How anomalies are explained: every kind, for each model to which it can happen, word for word, in explanations.txt.

They are read by people, in Elle's manner: *Operation A: …. Operation B: …. B saw …, which only …*. After a change that is meant:
`python -m tests.golden.test_explanations > tests/golden/explanations.txt`, and read the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness import tokens
from harness.checkers import CHECKERS, check_history
from harness.history import Workers
from harness.records import Anomaly, Sighting, StateVariable
from harness.workload import (
    answer,
    append_only_list,
    assigned,
    blob,
    chain,
    counter,
    digest,
    record,
    register,
)
from tests.builders import COMPLETED, HistoryBuilder

GOLDEN = Path(__file__).with_name("explanations.txt")
STATE: dict[str, StateVariable] = {
    "log": append_only_list(),
    "n": counter(),
    "r": register(),
    "form": record(),
    "start": assigned(),
    "reply": answer(),
    "steps": chain(),
    "picture": blob(),
}
A, B = "s0-17", "s0-3"
ONE, TWO, LATER = (tokens.mint("7f3a", 0, 17, n) for n in (4, 5, 6))
OTHER = tokens.mint("7f3a", 0, 3, 1)
PICTURE = digest(f"a picture of {ONE}")
UNKNOWN = {"outcome": "info", "error": "timeout"}


def new() -> HistoryBuilder:
    return HistoryBuilder()


def people() -> HistoryBuilder:
    return new().open(A, "ann").open(B, "bob")


def back(built: HistoryBuilder) -> HistoryBuilder:
    """Ann comes back in another session."""
    return built.open("s0-21", "ann")


# What happened, in a few words → the history.
STORIES: dict[str, HistoryBuilder] = {
    "a list with another session's element": new().append(A, ONE, [ONE]).append(B, OTHER, [ONE, OTHER]),
    "a register with another session's value": new().write(A, ONE, ONE).write(B, OTHER, ONE),
    "a record with another session's entry": new().put(A, {"name": ONE}, {"name": ONE}).put(B, {"age": "7"}, {"name": ONE, "age": "7"}),
    "a count that only others explain": new().click(A, 1).click(B, 2),
    "a value that was assigned to another session": new().read(A, "09:00", "start").read(B, "09:00", "start"),
    "a step of a chain with another session's text": new().begin(A, ONE, [ONE, ONE]).begin(B, OTHER, [OTHER, ONE]),
    "a token written elsewhere": new().write(A, ONE, ONE).append(B, OTHER, [ONE, OTHER]),
    "the list of an earlier session": back(people().append(A, ONE, [ONE])).append("s0-21", "x", [ONE, "x"]),
    "the count of an earlier session": back(people().click(B, 1).click(A, 1).click(A, 2)).click("s0-21", 3),
    "the assigned value of an earlier session": back(people().read(A, "09:00", "start")).read("s0-21", "09:00", "start"),
    "a list with what nobody wrote": new().append(A, ONE, [ONE, "half a tok"]),
    "a record with what nobody wrote": new().put(A, {"name": ONE}, {"name": ONE, "age": "half a tok"}),
    "a count that nothing explains": new().click(A, 9),
    "a count that is none": new().click(A, "many"),  # type: ignore[arg-type]
    "a count below its beginning": new().click(A, -1),
    "a list that is none": new().append(A, ONE, "a text"),  # type: ignore[arg-type]
    "a value before it was written": new().read(A, [ONE]).append(A, ONE, [ONE]),
    "an element that was refused": new().add(A, effects={"bounded": ("offer", [5, ONE])}).read(A, [ONE], "bounded"),
    "an answer that nobody asked for": new().ask(A, ONE, "half a tok"),
    "a step with what nobody began with": new().begin(A, ONE, [ONE, "half a tok"]),
    "an element that is missing": new().append(A, ONE).read(A, []).read(A, []),
    "an element that is missing in its own answer": new().append(A, ONE, []).read(A, []),
    "a count that is too low": new().click(A, 1).click(A, 1).click(A, 2),
    "a register without its value": new().write(A, ONE).read(A, None, "r").read(A, None, "r"),
    "a record without its entry": new().put(A, {"name": ONE}).read(A, {}, "form"),
    "a step that found nothing": new().begin(A, ONE, [ONE, None]),
    "an element that comes late": new().append(A, ONE).read(A, []).read(A, [ONE]),
    "an element that its own answer did not show yet": new().append(A, ONE, []).read(A, [ONE]),
    "a count that comes late": new().click(A).read(A, 0, "n").read(A, 1, "n"),
    "a count that is low, and nobody looks again": new().click(A, 1, begin=1, end=2).click(B, 1, begin=3, end=4).click("s0-4", begin=10, end=20).read("s0-5", 2, "n", begin=13, end=14),
    "a register that comes late": new().write(A, ONE).read(A, None, "r").read(A, ONE, "r"),
    "a list that goes back for a while": new().append(A, ONE, [ONE]).read(A, [ONE]).read(A, []).read(A, [ONE]),
    "a list that goes back behind what nobody acknowledged": new().append(A, ONE, **UNKNOWN).read(A, [ONE]).read(A, []),
    "a count that its own answer alone had shown": new().click(A, 1).click(A, 2).read(A, 1, "n").read(A, 2, "n"),
    "a count that goes back for a while": new().click(A, 1).click(A, 2).read(A, 2, "n").read(A, 1, "n").read(A, 2, "n"),
    "a count that goes back behind what nobody acknowledged": new().click(A, **UNKNOWN).read(A, 1, "n").read(A, 0, "n"),
    "a register that goes back": new().write(A, ONE, ONE).write(A, TWO, **UNKNOWN).read(A, TWO, "r").read(A, ONE, "r"),
    "appends in another order": new().append(A, ONE).append(A, TWO).read(A, [TWO, ONE]),
    "appends in another order in the answer": new().append(A, ONE).append(A, TWO, [TWO, ONE]),
    "an append that was overtaken": new().append(A, ONE).append(A, TWO, [TWO]).read(A, [ONE, TWO]),
    "an element twice": new().append(A, ONE).read(A, [ONE, ONE]),
    "an element twice in its own answer": new().append(A, ONE, [ONE, ONE]),
    "a click that counts twice": new().click(A, 1).click(A, 3),
    "a list that begins again": new().append(A, ONE, [ONE]).append(A, TWO, [ONE, TWO]).append(A, LATER, [LATER]).read(A, [LATER]),
    "a count that begins again": new().click(A, 1).click(A, 2).click(A, 1).click(A, 2),
    "a register that begins again": new().write(A, ONE, ONE).read(A, ONE, "r").read(A, None, "r"),
    "an assigned value that is given anew": new().read(A, "09:00", "start").read(A, "09:05", "start"),
    "another session's answer": new().ask(A, ONE, [ONE]).ask(B, OTHER, [OTHER, ONE]),
    "the answer to another question of one's own": new().ask(A, ONE, ONE).ask(A, TWO, ONE),
    "a step of another chain of one's own": new().begin(A, ONE, [ONE, TWO], begin=1, end=9).begin(A, TWO, [TWO, TWO], begin=2, end=8),
    "a list that was cleared": new().append(A, ONE, [ONE]).clear(A, "log", []).append(A, TWO, [ONE, TWO]),
    "a list that was not cleared at all": new().append(A, ONE, [ONE]).clear(A, "log", [ONE]),
    "a count that was cleared": new().click(A, 1).click(A, 2).clear(A, "n", 0).click(A, 3),
    "two clicks of which either can have been the second, but not both": new().click(A, 1).click(A, 3, begin=10, end=20).click(A, 3, begin=11, end=21),
    "two elements that were seen in either order": new().append(A, ONE, begin=1, end=90).append(A, TWO, begin=2, end=91).read(A, [ONE], begin=10, end=30).read(A, [TWO], begin=11, end=31),
    "a register between two writes": new().write(A, ONE, begin=1, end=90).write(A, TWO, begin=2, end=91).read(A, ONE, "r", begin=10).read(A, TWO, "r", begin=20).read(A, ONE, "r", begin=30),
    "a record of which half was seen": new().put(A, {"x": "1", "y": "1"}, begin=1, end=90).put(A, {"x": "2", "y": "2"}, begin=2, end=91).read(A, {"x": "1", "y": "2"}, "form", begin=30),
    "a reply that is there before its question": new().append(A, ONE).read(B, [ONE]).append(B, OTHER).read("s0-5", [OTHER]),
    "a reply that stands before its question": new().append(A, ONE).read(B, [ONE]).append(B, OTHER).read("s0-5", [OTHER, ONE]),
    "a blob that another session stored": new().add(A, effects={"picture": ("store", [PICTURE, [ONE]])}).read(B, PICTURE, "picture"),
    "a blob that is missing": new().add(A, effects={"picture": ("store", [PICTURE, [ONE]])}).read(A, None, "picture").read(A, None, "picture"),
    "a register that was cleared": new().write(A, ONE, ONE).clear(A, "r", None).read(A, ONE, "r"),
}  # fmt: skip
# What a response held: it stands on the last operation of a history.
SIGHTINGS: dict[str, Sighting] = {
    "a response with another session's token": Sighting(kind="foreign-token", value=ONE, where="the log of /add"),
    "a response with a token that nobody wrote": Sighting(kind="foreign-token", value=LATER, where="the log of /add"),
    "a response with a State value": Sighting(kind="state-on-the-wire", value="[1, 2]", where="the result of /add, output 0, a State"),
    "a response with a secret": Sighting(kind="secret", value=ONE, where="the result of /add, output 1"),
}  # fmt: skip
BOARD = append_only_list(scope="everyone", within_s=1)
MODELS: dict[str, dict[str, StateVariable]] = {
    "a count that is low, and nobody looks again": {"n": counter(scope="everyone")},
    "a reply that is there before its question": {"log": BOARD},
    "a reply that stands before its question": {"log": BOARD},
}


def anomalies(name: str) -> Iterator[tuple[str, Anomaly]]:
    """What the checkers say of a story: each anomaly, with the check that reports it."""
    built = STORIES.get(name) or new().append(A, ONE, [ONE]).append(B, OTHER, [OTHER])
    history = built.build(workers=Workers(run_tag="7f3a"))
    if name in SIGHTINGS:
        *others, last = history.operations
        seen = msgspec.structs.replace(last, sightings=[SIGHTINGS[name]], searched=1)
        history = msgspec.structs.replace(history, operations=[*others, seen])
    used = {variable for o in history.operations for variable in (*o.effects, *o.reads)}
    state = {**STATE, "bounded": append_only_list(above=5), **MODELS.get(name, {})}
    checks = check_history(history, {v: model for v, model in state.items() if v in used}, COMPLETED)
    for check in checks.checks:
        assert "Traceback" not in check.reason, check.reason
        for anomaly in check.anomalies:
            yield check.name, anomaly


def everything() -> str:
    """The content of the golden file: the stories by the check that tells them."""
    told: dict[str, list[str]] = {}
    for name in (*STORIES, *SIGHTINGS):
        for check, anomaly in anomalies(name):
            told.setdefault(check, []).append(f"{name[0].upper()}{name[1:]}:\n{anomaly.explanation}\n")
    parts = [f"# {checker.name}\n\n" + "\n".join(told.get(checker.name, [])) for checker in CHECKERS]
    return "\n\n".join(parts)


def test_every_explanation_reads_as_it_did() -> None:
    assert everything() == GOLDEN.read_text()


def test_every_kind_is_explained() -> None:
    checks = {check for name in (*STORIES, *SIGHTINGS) for check, _ in anomalies(name)}
    assert checks == {checker.name for checker in CHECKERS}


@pytest.mark.parametrize("name", [*STORIES, *SIGHTINGS])
def test_an_explanation_names_its_witness_and_nothing_else(name: str) -> None:
    found = list(anomalies(name))
    assert found
    for _, anomaly in found:
        letters = [w.name for w in anomaly.witness]
        assert letters == [*"ABCD"[: len(letters)]]
        introduced = re.findall(r"Operation ([A-Z]): session (\S+) ", anomaly.explanation)
        assert introduced == [(w.name, w.session) for w in anomaly.witness]
        conclusion = anomaly.explanation.rpartition(f"Operation {letters[-1]}: ")[2].partition(". ")[2]
        assert conclusion.endswith(".")
        assert set(re.findall(r"\b[A-Z]\b", conclusion)) <= set(letters)
        # No operation stands there twice.
        assert len({w.operation for w in anomaly.witness}) == len(letters)


if __name__ == "__main__":
    print(everything(), end="")
