"""Whose value is it? Every value that was read must come from somewhere, and from the reader's own side.

A value that another owner wrote is a cross-session read, or, if that was an earlier session of the same user,
resurrected state. A value that no operation wrote, or that was refused, is a garbage read. Unique values (tokens) prove where a
list element, a register or an entry of a record came from.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from harness import tokens
from harness.checkers.anomaly_names import (
    CROSS_SESSION_READ,
    GARBAGE_READ,
    RESET,
    RESURRECTED_STATE,
)
from harness.checkers.evidence import (
    PAIRS_OF_READS,
    READ_AFTER_A_FOREIGN_WRITE,
    READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
    VALUES_READ,
)
from harness.checkers.findings import Found, show, wrote
from harness.checkers.history_index import Index
from harness.checkers.intervals import end_of
from harness.checkers.models import NAMED_VALUES, key
from harness.checkers.owner_log import OwnerLog, Status
from harness.records import Operation, StateVariable


def examine_values(index: Index, found: Found) -> None:
    """Check every value that was read, except counts, which do not name their writer."""
    for variable, model in index.state.items():
        if model.model in NAMED_VALUES:
            for read in index.reads[variable]:
                log = index.log(variable, read.session)
                if log.status is Status.OPEN:
                    _values(index, variable, log, read, found)
        elif model.model == "assigned":
            _assigned(index, variable, found)
        elif model.model == "custom" and model.scope != "everyone":
            for read in index.reads[variable]:
                _tokens(index, variable, read, found)


def exposure(index: Index) -> dict[str, int]:
    """How much could have shown another session's value: evidence of the cross-session read alone."""
    variables, sessions = index.scan.variables, index.scan.sessions.values()
    return {
        VALUES_READ: sum(facts.reads for facts in variables.values()),
        READ_AFTER_A_FOREIGN_WRITE: sum(
            exposed(index, variable) if index.clocks.several else facts.exposed
            for variable, facts in variables.items()
        ),
        "sessions_reading": sum(session.read for session in sessions),
        "sessions_writing": sum(session.wrote for session in sessions),
    }


def exposed(index: Index, variable: str) -> int:
    """Reads that began after another owner's write to the variable was acknowledged: only these can show a leak.

    The same as `harness.checkers.screening.VariableFacts.exposed`, for workers whose clocks cannot be compared. Where the app assigns the values, reading is what shows that one was given.
    """
    model = index.state[variable]
    if model.scope == "everyone" or model.model == "answer":
        return 0
    first: dict[str, Operation] = {}
    for operation in index.reads[variable] if model.model == "assigned" else index.history.operations:
        if operation.outcome != "ok" or operation.complete_ns is None:
            continue
        if model.model != "assigned" and variable not in operation.effects:
            continue
        if model.model == "assigned" and operation.reads[variable] is None:
            continue
        owner = index.owner_of(variable, operation.session)
        before = first.get(owner)
        if before is None or end_of(operation) < end_of(before):
            first[owner] = operation
    # Of two owners at least one is not the reader.
    by_line: dict[tuple[str, bool], list[tuple[float, str]]] = {}
    for owner, write in first.items():
        by_line.setdefault(index.clocks.line(write), []).append((end_of(write), owner))
    earliest = {line: sorted(ends)[:2] for line, ends in by_line.items()}
    count = 0
    for read in index.reads[variable]:
        if model.model == "assigned" and read.reads[variable] is None:
            continue
        owner = index.owner_of(variable, read.session)
        count += any(
            end <= index.clocks.on(line, read).begin and writer != owner
            for line, ends in earliest.items()
            for end, writer in ends
        )
    return count


def _values(index: Index, variable: str, log: OwnerLog, read: Operation, found: Found) -> None:
    model = log.model
    observed = read.reads[variable]
    if observed == model.initial or (observed is None and model.model == "record"):
        return
    shape = {"list": list, "record": dict}.get(model.model)
    if shape is not None and not isinstance(observed, shape):
        _garbage(variable, read, observed, found, f"which is no {model.model}")
        return
    places: list[tuple[str, Any]]
    if isinstance(observed, list) and model.model == "list":
        places = [("", value) for value in observed]
    else:
        places = list(observed.items()) if model.model == "record" else [("", observed)]
    unowned: list[tuple[str, Any]] = []
    for name, value in places:
        own = log.by_value.get((name, key(value)))
        if own:
            _not_yet(index, variable, read, value, own, found)
        elif not _is_default(model, name, value):
            unowned.append((name, value))
    if not unowned:
        return
    writers = index.writers[variable]
    foreign = [(name, value, writers.get((name, key(value)), [])) for name, value in unowned]
    # Where other people's state is seen as well, that of an earlier session is a part of it and no matter of its own.
    alone = all(any(index.earlier_session(read.session, w.session) for w in by) for _, _, by in foreign if by)
    for name, value, by in foreign:
        _unowned(index, variable, log, read, name, value, by, alone, found)


def _is_default(model: StateVariable, name: str, value: Any) -> bool:
    """Whether a new owner starts with this element of a list, or this entry of a record.

    An entry without a value is one that is not there.
    """
    if model.model == "record" and value is None and name not in (model.initial or {}):
        return True
    if not model.initial:
        return False
    if model.model == "record":
        return name in model.initial and bool(model.initial[name] == value)
    return model.model == "list" and value in model.initial


def _not_yet(
    index: Index, variable: str, read: Operation, value: Any, own: list[Operation], found: Found
) -> None:
    """An own value that the owner only wrote after it was read."""
    done = math.inf if read.complete_ns is None else read.complete_ns
    line = index.clocks.line(read)
    if any(w.invoke_ns < done or index.clocks.line(w) != line for w in own):
        return
    if found.of(GARBAGE_READ).first(variable, [read.session]):
        found.of(GARBAGE_READ).describe(
            variable=variable,
            sessions=[read.session],
            witness=[
                (read, f"read {variable} = {show(read.reads[variable], [value])}"),
                (own[0], f"then {wrote(own[0], variable, _name(own[0], variable, value))}"),
            ],
            conclusion=f"A saw {show(value)} before B began, which was the first operation to write it.",
            relevant=[value],
        )


def _unowned(
    index: Index,
    variable: str,
    log: OwnerLog,
    read: Operation,
    name: str,
    value: Any,
    writers: list[Operation],
    alone: bool,
    found: Found,
) -> None:
    """A value that its owner did not write; alone if nothing of other people's is there."""
    refused = index.refused[variable].get(key(value))
    if refused is not None:
        if found.of(GARBAGE_READ).first(variable, [read.session]):
            number, _ = refused.effects[variable].value
            found.of(GARBAGE_READ).describe(
                variable=variable,
                sessions=[read.session],
                witness=[
                    (refused, f"offered {show(value)} to {variable} with the number {number}"),
                    (read, f"read {variable} = {show(read.reads[variable], [value])}"),
                ],
                conclusion=(
                    f"The list accepts only numbers above {log.model.above:g}, so it must not contain {show(value)}, but B saw it."
                ),
                relevant=[value],
            )
        return
    if not writers:
        if _by_its_token(index, variable, read, value, found):
            return
        if _may_be_lost(index, log, read, value):
            found.leave_open(GARBAGE_READ)
        else:
            why = f"which no recorded operation can have written{f' to {name}' if name else ''}"
            _garbage(variable, read, value, found, why)
        return
    earlier = [w for w in writers if index.earlier_session(read.session, w.session)] if alone else []
    writer = earlier[0] if earlier else writers[0]
    sessions = [writer.session, read.session]
    kind = RESURRECTED_STATE if earlier else CROSS_SESSION_READ
    if not found.of(kind).first(variable, sessions):
        return
    if earlier:
        conclusion = (
            f"{read.session} is a later session of the same user and must start with new state. But B saw {show(value)}, "
            f"which only {writer.session} wrote: its state was resurrected."
        )
    else:
        conclusion = (
            f"B saw {show(value)}, which only {writer.session} wrote: "
            f"state crossed from {writer.session} to {read.session}."
        )
    found.of(kind).describe(
        variable=variable,
        sessions=sessions,
        witness=[
            (writer, wrote(writer, variable, name)),
            (read, f"read {variable} = {show(read.reads[variable], [value])}"),
        ],
        conclusion=conclusion,
        relevant=[value],
    )


def _name(write: Operation, variable: str, value: Any) -> str:
    """The key of a record under which an operation put a value."""
    effect = write.effects[variable]
    return next((n for n, v in effect.value.items() if v == value), "") if effect.op == "put" else ""


def _garbage(variable: str, read: Operation, value: Any, found: Found, why: str) -> None:
    if found.of(GARBAGE_READ).first(variable, [read.session]):
        found.of(GARBAGE_READ).describe(
            variable=variable,
            sessions=[read.session],
            witness=[(read, f"read {variable} = {show(read.reads[variable], [value])}")],
            conclusion=f"A saw {show(value)}, {why}.",
            relevant=[value],
        )


def _by_its_token(index: Index, variable: str, read: Operation, value: Any, found: Found) -> bool:
    """A value that no operation on record wrote to this variable, but whose token names a session.

    Returns:
        Whether that says enough of where the value comes from: from a session of another owner, or from one whose records
        may be incomplete.
    """
    mine = index.owner_of(variable, read.session)
    named = [
        (session, worker)
        for session, worker in sessions_named(index, value)
        if worker in index.incomplete or (session in index.sessions and session != read.session)
    ]
    if index.state[variable].scope == "everyone":
        return any(worker in index.incomplete for _, worker in named)
    for session, worker in named:
        if session == read.session or index.owner_of(variable, session) == mine:
            continue
        sessions = [session, read.session]
        if not found.of(CROSS_SESSION_READ).first(variable, sessions):
            continue
        why = (
            f"The write itself is not on record, since the records of worker {worker} are incomplete."
            if worker in index.incomplete
            else f"{session} wrote it to another variable than {variable}."
        )
        found.of(CROSS_SESSION_READ).describe(
            variable=variable,
            sessions=sessions,
            witness=[(read, f"read {variable} = {show(read.reads[variable], [value])}")],
            conclusion=(
                f"A saw {show(value)}, whose token names {session} as its writer: state crossed from {session} to "
                f"{read.session}. {why}"
            ),
            relevant=[value],
        )
    return any(
        worker in index.incomplete or index.owner_of(variable, session) != mine for session, worker in named
    )


def _may_be_lost(index: Index, log: OwnerLog, read: Operation, value: Any) -> bool:
    """Whether the owner may have written a value in an operation that is not on record: nothing in it says who did.

    So it is with every blob, of which a read shows the digest alone, and with values that were not made from tokens.
    """
    if f"t-{index.history.workers.run_tag}-" in _as_text(value):
        return False
    return bool(index.incomplete) and (
        log.model.scope == "everyone"
        or read.worker in index.incomplete
        or any(operation.worker in index.incomplete for operation in log.operations)
    )


def _tokens(index: Index, variable: str, read: Operation, found: Found) -> None:
    """Tokens of other owners in what a model of the workload's own says nothing of: where its values come from."""
    value = read.reads[variable]
    mine = index.owner_of(variable, read.session)
    foreign = [
        (session, worker)
        for session, worker in sessions_named(index, value)
        if index.owner_of(variable, session) != mine
        and (session in index.sessions or worker in index.incomplete)
    ]
    # Where other people's state is seen as well, that of an earlier session is a part of it and no matter of its own.
    alone = all(index.earlier_session(read.session, session) for session, _ in foreign)
    for session, _ in foreign:
        kind = RESURRECTED_STATE if alone else CROSS_SESSION_READ
        sessions = [session, read.session]
        if not found.of(kind).first(variable, sessions):
            continue
        theirs = [
            t for t in tokens.find(_as_text(value)) if (p := tokens.parse(t)) and p.session_id == session
        ]
        writer = next(
            (
                o
                for o in index.sessions.get(session, [])
                if variable in o.effects and theirs[0] in _as_text(o.effects[variable].value)
            ),
            None,
        )
        seen = (read, f"read {variable} = {show(value, theirs)}")
        found.of(kind).describe(
            variable=variable,
            sessions=sessions,
            witness=[seen] if writer is None else [(writer, wrote(writer, variable)), seen],
            conclusion=(
                f"{'A' if writer is None else 'B'} saw {theirs[0]}, whose token names {session} as its writer: "
                + (
                    f"{read.session} is a later session of the same user and must start with new state, so state was resurrected."
                    if alone
                    else f"state crossed from {session} to {read.session}."
                )
            ),
            relevant=list(theirs),
        )


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def sessions_named(index: Index, value: Any) -> list[tuple[str, str]]:
    """Sessions of this run that tokens in a value name as writers, with their workers."""
    text = _as_text(value)
    named: dict[tuple[str, str], None] = {}
    for name in tokens.find(text):
        token = tokens.parse(name)
        if token is not None and token.run == index.history.workers.run_tag:
            named[token.session_id, str(token.worker)] = None
    return list(named)


def _assigned(index: Index, variable: str, found: Found) -> None:
    """Values that the app gives: each owner has one of its own, and keeps it. None stands for not yet."""
    given: dict[Any, Operation] = {}
    kept: dict[str, Operation] = {}
    for read in index.reads[variable]:
        value = read.reads[variable]
        if value is None or index.log(variable, read.session).status is Status.SCREENED:
            continue
        owner = index.owner_of(variable, read.session)
        first = given.setdefault(key(value), read)
        if index.owner_of(variable, first.session) != owner:
            kind = (
                RESURRECTED_STATE
                if index.earlier_session(read.session, first.session)
                else CROSS_SESSION_READ
            )
            sessions = [first.session, read.session]
            if found.of(kind).first(variable, sessions):
                what = (
                    f"it had assigned to {first.session}, an earlier session of the same user: state was resurrected"
                    if kind == RESURRECTED_STATE
                    else f"it had assigned to {first.session}: state crossed from {first.session} to {read.session}"
                )
                found.of(kind).describe(
                    variable=variable,
                    sessions=sessions,
                    witness=[
                        (first, f"was the first to read {variable} = {show(value)}"),
                        (read, f"read {variable} = {show(value)}"),
                    ],
                    conclusion=f"The app should assign a different value to each owner, but B saw the value that {what}.",
                )
            continue
        mine = kept.setdefault(owner, read)
        if mine is not read:
            found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE)
            found.count(PAIRS_OF_READS)
        before = mine.reads[variable]
        if key(before) == key(value):
            continue
        if found.of(RESET).first(variable, [read.session]):
            found.of(RESET).describe(
                variable=variable,
                sessions=[read.session],
                witness=[
                    (mine, f"read {variable} = {show(before)}"),
                    (read, f"then read {variable} = {show(value)}"),
                ],
                conclusion=(
                    f"The app should assign {variable} only once, so B had to show {show(before)}: another value was assigned."
                ),
            )
