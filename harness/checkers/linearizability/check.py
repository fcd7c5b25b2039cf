"""Check whether one order of an owner's operations explains all its reads of a variable.

The other checks compare each read with bounds. Two reads may both be within their bounds and still contradict each other, because
no order of the overlapping operations gives both. This check searches for an order (`harness.checkers.linearizability.search`) for
each owner that has overlapping operations and no anomaly so far.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.checkers.anomaly_names import CROSS_SESSION_READ, NON_LINEARIZABLE, RESURRECTED_STATE
from harness.checkers.evidence import READS_LEFT_TO_BOUNDS, READS_PUT_IN_ORDER
from harness.checkers.findings import Found, involved, show, wrote
from harness.checkers.history_index import Index
from harness.checkers.intervals import end_of
from harness.checkers.linearizability import registers
from harness.checkers.linearizability.search import MOST_CONFIGURATIONS, Contradiction, Entry, search
from harness.checkers.linearizability.states import states_of
from harness.checkers.models import KEPT, SINGLE, OwnModel, Unavailable, key, put_there
from harness.checkers.owner_log import OwnerLog, Status
from harness.records import Effect, Operation

# After this number of abandoned windows the search stops, because further windows would be abandoned too, and each takes time.
_MOST_GIVEN_UP = 20
_MOST_SHOWN = 8
_MOST_OF_LOOSE = 2_000
# Effects whose result depends on the state before. All others replace the state.
_READING = ("increment", "append", "offer", "put", "does")


def examine_orders(index: Index, found: Found) -> None:
    """Search for an order of each owner's operations on each variable. Must run after all other detectors."""
    for variable, model in index.state.items():
        if model.model == "custom":
            _examine_own(index, variable, found)
        elif model.model in KEPT:
            _Variable(index, variable, None, found).examine()


def _examine_own(index: Index, variable: str, found: Found) -> None:
    """Examine a variable with a model that the workload defines. The model may be missing or may raise."""
    own = index.own.get(variable, Unavailable("The workload was not loaded."))
    if isinstance(own, Unavailable):
        found.leave_undecided(NON_LINEARIZABLE, f"There is no model of {variable}. {own.reason}")
        return
    try:
        _Variable(index, variable, own, found).examine()
    except Exception:
        found.leave_undecided(
            NON_LINEARIZABLE, f"The workload's model of {variable} failed:\n{traceback.format_exc(limit=-2)}"
        )


class _Variable:
    def __init__(self, index: Index, variable: str, own: OwnModel | None, found: Found) -> None:
        self._index = index
        self._variable = variable
        self._model = index.state[variable]
        self._own = own
        self._found = found
        # If state crossed between sessions on this variable, that explains its other anomalies.
        self._crossed = any(found.of(k).concern(variable) for k in (CROSS_SESSION_READ, RESURRECTED_STATE))
        self._given_up = 0  # reads
        self._windows = 0
        # If each session may overwrite all others, nearly every history has an order, and finding it takes long.
        self._loose = self._model.scope == "everyone" and self._model.concurrent_updates == "last-wins"

    def examine(self) -> None:
        """Check every owner without a result so far."""
        accused = self._found.sufferers(self._variable)
        for log in self._index.logs[self._variable].values():
            if log.sequential:
                continue
            if log.status is Status.APPEND_ONLY:
                self._count(READS_PUT_IN_ORDER, len(log.reads))
            elif not log.reads or any(o.session in accused for o in log.operations):
                continue
            elif not self._is_known(log):
                self._count(READS_LEFT_TO_BOUNDS, len(log.reads))
            else:
                self._judge(log)
        if self._given_up:
            self._found.leave_undecided(
                NON_LINEARIZABLE,
                f"For {self._given_up} reads of {self._variable} so many operations overlap that not all orders could be tried.",
            )

    def _is_known(self, log: OwnerLog) -> bool:
        """Whether the owner's records are complete enough to order its operations."""
        if not log.one_clock or log.doubtful:
            return False
        if any(o.worker in self._index.missing for o in log.operations):
            return False
        # If reads of shared state may lag behind, each copy may lag differently.
        return not (log.within_ns and self._model.scope == "everyone")

    def _judge(self, log: OwnerLog) -> None:
        if self._windows >= _MOST_GIVEN_UP:
            self._given_up += len(log.reads)
            return
        for entries in self._views(log):
            limit = _MOST_OF_LOOSE if self._loose else MOST_CONFIGURATIONS
            outcome = registers.order(entries, self._model.initial) if self._model.model in SINGLE else None
            if outcome is None:
                outcome = search(
                    entries,
                    states_of(self._model, self._own),
                    limit=limit,
                    minimise=not self._crossed,
                )
            self._count(READS_PUT_IN_ORDER, outcome.explained)
            if outcome.undecided and (self._loose or self._crossed):
                self._count(READS_LEFT_TO_BOUNDS, outcome.undecided)
            elif outcome.undecided:
                self._given_up += outcome.undecided
                self._windows += 1
            if outcome.contradiction is not None:
                if not self._crossed:
                    self._report(log, outcome.contradiction)
                return

    def _views(self, log: OwnerLog) -> list[list[Entry]]:
        """The entries that one order must explain: all of the owner or, if reads may lag behind, those of each session."""
        if not log.within_ns:
            return [self._entries(log, log.operations)]
        sessions = dict.fromkeys(read.session for read in log.reads)
        return [self._entries(log, [r for r in log.reads if r.session == session]) for session in sessions]

    def _entries(self, log: OwnerLog, reading: Sequence[Operation]) -> list[Entry]:
        """The entries of the owner's operations. Only operations in `reading` have reads."""
        variable = self._variable
        within, last_wins = log.within_ns > 0, self._model.concurrent_updates == "last-wins"
        # If an update takes two moments, or shows with a delay, its response is an entry of its own.
        apart = within or last_wins
        readers = {id(read) for read in reading if variable in read.reads}
        alike = Counter(_like(o.effects[variable]) for o in log.writes if not apart)
        entries: list[Entry] = []
        before: dict[str, list[Operation]] = {}
        writes = {id(write) for write in log.writes}
        for operation in log.operations:
            reads = id(operation) in readers
            shown = operation.reads[variable] if reads else None
            changes = id(operation) in writes
            if changes:
                effect = operation.effects[variable]
                like = None if apart or reads else _like(effect)
                mine = before.setdefault(operation.session, [])
                entries.append(
                    Entry(
                        operation=operation,
                        begin=operation.invoke_ns,
                        end=log.over(operation),
                        effect=effect,
                        reads=reads and not apart,
                        shown=None if apart else shown,
                        split=last_wins and effect.op in _READING,
                        # The writes of one session take effect in their order, even if with a delay.
                        after=tuple(id(o) for o in mine if within and end_of(o) <= operation.invoke_ns),
                        like=like if like is not None and alike[like] > 1 else None,
                    )
                )
                mine.append(operation)
            if reads and (apart or not changes):
                entries.append(
                    Entry(
                        operation=operation,
                        begin=operation.invoke_ns,
                        end=end_of(operation),
                        effect=None,
                        reads=True,
                        shown=shown,
                        # Without a delay, a response shows the state that its own update left, or a later one.
                        after=(id(operation),) if changes and not within else (),
                    )
                )
        return entries

    # --- the report ---

    def _report(self, log: OwnerLog, contradiction: Contradiction) -> None:
        read = contradiction.entry.operation
        operations = {id(e.operation): e.operation for e in contradiction.witness}
        if len(operations) == 1 and contradiction.known is None:
            # The read is impossible by itself; the witness adds where the value came from.
            operations |= {id(o): o for o in _writers(log, read)}
        operations.pop(id(read), None)
        # The operations nearest to the read explain most.
        others = sorted(operations.values(), key=lambda o: o.invoke_ns)[-_MOST_SHOWN:]
        known = contradiction.known.operation if contradiction.known is not None else None
        witness = (
            [] if known is None else [(known, f"{self._clause(known)}, while no other operation was running")]
        )
        witness += [(o, self._clause(o)) for o in (*others, read)]
        sessions = involved(*(o for o, _ in witness))
        if not self._found.of(NON_LINEARIZABLE).first(self._variable, sessions):
            return
        variable, last = self._variable, chr(ord("A") + len(witness) - 1)
        seen = show(read.reads[variable]) if variable in read.reads else "what was read before"
        moment = (
            "Each operation reads the state at one moment between its invoke and its completion, and replaces it at a later moment"
            if self._model.concurrent_updates == "last-wins"
            else "Each operation takes effect at one moment between its invoke and its completion"
        )
        among = "No order of these" if len(witness) > 1 else "No possible order of the operations until then"
        if len(operations) > len(others) or contradiction.partial:
            among = "No order of these and of earlier operations"
        self._found.of(NON_LINEARIZABLE).describe(
            variable=variable,
            sessions=sessions,
            witness=witness,
            conclusion=f"{moment}. {among} explains how {last} could show {seen}.",
            relevant=[element for o, _ in witness for element in _elements(o, variable)],
        )

    def _clause(self, operation: Operation) -> str:
        variable = self._variable
        effect = operation.effects.get(variable)
        seen = f"read {variable} = {show(operation.reads[variable])}" if variable in operation.reads else ""
        if effect is None:
            return seen
        return f"{wrote(operation, variable)}{f', and {seen}' if seen else ''}"

    def _count(self, what: str, number: int) -> None:
        self._found.count(what, number)


def _writers(log: OwnerLog, read: Operation) -> list[Operation]:
    """The operations that wrote the values of a read, one for each value."""
    shown = read.reads.get(log.variable)
    if log.model.model == "record" and isinstance(shown, dict):
        places = [(name, key(value)) for name, value in shown.items()]
    else:
        places = [("", key(value)) for value in (shown if isinstance(shown, list) else [shown])]
    return [log.by_value[place][0] for place in places if place in log.by_value]


def _like(effect: Effect) -> Any:
    return effect.op, key(effect.value)


def _elements(operation: Operation, variable: str) -> list[Any]:
    """The element that an operation adds to a list. The witness does not shorten it."""
    effect = operation.effects.get(variable)
    if effect is None or effect.op not in ("append", "offer"):
        return []
    return [put_there(effect)]
