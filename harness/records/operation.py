"""Operations: what a session did, and what it saw.

An operation is written as two records, Jepsen's way: `Invoke` before anything goes on the wire, then
`Ok`, `Fail` or `Info`. `Operation` is the pair, joined by `harness.history`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

# These records are made by the million and refer to nothing that refers to them, so that the collector of cycles need not know
# them (`gc=False`).

# What a tab does by itself, whatever the workload says.
TAB_ACTIONS = ("open", "reload", "close", "look-around")
# The phase in which sessions are opened, given their state, and held open.
STAIRCASE_PHASE = "staircase"
# The phase in which the sessions that are held act, batch by batch, between two looks at memory.
REQUESTS_PHASE = "requests"
# The phase in which the sessions that are held do nothing, if somebody wants to know what goes by itself.
IDLE_PHASE = "idle"
# The phase in which users visit the app; figures of time and the verdict rest on it.
LOAD_PHASE = "load"
# The phase in which sessions that were held open act once more.
DRAIN_PHASE = "drain"
# The phase in which new sessions are opened, given their state, and closed again, batch by batch.
SECOND_ROUND_PHASE = "second-round"
# The phase in which the app is asked why what grew is still there; looking for it takes memory of the app's own.
EXPLAIN_PHASE = "explain"
# The phase in which the app is stopped and started again, and the one in which people of the load phase come back to it.
RESTART_PHASE = "restart"
RETURN_PHASE = "after-restart"
# Phases in which there are operations, in order. One begins when all workers have finished the one before, so what was
# acknowledged in an earlier one came before whatever was invoked in a later one, on whichever machine.
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
        op: `increment` (add value to a counter), `append` (add value to the end of a list), `offer` (value is
            `[number, element]`; a list with a threshold takes the element only if the number is above it), `write` (replace a
            register), `store` (value is `[digest, tokens]`: replace a blob), `put` (value is a dict: replace these keys of a record), `clear` (back to the initial value), `ask` (the
            answer to this operation must show value, and nothing else), `begin` (every step of this operation must), or `does`
            (value is `[name, value]`: a model of the workload's own says what becomes of the state).
        value: the amount, or the unique value written; None for `clear`.
    """

    op: Literal["increment", "append", "offer", "write", "store", "put", "clear", "ask", "begin", "does"]
    value: Any


class Sighting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that a response held and must not, whatever the app does.

    Attributes:
        kind: `foreign-token` (a token of another session), `state-on-the-wire` (a value where Gradio sends null instead of
            State), or `secret` (a text of which the workload said that it stays on the server).
        value: what was seen, cut to a readable length.
        where: in which response, and where in it, for people.
    """

    kind: Literal["foreign-token", "state-on-the-wire", "secret"]
    value: str
    where: str


class ListDelta(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A list that was read, as the difference to the session's previous reading of the same variable.

    The list is `keep` elements of that reading from `start` on, and then those of `then`; see `harness.history.list_delta`.

    Attributes:
        since: number of the operation, of the same worker, that made that reading.
        start: place of the first element that is still there, from 0.
        keep: how many are, in a row.
        then: the elements after them.
    """

    since: int
    start: int = 0
    keep: int
    then: list[Any] = []


class Error(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why an operation did not end as `ok`.

    Attributes:
        kind: `app` (the app's function raised), `rejected` (the server refused before running anything), `partly` (it
            refused one event after it had accepted another of the same operation), `timeout`, `connection`, `protocol`, or `workload` (the scenario's own code raised).
        message: text for people.
    """

    kind: Literal["app", "rejected", "partly", "timeout", "connection", "protocol", "workload"]
    message: str


class Invoke(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="invoke", omit_defaults=True):
    """An operation is about to be sent.

    Attributes:
        id: number of the operation, unique within its worker.
        session: id of the session that performs it.
        action: name of the action, as in the latency tables (`open`, `reload`, `close` and `look-around` are the tab's own).
        phase: phase of the run in which it was invoked.
        time_ns: when it really began, monotonic clock of the machine, nanoseconds.
        intended_ns: when it should have begun: under the open model the time of the arrival that it answers, under the
            closed one the end of the user's think time. None where nothing decided that, as for `close`.
        effects: state variable → what the operation asks of it.
        user: the person whose session begins with this operation (`open` or `reload`); a reload keeps it. Empty for all
            later operations of the session.
        account: which of the run's logins that person uses, from 1 on; several people may have one in common. 0 for all later
            operations, and where nobody logs in.
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
    """The operation happened, and this is what the session saw.

    Attributes:
        id: the operation's number.
        time_ns: when the response was complete on the socket, monotonic nanoseconds.
        accepted_ns: when the server had queued it, if it was queued.
        started_ns: when the server said that it had started to work on it.
        first_output_ns: when the first partial output arrived; None if there was none, as for every function that is not
            a generator. What the page showed first is then its completion.
        event_ids: Gradio's names of the events that it caused.
        looked: how many responses and messages of the server were searched for what must not be in them.
        sightings: what was found there.
        marked: how many texts and files the page sent in which there is a token: a canary, which is recognised wherever it shows up.
        unmarked: how many in which there is none.
        echoed: in how many of those responses a token of the session's own was seen: where none ever shows up, nobody else's
            could have been seen either.
        reads: state variable → the value observed, but for what stands in `deltas`.
        deltas: state variable → the list observed, as a difference.
    """

    id: int
    time_ns: int
    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    event_ids: list[str] = []
    looked: int = 0
    sightings: list[Sighting] = []
    marked: int = 0
    unmarked: int = 0
    echoed: int = 0
    reads: dict[str, Any] = {}
    deltas: dict[str, ListDelta] = {}


class Fail(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="fail", omit_defaults=True):
    """The server answered that the operation did not succeed. Its stages are given as far as it came; see `Ok`."""

    id: int
    time_ns: int
    error: Error
    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    event_ids: list[str] = []
    looked: int = 0
    sightings: list[Sighting] = []
    marked: int = 0
    unmarked: int = 0
    echoed: int = 0


class Info(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="info", omit_defaults=True):
    """Nobody knows whether the operation happened (timeout, broken connection). Its stages as far as it came; see `Ok`."""

    id: int
    time_ns: int
    error: Error
    accepted_ns: int | None = None
    started_ns: int | None = None
    first_output_ns: int | None = None
    event_ids: list[str] = []
    looked: int = 0
    sightings: list[Sighting] = []
    marked: int = 0
    unmarked: int = 0
    echoed: int = 0


HistoryRecord = Invoke | Ok | Fail | Info


class Operation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An invoke with its completion.

    Attributes:
        worker: name of the shard that recorded it.
        outcome: `ok`, `fail`, `info`, or `pending` (no completion was recorded: nobody knows).
        invoke_ns: monotonic nanoseconds.
        complete_ns: monotonic nanoseconds, None while pending.
        intended_ns, user, account: see `Invoke`.
        accepted_ns, started_ns, first_output_ns, event_ids, looked, sightings, marked, unmarked, echoed: see `Ok`.
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
    looked: int = 0
    sightings: list[Sighting] = []
    marked: int = 0
    unmarked: int = 0
    echoed: int = 0
    effects: dict[str, Effect] = {}
    reads: dict[str, Any] = {}
    error: Error | None = None

    @property
    def may_have_happened(self) -> bool:
        """False only where the server refused the operation before running anything of it.

        An app function that raises may have changed state before it did, so `app` failures count as possible.
        """
        return not (self.outcome == "fail" and self.error is not None and self.error.kind == "rejected")

    @property
    def latency_ns(self) -> int | None:
        """Invoke to completion, nanoseconds."""
        return None if self.complete_ns is None else self.complete_ns - self.invoke_ns
