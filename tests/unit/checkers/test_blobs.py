"""What becomes of content that is known by its hash: as a register, and told by its short name and its size."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness import tokens
from harness.blobs import named
from harness.checkers import check_history
from harness.records import Effect, Sighting
from harness.workload import blob, digest, register, store, write
from tests.builders import COMPLETED, HistoryBuilder
from tests.unit.checkers.test_catalogue import judge, kinds, only
from tests.unit.checkers.test_catalogue import named as check_of

STATE = {"file": blob()}
X, Y, Z = (letter * 4096 for letter in "xyz")


def history() -> HistoryBuilder:
    return HistoryBuilder()


def kept(built: HistoryBuilder, session: str, content: Any, **more: Any) -> HistoryBuilder:
    effect = store(content)
    return built.add(session, effects={"file": (effect.op, effect.value)}, **more)


def shown(built: HistoryBuilder, session: str, content: Any, **more: Any) -> HistoryBuilder:
    return built.read(session, None if content is None else digest(content), "file", **more)


def test_what_was_stored_last_is_there() -> None:
    built = shown(kept(shown(kept(history(), "a", X), "a", X), "a", Y), "a", Y.encode())
    checks = judge(built, file=blob())
    assert {check.name for check in checks.checks if check.verdict != "pass"} == {
        "cross-session-read"
    }  # alone
    assert check_of(checks, "lost-update").evidence["write_read_pairs"] == 2
    assert kinds(shown(history(), "a", None).clear("a", "file", None), file=blob()) == set()


def test_content_of_another_session_is_found() -> None:
    anomaly = only(shown(kept(kept(history(), "a", X), "b", Y), "b", X), "cross-session-read", file=blob())
    name = named(digest(X))
    assert anomaly.explanation == (
        f"Operation A: session a stored {name} to file (acknowledged). Operation B: session b read file = {name}. "
        f"B saw {name}, which only a wrote: state crossed from a to b."
    )
    assert X not in str(anomaly)


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        ((X, Y, "read X", "read X"), "lost-update"),
        ((X, Y, "read X", "read Y"), "read-your-writes"),
        ((X, "read X", Y, "read Y", "read X", "read Y"), "monotonic-reads"),
        ((X, "read X", "read nothing", "read nothing"), "reset"),
        ((X, "read torn"), "garbage-read"),
        ((X, "clear", "read X"), "cleared-state-returns"),
    ],
)
def test_its_other_faults_are_those_of_a_register(contents: tuple[str, ...], kind: str) -> None:
    values = {"read X": X, "read Y": Y, "read nothing": None, "read torn": X[:1024]}
    built, plain = history(), history()
    for what in contents:
        if what == "clear":
            built.clear("a", "file", None)
            plain.clear("a", "r", None)
        elif what in values:
            shown(built, "a", values[what])
            plain.read("a", values[what], "r")
        else:
            kept(built, "a", what)
            effect = write(what)
            plain.add("a", effects={"r": (effect.op, effect.value)})
    assert kinds(built, file=blob()) == kinds(plain, r=register()) == {kind}


def test_a_token_in_what_everyone_shares_may_be_seen_by_everyone() -> None:
    token = tokens.mint("7f3a", 0, 1, 1)
    sighting = Sighting(kind="foreign-token", value=token, where="GET file=/tmp/a")

    def verdict(scope: str) -> str:
        built = kept(history(), "s0-1", f"by {token}")
        operations = shown(built, "s0-2", f"by {token}").build()
        seen = operations.operations[1]
        operations.operations[1] = msgspec.structs.replace(seen, sightings=[sighting], searched=1)
        state = {"file": blob(scope=scope)}  # type: ignore[arg-type]
        return check_of(check_history(operations, state, COMPLETED), "canary").verdict

    assert verdict("everyone") == "pass"
    assert verdict("session") == "fail"


def test_the_history_holds_no_more_than_the_hash_and_the_tokens() -> None:
    token = tokens.mint("7f3a", 0, 1, 1)
    content = token.encode() + b"\0" * 100_000
    assert store(content) == Effect(op="store", value=[digest(content), [token]])
    assert store(content * 2).value[1] == [token]
    assert store([{"name": token}]).value[1] == [token]
    assert len(str(store(content).value)) < 100


def test_content_that_a_lost_record_may_have_stored_causes_no_anomaly() -> None:
    """A digest names nobody, so that nothing tells a store that is not on record from garbage."""
    built = shown(kept(shown(kept(history(), "a", X), "a", X), "b", Y), "b", Z)
    whole = built.build()
    assert check_of(check_history(whole, STATE, COMPLETED), "garbage-read").verdict == "fail"
    torn = msgspec.structs.replace(whole, damaged=frozenset({"0"}), problems=["Line 5 cannot be read."])
    checks = check_history(torn, STATE, COMPLETED)
    assert {check.name for check in checks.checks if check.verdict == "fail"} == set()
    assert check_of(checks, "garbage-read").verdict == "unknown"
    assert checks.verdict == "unknown"
