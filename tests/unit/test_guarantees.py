"""Guarantees from made-up verdicts and facts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.guarantees import Facts, facts, judge
from harness.records import (
    GUARANTEES,
    Anomaly,
    Check,
    Guarantee,
    ProbeSample,
    RunEvent,
    StateVariable,
    Verdict,
)
from harness.workload import answer, append_only_list, assigned, chain, counter
from tests.unit.report.builders import manifest, plateau

DECIDING = {
    "session-specific": ["cross-session-read", "garbage-read"],
    "reset-on-reload": ["resurrected-state"],
    "invisible": ["visible-state"],
    "read-your-writes": ["read-your-writes"],
    "monotonic-reads": ["monotonic-reads"],
    "monotonic-writes": ["monotonic-writes", "writes-follow-reads"],
    "no-lost-update": ["lost-update", "reset", "duplicate-effect", "cleared-state-returns"],
    "memory-returns": ["leak-per-request", "leak-per-session"],
}
ALL_CHECKS = [
    "canary",
    *{name for names in DECIDING.values() for name in names},
    "misdelivered-response",
    "non-atomic-chain",
]


def check(name: str, verdict: Verdict = "pass", seen: int = 40) -> Check:
    return Check(
        name=name,
        verdict=verdict,
        reason=f"What {name} says.\nTraceback of it",
        evidence={"reads": seen},
        anomalies_total=3 if verdict == "fail" else 0,
    )


def found(**changes: Any) -> Facts:
    made = Facts(
        state={"log": append_only_list()},
        declared={},
        checks={name: check(name) for name in ALL_CHECKS},
        states=1,
        state_types={"Turn": 4, "list": 4},
        reloaded=7,
    )
    return msgspec.structs.replace(made, **changes)


def of(name: str, made: Facts) -> Guarantee:
    return next(guarantee for guarantee in judge(made) if guarantee.name == name)


def anomaly(kind: str) -> Anomaly:
    return Anomaly(kind=kind, sessions=["a"], variable="x", occurrences=1, witness=[], explanation="")


def with_checks(made: Facts, *checks: Check) -> Facts:
    return msgspec.structs.replace(made, checks={**made.checks, **{c.name: c for c in checks}})


def test_all_are_kept_if_every_check_has_evidence_and_no_anomaly() -> None:
    judged = judge(found())
    assert [p.name for p in judged] == list(GUARANTEES)
    assert {p.status for p in judged} == {"kept"}
    assert all(p.reason and p.evidence and not p.broken_by for p in judged)
    assert "Traceback" not in " ".join(p.reason for p in judged)


@pytest.mark.parametrize(("name", "checks"), DECIDING.items())
def test_each_deciding_check_breaks_its_guarantee_and_no_other(name: str, checks: list[str]) -> None:
    for kind in checks:
        judged = judge(with_checks(found(), check(kind, "fail")))
        broken = {p.name: p.broken_by for p in judged if p.status == "broken"}
        assert broken == {name: [kind]}


@pytest.mark.parametrize(("name", "checks"), DECIDING.items())
def test_a_check_that_does_not_know_or_was_not_made_leaves_its_guarantee_unknown(
    name: str, checks: list[str]
) -> None:
    for kind in checks:
        assert of(name, with_checks(found(), check(kind, "unknown"))).status == "unknown"
        without = found(checks={n: c for n, c in found().checks.items() if n != kind})
        missing = of(name, without)
        assert (missing.status, missing.reason) == ("unknown", f"The check {kind} was not made.")


@pytest.mark.parametrize("name", DECIDING)
def test_without_evidence_nothing_is_kept(name: str) -> None:
    nothing = found(checks={kind: check(kind, seen=0) for kind in ALL_CHECKS})
    assert of(name, nothing).status == "unknown"


@pytest.mark.parametrize("name", DECIDING)
def test_a_check_that_had_nothing_to_look_at_keeps_no_guarantee(name: str) -> None:
    idle = {
        kind: Check(
            name=kind,
            verdict="pass",
            reason="Does not apply: nobody came back.",
            evidence={"n": 3},
            applies=False,
        )
        for kind in ALL_CHECKS
    }
    judged = of(name, found(checks=idle))
    assert judged.status == "unknown"
    assert judged.reason == "Nobody came back."


def test_without_a_model_canaries_alone_say_whether_anything_crossed() -> None:
    idle = {kind: check(kind, seen=0) for kind in ALL_CHECKS}
    searched = found(state={}, checks={**idle, "canary": check("canary")})
    assert of("session-specific", searched).status == "kept"
    assert of("session-specific", searched).reason == "What canary says."
    blind = msgspec.structs.replace(
        check("canary"), applies=False, reason="Does not apply: no token was sent."
    )
    judged = of("session-specific", found(state={}, checks={**idle, "canary": blind}))
    assert (judged.status, judged.reason) == ("unknown", "No token was sent.")
    leaked = msgspec.structs.replace(check("canary", "fail"), anomalies=[anomaly("cross-session-read")])
    assert of("session-specific", found(state={}, checks={**idle, "canary": leaked})).status == "broken"


def test_what_one_of_several_checks_saw_is_enough_but_not_for_memory() -> None:
    idle = Check(
        name="", verdict="pass", reason="Does not apply: it was not asked.", evidence={}, applies=False
    )
    lost = with_checks(found(), msgspec.structs.replace(idle, name="reset"))
    assert of("no-lost-update", lost).status == "kept"
    leak = of("memory-returns", with_checks(found(), msgspec.structs.replace(idle, name="leak-per-request")))
    assert (leak.status, leak.reason) == ("unknown", "It was not asked.")


def test_the_order_of_writes_can_only_be_seen_in_lists() -> None:
    assert of("monotonic-writes", found(state={"n": counter()})).status == "does-not-apply"


def test_a_check_of_models_that_the_workload_does_not_have_decides_nothing() -> None:
    absent = {
        n: c for n, c in found().checks.items() if n not in ("misdelivered-response", "non-atomic-chain")
    }
    assert {p.status for p in judge(found(checks=absent))} == {"kept"}
    asking = found(checks=absent, state={"log": append_only_list(), "reply": answer(), "steps": chain()})
    assert of("session-specific", asking).status == "unknown"
    assert of("no-lost-update", asking).status == "unknown"


@pytest.mark.parametrize(
    ("kind", "guarantee"),
    [("cross-session-read", "session-specific"), ("resurrected-state", "reset-on-reload")],
)
def test_a_token_in_a_foreign_response_breaks_the_guarantee_of_its_kind(kind: str, guarantee: str) -> None:
    canary = msgspec.structs.replace(check("canary", "fail"), anomalies=[anomaly(kind)])
    judged = judge(with_checks(found(), canary))
    assert {p.name for p in judged if p.status == "broken"} == {guarantee}
    assert {p.status for p in judged if p.name != guarantee} == {"kept"}


# --- reset on reload ---


def test_without_a_reload_reset_on_reload_is_unknown() -> None:
    assert of("reset-on-reload", found(reloaded=0)).status == "unknown"


def test_a_reload_that_was_seen_to_reset_is_evidence() -> None:
    assert of("reset-on-reload", found()).reason.endswith("reload of the page and read state: 7.")


@pytest.mark.parametrize("scope", ["user", "everyone"])
def test_what_belongs_to_a_user_or_to_all_need_not_be_reset(scope: Any) -> None:
    made = found(state={"rows": counter(scope=scope)})
    assert of("reset-on-reload", made).status == "does-not-apply"
    assert of("reset-on-reload", with_checks(made, check("resurrected-state", "fail"))).status == "broken"


# --- other things that do not apply ---


def test_state_that_is_shared_on_purpose_breaks_no_guarantee() -> None:
    made = found(state={"total": counter(scope="everyone")})
    assert of("session-specific", made).status == "does-not-apply"
    assert of("session-specific", found(state={"rows": counter(scope="user")})).status == "kept"


def test_an_app_without_state_has_nothing_to_hide_and_no_objects() -> None:
    made = found(states=0, state_types={})
    assert of("invisible", made).status == of("any-python-object", made).status == "does-not-apply"
    seen = with_checks(made, check("visible-state", "fail"))
    assert of("invisible", seen).status == "broken"


def test_state_that_only_rendered_components_have_is_state_all_the_same() -> None:
    assert of("invisible", found(states=0)).status == "kept"


def test_answers_alone_say_nothing_about_state() -> None:
    made = found(state={"reply": answer()})
    for name in (
        "reset-on-reload",
        "read-your-writes",
        "monotonic-reads",
        "monotonic-writes",
        "no-lost-update",
    ):
        assert of(name, made).status == "does-not-apply", name
    assert of("session-specific", made).status == "kept"


def test_an_assigned_value_has_monotonic_reads_and_no_writes_to_check() -> None:
    made = found(state={"began": assigned()})
    assert of("monotonic-reads", made).status == "kept"
    assert of("read-your-writes", made).status == of("monotonic-writes", made).status == "does-not-apply"


def test_a_workload_without_state_guarantees_nothing() -> None:
    statuses = {
        p.name: p.status
        for p in judge(found(state={}, checks={kind: check(kind, "unknown") for kind in ALL_CHECKS}))
    }
    assert "kept" not in {s for name, s in statuses.items() if name != "any-python-object"}


# --- any Python object ---


def test_numbers_and_lists_say_nothing_about_other_objects() -> None:
    plain = of("any-python-object", found(state_types={"list": 3, "int": 3}))
    assert (plain.status, plain.reason) == (
        "does-not-apply",
        "gr.State held only values of the types int and list, which JSON also has.",
    )


@pytest.mark.parametrize("kind", ["Turn", "list of Turn", "set", "tuple", "bytes"])
def test_an_object_that_json_does_not_have_was_kept(kind: str) -> None:
    kept = of("any-python-object", found(state_types={kind: 3, "int": 3}))
    assert (kept.status, kept.evidence) == ("kept", {kind: 3})


@pytest.mark.parametrize("kind", ["cross-session-read", "lost-update", "garbage-read", "reset"])
def test_an_object_of_a_session_that_lost_something_is_not_known_to_be_kept(kind: str) -> None:
    assert of("any-python-object", with_checks(found(), check(kind, "fail"))).status == "unknown"


@pytest.mark.parametrize("types", [None, {}])
def test_values_that_were_not_read_are_unknown(types: Any) -> None:
    assert of("any-python-object", found(state_types=types)).status == "unknown"


# --- declared ---


@pytest.mark.parametrize("name", GUARANTEES)
def test_a_scenario_may_say_why_a_guarantee_does_not_apply(name: str) -> None:
    declared = of(name, found(declared={name: "rows belong to users"}))
    assert (declared.status, declared.reason) == ("does-not-apply", "rows belong to users.")


def test_what_was_found_counts_more_than_what_is_declared() -> None:
    made = with_checks(
        found(declared={"invisible": "It is shown on purpose."}), check("visible-state", "fail")
    )
    broken = of("invisible", made)
    assert broken.status == "broken"
    assert broken.reason.endswith("does not apply: It is shown on purpose.")


# --- where the facts come from ---


def test_facts_are_read_from_the_records() -> None:
    seen = msgspec.structs.replace(check("resurrected-state"), evidence={"reloaded_sessions": 1})
    steps = [plateau(n, n + 1.0, 10**7, None) for n in range(3)]
    steps = [
        msgspec.structs.replace(
            step, probe=ProbeSample(time_ns=0, wall_ns=0, state_types={"int": 4 - n} if n else None)
        )
        for n, step in enumerate(steps)
    ]
    made = facts(
        manifest(state={"log": StateVariable(model="list", initial=[])}, guarantees={"invisible": "because"}),
        [check("lost-update"), seen],
        [RunEvent(time_ns=0, wall_ns=0, kind="target_ready", detail={"states": 2})],
        steps,
    )
    assert (made.reloaded, made.states, made.state_types) == (1, 2, {"int": 3})
    assert made.declared == {"invisible": "because"}
    assert list(made.checks) == ["lost-update", "resurrected-state"]
    nobody = facts(manifest(), [], [], [])
    assert (nobody.reloaded, nobody.states, nobody.state_types) == (0, None, None)
