from __future__ import annotations

from typing import Any

from harness import tokens
from harness.checkers import check_history
from harness.history import History, WorkerFacts, Workers
from harness.records import Check, Checks, Effect, Operation, Sighting, StateVariable
from tests.builders import COMPLETED

TAG = "7f3a"
STATE = {
    "log": StateVariable(model="list"),
    "board": StateVariable(model="list", scope="everyone"),
    "notes": StateVariable(model="list", scope="user"),
}
WHERE = "the result of /send, in textbox 'Out' (id 3)"


def token(session: int, sequence: int = 1, worker: int = 0) -> str:
    return tokens.mint(TAG, worker, session, sequence)


def foreign(value: str, where: str = WHERE) -> Sighting:
    return Sighting(kind="foreign-token", value=value, where=where)


class Story:
    """A history, one operation after the other."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []

    def add(self, session: int, *, worker: int = 0, **more: Any) -> Story:
        number = len(self._operations) + 1
        effects = {name: Effect(op="append", value=value) for name, value in more.pop("wrote", {}).items()}
        self._operations.append(
            Operation(
                worker=str(worker),
                id=number,
                session=tokens.session_id(worker, session),
                action=more.pop("action", "send"),
                phase="load",
                outcome=more.pop("outcome", "ok"),
                invoke_ns=10 * number,
                complete_ns=10 * number + 5,
                searched=more.pop("searched", 3),
                effects=effects,
                **more,
            )
        )
        return self

    def checks(self, state: dict[str, StateVariable]) -> Checks:
        history = History(operations=self._operations, problems=[], workers=Workers(run_tag=TAG))
        return check_history(history, state, COMPLETED)

    def check(self, name: str, lost: str = "") -> Check:
        workers = {lost: WorkerFacts(name=lost, lost="was killed by SIGKILL")} if lost else {}
        history = History(
            operations=self._operations, problems=[], workers=Workers(run_tag=TAG, facts=workers)
        )
        checks = check_history(history, STATE, COMPLETED)
        return next(check for check in checks.checks if check.name == name)


def two_that_write() -> Story:
    return Story().add(1, wrote={"log": token(1)}).add(2, wrote={"log": token(2)})


def test_nothing_seen_is_a_pass_with_its_evidence() -> None:
    for name in ("canary", "visible-state"):
        check = two_that_write().check(name)
        assert (check.verdict, check.applies) == ("pass", True)
        assert check.evidence["responses_searched"] == 6
        assert check.evidence["sessions_searched"] == 2
        assert "6 responses to 2 sessions" in check.reason


def test_without_searched_responses_or_tokens_the_checks_do_not_apply() -> None:
    blind = Story().add(1, wrote={"log": token(1)}, searched=0).add(2, wrote={"log": token(2)}, searched=0)
    for name in ("canary", "visible-state"):
        check = blind.check(name)
        assert (check.verdict, check.applies) == ("pass", False)
        assert "no response was searched" in check.reason
        assert set(check.evidence.values()) <= {0, 2}
    unmarked = Story().add(1, wrote={"log": "a"}).add(2, wrote={"log": token(2)})
    check = unmarked.check("canary")
    assert (check.verdict, check.applies) == ("pass", False)
    assert "fewer than two sessions wrote tokens" in check.reason


def test_a_foreign_token_is_a_cross_session_read_with_its_writer_as_witness() -> None:
    check = two_that_write().add(2, sightings=[foreign(token(1))]).check("canary")
    assert check.verdict == "fail"
    assert check.suffered == {"0": 1}
    (anomaly,) = check.anomalies
    assert anomaly.kind == "cross-session-read"
    assert anomaly.sessions == ["s0-1", "s0-2"]
    assert anomaly.variable == "log"
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:3"]
    assert anomaly.explanation == (
        f"Operation A: session s0-1 wrote {token(1)} to log (acknowledged). "
        f"Operation B: session s0-2 got {token(1)} in {WHERE}. "
        f"The response to B contained {token(1)}, which only s0-1 wrote: state crossed from s0-1 to s0-2."
    )


def test_a_token_that_was_typed_and_not_written_is_a_proof_without_its_writer() -> None:
    check = two_that_write().add(2, sightings=[foreign(token(1, 9))]).check("canary")
    (anomaly,) = check.anomalies
    assert anomaly.sessions == ["s0-1", "s0-2"]
    assert anomaly.variable == WHERE
    assert [w.operation for w in anomaly.witness] == ["0:3"]
    assert "a token of s0-1" in anomaly.explanation


def test_sightings_of_operations_that_failed_count_as_well() -> None:
    for outcome in ("fail", "info"):
        check = two_that_write().add(2, outcome=outcome, sightings=[foreign(token(1))]).check("canary")
        assert check.verdict == "fail"


def test_each_pair_of_sessions_is_one_anomaly() -> None:
    story = two_that_write()
    for _ in range(3):
        story.add(2, sightings=[foreign(token(1))])
    check = story.add(3, sightings=[foreign(token(1)), foreign(token(2))]).check("canary")
    assert check.anomalies_total == 3
    assert sorted(a.occurrences for a in check.anomalies) == [1, 1, 3]
    assert check.suffered == {"0": 2}


def test_what_is_written_for_everyone_may_be_seen_by_everyone() -> None:
    story = two_that_write().add(1, wrote={"board": f"hello from {token(1)}"})
    check = story.add(2, sightings=[foreign(token(1))]).check("canary")
    assert check.verdict == "pass"
    assert check.evidence["seen_and_shared"] == 1


def test_what_a_person_wrote_may_be_seen_in_later_sessions_of_that_person() -> None:
    story = (
        Story()
        .add(1, action="open", user="ann")
        .add(1, wrote={"notes": token(1)})
        .add(2, action="reload", user="ann", sightings=[foreign(token(1))])
        .add(2, wrote={"log": token(2)})
    )
    assert story.check("canary").verdict == "pass"
    check = story.add(3, action="open", user="bob", sightings=[foreign(token(1))]).check("canary")
    assert [(a.kind, a.sessions) for a in check.anomalies] == [("cross-session-read", ["s0-1", "s0-3"])]


def test_what_a_session_wrote_is_resurrected_in_a_later_one_of_the_same_person() -> None:
    check = (
        Story()
        .add(1, action="open", user="ann")
        .add(1, wrote={"log": token(1)})
        .add(2, action="reload", user="ann", sightings=[foreign(token(1))])
        .check("canary")
    )
    (anomaly,) = check.anomalies
    assert anomaly.kind == "resurrected-state"
    assert "an earlier session of the same user" in anomaly.explanation


def test_a_lost_worker_may_have_written_it_for_everyone() -> None:
    story = two_that_write().add(2, sightings=[foreign(token(5, worker=3))])
    assert story.check("canary").verdict == "fail"
    check = story.check("canary", lost="3")
    assert (check.verdict, check.anomalies) == ("unknown", [])


def test_a_pass_does_not_hide_a_sighting_without_a_token() -> None:
    """What cannot be read as a token proves nothing, and is not called one."""
    assert two_that_write().add(2, sightings=[foreign("t-7f3a-0-1-1-0000")]).check("canary").verdict == "pass"


# --- State ---


def test_a_value_in_the_place_of_state_is_visible_state() -> None:
    where = "the result of /send, output 2, a State"
    sighting = Sighting(kind="state-on-the-wire", value="[1, 2]", where=where)
    story = two_that_write().add(2, sightings=[sighting]).add(2, sightings=[sighting])
    check = story.check("visible-state")
    assert check.verdict == "fail"
    (anomaly,) = check.anomalies
    assert (anomaly.kind, anomaly.sessions, anomaly.variable, anomaly.occurrences) == (
        "visible-state",
        ["s0-2"],
        where,
        2,
    )
    assert "in place of State, for which Gradio must send null" in anomaly.explanation
    assert story.check("canary").verdict == "pass"


def test_a_secret_of_another_session_names_who_sent_it() -> None:
    secret = f"key {token(1)}"
    sighting = Sighting(kind="secret", value=secret, where=WHERE)
    check = Story().add(1, wrote={"log": secret}).add(2, sightings=[sighting]).check("visible-state")
    (anomaly,) = check.anomalies
    assert anomaly.sessions == ["s0-1", "s0-2"]
    assert [w.operation for w in anomaly.witness] == ["0:1", "0:2"]
    assert "The response to B contained" in anomaly.explanation
    own = Story().add(1, wrote={"log": secret}, sightings=[sighting]).check("visible-state")
    assert [a.sessions for a in own.anomalies] == [["s0-1"]]
    assert "The response to A contained" in own.anomalies[0].explanation


def test_state_that_all_users_see_is_a_cross_session_read_and_not_resurrected() -> None:
    """The rule of the check `resurrected-state`: a global list shows one's earlier session, too, and that is a part of it."""
    story = Story().add(1, user="ann", wrote={"log": token(1)}).add(2, user="bob", wrote={"log": token(2)})
    alone = Story().add(1, user="ann", wrote={"log": token(1)}).add(2, user="bob", wrote={"log": token(2)})
    mixed = story.add(3, user="ann", sightings=[foreign(token(1)), foreign(token(2))]).check("canary")
    assert [a.kind for a in mixed.anomalies] == ["cross-session-read"] * 2
    back = alone.add(3, user="ann", sightings=[foreign(token(1))]).check("canary")
    assert [a.kind for a in back.anomalies] == ["resurrected-state"]


def test_the_reason_names_texts_without_a_token() -> None:
    check = two_that_write().check("canary")
    assert check.evidence["texts_without_a_token"] == 0
    assert check.reason.endswith("none contained a token that belongs to another session alone.")
    story = two_that_write().add(1, action="sign", untagged_sent=2).add(2, action="ask", untagged_sent=1)
    check = story.check("canary")
    assert check.verdict == "pass"
    assert check.evidence["texts_without_a_token"] == 3
    assert check.reason.endswith(
        " But 3 texts were sent without a token in it (sign, ask): whether other sessions saw those is unknown."
    )
    assert "1 text was sent" in two_that_write().add(1, untagged_sent=1).check("canary").reason


def test_without_a_model_canaries_decide_alone() -> None:
    sent = Story().add(1, tokens_sent=1, own_tokens_seen=1).add(2, tokens_sent=1)
    checks = sent.checks({})
    assert checks.verdict == "pass", checks.reason
    applying = {check.name for check in checks.checks if check.applies}
    assert applying == {"completeness", "canary", "visible-state"}
    canary = next(check for check in checks.checks if check.name == "canary")
    assert (canary.evidence["sessions_writing_tokens"], canary.evidence["texts_with_a_token"]) == (2, 2)
    leaked = sent.add(2, sightings=[foreign(token(1))]).checks({})
    assert {check.name for check in leaked.checks if check.verdict == "fail"} == {"canary"}


def test_without_a_model_and_without_canaries_nothing_is_known() -> None:
    for story in (
        Story().add(1).add(2),
        Story().add(1, tokens_sent=1).add(1, tokens_sent=1),
        Story().add(1, tokens_sent=1, searched=0).add(2, tokens_sent=1, searched=0),
        # What nobody ever gets back, nobody else could have been seen to get.
        Story().add(1, tokens_sent=1).add(2, tokens_sent=1),
    ):
        checks = story.checks({})
        assert checks.verdict == "unknown"
        assert "so there is nothing to check" in checks.reason
