"""Screening pass: read the history once, count the evidence, and select the sessions that need a full check.

State belongs to an owner: a session, a user or everyone. If the operations of an owner do not overlap, a model predicts what each read
must show (`harness.checkers.sequential`). Nearly all owners read what is predicted. They need no further check, and their operations are not
kept. Screening selects

- sessions with operations that overlapped, had no confirmed outcome, or showed another value;
- sessions that wrote the values which selected sessions read;
- sessions of the same user or account as a selected session.

The checks after this pass examine only the operations of selected sessions. So checking a long history takes little more time than
reading it.
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
    PAGE_ACTIONS,
    Effect,
    Error,
    Invoke,
    ListDelta,
    Ok,
    Sighting,
    StateVariable,
)

# If more than this share of the sessions is selected, all sessions are. The search for the writers of values would then cost more time
# than it saves.
_MAX_SELECTED_SHARE = 0.5


class SessionFacts:
    """Facts about one session.

    Attributes:
        began_ns: time of its first invoke.
        action: its first action.
        user: its user; empty if unknown.
        account: number of the user's login; 0 without a login.
        owners: variable → owner of the state that the session uses there. Only variables that the session has used.
        phase: phase of its last operation; None before the first.
        acknowledged: action → number of acknowledged operations without a read. All sessions in this phase share the dict.
        acknowledged_reads: the same for operations with a read.
        searched: true if a response to the session was searched for tokens.
        has_token: true if the session wrote a token to a variable, or sent a token in a text.
        sent_token: true if the session sent a token in a text.
        wrote: true if an operation with an effect was acknowledged.
        read: true if an operation that reads a declared variable was acknowledged.
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
        """Forget the predictions for the session's own state. They are not needed after its page has closed."""
        for owner in self.owners.values():
            if owner.variable.scope == "session":
                owner.close()


class VariableFacts:
    """Facts about one variable, over all its owners.

    A read is *exposed* if it could have shown another owner's value: another owner's write was acknowledged before the read began. To
    count exposed reads, the two earliest acknowledged writes of different owners are enough. At least one of them is not the reader's.
    For questions (`ask`, `begin`), the two earliest questions are enough for the same reason.

    Attributes:
        name: name of the variable.
        model: its declaration.
        owners: name of the owner → owner.
        second_end_ns: time at which the second of the two earliest writes was acknowledged.
        shown: number of values in answers or chains.
        seen: keys of the values that owners with a full check read.
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
        """Record an acknowledged write. If the app assigns the values, the first read of a value counts as its write."""
        earliest: dict[str, float] = {}
        for end, name in sorted([*self._ends, (end_ns, owner)]):
            earliest.setdefault(name, end)
        self._ends = [(end, name) for name, end in list(earliest.items())[:2]]
        self.second_end_ns = self._ends[1][0] if len(self._ends) == 2 else math.inf

    def read_early(self, begin_ns: int, end_ns: int, owner: str) -> None:
        """Record a read that began before `second_end_ns`. It may be exposed or not, depending on its owner."""
        self._early.append((begin_ns, owner))
        if self.model.model == "assigned":
            self.wrote(end_ns, owner)

    @property
    def early_until_ns(self) -> float:
        """Operations that began before this time must be recorded with `wrote`, `read_early`, `asked` and `answered`."""
        if self.model.model in REPLIES:
            return math.inf  # each answer must be recorded
        return 0 if self.model.scope == "everyone" else self.second_end_ns

    def asked(self, begin_ns: int) -> None:
        """Record a question. Its operation may have failed."""
        if begin_ns < self._asked[1]:
            self._asked = sorted([*self._asked, begin_ns])[:2]

    def answered(self, end_ns: int, values: int) -> None:
        """Record an answer: the end of its operation, and the number of values that it showed."""
        self.shown += values
        self._answers.append((end_ns, values))

    @property
    def exposed(self) -> int:
        """Number of exposed reads."""
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
        """Number of reads without a value, for a variable whose values the app assigns; otherwise 0."""
        return sum(owner.absent for owner in self.owners.values())

    @property
    def shown_among_others(self) -> int:
        """Number of values in answers that ended after two questions had begun."""
        return sum(values for end, values in self._answers if end > self._asked[1])


class SelectedOwner(SequentialOwner):
    """An owner that needs a full check. It accepts every read, and collects which values were read.

    Attributes:
        seen: keys of the values that were read. All owners of the variable share this set.
        counted: the highest value that a counter can have after this owner's own increments.
        beyond: true if a value that was read does not show which session wrote it. The full check then needs all sessions.
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
        """Record an effect that an operation should have. The operation may have failed."""
        if effect is not None and effect.op == "increment":
            self.counted += effect.value if isinstance(effect.value, int) else 0
        elif effect is not None and effect.op == "clear":
            self.beyond = True

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        """Record an operation. Return True, because every read is accepted."""
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
        """Record an operation whose read is recorded as a difference to the previous read."""
        # `seen` already has the elements that did not change. Values of other models cannot be compared element by element.
        self.beyond = self.beyond or self.variable.model not in ("list", *REPLIES)
        return self.take(invoke, ok, effect, delta.then)


class Scan:
    """The screening pass over a history, and its results.

    Args:
        recorded: the history.
        state: variable → its declaration.
        select_all: select all sessions.

    Attributes:
        problems: contradictions between records, one sentence each.
        damaged: workers whose records have such a contradiction. Records of these workers may be missing.
        sessions: session → its facts.
        variables: variable → its facts.
        outcomes: (phase, action, outcome, true with a read) → number of operations.
        driven: sessions of the load phase.
        cut_off: sessions of the load phase in which an operation ended with a timeout or a lost connection.
        broken: messages of the errors that the workload raised.
        searched: number of responses that were searched for tokens.
        searched_under_load: true if one of these responses came in the load phase. Set only if no variable is declared.
        tokens_sent: number of texts and files that were sent with a token.
        untagged_sent: action → number of texts and files that were sent without a token.
        own_tokens_seen: number of responses with a token of the session that received the response.
        started_ns: time of the first invoke; 0 without operations.
        counted_apart: counters whose increments are not all in the result of `selected`. Their sums are counted in this pass.
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
        # If records are missing, or if clocks cannot be compared, the models cannot predict reads.
        self._select_all = (
            select_all or bool(self.damaged or recorded.workers.unknown) or recorded.workers.several_clocks
        )
        self._all_selected = self._select_all
        self._selected: set[str] = set()
        self._early_until_ns: float = math.inf
        # Name of a user or number of an account → its sessions.
        self._of_user: dict[str | int, list[SessionFacts]] = {}
        self._sighted: set[str] = set()
        # Phase → action → number of acknowledged operations: without a read, and with a read.
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
        """Process all operations of a worker. The loop body runs for each operation, so it avoids calls."""
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
                if bare and phase == LOAD_PHASE and invoke.action not in PAGE_ACTIONS:
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
                        self._select(session, name, owner).take(invoke, done, effect, shown)
            for name, delta in deltas.items():
                owner = owners.get(name) or self._owner(session, name)
                if owner is not None:
                    effect = effects.get(name)
                    read += effect is not None
                    if not owner.take_delta(invoke, done, effect, delta):
                        self._select(session, name, owner).take_delta(invoke, done, effect, delta)
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
        """Record an acknowledged operation in the facts of its variables, until `early_until_ns` of each.

        For most variables, this ends when two owners have written.
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
        """Process the effects on variables that the same operation did not read."""
        for name, effect in invoke.effects.items():
            if name not in done.reads and name not in done.deltas:
                owner = session.owners.get(name) or self._owner(session, name)
                if owner is not None and not owner.take(invoke, done, effect, NOTHING):
                    self._select(session, name, owner).take(invoke, done, effect, NOTHING)

    def _identify(self, session: SessionFacts, invoke: Invoke) -> None:
        """Set the user of a session that had none until now, and select its owners.

        State was assigned to the session so far, but may belong to the user.
        """
        session.user, session.account = invoke.user, invoke.account
        self._introduce(session)
        for name, owner in list(session.owners.items()):
            self._select(session, name, owner)

    def _introduce(self, session: SessionFacts) -> None:
        self._of_user.setdefault(session.user, []).append(session)
        if session.account:
            self._of_user.setdefault(session.account, []).append(session)

    def _related(self, session: SessionFacts) -> Iterator[SessionFacts]:
        """Yield the sessions of the same user and of the same account."""
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
                    self._select(session, name, owner).asked(effect)

    def _saw(self, session: SessionFacts, sightings: Sequence[Sighting]) -> None:
        self._selected.add(session.id)
        for sighting in sightings:
            if sighting.kind == "foreign-token":
                self._sighted.add(sighting.value)
            elif sighting.kind == "secret":
                # Any operation may have sent the secret inside a value.
                self._all_selected = True

    def _owner(self, session: SessionFacts, name: str) -> SequentialOwner | None:
        """Return the owner of a variable for a session that uses the variable for the first time; None if it is not declared."""
        facts = self.variables.get(name)
        if facts is None:
            return None
        whose = owner_of(facts.model, session.id, session.user, session.account)
        owner = facts.owners.get(whose)
        if owner is None:
            owner = None if self._select_all else sequential_owner(facts.model, whose)
            if owner is None:
                owner = SelectedOwner(facts.model, whose, facts.seen)
                self._all_selected = self._all_selected or facts.model.model not in MODELS
            facts.owners[whose] = owner
        if isinstance(owner, SelectedOwner):
            self._selected.add(session.id)
        session.owners[name] = owner
        return owner

    def _select(self, session: SessionFacts, name: str, owner: SequentialOwner) -> SelectedOwner:
        """Select an owner and the session: the owner's reads need a full check."""
        self._selected.add(session.id)
        if isinstance(owner, SelectedOwner):
            return owner
        current = SelectedOwner(owner.variable, owner.owner, self.variables[name].seen, owner)
        if owner.given() is not None:
            current.seen.add(owner.given())
        self.variables[name].owners[owner.owner] = session.owners[name] = current
        if owner.variable.scope == "user":
            for other in self._related(session):
                if other.owners.get(name) is owner:
                    other.owners[name] = current
        return current

    def _compare_assigned(self) -> None:
        """Select the owners to which the app assigned the same value as to another owner."""
        for name, facts in self.variables.items():
            if facts.model.model != "assigned":
                continue
            given: dict[Any, list[SequentialOwner]] = {}
            for owner in facts.owners.values():
                if not isinstance(owner, SelectedOwner) and owner.given() is not None:
                    given.setdefault(owner.given(), []).append(owner)
            twice = {value for value, owners in given.items() if len(owners) > 1 or value in facts.seen}
            for session in self.sessions.values():
                mine = session.owners.get(name)
                if mine is not None and mine.given() in twice:
                    self._select(session, name, mine)

    # --- results ---

    def settled(self, variable: str, owner: str) -> bool:
        """Return True if all reads of an owner showed what was predicted, so that the owner needs no full check."""
        found = self.variables[variable].owners.get(owner)
        return found is not None and not isinstance(found, SelectedOwner)

    def selected(self) -> History:
        """Return the operations of the selected sessions."""
        # Some values do not show which session wrote them; then all sessions are selected. A counter is no reason for this: a count that
        # is too high is compared with the sum of all sessions' increments, which this pass has counted.
        counters = {name for name, facts in self.variables.items() if facts.model.model == "counter"}
        all_selected = self._all_selected or any(
            owner.beyond
            for name, facts in self.variables.items()
            if name not in counters
            for owner in facts.owners.values()
            if isinstance(owner, SelectedOwner)
        )
        names = None if all_selected else self._with_others(self._selected)
        if names is not None and len(names) > _MAX_SELECTED_SHARE * len(self.sessions):
            names = None
        if names is not None:
            self.counted_apart = frozenset(counters)
        return self.recorded.history(
            names, began_ns=self.started_ns, damaged=frozenset(self.damaged), problems=self.problems
        )

    def _with_others(self, names: set[str]) -> set[str]:
        """Return the sessions `names`, the sessions that wrote what they read, and the sessions of the same users."""
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
        """Return True if an operation writes a value that a selected session read or received."""
        for name, effect in invoke.effects.items():
            wanted = seen.get(name)
            if wanted and any(key(value) in wanted for _, value in written(effect)):
                return True
            if self._sighted and not self._sighted.isdisjoint(tokens.all_in(effect.value)):
                return True
        return False

    def count(self, found: Found) -> None:
        """Count the evidence of owners without a full check, and the evidence that is counted in the same way for all owners."""
        for facts in self.variables.values():
            model = facts.model.model
            for owner in facts.owners.values():
                if not isinstance(owner, SelectedOwner):
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
        """Return the sessions whose user had an earlier session."""
        first: dict[str, SessionFacts] = {}
        for session in self.sessions.values():
            if session.user:
                other = first.setdefault(session.user, session)
                if session.began_ns < other.began_ns:
                    first[session.user] = session
        return [s for s in self.sessions.values() if s.user and s.began_ns > first[s.user].began_ns]

    def _own_reads(self, session: SessionFacts) -> int:
        """Return the number of reads of the session's own state, without answers and chains."""
        return sum(
            owner.reads
            for name, owner in session.owners.items()
            if owner.variable.scope == "session" and owner.variable.model not in REPLIES
        )
