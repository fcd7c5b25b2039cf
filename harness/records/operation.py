"""Operations: what a session did, and what it saw.

An operation is recorded as two records, as in Jepsen: `Invoke` before anything is sent, then `Ok`, `Fail` or `Info`.
`Operation` is the pair, joined by `harness.history`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

# `gc=False`: a run makes millions of these records and they are never part of a reference cycle, so the garbage collector need
# not track them.

# Operations on the page as a whole, which the load generator does itself. A workload cannot use these names.
PAGE_ACTIONS = ("open", "reload", "close", "look-around")
# Sessions are opened, given their state, and held open.
STAIRCASE_PHASE = "staircase"
# The held sessions act, in batches; memory is measured after each batch.
REQUESTS_PHASE = "requests"
# The held sessions do nothing, to measure which memory the app frees by itself (for what-ifs about a time to live).
IDLE_PHASE = "idle"
# Users visit the app: the timed phase.
LOAD_PHASE = "load"
# The held sessions act once more, and close.
DRAIN_PHASE = "drain"
# New sessions are opened, given their state, and closed again, in batches.
SECOND_ROUND_PHASE = "second-round"
# The probe finds out why what grew is still in memory. It comes late because the search itself uses memory of the app.
EXPLAIN_PHASE = "explain"
# The app is stopped and started again; then users of the load phase return.
RESTART_PHASE = "restart"
RETURN_PHASE = "after-restart"
# Phases with operations, in order. A phase begins when all workers have finished the one before. So an operation acknowledged in
# one phase precedes every operation invoked in a later phase, on any machine.
PHASES = (
    "start",
    "warm-up",
    STAIRCASE_PHASE,
    REQUESTS_PHASE,
    LOAD_PHASE,
    DRAIN_PHASE,
    SECOND_ROUND_PHASE,
    RETURN_PHASE,
)


class Effect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an operation asks one state variable to do.

    Attributes:
        op: the effect. `increment`: add `value` to a counter. `append`: add `value` to the end of a list. `offer`: `value` is
            `[number, element]`; the list takes the element only if the number is above its threshold. `write`: replace a register.
            `store`: replace a blob; `value` is `[digest, tokens]`. `put`: `value` is a dict; replace these keys of a record.
            `clear`: back to the initial value. `ask`: the answer to this operation must show `value`, and nothing else. `begin`:
            every step of this operation must show `value`. `does`: `value` is `[name, value]`; the workload's own model decides.
        value: the amount, or the unique value written; null for `clear`.
    """

    op: Literal["increment", "append", "offer", "write", "store", "put", "clear", "ask", "begin", "does"]
    value: Any


class Sighting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that a response held although no response to that session may hold it.

    Attributes:
        kind: `foreign-token` (a token of another session), `state-on-the-wire` (a value where Gradio sends null instead of
            State), or `secret` (a text that the workload declared secret).
        value: what was found, cut to a readable length.
        where: the response, and the place in it, in words.
    """

    kind: Literal["foreign-token", "state-on-the-wire", "secret"]
    value: str
    where: str


class ListDelta(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A list that was read, recorded as the difference to the session's previous read of the same variable.

    The list is `keep` elements of the previous read, from `start` on, followed by `then`; see `harness.history.list_delta`.

    Attributes:
        since: number of the operation, of the same worker, that made the previous read.
        start: position of the first element that is kept, from 0.
        keep: number of elements that are kept, in a row.
        then: elements that follow them.
    """

    since: int
    start: int = 0
    keep: int
    then: list[Any] = []


class Error(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why an operation did not end as `ok`.

    Attributes:
        kind: `app` (the app's function raised), `rejected` (the server refused before it ran anything), `partly` (the server
            refused one event of the operation after it had accepted another), `timeout`, `connection`, `protocol`, or `workload`
            (the scenario's own code raised).
        message: what happened, in words.
    """

    kind: Literal["app", "rejected", "partly", "timeout", "connection", "protocol", "workload"]
    message: str


class Invoke(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="invoke", omit_defaults=True):
    """An operation is about to be sent.

    Attributes:
        id: number of the operation, unique within its worker.
        session: id of the session that performs it.
        action: name of the action, as in the latency tables; `open`, `reload`, `close` and `look-around` are done by the load generator itself.
        phase: phase of the run in which it was invoked.
        time_ns: when it began, monotonic clock of the machine, nanoseconds.
        intended_ns: when it should have begun, monotonic nanoseconds: at its arrival (open model), or at the end of the user's
            think time (closed model). Null where neither applies, as for `close`.
        user: the person whose session begins with this operation (`open` or `reload`); empty for all later operations.
        account: number of the login that this person uses, from 1 on; people may share one. 0 for all later operations, and
            without logins.
        effects: state variable → what the operation asks of it.
    """

    id: int
    session: str
    action: str
    phase: str
    time_ns: int
    intended_ns: int | None = None
    user: str = ""
    account: int = 0
    effects: dict[str, Effect] = {}


class Ok(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="ok", omit_defaults=True):
    """The operation happened, and the session saw this.

    Attributes:
        id: number of the operation.
        time_ns: when the response was complete on the socket, monotonic clock of the machine, nanoseconds.
        accepted_ns: when the server had queued it, monotonic nanoseconds; null if it was not queued.
        started_ns: when the server reported that it had started to work on it, monotonic nanoseconds; null without a report.
        first_output_ns: when the first partial output arrived, monotonic nanoseconds; null if there was none.
        event_ids: Gradio's ids of the events that the operation caused.
        searched: responses and messages of the server that were searched for values the session must not receive.
        sightings: such values that were found.
        tokens_sent: texts and files that the page sent with a token in them.
        untagged_sent: texts and files that the page sent without a token.
        own_tokens_seen: searched responses that held a token of the session's own. While this is 0, a foreign token could not show either.
        reads: state variable → the value observed, without the variables in `deltas`.
        deltas: state variable → the list observed, as a difference.
    """

    id: int
    time_ns: int
    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    event_ids: list[str] = []
    searched: int = msgspec.field(default=0, name="looked")
    sightings: list[Sighting] = []
    tokens_sent: int = msgspec.field(default=0, name="marked")
    untagged_sent: int = msgspec.field(default=0, name="unmarked")
    own_tokens_seen: int = msgspec.field(default=0, name="echoed")
    reads: dict[str, Any] = {}
    deltas: dict[str, ListDelta] = {}


class Fail(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="fail", omit_defaults=True):
    """The server answered that the operation did not succeed.

    Attributes:
        id: number of the operation.
        time_ns: when it ended, monotonic clock of the machine, nanoseconds.
        error: why it did not succeed.
        accepted_ns: as in `Ok`; null if it did not come so far.
        started_ns: as in `Ok`; null if it did not come so far.
        first_output_ns: as in `Ok`; null if it did not come so far.
        event_ids: as in `Ok`.
        searched: as in `Ok`.
        sightings: as in `Ok`.
        tokens_sent: as in `Ok`.
        untagged_sent: as in `Ok`.
        own_tokens_seen: as in `Ok`.
    """

    id: int
    time_ns: int
    error: Error
    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    event_ids: list[str] = []
    searched: int = msgspec.field(default=0, name="looked")
    sightings: list[Sighting] = []
    tokens_sent: int = msgspec.field(default=0, name="marked")
    untagged_sent: int = msgspec.field(default=0, name="unmarked")
    own_tokens_seen: int = msgspec.field(default=0, name="echoed")


class Info(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="info", omit_defaults=True):
    """The outcome is unknown: the operation may or may not have happened (timeout, broken connection).

    Attributes:
        id: number of the operation.
        time_ns: when it ended, monotonic clock of the machine, nanoseconds.
        error: why it did not succeed.
        accepted_ns: as in `Ok`; null if it did not come so far.
        started_ns: as in `Ok`; null if it did not come so far.
        first_output_ns: as in `Ok`; null if it did not come so far.
        event_ids: as in `Ok`.
        searched: as in `Ok`.
        sightings: as in `Ok`.
        tokens_sent: as in `Ok`.
        untagged_sent: as in `Ok`.
        own_tokens_seen: as in `Ok`.
    """

    id: int
    time_ns: int
    error: Error
    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    event_ids: list[str] = []
    searched: int = msgspec.field(default=0, name="looked")
    sightings: list[Sighting] = []
    tokens_sent: int = msgspec.field(default=0, name="marked")
    untagged_sent: int = msgspec.field(default=0, name="unmarked")
    own_tokens_seen: int = msgspec.field(default=0, name="echoed")


HistoryRecord = Invoke | Ok | Fail | Info


class Operation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An invoke with its completion.

    Attributes:
        worker: name of the shard that recorded it.
        id: as in `Invoke`.
        session: as in `Invoke`.
        action: as in `Invoke`.
        phase: as in `Invoke`.
        outcome: `ok`, `fail`, `info`, or `pending` if no completion was recorded.
        invoke_ns: when it began, monotonic nanoseconds.
        complete_ns: when it ended, monotonic nanoseconds; None while pending.
        intended_ns: as in `Invoke`.
        accepted_ns: as in `Ok`.
        started_ns: as in `Ok`.
        first_output_ns: as in `Ok`.
        event_ids: as in `Ok`.
        user: as in `Invoke`.
        account: as in `Invoke`.
        searched: as in `Ok`.
        sightings: as in `Ok`.
        tokens_sent: as in `Ok`.
        untagged_sent: as in `Ok`.
        own_tokens_seen: as in `Ok`.
        effects: as in `Invoke`.
        reads: as in `Ok`; differences are resolved.
        error: why it did not succeed; None if it did, or while pending.
    """

    worker: str
    id: int
    session: str
    action: str
    phase: str
    outcome: Literal["ok", "fail", "info", "pending"]
    invoke_ns: int
    complete_ns: int | None
    intended_ns: int | None = None
    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    event_ids: list[str] = []
    user: str = ""
    account: int = 0
    searched: int = msgspec.field(default=0, name="looked")
    sightings: list[Sighting] = []
    tokens_sent: int = msgspec.field(default=0, name="marked")
    untagged_sent: int = msgspec.field(default=0, name="unmarked")
    own_tokens_seen: int = msgspec.field(default=0, name="echoed")
    effects: dict[str, Effect] = {}
    reads: dict[str, Any] = {}
    error: Error | None = None

    @property
    def may_have_happened(self) -> bool:
        """False only if the server refused the operation before it ran any part of it.

        A function of the app that raises may have changed state first, so an `app` failure may have happened.
        """
        return not (self.outcome == "fail" and self.error is not None and self.error.kind == "rejected")

    @property
    def latency_ns(self) -> int | None:
        """Time from invoke to completion, nanoseconds; None while pending."""
        return None if self.complete_ns is None else self.complete_ns - self.invoke_ns
