"""The history, arranged for questions about who owns what, who wrote what, and what was read."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast

from harness.blobs import canonical
from harness.checkers.append_only import grows
from harness.checkers.increments import Increments
from harness.checkers.intervals import Clocks, Line, Sums, end_of
from harness.checkers.models import OwnModel, Unavailable, accepted, follows, put_there
from harness.history import History
from harness.records import Effect, Operation, StateVariable

if TYPE_CHECKING:
    from harness.checkers.screening import Scan

T = TypeVar("T")

# Models whose values say by themselves who wrote them.
NAMED_VALUES = ("list", "register", "record", "blob")
# Of these, the ones that hold one value: the last one that was written.
SINGLE = ("register", "blob")
# Models of state that the app keeps and that only effects change.
KEPT = ("counter", *NAMED_VALUES)


def key(value: Any) -> Any:
    """A value as a dictionary key: the same for values that are equal in JSON, however they were written down.

    The order of an object's keys says nothing, and 1 is the same number as 1.0, inside of lists and objects as well.
    """
    if isinstance(value, (str, float)) or type(value) is int:
        return value
    return canonical(value)


def written(effect: Effect) -> list[tuple[str, Any]]:
    """What an effect puts into the state: (key of a record, value); the key is empty for all other models."""
    if effect.op == "put":
        return list(effect.value.items())
    return [] if effect.op in ("clear", "increment", "does") else [("", put_there(effect))]


class Ledger:
    """What one owner did with one variable.

    Attributes:
        owner: see `Index.owner_of`.
        operations: that read it, or have an effect on it and may have happened, by invoke.
        writes: of these, those with an effect on it, clears included, by invoke.
        reads: operations that read it, by completion.
        clears: of the writes, those that clear it.
        by_value: (key of a record, key of a value) → writes that put it there.
        one_clock: all times may be compared with each other.
        own_ids: identities of the writes.
        doubtful: a clear, or an update that overwrote others, may be among records that are missing, so that nothing can be
            said to be lost.
        counted: there is nothing else to be found out, and what there was to look at has been counted: see
            `harness.checkers.screening`.
        plain: the owner did one thing after another, and found exactly what that must give: see `harness.checkers.models`.
        grown: of a list, one order explains all that was seen: see `harness.checkers.append_only`.
    """

    def __init__(
        self, variable: str, model: StateVariable, owner: str, clocks: Clocks, *, counted: bool
    ) -> None:
        self.counted = counted
        self.variable = variable
        self.model = model
        self.owner = owner
        self.clocks = clocks
        self.operations: list[Operation] = []
        self.writes: list[Operation] = []
        self.reads: list[Operation] = []
        self.clears: list[Operation] = []
        self.by_value: dict[tuple[str, Any], list[Operation]] = {}
        self.one_clock = True
        self.own_ids: set[int] = set()
        self.plain = self.grown = False
        self.doubtful = False
        self.within_ns = model.within_s * 1e9

    def arrange(self) -> None:
        """Put in order what was collected, by invoke until then."""
        self.reads.sort(key=lambda o: (o.complete_ns or 0, o.id))
        lines = {self.clocks.line(o) for o in self.operations} if self.clocks.several else {}
        self.one_clock = len({clock for clock, _ in lines}) < 2
        self.plain = self.counted or (
            self.one_clock
            and self.model.scope != "everyone"
            and not self.within_ns
            and self.model.model in KEPT
            and follows(self.variable, self.model, self.operations)
        )
        if not self.plain:
            self.prepare()
            self.grown = grows(self, self.by_value, key)

    def prepare(self) -> None:
        """Arrange what only matters where operations overlap, fail, or show something unexpected."""
        self.own_ids = {id(write) for write in self.writes}
        self._lines: dict[Line, tuple[list[float], list[Operation]]] = {}
        for line, writes in self._by_line(self.writes).items():
            ended = sorted(((end_of(w), n, w) for n, w in enumerate(writes) if w.outcome == "ok"))
            self._lines[line] = [e for e, _, _ in ended], [w for _, _, w in ended]
        self._overlapped = _overlapping(self.writes) if self.model.concurrent_updates == "last-wins" else None
        self._clear_begins = [c.invoke_ns for c in self.clears]
        self._clear_ends = list(accumulate((self.over(c) for c in self.clears), max))
        # Another update may bring back what a clear that it overlaps had removed, where the app guarantees no more.
        sure = sorted((end_of(c), c.invoke_ns) for c in self.clears if c.outcome == "ok" and self.settled(c))
        self._sure_clear_ends = [end for end, _ in sure]
        self._sure_clear_begins = list(accumulate((begin for _, begin in sure), max))

    def _by_line(self, operations: list[Operation]) -> dict[Line, list[Operation]]:
        lines: dict[Line, list[Operation]] = {}
        for operation in operations:
            lines.setdefault(self.clocks.line(operation), []).append(operation)
        return lines

    def over(self, write: Operation) -> float:
        """When a write has surely taken effect: a while after its completion, where the app takes its time."""
        return end_of(write) + self.within_ns

    def settled(self, write: Operation) -> bool:
        """Whether no other update can have overwritten this one without having seen it."""
        if self._overlapped is None:
            return True
        return self.one_clock and id(write) not in self._overlapped

    def acknowledged_before(self, read: Operation) -> Iterator[list[Operation]]:
        """Writes that surely took effect before a read, by completion: a list for each line. The read's own is not among them."""
        for line, (ends, writes) in self._lines.items():
            count = bisect.bisect_right(ends, self.clocks.on(line, read).begin - self.within_ns)
            yield writes[:count]

    def maybe_cleared_at(self, read: Operation) -> float:
        """A read need not show what began before this time: a clear may have removed it. -inf if there can be none."""
        if not self.clears:
            return -math.inf
        if not self.one_clock:
            return math.inf
        return self._cleared_until(_until(read))

    def _cleared_until(self, time: float) -> float:
        """When the last of the clears that began before a time was over."""
        count = bisect.bisect_left(self._clear_begins, time)
        return self._clear_ends[count - 1] if count else -math.inf

    def clear_meanwhile(self, operation: Operation) -> bool:
        """Whether a clear may have taken effect while an operation was under way; itself is not meant."""
        return any(c is not operation for c in self.clears) and (
            not self.one_clock or self._cleared_until(end_of(operation)) > operation.invoke_ns
        )

    def surely_cleared_at(self, read: Operation) -> float:
        """A read must not show what was over by this time: a clear had surely removed it. -inf if there was none."""
        if not self.clears or not self.one_clock or (self.doubtful and self._overlapped is not None):
            return -math.inf
        count = bisect.bisect_right(self._sure_clear_ends, read.invoke_ns - self.within_ns)
        cleared = self._sure_clear_begins[count - 1] if count else -math.inf
        own = read.effects.get(self.variable)
        if own is not None and own.op == "clear" and not self.within_ns and self.settled(read):
            cleared = max(cleared, read.invoke_ns)
        return cleared

    def clear_between(self, earlier: Operation, later: Operation) -> bool:
        """Whether a clear may have taken effect after a read and before the end of a later one of the same clock."""
        if not self.clears:
            return False
        return not self.one_clock or self.maybe_cleared_at(later) > earlier.invoke_ns

    def update_between(self, earlier: Operation, later: Operation) -> bool:
        """Whether any write may have taken effect in between; quadratic at worst, so only for apps whose last update wins."""
        if not self.one_clock:
            return True
        return any(
            w.invoke_ns < _until(later) and end_of(w) > earlier.invoke_ns
            for w in self.writes
            if w is not earlier
        )


def _until(read: Operation) -> float:
    return math.inf if read.complete_ns is None else read.complete_ns


def _overlapping(writes: list[Operation]) -> set[int]:
    """Identities of the writes that overlap another in time; they are given by invoke."""
    found = set()
    latest: Operation | None = None
    for write in writes:
        if latest is not None and end_of(latest) > write.invoke_ns:
            found |= {id(latest), id(write)}
        if latest is None or end_of(write) > end_of(latest):
            latest = write
    # The one before may end early and still reach into this one, though another reaches further.
    for one, other in pairwise(writes):
        if end_of(one) > other.invoke_ns:
            found |= {id(one), id(other)}
    return found


class Tally:
    """All increments of one counter, whoever made them: how many can have happened until a read was complete?

    Args:
        increments: operations that may have happened, by invoke, with their amounts.
        clocks: to compare their times.
    """

    def __init__(self, increments: list[tuple[Operation, int]], clocks: Clocks) -> None:
        self._clocks = clocks
        lines: dict[Line, list[tuple[Operation, int]]] = {}
        for operation, amount in increments:
            lines.setdefault(clocks.line(operation), []).append((operation, amount))
        self.lines = {line: Sums(found) for line, found in lines.items()}
        self._operations = {line: [o for o, _ in found] for line, found in lines.items()}
        self._begins = {line: [o.invoke_ns for o, _ in found] for line, found in lines.items()}

    def possible_before(self, read: Operation) -> int:
        """The largest sum that a read can have seen."""
        return sum(sums.possible(self._clocks.on(line, read).end) for line, sums in self.lines.items())

    def sure_before(self, read: Operation, within_ns: float = 0.0) -> int:
        """The sum that had surely been reached before a read began."""
        return sum(
            sums.sure(self._clocks.on(line, read).begin - within_ns) for line, sums in self.lines.items()
        )

    def latest_before(self, read: Operation, suits: Callable[[str], bool]) -> Operation | None:
        """The increment that best explains what a read saw, of those by sessions that suit.

        That is the latest one acknowledged before the read began, since nobody can doubt its order; failing that, the
        latest one invoked before the read was complete; failing that, one by a worker with another clock.
        """
        mine = self._clocks.line(read)[0]
        for line in sorted(self.lines, key=lambda line: (line[0] != mine, not line[1])):
            span = self._clocks.on(line, read)
            fallback = None
            for position in range(bisect.bisect_left(self._begins[line], span.end) - 1, -1, -1):
                operation = self._operations[line][position]
                if not suits(operation.session):
                    continue
                fallback = fallback or operation
                if end_of(operation) <= span.begin:
                    return operation
            if fallback is not None:
                return fallback
        return None


def owner_of(model: StateVariable, session: str, user: str, account: int = 0) -> str:
    """Whose state a session deals with: its own, its user's if that is known, or everybody's (the empty string).

    A user is who the app takes for one: the account, where people log in, and several of them may use the same.
    """
    if model.scope == "everyone":
        return ""
    if model.scope == "user" and account:
        return f"account {account}"
    return f"user {user}" if model.scope == "user" and user else f"session {session}"


class Index:
    """Everything that checkers look up, built once per history.

    Args:
        history: operations ordered by invoke time, of those who are to be looked at closely.
        state: state variable → model.
        scan: of the whole history, which these operations are a part of.
        own: state variable → the model that the workload brings along for it, if it does.

    Attributes:
        scan: see above.
        clocks: compares times.
        sessions: session → its operations, ordered by invoke time.
        user_of: session → the person whose session it is; only those of whom it is known.
        account_of: session → which login that person used; only those who used one.
        ledgers: variable → owner → what the owner did with it.
        reads: variable → the completed operations that read it, ordered by completion.
        writers: variable → (key of a record, key of a value) → operations that wrote, appended, asked or began it.
        refused: variable → key of an element → the operation that offered it at or below the threshold.
    """

    def __init__(
        self,
        history: History,
        state: Mapping[str, StateVariable],
        scan: Scan,
        own: Mapping[str, OwnModel | Unavailable] | None = None,
    ) -> None:
        self.scan = scan
        self.history = history
        self.state = state
        self.own = own or {}
        self.clocks = Clocks(history)
        self.sessions = history.by_session()
        self._remembered: dict[str, Any] = {}
        self.user_of = {o.session: o.user for o in history.operations if o.user}
        self.account_of = {o.session: o.account for o in history.operations if o.account}
        self._began = {session: operations[0] for session, operations in self.sessions.items()}
        self.ledgers: dict[str, dict[str, Ledger]] = {variable: {} for variable in state}
        self.reads: dict[str, list[Operation]] = {variable: [] for variable in state}
        self.writers: dict[str, dict[tuple[str, Any], list[Operation]]] = {v: {} for v in state}
        self.refused: dict[str, dict[Any, Operation]] = {variable: {} for variable in state}
        increments: dict[str, list[tuple[Operation, int]]] = {variable: [] for variable in state}
        for operation in history.operations:
            for variable in operation.reads:
                if variable in state:
                    self.reads[variable].append(operation)
                    ledger = self.ledger(variable, operation.session)
                    ledger.reads.append(operation)
                    ledger.operations.append(operation)
            if not operation.effects or not operation.may_have_happened:
                continue
            for variable, effect in operation.effects.items():
                if variable not in state:
                    continue
                if not accepted(state[variable], effect):
                    self.refused[variable][key(put_there(effect))] = operation
                    continue
                ledger = self.ledger(variable, operation.session)
                ledger.writes.append(operation)
                if variable not in operation.reads:
                    ledger.operations.append(operation)
                if effect.op == "increment":
                    increments[variable].append((operation, int(effect.value)))
                elif effect.op == "clear":
                    ledger.clears.append(operation)
                for name, value in written(effect):
                    place = name, key(value)
                    self.writers[variable].setdefault(place, []).append(operation)
                    ledger.by_value.setdefault(place, []).append(operation)
        for variable in state:
            self.reads[variable].sort(key=lambda o: (o.complete_ns or 0, o.id))
            cleared = any(ledger.clears for ledger in self.ledgers[variable].values())
            for ledger in self.ledgers[variable].values():
                ledger.arrange()
                everyone = state[variable].scope == "everyone"
                # What everyone shares, the sessions of a lost worker may have cleared or overwritten, even if nobody else did.
                ledger.doubtful = (everyone and bool(self.incomplete)) or (
                    cleared and any(o.worker in self.missing for o in ledger.operations)
                )
        self._increments = increments

    def everybodys(self, variable: str) -> Tally | Increments:
        """All increments of a counter by all sessions, also of those that need not be looked at closely."""
        if variable in self.scan.counted_apart:
            return self.once(
                f"everybody's increments of {variable}", lambda: Increments(self.scan.recorded, variable)
            )
        return self.increments(variable)

    def increments(self, variable: str) -> Tally:
        """All increments of a counter by those who are to be looked at closely."""
        return self.once(f"increments of {variable}", lambda: Tally(self._increments[variable], self.clocks))

    def owner_of(self, variable: str, session: str) -> str:
        """Whose state a session deals with in a variable."""
        return owner_of(
            self.state[variable], session, self.user_of.get(session, ""), self.account_of.get(session, 0)
        )

    def ledger(self, variable: str, session: str) -> Ledger:
        """What the owner of a session's state did with a variable."""
        owner = self.owner_of(variable, session)
        ledgers = self.ledgers[variable]
        if owner not in ledgers:
            ledgers[owner] = Ledger(
                variable,
                self.state[variable],
                owner,
                self.clocks,
                counted=self.scan.settled(variable, owner),
            )
        return ledgers[owner]

    def earlier_session(self, session: str, other: str) -> bool:
        """Whether the other session is an earlier one of the same person."""
        user = self.user_of.get(session)
        if user is None or self.user_of.get(other) != user or other == session:
            return False
        one, two = self._began[other], self._began[session]
        return self.clocks.line(one)[0] == self.clocks.line(two)[0] and one.invoke_ns < two.invoke_ns

    @property
    def sessions_of(self) -> dict[str, list[str]]:
        """Person → the sessions of whom it is known that they were that person's, in order of their beginning."""
        return self.once("sessions_of", self._find_sessions_of)

    def _find_sessions_of(self) -> dict[str, list[str]]:
        by_user: dict[str, list[str]] = {}
        for session in sorted(self.user_of, key=lambda session: self._began[session].invoke_ns):
            by_user.setdefault(self.user_of[session], []).append(session)
        return by_user

    @property
    def returned(self) -> set[str]:
        """Sessions of people who had an earlier one."""
        return self.once(
            "returned",
            lambda: {
                session
                for sessions in self.sessions_of.values()
                for session in sessions[1:]
                if self.earlier_session(session, sessions[0])
            },
        )

    @property
    def incomplete(self) -> set[str]:
        """Workers whose records are not known to be all there."""
        return self.once(
            "incomplete",
            lambda: {facts.name for facts in self.history.workers.unknown} | self.history.damaged,
        )

    @property
    def missing(self) -> set[str]:
        """Workers whose records are not all there."""
        return self.once(
            "missing",
            lambda: (
                {f.name for f in self.history.workers.unknown if f.missing is not None} | self.history.damaged
            ),
        )

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """What several checkers need and one look at the history gives: computed at the first call, then remembered."""
        if name not in self._remembered:
            self._remembered[name] = compute()
        return cast(T, self._remembered[name])
