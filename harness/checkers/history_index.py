"""The history, arranged for questions about who owns what, who wrote what, and what was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from harness.checkers.append_only import grows
from harness.checkers.evidence import READS_PUT_IN_ORDER
from harness.checkers.findings import Found
from harness.checkers.increments import Increments, Tally
from harness.checkers.intervals import Clocks
from harness.checkers.models import OwnModel, Unavailable, accepted, key, owner_of, put_there, written
from harness.checkers.owner_log import OwnerLog, Status
from harness.checkers.screening import Scan
from harness.history import History
from harness.records import Operation, StateVariable

T = TypeVar("T")


class Index:
    """Everything that checkers look up, built once per history.

    Args:
        history: operations ordered by invoke time, of the owners that need a full check.
        state: state variable → model.
        scan: of the whole history, which these operations are a part of.
        own: state variable → the model that the workload brings along for it, if it does.

    Attributes:
        scan: see above.
        clocks: compares times.
        sessions: session → its operations, ordered by invoke time.
        user_of: session → its user, if known.
        account_of: session → number of its login, if it has one.
        logs: variable → owner → what the owner did with it.
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
        self.logs: dict[str, dict[str, OwnerLog]] = {variable: {} for variable in state}
        self.reads: dict[str, list[Operation]] = {variable: [] for variable in state}
        self.writers: dict[str, dict[tuple[str, Any], list[Operation]]] = {v: {} for v in state}
        self.refused: dict[str, dict[Any, Operation]] = {variable: {} for variable in state}
        increments: dict[str, list[tuple[Operation, int]]] = {variable: [] for variable in state}
        for operation in history.operations:
            for variable in operation.reads:
                if variable in state:
                    self.reads[variable].append(operation)
                    log = self.log(variable, operation.session)
                    log.reads.append(operation)
                    log.operations.append(operation)
            if not operation.effects or not operation.may_have_happened:
                continue
            for variable, effect in operation.effects.items():
                if variable not in state:
                    continue
                if not accepted(state[variable], effect):
                    self.refused[variable][key(put_there(effect))] = operation
                    continue
                log = self.log(variable, operation.session)
                log.writes.append(operation)
                if variable not in operation.reads:
                    log.operations.append(operation)
                if effect.op == "increment":
                    increments[variable].append((operation, int(effect.value)))
                elif effect.op == "clear":
                    log.clears.append(operation)
                for name, value in written(effect):
                    place = name, key(value)
                    self.writers[variable].setdefault(place, []).append(operation)
                    log.by_value.setdefault(place, []).append(operation)
        for variable in state:
            self.reads[variable].sort(key=lambda o: (o.complete_ns or 0, o.id))
            cleared = any(log.clears for log in self.logs[variable].values())
            for log in self.logs[variable].values():
                log.arrange()
                if log.status is Status.OPEN and grows(log):
                    log.status = Status.APPEND_ONLY
                everyone = state[variable].scope == "everyone"
                # What everyone shares, the sessions of a lost worker may have cleared or overwritten, even if no recorded session did.
                log.doubtful = (everyone and bool(self.incomplete)) or (
                    cleared and any(o.worker in self.missing for o in log.operations)
                )
        self._increments = increments

    def count(self, found: Found) -> None:
        """Count the evidence of owners whose operations came one after another and read what they must."""
        for logs in self.logs.values():
            for log in logs.values():
                if log.model_run is not None:
                    log.model_run.count(found)
                    found.count(READS_PUT_IN_ORDER, log.model_run.reads)

    def everybodys(self, variable: str) -> Tally | Increments:
        """All increments of a counter by all sessions, also of those that need no full check."""
        if variable in self.scan.counted_apart:
            return self.once(
                f"everybody's increments of {variable}", lambda: Increments(self.scan.recorded, variable)
            )
        return self.increments(variable)

    def increments(self, variable: str) -> Tally:
        """All increments of a counter by the owners that need a full check."""
        return self.once(f"increments of {variable}", lambda: Tally(self._increments[variable], self.clocks))

    def owner_of(self, variable: str, session: str) -> str:
        """Whose state a session deals with in a variable."""
        return owner_of(
            self.state[variable], session, self.user_of.get(session, ""), self.account_of.get(session, 0)
        )

    def log(self, variable: str, session: str) -> OwnerLog:
        """What the owner of a session's state did with a variable."""
        owner = self.owner_of(variable, session)
        logs = self.logs[variable]
        if owner not in logs:
            logs[owner] = OwnerLog(
                variable,
                self.state[variable],
                owner,
                self.clocks,
                screened=self.scan.settled(variable, owner),
            )
        return logs[owner]

    def earlier_session(self, session: str, other: str) -> bool:
        """Whether the other session is an earlier one of the same user."""
        user = self.user_of.get(session)
        if user is None or self.user_of.get(other) != user or other == session:
            return False
        one, two = self._began[other], self._began[session]
        return self.clocks.line(one)[0] == self.clocks.line(two)[0] and one.invoke_ns < two.invoke_ns

    @property
    def sessions_of(self) -> dict[str, list[str]]:
        """User → sessions, in the order in which they began. Sessions with an unknown user are not included."""
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
        """A value that several checkers need: computed at the first call, then remembered."""
        if name not in self._remembered:
            self._remembered[name] = compute()
        return cast(T, self._remembered[name])
