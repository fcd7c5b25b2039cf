"""What one owner must find in one variable next, as long as it does one thing after another and finds what it must.

That is so for nearly every session of nearly every run, and then there is nothing else to find out (`follows` in
`harness.checkers.models` says the same of a list of operations). A cell remembers no operation, only what is there now and
how much was read. An operation that does not fit ends the screening of its owner, which then gets a full check by everything
else in this room.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from harness.checkers.evidence import (
    OWN_VALUES_SHOWN,
    PAIRS_OF_READS,
    PAIRS_OF_WRITES_IN_ORDER,
    READS_AFTER_A_CLEAR,
    READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE,
    WRITE_READ_PAIRS,
    WRITES_SHOWN_THAT_FOLLOWED_A_READ,
)
from harness.checkers.findings import Found
from harness.checkers.models import COUNTS, accepted, key, put_there, start
from harness.records import Effect, ListDelta, StateVariable

# What an operation shows of a variable that it does not read.
NOTHING: Any = object()
_NEVER_NS = 2**63 - 1


class Beginning(Protocol):
    """The invoke of an operation, as it is recorded or as `Begin`."""

    @property
    def time_ns(self) -> int:
        """When it was sent."""

    @property
    def id(self) -> int:
        """Number of the operation."""

    @property
    def session(self) -> str:
        """Whose operation it is."""


class Ending(Protocol):
    """The acknowledgement of an operation, as it is recorded or as `End`."""

    @property
    def time_ns(self) -> int:
        """When it arrived."""


class Begin(NamedTuple):
    """The invoke of an operation in memory."""

    time_ns: int
    id: int
    session: str


class End(NamedTuple):
    """The acknowledgement of an operation in memory."""

    time_ns: int


class Followers:
    """Counts the elements of a list whose session had read others' before, where everything happens one after the other."""

    def __init__(self) -> None:
        # Sessions of which an element is there, those that have seen another's, and how many elements are theirs.
        self._there: set[str] = set()
        self._knowing: set[str] = set()
        self._followers = 0

    def clear(self) -> None:
        """The list is as a new owner finds it."""
        self._there.clear()
        self._followers = 0

    def write(self, session: str) -> None:
        """A session added an element."""
        self._there.add(session)
        self._followers += session in self._knowing

    def read(self, session: str) -> int:
        """How many of the elements that a read shows are such."""
        if len(self._there) > (session in self._there):
            self._knowing.add(session)
        return self._followers


class SequentialOwner:
    """What one owner did with one variable so far.

    Args:
        variable: its model.
        owner: see `harness.checkers.history_index.owner_of`.

    Attributes:
        reads: how many there were.
        absent: of a value that the app assigns, how many of these showed none.
    """

    __slots__ = ("absent", "cleared_after", "first", "over_ns", "owner", "pairs", "reads", "variable")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        self.variable = variable
        self.owner = owner
        self.over_ns = 0
        self.reads = self.absent = 0
        # Own values that each read had to show, summed over all reads; reads that showed nothing which an earlier operation
        # had written, which are few; and how many reads there were before the variable was first cleared.
        self.pairs = 0
        self.first = 0
        self.cleared_after: int | None = None

    @property
    def cleared(self) -> bool:
        """Whether the variable ever was."""
        return self.cleared_after is not None

    def clear(self) -> None:
        """Take note that it was cleared."""
        if self.cleared_after is None:
            self.cleared_after = self.reads

    @property
    def after_clear(self) -> int:
        """Reads after a clear."""
        return 0 if self.cleared_after is None else self.reads - self.cleared_after

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        """Take note of an operation that was acknowledged.

        Args:
            invoke: its beginning; it must come after those before.
            ok: its end.
            effect: on this variable.
            shown: what it read of it; `NOTHING` if it did not.

        Returns:
            Whether it came after all before it, and found what it had to. If not, the cell knows nothing any more.
        """
        raise NotImplementedError

    def take_delta(self, invoke: Beginning, ok: Ending, effect: Effect | None, delta: ListDelta) -> bool:
        """As `take`, of what is recorded as a difference."""
        return False

    def most(self) -> int:
        """Of a counter: where it stands, which is the most that its owner can have brought it to if it was never cleared."""
        return start(self.variable) if self.variable.model == "counter" else 0

    def given(self) -> Any:
        """Of a value that the app assigns: its key; None if it has not been read yet."""
        return None

    def close(self) -> None:
        """The session has ended: what it would have to find next need not be remembered."""

    def count(self, found: Found) -> None:
        """Count the evidence, as the full check counts it."""
        found.count(READS_AFTER_A_CLEAR, self.after_clear)
        found.count(WRITE_READ_PAIRS, self.pairs)
        found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE, self.reads - self.first)
        found.count(PAIRS_OF_READS, max(0, self.reads - 1))


class _CounterOwner(SequentialOwner):
    __slots__ = ("empty", "initial", "persisted", "total", "value")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.initial = self.value = start(variable)
        # The sum of all counts that were read; whether a read has shown what an earlier operation had counted; and how many
        # showed that nothing was counted.
        self.total = 0
        self.persisted = False
        self.empty = 0

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        value = self.value
        own = 0
        if effect is not None:
            if effect.op == "increment":
                own = effect.value
                value += own
            elif effect.op == "clear":
                value = self.initial
                self.persisted = False
                self.clear()
            else:
                return False
        if shown is not NOTHING:
            if shown != value or shown.__class__ not in COUNTS:
                return False
            self.reads += 1
            self.total += value
            if not self.persisted:
                live = value - self.initial
                self.first += 1
                self.empty += not live
                self.persisted = live > own
        self.value = value
        self.over_ns = ok.time_ns
        return True

    def most(self) -> int:
        return int(self.value)

    def count(self, found: Found) -> None:
        self.pairs = self.total - self.reads * self.initial
        super().count(found)
        found.count(OWN_VALUES_SHOWN, self.reads - self.empty)


class _ListOwner(SequentialOwner):
    __slots__ = ("elements", "empty", "initial", "length", "read_by", "total")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.elements: list[Any] = start(variable)
        # How many there are before the owner has added any.
        self.initial = len(self.elements)
        # The last operation that read it, and how many elements that showed.
        self.read_by = 0
        self.length = 0
        # The sum of all lengths that were read, and the reads that showed nothing of the owner's.
        self.total = 0
        self.empty = 0

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        own = 0 if effect is None else self._change(effect)
        if own is None or (shown is not NOTHING and (shown != self.elements or shown.__class__ is not list)):
            return False
        self.over_ns = ok.time_ns
        if shown is not NOTHING:
            self._show(invoke, own)
        return True

    def take_delta(self, invoke: Beginning, ok: Ending, effect: Effect | None, delta: ListDelta) -> bool:
        length = self.length
        if (
            invoke.time_ns < self.over_ns
            or delta.since != self.read_by
            or delta.keep != length
            or delta.start
        ):
            return False
        own = 0 if effect is None else self._change(effect)
        if own is None or self.length != length or self.elements[length:] != delta.then:
            return False
        self.over_ns = ok.time_ns
        self._show(invoke, own)
        return True

    def _change(self, effect: Effect) -> int | None:
        """Let an effect take place; returns how many elements it adds, None if the model does not know the effect."""
        if effect.op == "append":
            self.elements.append(effect.value)
            return 1
        if effect.op == "offer":
            if not accepted(self.variable, effect):
                return 0
            self.elements.append(put_there(effect))
            return 1
        if effect.op != "clear":
            return None
        self.elements = start(self.variable)
        self.length = -1  # no difference refers to what was there before
        self.clear()
        return 0

    def _show(self, invoke: Beginning, own: int) -> None:
        """Count a read that shows all that is there."""
        self.reads += 1
        self.read_by = invoke.id
        self.length = length = len(self.elements)
        self.total += length
        if length - self.initial <= own:
            self.first += 1
            self.empty += length == self.initial

    def close(self) -> None:
        self.elements = []
        # What it would have to find is forgotten: a later operation makes the owner a suspect.
        self.over_ns = _NEVER_NS

    def count(self, found: Found) -> None:
        self.pairs = self.total - self.reads * self.initial
        super().count(found)
        found.count(OWN_VALUES_SHOWN, self.pairs)
        found.count(PAIRS_OF_WRITES_IN_ORDER, self.pairs - (self.reads - self.empty))


class _UserListOwner(_ListOwner):
    """A list that several sessions of one user share."""

    __slots__ = ("followed", "followers")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.followers = Followers()
        self.followed = 0

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        if not super().take(invoke, ok, effect, shown):
            return False
        self._follow(invoke.session, effect, read=shown is not NOTHING)
        return True

    def take_delta(self, invoke: Beginning, ok: Ending, effect: Effect | None, delta: ListDelta) -> bool:
        if not super().take_delta(invoke, ok, effect, delta):
            return False
        self._follow(invoke.session, effect, read=True)
        return True

    def _follow(self, session: str, effect: Effect | None, *, read: bool) -> None:
        if effect is not None and effect.op == "clear":
            self.followers.clear()
        elif effect is not None and accepted(self.variable, effect):
            self.followers.write(session)
        if read:
            self.followed += self.followers.read(session)

    def close(self) -> None:
        """Nothing: the user may return."""

    def count(self, found: Found) -> None:
        super().count(found)
        found.count(WRITES_SHOWN_THAT_FOLLOWED_A_READ, self.followed)


class _RegisterOwner(SequentialOwner):
    __slots__ = ("live", "value")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.value = start(variable)
        # 1 once anything was written, which a clear is, too.
        self.live = 0

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        value = self.value
        if effect is not None:
            if effect.op in ("write", "store"):
                value = put_there(effect)
            elif effect.op == "clear":
                value = start(self.variable)
                self.clear()
            else:
                return False
            self.live = 1
        if shown is not NOTHING and (shown != value or shown.__class__ is not value.__class__):
            return False
        self.over_ns = ok.time_ns
        self.value = value
        if shown is not NOTHING:
            self.reads += 1
            self.pairs += self.live
            if effect is not None or not self.live:
                self.first += 1
        return True


class _RecordOwner(SequentialOwner):
    __slots__ = ("names", "put", "value", "written")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.value: dict[str, Any] = start(variable)
        self.names = dict.fromkeys(self.value)
        self.written: set[str] = set()
        # Names that those operations had put which read after a clear; None for each that cleared: all names.
        self.put: list[int | None] = []

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        own: int | None = 0
        if effect is not None:
            if effect.op == "put":
                own = len(effect.value)
                self.value = {**self.value, **effect.value}
                self.names |= dict.fromkeys(effect.value)
                self.written.update(effect.value)
            elif effect.op == "clear":
                own = None
                self.value = start(self.variable)
                self.clear()
            else:
                return False
        if shown is not NOTHING and (shown != self.value or shown.__class__ is not dict):
            return False
        self.over_ns = ok.time_ns
        if shown is not NOTHING:
            self.reads += 1
            if self.cleared:
                self.put.append(own)
            else:
                self.pairs += len(self.written)
                self.first += own or 0
        return True

    def count(self, found: Found) -> None:
        # A clear writes to every name, and which names there are is known only now.
        names = len(self.names)
        pairs = self.pairs + names * len(self.put)
        own = self.first + sum(names if put is None else put for put in self.put)
        found.count(READS_AFTER_A_CLEAR, names * len(self.put))
        found.count(WRITE_READ_PAIRS, pairs)
        found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE, pairs - own)
        found.count(PAIRS_OF_READS, names * max(0, self.reads - 1))


class _AssignedOwner(SequentialOwner):
    """What the app gives to each owner: the first value that is read, from then on."""

    __slots__ = ("shown", "value")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.value: Any = None
        self.shown = 0

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        if shown is NOTHING or shown is None:
            self.reads += shown is None
            self.absent += shown is None
            return True
        if self.value is None:
            self.value = key(shown)
        elif self.value != key(shown):
            return False
        self.reads += 1
        self.shown += 1
        return True

    def given(self) -> Any:
        return self.value

    def count(self, found: Found) -> None:
        again = max(0, self.shown - 1)
        found.count(READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE, again)
        found.count(PAIRS_OF_READS, again)


class _ReplyOwner(SequentialOwner):
    """An answer, or the steps of a chain: nothing is kept, each shows what its own operation asked or began with."""

    __slots__ = ()

    def take(self, invoke: Beginning, ok: Ending, effect: Effect | None, shown: Any) -> bool:
        if shown is NOTHING:
            return True
        if effect is None:
            return False
        asked = effect.value
        if shown != asked or type(shown) is not str:
            expected = key(asked)
            values = shown if isinstance(shown, list) and key(shown) != expected else [shown]
            if any(key(value) != expected for value in values):
                return False
        self.reads += 1
        return True

    def count(self, found: Found) -> None:
        return


_CELLS: dict[str, type[SequentialOwner]] = {
    "counter": _CounterOwner,
    "list": _ListOwner,
    "register": _RegisterOwner,
    "blob": _RegisterOwner,
    "record": _RecordOwner,
    "assigned": _AssignedOwner,
    "answer": _ReplyOwner,
    "chain": _ReplyOwner,
}
# Models of which cells know what an effect does.
MODELS = frozenset(_CELLS)


def sequential_owner(variable: StateVariable, owner: str) -> SequentialOwner | None:
    """A new owner's cell; None if no owner's own operations tell what it must find.

    That is so where others write as well, where a write may take a while to show, and where the model is the workload's own.
    """
    if variable.scope == "everyone" or variable.within_s or variable.model not in MODELS:
        return None
    if variable.model == "list" and variable.scope == "user":
        return _UserListOwner(variable, owner)
    return _CELLS[variable.model](variable, owner)
