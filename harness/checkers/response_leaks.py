"""Tokens of other sessions, State and secrets in responses, whether or not the workload read them.

The load generator searches every response (`harness.load.canary_scanner`) and records what it finds. Whether a token may be seen
is decided here, where all writes of all workers are known: one that was written to a variable of everyone may be seen by
everyone, one that was written to a variable of a user by that person in other sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from harness import tokens
from harness.checkers.anomalies import CANARY, CROSS_SESSION_READ, RESURRECTED_STATE, VISIBLE_STATE
from harness.checkers.findings import Findings, show
from harness.checkers.index import Index
from harness.records import Check, Operation, Sighting, Verdict

_NOT_LOOKED = "Does not apply: no response was searched. With --driver stock, responses cannot be searched."


def judge_canaries(index: Index) -> Check:
    """A token of another session stood anywhere in a response.

    The anomaly is a cross-session read; or resurrected state, if the other session was an earlier one of the same person.
    """
    operations = index.history.operations
    sighted = [(o, s) for o in operations for s in o.sightings if s.kind == "foreign-token"]
    writers = _writers(index, {sighting.value for _, sighting in sighted})
    users = {o.session: o.user for o in operations if o.user}
    crossed = Findings(CROSS_SESSION_READ, index.history)
    returned = Findings(RESURRECTED_STATE, index.history)
    shared = unexplained = 0
    sufferers: set[str] = set()
    strange: list[tuple[Operation, Sighting, str, Writes, bool]] = []
    for operation, sighting in sighted:
        token = tokens.parse(sighting.value)
        if token is None or token.session_id == operation.session:
            continue
        wrote = writers.get(sighting.value, [])
        user = users.get(operation.session)
        same_person = user is not None and user == users.get(token.session_id)
        if _may_be_seen(index, wrote, operation.session, token.session_id):
            shared += 1
        elif not wrote and _may_be_missing(index, str(token.worker)):
            unexplained += 1
        else:
            strange.append((operation, sighting, token.session_id, wrote, same_person))
    # Where other people's state is seen as well, that of an earlier session is a part of it and no matter of its own.
    mixed = {id(operation) for operation, *_, same_person in strange if not same_person}
    for operation, sighting, owner, wrote, same_person in strange:
        alone = same_person and id(operation) not in mixed
        sufferers.add(operation.session)
        findings = returned if alone else crossed
        _describe_token(findings, operation, sighting, owner, wrote, same_person=alone)
    looked = index.scan.looked
    marked = sum(session.marked for session in index.scan.sessions.values())
    total = crossed.total + returned.total
    verdict: Verdict = "pass"
    applies = True
    if total:
        verdict = "fail"
        reason = f"{len(sufferers)} of {len(index.scan.sessions)} sessions received tokens of other sessions."
    elif unexplained:
        verdict = "unknown"
        reason = f"{unexplained} tokens of lost workers were seen; whether they were written for everyone is not on record."
    elif not looked:
        applies, reason = False, _NOT_LOOKED
    elif not index.state and not index.scan.echoed:
        applies = False
        reason = "Does not apply: no response contained any token, not even of the session that sent it."
    elif marked < 2:
        applies = False
        reason = (
            "Does not apply: fewer than two sessions wrote tokens, so none could have been seen by another."
        )
    else:
        reason = f"Searched {looked:,} responses to {_searched(index)} sessions; none contained a token that belongs to another session alone."
        reason += _told_of_unmarked(index.scan.unmarked)
    return Check(
        name=CANARY,
        verdict=verdict,
        reason=reason,
        evidence={
            "responses_searched": looked,
            "sessions_searched": _searched(index),
            "sessions_writing_tokens": marked,
            "seen_and_shared": shared,
            "responses_with_own_tokens": index.scan.echoed,
            "texts_with_a_token": index.scan.marked,
            "texts_without_a_token": index.scan.unmarked.total(),
        },
        anomalies=[*crossed.anomalies(), *returned.anomalies()],
        anomalies_total=total,
        suffered=dict(Counter(index.sessions[session][0].worker for session in sorted(sufferers))),
        applies=applies,
        crossings=crossed.crossings(returned),
    )


def judge_visible_state(index: Index) -> Check:
    """State, or a text that only State may hold, stood in a response."""
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
            "where Gradio sends nothing instead of State"
            if sighting.kind == "state-on-the-wire"
            else "of which the workload says that only the server's State holds it"
        )
        last = chr(ord("A") + len(witness) - 1)
        findings.describe(
            variable=sighting.where,
            sessions=sessions,
            witness=witness,
            conclusion=f"In the response to {last} stood {show(sighting.value)}, {why}: State could be seen.",
        )
    looked = index.scan.looked
    verdict: Verdict = "pass"
    if findings.total:
        verdict = "fail"
        reason = f"{findings.sufferers} of {len(index.scan.sessions)} sessions received State."
    elif not looked:
        reason = _NOT_LOOKED
    else:
        reason = f"Searched {looked:,} responses to {_searched(index)} sessions; none contained State."
    return Check(
        name=VISIBLE_STATE,
        verdict=verdict,
        reason=reason,
        evidence={"responses_searched": looked, "sessions_searched": _searched(index)},
        anomalies=findings.anomalies(),
        anomalies_total=findings.total,
        suffered=findings.suffered(),
        applies=bool(looked or findings.total),
        crossings=findings.crossings(),
    )


Writes = list[tuple[Operation, str]]


def _told_of_unmarked(actions: Counter[str]) -> str:
    """Texts that could not have been recognised, as a sentence; empty if every text that was sent had a token in it.

    Args:
        actions: action → texts that it sent without one.
    """
    unmarked = actions.total()
    if not unmarked:
        return ""
    names = ", ".join(name for name, number in actions.most_common(3) if number)
    texts = "1 text was" if unmarked == 1 else f"{unmarked:,} texts were"
    return f" But {texts} sent without a token in it ({names}): whether other sessions saw those is unknown."


def _may_be_seen(index: Index, wrote: Writes, session: str, writer: str) -> bool:
    """Whether a token was written to something that is not its session's alone.

    Args:
        wrote: the operations that wrote it, each with the variable.
        session: that saw it.
        writer: the session whose token it is.
    """
    return any(
        index.state[variable].scope != "session"
        and index.owner_of(variable, session) == index.owner_of(variable, writer)
        for _, variable in wrote
        if variable in index.state
    )


def _may_be_missing(index: Index, worker: str) -> bool:
    """Whether a write for everyone may have been made that is not on record."""
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
    same_person: bool,
) -> None:
    variable = wrote[0][1] if wrote else sighting.where
    sessions = [owner, operation.session]
    if not findings.first(variable, sessions):
        return
    value = sighting.value
    got = f"got {value} in {sighting.where}"
    arrived = (
        f"what {owner} had written, an earlier session of the same person, came back in {operation.session}"
        if same_person
        else f"state crossed from {owner} to {operation.session}"
    )
    if not wrote:
        witness = [(operation, got)]
        conclusion = f"The response to A held {value}, whose token names {owner}: {arrived}."
    else:
        writer = wrote[0][0]
        witness = [(writer, f"wrote {value} to {variable}{_acknowledged(writer)}"), (operation, got)]
        conclusion = f"The response to B held {value}, which only {owner} ever wrote: {arrived}."
    findings.describe(
        variable=variable, sessions=sessions, witness=witness, conclusion=conclusion, relevant=[value]
    )


def _acknowledged(operation: Operation) -> str:
    return ", acknowledged" if operation.outcome == "ok" else " (outcome unknown)"


def _writers(index: Index, wanted: Collection[str]) -> dict[str, Writes]:
    """Token → the operations that wrote it, in order, each with the variable."""
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
    """Sessions of whose responses any was searched."""
    return sum(session.looked for session in index.scan.sessions.values())


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
