"""Does an answer belong to its operation? What is shown must be what the same operation asked, or began with."""

from __future__ import annotations

from typing import Any

from harness.checkers.anomaly_names import (
    CROSS_SESSION_READ,
    GARBAGE_READ,
    LOST_UPDATE,
    MISDELIVERED_RESPONSE,
    NON_ATOMIC_CHAIN,
)
from harness.checkers.findings import Found, involved, show, wrote
from harness.checkers.history_index import Index
from harness.checkers.models import key
from harness.checkers.owner_log import Status
from harness.checkers.provenance import sessions_named
from harness.records import Operation


def examine_replies(index: Index, found: Found) -> None:
    """Check every answer, partial ones included, and every step of every chain."""
    for variable, model in index.state.items():
        if model.model not in ("answer", "chain"):
            continue
        for read in index.reads[variable]:
            if index.log(variable, read.session).status is Status.SCREENED:
                continue
            observed = read.reads[variable]
            effect = read.effects.get(variable)
            # What was asked may be a list itself.
            alike = effect is not None and key(observed) == key(effect.value)
            values = observed if isinstance(observed, list) and not alike else [observed]
            for value in values:
                if effect is None or key(value) != key(effect.value):
                    _other(index, variable, model.model, read, value, found)


def _other(index: Index, variable: str, model: str, read: Operation, value: Any, found: Found) -> None:
    """Something was shown that its operation neither asked nor began with."""
    writers = index.writers[variable].get(("", key(value)), [])
    # Those of the same session first: they accuse no other session.
    writer = min(writers, key=lambda w: w.session != read.session, default=None)
    relevant = [value]
    effect = read.effects.get(variable)
    asked = (
        ""
        if effect is None
        else f" {'asked for' if model == 'answer' else 'started a chain with'} {show(effect.value)},"
    )
    seen = f"{asked.lstrip() + ' and was' if asked else 'was'} shown {show(read.reads[variable], relevant)} in {variable}"
    if writer is None:
        _unknown(index, variable, model, read, value, seen, found)
        return
    same = writer.session == read.session
    findings: list[tuple[str, str]] = []
    if model == "answer":
        whose = (
            f"A, another operation of {writer.session}," if same else f"{writer.session}, another session,"
        )
        findings.append(
            (
                MISDELIVERED_RESPONSE,
                f"The answer to B contained {show(value)}, for which {whose} had asked: the response was misdelivered.",
            )
        )
    else:
        mixed = f"two chains of {read.session} were mixed" if same else "two chains were mixed"
        findings.append(
            (
                NON_ATOMIC_CHAIN,
                f"A step of B used {show(value)}, with which A had started its chain: {mixed}.",
            )
        )
        if not same:
            findings.append(
                (
                    CROSS_SESSION_READ,
                    f"A step of B used {show(value)}. Only {writer.session} had started a chain with it: "
                    f"state crossed from {writer.session} to {read.session}.",
                )
            )
    sessions = involved(writer, read)
    for kind, conclusion in findings:
        if found.of(kind).first(variable, sessions):
            found.of(kind).describe(
                variable=variable,
                sessions=sessions,
                witness=[(writer, wrote(writer, variable)), (read, seen)],
                conclusion=conclusion,
                relevant=relevant,
            )


def _unknown(
    index: Index, variable: str, model: str, read: Operation, value: Any, seen: str, found: Found
) -> None:
    """No recorded operation wrote what was shown."""
    named = [(s, worker) for s, worker in sessions_named(index, value) if worker in index.incomplete]
    foreign = [(session, worker) for session, worker in named if session != read.session]
    if named and not foreign:
        return
    sessions = [read.session]
    if foreign:
        session, worker = foreign[0]
        sessions = [session, read.session]
        kind = MISDELIVERED_RESPONSE if model == "answer" else CROSS_SESSION_READ
        conclusion = (
            f"A was shown {show(value)}, whose token names {session}; "
            f"that operation is not on record, since the records of worker {worker} are incomplete."
        )
    elif model == "chain" and value is None:
        kind = LOST_UPDATE
        conclusion = "A step of the chain did not receive the value with which A started the chain: the update is lost."
    else:
        kind = GARBAGE_READ
        verb = "asked for" if model == "answer" else "started a chain with"
        conclusion = f"A was shown {show(value)}, which no recorded operation {verb}."
    if found.of(kind).first(variable, sessions):
        found.of(kind).describe(
            variable=variable,
            sessions=sessions,
            witness=[(read, seen)],
            conclusion=conclusion,
            relevant=[value],
        )
