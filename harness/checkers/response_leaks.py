"""Judge the tokens of other sessions, State and secrets that responses contained, whether or not the workload read them.

The load generator searches every response (`harness.load.canary_scanner`) and records what it finds. Whether a session may receive
a token is decided here, where all writes of all workers are known. A token that was written to a variable of scope `everyone` may
reach all sessions. A token that was written to a variable of scope `user` may reach the sessions of that user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from harness import tokens
from harness.checkers.anomaly_names import CANARY, CROSS_SESSION_READ, RESURRECTED_STATE, VISIBLE_STATE
from harness.checkers.findings import Findings, show
from harness.checkers.history_index import Index
from harness.records import Check, Operation, Sighting, Verdict

_NOT_SEARCHED = "Does not apply: no response was searched. With --driver stock, responses cannot be searched."


def judge_canaries(index: Index) -> Check:
    """Check whether a response contained a token of another session.

    The anomaly is `cross-session-read`, or `resurrected-state` if the other session is an earlier one of the same user.
    """
    operations = index.history.operations
    sighted = [(o, s) for o in operations for s in o.sightings if s.kind == "foreign-token"]
    writers = _writers(index, {sighting.value for _, sighting in sighted})
    users = {o.session: o.user for o in operations if o.user}
    crossed = Findings(CROSS_SESSION_READ, index.history)
    returned = Findings(RESURRECTED_STATE, index.history)
    shared = unexplained = 0
    sufferers: set[str] = set()
    foreign: list[tuple[Operation, Sighting, str, Writes, bool]] = []
    for operation, sighting in sighted:
        token = tokens.parse(sighting.value)
        if token is None or token.session_id == operation.session:
            continue
        wrote = writers.get(sighting.value, [])
        user = users.get(operation.session)
        same_user = user is not None and user == users.get(token.session_id)
        if _may_be_seen(index, wrote, operation.session, token.session_id):
            shared += 1
        elif not wrote and _may_be_missing(index, str(token.worker)):
            unexplained += 1
        else:
            foreign.append((operation, sighting, token.session_id, wrote, same_user))
    # If a response shows state of other users too, the state of an earlier session is part of that leak, not resurrected state.
    mixed = {id(operation) for operation, *_, same_user in foreign if not same_user}
    for operation, sighting, owner, wrote, same_user in foreign:
        alone = same_user and id(operation) not in mixed
        sufferers.add(operation.session)
        findings = returned if alone else crossed
        _describe_token(findings, operation, sighting, owner, wrote, same_user=alone)
    searched = index.scan.searched
    writing = sum(session.has_token for session in index.scan.sessions.values())
    total = crossed.total + returned.total
    verdict: Verdict = "pass"
    applies = True
    if total:
        verdict = "fail"
        reason = f"{len(sufferers)} of {len(index.scan.sessions)} sessions received tokens of other sessions."
    elif unexplained:
        verdict = "unknown"
        reason = f"{unexplained} tokens of lost workers were received; it is not recorded whether they were written to a variable of everyone."
    elif not searched:
        applies, reason = False, _NOT_SEARCHED
    elif not index.state and not index.scan.own_tokens_seen:
        applies = False
        reason = "Does not apply: no response contained any token, not even of the session that sent it."
    elif writing < 2:
        applies = False
        reason = (
            "Does not apply: fewer than two sessions wrote tokens, so none could have been seen by another."
        )
    else:
        reason = f"Searched {searched:,} responses to {_searched(index)} sessions; none contained a token that belongs to another session alone."
        reason += _untagged_sentence(index.scan.untagged_sent)
    return Check(
        name=CANARY,
        verdict=verdict,
        reason=reason,
        evidence={
            "responses_searched": searched,
            "sessions_searched": _searched(index),
            "sessions_writing_tokens": writing,
            "seen_and_shared": shared,
            "responses_with_own_tokens": index.scan.own_tokens_seen,
            "texts_with_a_token": index.scan.tokens_sent,
            "texts_without_a_token": index.scan.untagged_sent.total(),
        },
        anomalies=[*crossed.anomalies(), *returned.anomalies()],
        anomalies_total=total,
        suffered=dict(Counter(index.sessions[session][0].worker for session in sorted(sufferers))),
        applies=applies,
        crossings=crossed.crossings(returned),
    )


def judge_visible_state(index: Index) -> Check:
    """Check whether a response contained State, or a secret: a text that no response may contain."""
    operations = index.history.operations
    findings = Findings(VISIBLE_STATE, index.history)
    sighted = [(o, s) for o in operations for s in o.sightings if s.kind != "foreign-token"]
    texts = {sighting.value for _, sighting in sighted if sighting.kind == "secret"}
    writers = _first_with(index, texts) if texts else {}
    for operation, sighting in sighted:
        writer = writers.get(sighting.value) if sighting.kind == "secret" else None
        others = [writer.session] if writer is not None and writer.session != operation.session else []
        sessions = [*others, operation.session]
        if not findings.first(sighting.where, sessions):
            continue
        witness = [(operation, f"got {show(sighting.value)} in {sighting.where}")]
        if writer is not None and writer is not operation:
            witness.insert(0, (writer, f"sent {show(sighting.value)}{_acknowledged(writer)}"))
        why = (
            "in place of State, for which Gradio must send null"
            if sighting.kind == "state-on-the-wire"
            else "which the workload declared secret"
        )
        last = chr(ord("A") + len(witness) - 1)
        findings.describe(
            variable=sighting.where,
            sessions=sessions,
            witness=witness,
            conclusion=f"The response to {last} contained {show(sighting.value)}, {why}: State is visible to the client.",
        )
    searched = index.scan.searched
    verdict: Verdict = "pass"
    if findings.total:
        verdict = "fail"
        reason = f"{findings.sufferers} of {len(index.scan.sessions)} sessions received State."
    elif not searched:
        reason = _NOT_SEARCHED
    else:
        reason = f"Searched {searched:,} responses to {_searched(index)} sessions; none contained State."
    return Check(
        name=VISIBLE_STATE,
        verdict=verdict,
        reason=reason,
        evidence={"responses_searched": searched, "sessions_searched": _searched(index)},
        anomalies=findings.anomalies(),
        anomalies_total=findings.total,
        suffered=findings.suffered(),
        applies=bool(searched or findings.total),
        crossings=findings.crossings(),
    )


Writes = list[tuple[Operation, str]]


def _untagged_sentence(actions: Counter[str]) -> str:
    """A sentence about texts that were sent without a token and could not be recognised; empty if there are none.

    Args:
        actions: action → number of such texts.
    """
    untagged = actions.total()
    if not untagged:
        return ""
    names = ", ".join(name for name, number in actions.most_common(3) if number)
    texts = "1 text was" if untagged == 1 else f"{untagged:,} texts were"
    return f" But {texts} sent without a token in it ({names}): whether other sessions saw those is unknown."


def _may_be_seen(index: Index, wrote: Writes, session: str, writer: str) -> bool:
    """Whether a token was written to a variable that both sessions share.

    Args:
        wrote: the operations that wrote the token, each with the variable.
        session: the session that received it.
        writer: the session that the token names.
    """
    return any(
        index.state[variable].scope != "session"
        and index.owner_of(variable, session) == index.owner_of(variable, writer)
        for _, variable in wrote
        if variable in index.state
    )


def _may_be_missing(index: Index, worker: str) -> bool:
    """Return True if the records of this worker may lack a write to a variable of scope `everyone`."""
    return worker in index.incomplete and any(
        variable.scope == "everyone" for variable in index.state.values()
    )


def _describe_token(
    findings: Findings,
    operation: Operation,
    sighting: Sighting,
    owner: str,
    wrote: Writes,
    *,
    same_user: bool,
) -> None:
    variable = wrote[0][1] if wrote else sighting.where
    sessions = [owner, operation.session]
    if not findings.first(variable, sessions):
        return
    value = sighting.value
    got = f"got {value} in {sighting.where}"
    arrived = (
        f"a value of {owner}, an earlier session of the same user, came back in {operation.session}"
        if same_user
        else f"state crossed from {owner} to {operation.session}"
    )
    if not wrote:
        witness = [(operation, got)]
        conclusion = f"The response to A contained {value}, a token of {owner}: {arrived}."
    else:
        writer = wrote[0][0]
        witness = [(writer, f"wrote {value} to {variable}{_acknowledged(writer)}"), (operation, got)]
        conclusion = f"The response to B contained {value}, which only {owner} wrote: {arrived}."
    findings.describe(
        variable=variable, sessions=sessions, witness=witness, conclusion=conclusion, relevant=[value]
    )


def _acknowledged(operation: Operation) -> str:
    return " (acknowledged)" if operation.outcome == "ok" else " (outcome unknown)"


def _writers(index: Index, wanted: Collection[str]) -> dict[str, Writes]:
    """Token → the operations that wrote it, in the order of the history, each with the variable."""
    writers: dict[str, Writes] = {}
    if not wanted:
        return writers
    for operation in index.history.operations:
        for variable, effect in operation.effects.items():
            for name in _tokens(effect.value):
                if name in wanted:
                    writers.setdefault(name, []).append((operation, variable))
    return writers


def _first_with(index: Index, texts: Collection[str]) -> dict[str, Operation]:
    """Text → the first operation that sent it."""
    found: dict[str, Operation] = {}
    for operation in index.history.operations:
        for effect in operation.effects.values():
            for value in _strings(effect.value):
                for text in texts:
                    if text in value:
                        found.setdefault(text, operation)
    return found


def _searched(index: Index) -> int:
    """Number of sessions with a searched response."""
    return sum(session.searched for session in index.scan.sessions.values())


def _tokens(value: Any) -> Iterator[str]:
    for text in _strings(value):
        yield from tokens.find(text)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from _strings(element)
    elif isinstance(value, dict):
        for element in value.values():
            yield from _strings(element)
