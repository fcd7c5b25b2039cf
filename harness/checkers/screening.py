"""Screening pass: collect totals and select the sessions that need a full check.

Nearly every session executes one operation after another, and each read shows what the model predicts
(`harness.checkers.sequential`). Screening reads these operations once and does not keep them. It selects the other sessions:

- sessions with operations that overlap, failed, or showed something else;
- sessions that wrote what the selected sessions read;
- sessions that share a variable with them.

All other checkers examine only the operations of selected sessions, so a long history costs little more than reading it.
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

# If more than this share of the sessions needs a full check, all sessions get one. The search for the sessions that wrote what the
# selected ones read would cost more than it saves.
_MAX_SELECTED_SHARE = 0.5


class SessionFacts:
    """Facts about one session.

    Attributes:
        began_ns: time of its first invoke.
        action: its first action.
        user: its user; empty if unknown.
        account: number of the login that the user has; 0 without a login.
        owners: variable → streaming model of the state that the session reads there. Has only variables that the session used.
        phase: phase of its last operation; None before the first.
        acknowledged, acknowledged_reads: counters of that phase, action → operations, for operations without and with a read.
        searched: whether any response to it was searched for tokens.
        has_token: whether it wrote a token or sent one in a text.
        sent_token: whether it sent one in a text.
        wrote, read: whether an operation with an effect, and one that reads a declared variable, was acknowledged.
    """

    __slots__ = (
        "account",
        "acknowledged",
        "acknowledged_reads",
        "action",
        "began_ns",
        "has_token",
        "id",
        "owners",
        "phase",
        "read",
        "searched",
        "sent_token",
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
        self.searched = self.has_token = self.sent_token = self.wrote = self.read = False

    def close(self) -> None:
        """Release the predictions of its own state, because its page was closed."""
        for owner in self.owners.values():
            if owner.variable.scope == "session":
                owner.close()


class VariableFacts:
    """Facts about one variable, over all its owners.

    Only a read that began after another owner's write was acknowledged can show a leak. The two earliest acknowledged writes of
    different owners are enough to count such reads, because one of any two owners is not the reader.
    In the same way, the two earliest questions decide which answers were given while another question was open.

    Attributes:
        name: name of the variable.
        model: its declaration.
        owners: owner → streaming model of the owner's state.
        second_end_ns: when the second of these two writes was acknowledged.
        shown: number of values in answers or chains.
        seen: keys of the values that unscreened owners read.
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
        """Record that a write was acknowledged or, if the app assigns the values, that one was read."""
        earliest: dict[str, float] = {}
        for end, name in sorted([*self._ends, (end_ns, owner)]):
            earliest.setdefault(name, end)
        self._ends = [(end, name) for name, end in list(earliest.items())[:2]]
        self.second_end_ns = self._ends[1][0] if len(self._ends) == 2 else math.inf

    def read_early(self, begin_ns: int, end_ns: int, owner: str) -> None:
        """Record a read that began before the second of the two earliest writes was acknowledged."""
        self._early.append((begin_ns, owner))
        if self.model.model == "assigned":
            self.wrote(end_ns, owner)

    @property
    def early_until_ns(self) -> float:
        """Operations that began before this time must be recorded here, according to the operations until now."""
        if self.model.model in REPLIES:
            return math.inf  # all shown values are counted
        return 0 if self.model.scope == "everyone" else self.second_end_ns

    def asked(self, begin_ns: int) -> None:
        """Record that an operation began which may have asked a question."""
        if begin_ns < self._asked[1]:
            self._asked = sorted([*self._asked, begin_ns])[:2]

    def answered(self, end_ns: int, values: int) -> None:
        """Record how many values an operation showed, and when it ended."""
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
        """Number of reads that showed no value, for a variable whose values the app assigns."""
        return sum(owner.absent for owner in self.owners.values())

    @property
    def shown_among_others(self) -> int:
        """Number of values that were shown after two operations had asked."""
        return sum(values for end, values in self._answers if end > self._asked[1])


class Unscreened(SequentialOwner):
    """An owner that needs a full check: other sessions may have written what it reads.

    Attributes:
        seen: set to which the keys of its values are added; shared by all owners of the variable.
        counted: highest value to which its own increments can bring a counter.
        beyond: whether a full check needs the operations of all sessions, because single values do not show who wrote them.
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
        """Record an effect that was requested, whether or not it took place."""
        if effect is not None and effect.op == "increment":
            self.counted += effect.value if isinstance(effect.value, int) else 0
        elif effect is not None and effect.op == "clear":
            self.beyond = True

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        """Record an operation. Every read is accepted, so this returns True."""
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
        """Record an operation whose read is stored as a difference."""
        # The part that the difference keeps is in `seen` already. Models other than lists are compared as a whole.
        self.beyond = self.beyond or self.variable.model not in ("list", *REPLIES)
        return self.take(invoke, ok, effect, delta.then)


class Scan:
    """Result of one pass over a history.

    Args:
        recorded: the history.
        state: state variable → its declaration.
        select_all: give all sessions a full check.

    Attributes:
        problems: contradictions in the records, one sentence each.
        damaged: workers with such records. Operations of them may be missing.
        sessions: session → its facts.
        variables: variable → its facts.
        outcomes: (phase, action, outcome, whether it read anything) → number of operations.
        driven: sessions of the load phase.
        cut_off: those of them with an operation that ended with a timeout or a lost connection.
        broken: message of each error that the workload raised.
        searched: number of searched responses.
        searched_under_load: whether one of them was in the load phase. Set only if no variable is declared.
        tokens_sent: number of texts and files that were sent with a token.
        untagged_sent: action → number of texts and files that it sent without a token.
        own_tokens_seen: number of responses that contained a token of the session that received them.
        started_ns: time of the first invoke; 0 without operations.
        counted_apart: counters for which `suspects` does not return all increments.
    """

    def __init__(
        self, recorded: RecordedHistory, state: Mapping[str, StateVariable], *, select_all: bool = False
    ) -> None:
        self.recorded = recorded
        self.problems: list[str] = []
        self.sessions: dict[str, SessionFacts] = {}
        self.variables = {name: VariableFacts(name, model) for name, model in state.items()}
        self.outcomes: Counter[tuple[str, str, str, bool]] = Counter()
        self.driven: set[str] = set()
        self.cut_off: set[str] = set()
        self.broken: list[str] = []
        self.searched = 0
        self.searched_under_load = False
        self.tokens_sent = 0
        self.own_tokens_seen = 0
        self.untagged_sent: Counter[str] = Counter()
        self.counted_apart: frozenset[str] = frozenset()
        self.damaged = set(recorded.damaged)
        # With missing records, or clocks that cannot be compared, no prediction is certain.
        self._select_all = (
            select_all or bool(self.damaged or recorded.workers.unknown) or recorded.workers.several_clocks
        )
        self._all_suspects = self._select_all
        self._suspects: set[str] = set()
        self._early_until_ns: float = math.inf
        # Name of a user, or number of an account → sessions.
        self._of_user: dict[str | int, list[SessionFacts]] = {}
        self._sighted: set[str] = set()
        # Phase → action → number of acknowledged operations without a read, and with one.
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
        """Process all operations of a worker. This loop runs a million times, so it has few calls."""
        sessions = self.sessions
        searched = tokens_sent = own_tokens_seen = 0
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
                self._identify(session, invoke)
            phase = invoke.phase
            if phase != session.phase:
                session.phase = phase
                session.acknowledged = self._acknowledged[phase]
                session.acknowledged_reads = self._acknowledged_reads[phase]
                if phase == LOAD_PHASE:
                    self.driven.add(session.id)
            effects = invoke.effects
            if effects and not session.has_token:
                session.has_token = any(
                    type(effect.value) is not int and tokens.all_in(effect.value)
                    for effect in effects.values()
                )
            if type(done) is not Ok:
                self._not_acknowledged(session, invoke, done)
                continue
            if done.searched:
                searched += done.searched
                session.searched = True
                if bare and phase == LOAD_PHASE and invoke.action not in TAB_ACTIONS:
                    self.searched_under_load = True
            if done.tokens_sent:
                tokens_sent += done.tokens_sent
                session.sent_token = session.has_token = True
            if done.untagged_sent:
                self.untagged_sent[invoke.action] += done.untagged_sent
            if done.own_tokens_seen:
                own_tokens_seen += done.own_tokens_seen
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
                        self._unscreen(session, name, owner).take(invoke, done, effect, shown)
            for name, delta in deltas.items():
                owner = owners.get(name) or self._owner(session, name)
                if owner is not None:
                    effect = effects.get(name)
                    read += effect is not None
                    if not owner.take_delta(invoke, done, effect, delta):
                        self._unscreen(session, name, owner).take_delta(invoke, done, effect, delta)
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
        self.searched += searched
        self.tokens_sent += tokens_sent
        self.own_tokens_seen += own_tokens_seen

    def _early(self, session: SessionFacts, invoke: Invoke, done: Ok) -> None:
        """Record an acknowledged operation in the facts of its variables.

        Most variables need no more facts after two owners have written.
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
        """Process effects on variables that the operation did not read."""
        for name, effect in invoke.effects.items():
            if name not in done.reads and name not in done.deltas:
                owner = session.owners.get(name) or self._owner(session, name)
                if owner is not None and not owner.take(invoke, done, effect, NOTHING):
                    self._unscreen(session, name, owner).take(invoke, done, effect, NOTHING)

    def _identify(self, session: SessionFacts, invoke: Invoke) -> None:
        """Set the user of a session. State that was taken for the session's may be the user's, so its owners need a full check."""
        session.user, session.account = invoke.user, invoke.account
        self._introduce(session)
        for name, owner in list(session.owners.items()):
            self._unscreen(session, name, owner)

    def _introduce(self, session: SessionFacts) -> None:
        self._of_user.setdefault(session.user, []).append(session)
        if session.account:
            self._of_user.setdefault(session.account, []).append(session)

    def _related(self, session: SessionFacts) -> Iterator[SessionFacts]:
        """The sessions of the same user, and of the same account."""
        yield from self._of_user.get(session.user, ())
        if session.account:
            yield from self._of_user.get(session.account, ())

    def _not_acknowledged(self, session: SessionFacts, invoke: Invoke, done: Completion | None) -> None:
        """Process an operation that was not acknowledged."""
        error: Error | None = None
        outcome = outcome_of(done)
        if done is not None and not isinstance(done, Ok):
            error = done.error
            self.searched += done.searched
            self.tokens_sent += done.tokens_sent
            self.untagged_sent[invoke.action] += done.untagged_sent
            self.own_tokens_seen += done.own_tokens_seen
            session.searched = session.searched or done.searched > 0
            session.sent_token = session.sent_token or done.tokens_sent > 0
            session.has_token = session.has_token or done.tokens_sent > 0
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
                    self._unscreen(session, name, owner).asked(effect)

    def _saw(self, session: SessionFacts, sightings: Sequence[Sighting]) -> None:
        self._suspects.add(session.id)
        for sighting in sightings:
            if sighting.kind == "foreign-token":
                self._sighted.add(sighting.value)
            elif sighting.kind == "secret":
                # Any operation may have sent the secret as part of a value.
                self._all_suspects = True

    def _owner(self, session: SessionFacts, name: str) -> SequentialOwner | None:
        """The owner of a session's state in a variable that the session has not used yet; None if the variable is not declared."""
        facts = self.variables.get(name)
        if facts is None:
            return None
        whose = owner_of(facts.model, session.id, session.user, session.account)
        owner = facts.owners.get(whose)
        if owner is None:
            owner = None if self._select_all else sequential_owner(facts.model, whose)
            if owner is None:
                owner = Unscreened(facts.model, whose, facts.seen)
                self._all_suspects = self._all_suspects or facts.model.model not in MODELS
            facts.owners[whose] = owner
        if isinstance(owner, Unscreened):
            self._suspects.add(session.id)
        session.owners[name] = owner
        return owner

    def _unscreen(self, session: SessionFacts, name: str, owner: SequentialOwner) -> Unscreened:
        """Stop screening an owner: its reads need a full check."""
        self._suspects.add(session.id)
        if isinstance(owner, Unscreened):
            return owner
        current = Unscreened(owner.variable, owner.owner, self.variables[name].seen, owner)
        if owner.given() is not None:
            current.seen.add(owner.given())
        self.variables[name].owners[owner.owner] = session.owners[name] = current
        if owner.variable.scope == "user":
            for other in self._related(session):
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
                    self._unscreen(session, name, mine)

    # --- what it found ---

    def settled(self, variable: str, owner: str) -> bool:
        """Whether an owner's reads of a variable all were as predicted, so that it needs no full check."""
        found = self.variables[variable].owners.get(owner)
        return found is not None and not isinstance(found, Unscreened)

    def suspects(self) -> History:
        """The operations of all sessions that need a full check."""
        # A counter that is too high is compared with the increments of all sessions, which are counted apart. Other values that do
        # not show who wrote them need the operations of all sessions.
        counters = {name for name, facts in self.variables.items() if facts.model.model == "counter"}
        all_suspects = self._all_suspects or any(
            owner.beyond
            for name, facts in self.variables.items()
            if name not in counters
            for owner in facts.owners.values()
            if isinstance(owner, Unscreened)
        )
        names = None if all_suspects else self._with_others(self._suspects)
        if names is not None and len(names) > _MAX_SELECTED_SHARE * len(self.sessions):
            names = None
        if names is not None:
            self.counted_apart = frozenset(counters)
        return self.recorded.history(
            names, began_ns=self.started_ns, damaged=frozenset(self.damaged), problems=self.problems
        )

    def _with_others(self, names: set[str]) -> set[str]:
        """Add the sessions of the same users, and the sessions that wrote what the given ones read."""
        found = set(names)
        if not found or len(found) > _MAX_SELECTED_SHARE * len(self.sessions):
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
        return found.union(other.id for name in found for other in self._related(self.sessions[name]))

    def _wrote(self, invoke: Invoke, seen: Mapping[str, set[Any]]) -> bool:
        """Whether an operation requests an effect with a value that the suspects read."""
        for name, effect in invoke.effects.items():
            wanted = seen.get(name)
            if wanted and any(key(value) in wanted for _, value in written(effect)):
                return True
            if self._sighted and not self._sighted.isdisjoint(tokens.all_in(effect.value)):
                return True
        return False

    def count(self, found: Found) -> None:
        """Count the evidence of screened owners, and the evidence that is counted in the same way for all owners."""
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
        """Sessions whose user had an earlier session."""
        first: dict[str, SessionFacts] = {}
        for session in self.sessions.values():
            if session.user:
                other = first.setdefault(session.user, session)
                if session.began_ns < other.began_ns:
                    first[session.user] = session
        return [s for s in self.sessions.values() if s.user and s.began_ns > first[s.user].began_ns]

    def _own_reads(self, session: SessionFacts) -> int:
        """Number of the session's reads of its own persistent variables."""
        return sum(
            owner.reads
            for name, owner in session.owners.items()
            if owner.variable.scope == "session" and owner.variable.model not in REPLIES
        )
