"""Screening pass: collect totals and select the sessions that need a full check.

Nearly every session does one thing after another and finds what it must (`harness.checkers.sequential`). Its operations are seen
once, as they are read from the record, and not kept. Kept are the names of the others: of sessions whose operations overlap,
failed, or showed something else; of those that wrote what these saw; and of all who share a variable. Everything else in this
room examines only their operations, so that a long history costs hardly more than reading it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness import tokens
from harness.checkers.evidence import (
    ANSWERS_SHOWN,
    READS_AFTER_AN_EARLIER_SESSION,
    READS_PUT_IN_ORDER,
    RELOADED_SESSIONS,
    SHOWN_WHILE_OTHERS_HAD_ASKED,
    SHOWN_WHILE_OTHERS_HAD_BEGUN,
    STEPS_SHOWN,
    VALUES_READ,
)
from harness.checkers.findings import Found
from harness.checkers.models import KEPT, REPLIES, key, owner_of, written
from harness.checkers.sequential import MODELS, NOTHING, Beginning, Ending, SequentialOwner, sequential_owner
from harness.history import Completion, History, RecordedHistory, may_have_happened, outcome_of
from harness.records import (
    LOAD_PHASE,
    TAB_ACTIONS,
    Effect,
    Error,
    Invoke,
    ListDelta,
    Ok,
    Sighting,
    StateVariable,
)

# With more than this share of all sessions in need of a full check, all get one: to search for those that wrote what the others saw
# would cost more than it saves.
_MOST = 0.5


class SessionFacts:
    """What is known of one session.

    Attributes:
        began_ns: its first invoke.
        action: that it began with.
        user: the person whose session it is, empty if unknown.
        account: which of the logins that person uses, 0 if none.
        owners: variable → what it must find there next, of the variables that it had to do with.
        phase: of its last operation, None before the first.
        acknowledged, acknowledged_reads: where operations of that phase are counted that read nothing, and the others.
        looked: whether any response to it was searched for what must not be in it.
        marked: whether it wrote a token, or sent one in any text.
        sent: whether it sent one.
        wrote, read: whether an operation with an effect was acknowledged, and whether one read a declared variable.
    """

    __slots__ = (
        "account",
        "acknowledged",
        "acknowledged_reads",
        "action",
        "began_ns",
        "id",
        "looked",
        "marked",
        "owners",
        "phase",
        "read",
        "sent",
        "user",
        "worker",
        "wrote",
    )  # fmt: skip

    def __init__(self, worker: str, invoke: Invoke) -> None:
        self.id = invoke.session
        self.worker = worker
        self.user = invoke.user
        self.account = invoke.account
        self.began_ns = invoke.time_ns
        self.action = invoke.action
        self.owners: dict[str, SequentialOwner] = {}
        self.phase: str | None = None
        self.acknowledged: dict[str, int] = {}
        self.acknowledged_reads: dict[str, int] = {}
        self.looked = self.marked = self.sent = self.wrote = self.read = False

    def close(self) -> None:
        """Its page was closed: what it would have had to find next need not be remembered."""
        for owner in self.owners.values():
            if owner.variable.scope == "session":
                owner.close()


class VariableFacts:
    """What is known of one variable over all its owners.

    Reads that began after another owner's write was acknowledged are the only ones that can show a leak. The two earliest
    acknowledged writes of different owners decide which these are, since of two owners one at least is not the reader.
    Likewise, the two earliest operations that asked decide which answers were given while others had asked.

    Attributes:
        name: of the variable.
        model: that it follows.
        owners: owner → what the owner must find there next.
        second_end_ns: when the second of those two writes was acknowledged.
        shown: values in answers or chains.
        seen: keys of the values that owners read who need a full check.
    """

    __slots__ = (
        "_answers",
        "_asked",
        "_early",
        "_ends",
        "model",
        "name",
        "owners",
        "second_end_ns",
        "seen",
        "shown",
    )  # fmt: skip

    def __init__(self, name: str, model: StateVariable) -> None:
        self.name = name
        self.model = model
        self.owners: dict[str, SequentialOwner] = {}
        self.second_end_ns: float = math.inf
        self._early: list[tuple[int, str]] = []
        self.shown = 0
        self.seen: set[Any] = set()
        self._ends: list[tuple[float, str]] = []
        self._asked: list[float] = [math.inf, math.inf]
        self._answers: list[tuple[int, int]] = []

    def wrote(self, end_ns: int, owner: str) -> None:
        """A write was acknowledged (or, where the app assigns the values, one was read)."""
        earliest: dict[str, float] = {}
        for end, name in sorted([*self._ends, (end_ns, owner)]):
            earliest.setdefault(name, end)
        self._ends = [(end, name) for name, end in list(earliest.items())[:2]]
        self.second_end_ns = self._ends[1][0] if len(self._ends) == 2 else math.inf

    def read_early(self, begin_ns: int, end_ns: int, owner: str) -> None:
        """A read began before the second of those two writes had been acknowledged, as far as they are known."""
        self._early.append((begin_ns, owner))
        if self.model.model == "assigned":
            self.wrote(end_ns, owner)

    @property
    def early_until_ns(self) -> float:
        """These facts must take note of operations that began before this time, as far as is known until now."""
        if self.model.model in REPLIES:
            return math.inf  # what is shown is counted
        return 0 if self.model.scope == "everyone" else self.second_end_ns

    def asked(self, begin_ns: int) -> None:
        """An operation began that may have asked something."""
        if begin_ns < self._asked[1]:
            self._asked = sorted([*self._asked, begin_ns])[:2]

    def answered(self, end_ns: int, values: int) -> None:
        """So many values had been shown by a time."""
        self.shown += values
        self._answers.append((end_ns, values))

    @property
    def exposed(self) -> int:
        """Reads that began after another owner's write was acknowledged."""
        if self.model.scope == "everyone" or self.model.model == "answer":
            return 0
        exposed = sum(
            any(end <= begin and writer != owner for end, writer in self._ends)
            for begin, owner in self._early
        )
        return self.reads - self.absent - len(self._early) + exposed

    @property
    def reads(self) -> int:
        """Number of reads by all owners."""
        return sum(owner.reads for owner in self.owners.values())

    @property
    def absent(self) -> int:
        """How often nothing was there, of what the app assigns."""
        return sum(owner.absent for owner in self.owners.values())

    @property
    def shown_among_others(self) -> int:
        """Values that were shown while another operation had asked something."""
        return sum(values for end, values in self._answers if end > self._asked[1])


class Unscreened(SequentialOwner):
    """An owner that needs a full check: other sessions may have written what it reads.

    Attributes:
        seen: keys of the values that are read, to which they are added.
        counted: of a counter, the most that its owner can have brought it to.
        beyond: whether its own operations and single values cannot explain what it reads.
    """

    __slots__ = ("beyond", "counted", "seen")

    def __init__(
        self, variable: StateVariable, owner: str, seen: set[Any], before: SequentialOwner | None = None
    ) -> None:
        super().__init__(variable, owner)
        self.seen = seen
        self.reads = before.reads if before is not None else 0
        self.absent = before.absent if before is not None else 0
        self.counted = (before or self).most()
        self.beyond = before is not None and before.cleared

    def asked(self, effect: Effect | None) -> None:
        """Take note of an effect, whether or not it took place."""
        if effect is not None and effect.op == "increment":
            self.counted += effect.value if isinstance(effect.value, int) else 0
        elif effect is not None and effect.op == "clear":
            self.beyond = True

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        """Take note of an operation; anything it reads is accepted."""
        self.asked(effect)
        if shown is NOTHING:
            return True
        self.reads += 1
        model = self.variable.model
        if model == "assigned" and shown is None:
            self.absent += 1
        elif model == "counter":
            self.beyond = self.beyond or not isinstance(shown, (int, float)) or shown > self.counted
        elif isinstance(shown, list) and model in ("list", *REPLIES):
            self.seen.update(map(key, shown))
        elif isinstance(shown, dict) and model == "record":
            self.seen.update(map(key, shown.values()))
        else:
            self.seen.add(key(shown))
        return True

    def take_delta(self, invoke: Beginning, ok: Ending, effect: Effect | None, delta: ListDelta) -> bool:
        """Take note of an operation whose read is recorded as a difference."""
        # What was there before has been seen before. But other models than lists are compared as a whole.
        self.beyond = self.beyond or self.variable.model not in ("list", *REPLIES)
        return self.take(invoke, ok, effect, delta.then)


class Scan:
    """What one pass over a history found.

    Args:
        recorded: the history.
        state: state variable → model.
        closely: select all sessions.

    Attributes:
        problems: what does not fit together in the record, one sentence each.
        damaged: workers whose records do not, so that what is not there may have been.
        sessions: session → what is known of it.
        variables: variable → what is known of it.
        outcomes: (phase, action, outcome, whether it read anything) → number of operations.
        driven: sessions of the load phase.
        cut_off: of these, those of which an operation ended with a time-out or a lost connection.
        broken: what the workload itself raised, for each operation that it ended.
        looked: how many responses were searched.
        looked_under_load: whether any was in the load phase; of a workload without state.
        marked: how many texts and files were sent with a token in them.
        unmarked: action → how many were sent without one.
        echoed: how many responses held a token of the session that got them.
        started_ns: the first invoke, 0 if there is none.
        counted_apart: counters of which `suspects` has not given all increments.
    """

    def __init__(
        self, recorded: RecordedHistory, state: Mapping[str, StateVariable], *, closely: bool = False
    ) -> None:
        self.recorded = recorded
        self.problems: list[str] = []
        self.sessions: dict[str, SessionFacts] = {}
        self.variables = {name: VariableFacts(name, model) for name, model in state.items()}
        self.outcomes: Counter[tuple[str, str, str, bool]] = Counter()
        self.driven: set[str] = set()
        self.cut_off: set[str] = set()
        self.broken: list[str] = []
        self.looked = 0
        self.looked_under_load = False
        self.marked = 0
        self.echoed = 0
        self.unmarked: Counter[str] = Counter()
        self.counted_apart: frozenset[str] = frozenset()
        self.damaged = set(recorded.damaged)
        # Records that are missing, and clocks that cannot be compared, make everything uncertain.
        self._closely = (
            closely or bool(self.damaged or recorded.workers.unknown) or recorded.workers.several_clocks
        )
        self._everybody = self._closely
        self._suspects: set[str] = set()
        self._early_until_ns: float = math.inf
        # The name of a person, or the number of an account → sessions.
        self._of_user: dict[str | int, list[SessionFacts]] = {}
        self._sighted: set[str] = set()
        # Phase → action → number of operations that were acknowledged: of those that read nothing, and of the others.
        self._acknowledged: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._acknowledged_reads: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for worker, pairs in recorded.pairs(self.problems):
            before = len(self.problems)
            self._read(worker, pairs)
            if len(self.problems) > before:
                self.damaged.add(worker)
        for read, phases in ((False, self._acknowledged), (True, self._acknowledged_reads)):
            for phase, actions in phases.items():
                for action, count in actions.items():
                    self.outcomes[phase, action, "ok", read] += count
        self.started_ns = min((s.began_ns for s in self.sessions.values()), default=0)
        self._compare_assigned()

    # --- the pass ---

    def _read(self, worker: str, pairs: Iterable[tuple[Invoke, Completion | None]]) -> None:
        """Take note of all operations of a worker. What is done here is done a million times."""
        sessions = self.sessions
        looked = marked = echoed = 0
        bare = not self.variables
        for invoke, done in pairs:
            session = sessions.get(invoke.session)
            if session is None:
                session = sessions[invoke.session] = SessionFacts(worker, invoke)
                if invoke.user:
                    self._introduce(session)
            begin_ns = invoke.time_ns
            if begin_ns < session.began_ns:
                session.began_ns, session.action = begin_ns, invoke.action
            if invoke.user and invoke.user != session.user:
                self._is(session, invoke)
            phase = invoke.phase
            if phase != session.phase:
                session.phase = phase
                session.acknowledged = self._acknowledged[phase]
                session.acknowledged_reads = self._acknowledged_reads[phase]
                if phase == LOAD_PHASE:
                    self.driven.add(session.id)
            effects = invoke.effects
            if effects and not session.marked:
                session.marked = any(
                    type(effect.value) is not int and tokens.all_in(effect.value)
                    for effect in effects.values()
                )
            if type(done) is not Ok:
                self._ended_badly(session, invoke, done)
                continue
            if done.looked:
                looked += done.looked
                session.looked = True
                if bare and phase == LOAD_PHASE and invoke.action not in TAB_ACTIONS:
                    self.looked_under_load = True
            if done.marked:
                marked += done.marked
                session.sent = session.marked = True
            if done.unmarked:
                self.unmarked[invoke.action] += done.unmarked
            if done.echoed:
                echoed += done.echoed
            if done.sightings:
                self._saw(session, done.sightings)
            reads, deltas = done.reads, done.deltas
            if begin_ns < self._early_until_ns:
                self._early(session, invoke, done)
            read = 0
            owners = session.owners
            for name, shown in reads.items():
                owner = owners.get(name) or self._owner(session, name)
                if owner is not None:
                    effect = effects.get(name)
                    read += effect is not None
                    if not owner.take(invoke, done, effect, shown):
                        self._open(session, name, owner).take(invoke, done, effect, shown)
            for name, delta in deltas.items():
                owner = owners.get(name) or self._owner(session, name)
                if owner is not None:
                    effect = effects.get(name)
                    read += effect is not None
                    if not owner.take_delta(invoke, done, effect, delta):
                        self._open(session, name, owner).take_delta(invoke, done, effect, delta)
            if read < len(effects):
                self._unread(session, invoke, done)
            if reads or deltas:
                session.acknowledged_reads[invoke.action] += 1
                if not session.read:
                    session.read = bool(owners)
            else:
                session.acknowledged[invoke.action] += 1
                if invoke.action == "close":
                    session.close()
            if effects:
                session.wrote = True
        self.looked += looked
        self.marked += marked
        self.echoed += echoed

    def _early(self, session: SessionFacts, invoke: Invoke, done: Ok) -> None:
        """An operation that ended well, and of whose variables more must be known than what their owner finds.

        Of most there is nothing to be known any more once two owners have written.
        """
        for name in invoke.effects:
            owner = session.owners.get(name) or self._owner(session, name)
            if owner is not None:
                facts = self.variables[name]
                if facts.model.model in REPLIES:
                    facts.asked(invoke.time_ns)
                if done.time_ns < facts.second_end_ns:
                    facts.wrote(done.time_ns, owner.owner)
        values = {**done.reads, **{name: delta.then for name, delta in done.deltas.items()}}
        for name, shown in values.items():
            owner = session.owners.get(name) or self._owner(session, name)
            if owner is not None:
                facts = self.variables[name]
                if facts.model.model == "assigned" and shown is None:
                    continue
                if invoke.time_ns < facts.second_end_ns:
                    facts.read_early(invoke.time_ns, done.time_ns, owner.owner)
                if facts.model.model in REPLIES:
                    kept = done.deltas[name].keep if name in done.deltas else 0
                    facts.answered(done.time_ns, kept + len(shown) if isinstance(shown, list) else 1)
        self._early_until_ns = max((facts.early_until_ns for facts in self.variables.values()), default=0)

    def _unread(self, session: SessionFacts, invoke: Invoke, done: Ok) -> None:
        """Effects on variables that the operation did not read."""
        for name, effect in invoke.effects.items():
            if name not in done.reads and name not in done.deltas:
                owner = session.owners.get(name) or self._owner(session, name)
                if owner is not None and not owner.take(invoke, done, effect, NOTHING):
                    self._open(session, name, owner).take(invoke, done, effect, NOTHING)

    def _is(self, session: SessionFacts, invoke: Invoke) -> None:
        """It is known whose session it is; what was taken for a session's own until then may be that person's."""
        session.user, session.account = invoke.user, invoke.account
        self._introduce(session)
        for name, owner in list(session.owners.items()):
            self._open(session, name, owner)

    def _introduce(self, session: SessionFacts) -> None:
        self._of_user.setdefault(session.user, []).append(session)
        if session.account:
            self._of_user.setdefault(session.account, []).append(session)

    def _kin(self, session: SessionFacts) -> Iterator[SessionFacts]:
        """The sessions of the same person, and of the same account."""
        yield from self._of_user.get(session.user, ())
        if session.account:
            yield from self._of_user.get(session.account, ())

    def _ended_badly(self, session: SessionFacts, invoke: Invoke, done: Completion | None) -> None:
        """An operation that failed, or may not have happened."""
        error: Error | None = None
        outcome = outcome_of(done)
        if done is not None and not isinstance(done, Ok):
            error = done.error
            self.looked += done.looked
            self.marked += done.marked
            self.unmarked[invoke.action] += done.unmarked
            self.echoed += done.echoed
            session.looked = session.looked or done.looked > 0
            session.sent = session.sent or done.marked > 0
            session.marked = session.marked or done.marked > 0
            if done.sightings:
                self._saw(session, done.sightings)
        self.outcomes[invoke.phase, invoke.action, outcome, False] += 1
        if error is not None and error.kind == "workload":
            self.broken.append(error.message)
        if (
            invoke.phase == LOAD_PHASE
            and outcome == "info"
            and error is not None
            and error.kind in ("timeout", "connection")
        ):
            self.cut_off.add(session.id)
        if may_have_happened(done):
            for name, effect in invoke.effects.items():
                owner = session.owners.get(name) or self._owner(session, name)
                if owner is not None:
                    if owner.variable.model in REPLIES:
                        self.variables[name].asked(invoke.time_ns)
                    self._open(session, name, owner).asked(effect)

    def _saw(self, session: SessionFacts, sightings: Sequence[Sighting]) -> None:
        self._suspects.add(session.id)
        for sighting in sightings:
            if sighting.kind == "foreign-token":
                self._sighted.add(sighting.value)
            elif sighting.kind == "secret":
                # Any operation may have sent it as part of its value.
                self._everybody = True

    def _owner(self, session: SessionFacts, name: str) -> SequentialOwner | None:
        """The owner of a session's state in a variable that the session has not used yet; None if the variable is not declared."""
        facts = self.variables.get(name)
        if facts is None:
            return None
        whose = owner_of(facts.model, session.id, session.user, session.account)
        owner = facts.owners.get(whose)
        if owner is None:
            owner = None if self._closely else sequential_owner(facts.model, whose)
            if owner is None:
                owner = Unscreened(facts.model, whose, facts.seen)
                self._everybody = self._everybody or facts.model.model not in MODELS
            facts.owners[whose] = owner
        if isinstance(owner, Unscreened):
            self._suspects.add(session.id)
        session.owners[name] = owner
        return owner

    def _open(self, session: SessionFacts, name: str, owner: SequentialOwner) -> Unscreened:
        """Stop screening an owner: its reads need a full check."""
        self._suspects.add(session.id)
        if isinstance(owner, Unscreened):
            return owner
        current = Unscreened(owner.variable, owner.owner, self.variables[name].seen, owner)
        if owner.given() is not None:
            current.seen.add(owner.given())
        self.variables[name].owners[owner.owner] = session.owners[name] = current
        if owner.variable.scope == "user":
            for other in self._kin(session):
                if other.owners.get(name) is owner:
                    other.owners[name] = current
        return current

    def _compare_assigned(self) -> None:
        """Select owners that were given the same value as another owner."""
        for name, facts in self.variables.items():
            if facts.model.model != "assigned":
                continue
            given: dict[Any, list[SequentialOwner]] = {}
            for owner in facts.owners.values():
                if not isinstance(owner, Unscreened) and owner.given() is not None:
                    given.setdefault(owner.given(), []).append(owner)
            twice = {value for value, owners in given.items() if len(owners) > 1 or value in facts.seen}
            for session in self.sessions.values():
                mine = session.owners.get(name)
                if mine is not None and mine.given() in twice:
                    self._open(session, name, mine)

    # --- what it found ---

    def settled(self, variable: str, owner: str) -> bool:
        """Whether an owner found what it must in a variable, and nothing else is to be found out about that."""
        found = self.variables[variable].owners.get(owner)
        return found is not None and not isinstance(found, Unscreened)

    def suspects(self) -> History:
        """The operations of all sessions that need a full check: none, some or all."""
        # A count that is too high is explained by what all others have counted; what else single values cannot explain needs
        # the operations of all sessions.
        counters = {name for name, facts in self.variables.items() if facts.model.model == "counter"}
        everybody = self._everybody or any(
            owner.beyond
            for name, facts in self.variables.items()
            if name not in counters
            for owner in facts.owners.values()
            if isinstance(owner, Unscreened)
        )
        names = None if everybody else self._with_others(self._suspects)
        if names is not None and len(names) > _MOST * len(self.sessions):
            names = None
        if names is not None:
            self.counted_apart = frozenset(counters)
        return self.recorded.history(
            names, began_ns=self.started_ns, damaged=frozenset(self.damaged), problems=self.problems
        )

    def _with_others(self, names: set[str]) -> set[str]:
        """Sessions, those of the same people, and those that wrote what they saw."""
        found = set(names)
        if not found or len(found) > _MOST * len(self.sessions):
            return found
        seen = {name: facts.seen for name, facts in self.variables.items() if facts.seen}
        named = {
            *self._sighted,
            *(v for values in seen.values() for v in values if isinstance(v, (str, bytes))),
        }
        for value in named:
            text = value if isinstance(value, str) else value.decode()
            for token in tokens.find(text):
                parsed = tokens.parse(token)
                if parsed is not None and parsed.session_id in self.sessions:
                    found.add(parsed.session_id)
        for _, pairs in self.recorded.pairs([]) if seen or self._sighted else ():
            for invoke, _ in pairs:
                if invoke.effects and invoke.session not in found and self._wrote(invoke, seen):
                    found.add(invoke.session)
        return found.union(other.id for name in found for other in self._kin(self.sessions[name]))

    def _wrote(self, invoke: Invoke, seen: Mapping[str, set[Any]]) -> bool:
        """Whether an operation writes (or offers) what the suspects read."""
        for name, effect in invoke.effects.items():
            wanted = seen.get(name)
            if wanted and any(key(value) in wanted for _, value in written(effect)):
                return True
            if self._sighted and not self._sighted.isdisjoint(tokens.all_in(effect.value)):
                return True
        return False

    def count(self, found: Found) -> None:
        """Count the evidence of screened owners, and what is counted for all owners alike."""
        for facts in self.variables.values():
            model = facts.model.model
            for owner in facts.owners.values():
                if not isinstance(owner, Unscreened):
                    owner.count(found)
                    if model in KEPT:
                        found.count(READS_PUT_IN_ORDER, owner.reads)
            if model != "assigned":
                found.count(VALUES_READ, facts.reads)
            if model in REPLIES:
                shown, meanwhile = (
                    (ANSWERS_SHOWN, SHOWN_WHILE_OTHERS_HAD_ASKED)
                    if model == "answer"
                    else (STEPS_SHOWN, SHOWN_WHILE_OTHERS_HAD_BEGUN)
                )
                found.count(shown, facts.shown)
                found.count(meanwhile, facts.shown_among_others)
        again = self._returned()
        found.count(READS_AFTER_AN_EARLIER_SESSION, sum(map(self._own_reads, again)))
        reloaded = [s for s in self.sessions.values() if s.action == "reload" and self._own_reads(s)]
        found.count(RELOADED_SESSIONS, len(reloaded))

    def _returned(self) -> list[SessionFacts]:
        """Sessions of people who had an earlier one."""
        first: dict[str, SessionFacts] = {}
        for session in self.sessions.values():
            if session.user:
                other = first.setdefault(session.user, session)
                if session.began_ns < other.began_ns:
                    first[session.user] = session
        return [s for s in self.sessions.values() if s.user and s.began_ns > first[s.user].began_ns]

    def _own_reads(self, session: SessionFacts) -> int:
        """How often a session read what is its own, of what is kept."""
        return sum(
            owner.reads
            for name, owner in session.owners.items()
            if owner.variable.scope == "session" and owner.variable.model not in REPLIES
        )
