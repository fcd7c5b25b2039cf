"""What one owner must find in one variable next, as long as it does one thing after another and finds what it must.

That is so for nearly every session of nearly every run, and then there is nothing else to find out (`follows` in
`harness.checkers.models` says the same of a list of operations). A cell remembers no operation, only what is there now and
how much was looked at. As soon as it meets with anything else it says so, and its owner is looked at closely, by everything
else in this room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.checkers.findings import Found
from harness.checkers.gaps import LOST_UPDATE, MONOTONIC_READS, MONOTONIC_WRITES, READ_YOUR_WRITES, RESET
from harness.checkers.index import key
from harness.checkers.models import accepted, start
from harness.checkers.own_writes import CLEARED_STATE_RETURNS, DUPLICATE_EFFECT
from harness.records import Effect, Invoke, ListDelta, Ok, StateVariable

# What an operation shows of a variable that it does not read.
NOTHING: Any = object()


class Cell:
    """What one owner did with one variable so far.

    Args:
        variable: its model.
        owner: see `harness.checkers.index.owner_of`.

    Attributes:
        reads: how many there were.
        cleared: whether the variable ever was.
    """

    __slots__ = ("after_clear", "before", "cleared", "live", "over_ns", "owner", "pairs", "reads", "variable")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        self.variable = variable
        self.owner = owner
        self.over_ns = 0
        self.reads = 0
        # Own values that are there now; and sums over all reads: of the own values that each had to show, of those that an
        # earlier operation had written, and of reads after a clear.
        self.live = 0
        self.cleared = False
        self.pairs = self.before = self.after_clear = 0

    def take(self, invoke: Invoke, ok: Ok, effect: Effect | None, shown: Any) -> bool:
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

    def take_delta(self, invoke: Invoke, ok: Ok, effect: Effect | None, delta: ListDelta) -> bool:
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

    def settle(self, found: Found) -> None:
        """Count what was looked at, as it is counted where each read is looked at closely."""
        found.count(CLEARED_STATE_RETURNS, "reads_after_a_clear", self.after_clear)
        for kind in (LOST_UPDATE, READ_YOUR_WRITES):
            found.count(kind, "write_read_pairs", self.pairs)
        found.count(RESET, "reads_of_what_had_been_seen_before", self.before)
        found.count(MONOTONIC_READS, "pairs_of_reads", max(0, self.reads - 1))


class _Counter(Cell):
    __slots__ = ("persisted", "shown", "value")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.value = start(variable)
        # Whether a read has shown what an earlier operation had counted, and how many showed anything.
        self.persisted = False
        self.shown = 0

    def take(self, invoke: Invoke, ok: Ok, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        value = self.value
        own = 0
        cleared = False
        if effect is not None:
            if effect.op == "increment":
                own = effect.value
                value += own
            elif effect.op == "clear":
                cleared = True
                value = start(self.variable)
            else:
                return False
        if shown is not NOTHING and (shown != value or type(shown) is not type(value)):
            return False
        self.over_ns = ok.time_ns
        self.value = value
        if cleared:
            self.live, self.persisted, self.cleared = 0, False, True
        else:
            self.live += own
        if shown is not NOTHING:
            live = self.live
            self.reads += 1
            self.pairs += live
            self.before += self.persisted
            if self.cleared:
                self.after_clear += 1
            if live:
                self.shown += 1
                if live > own:
                    self.persisted = True
        return True

    def most(self) -> int:
        return int(self.value)

    def settle(self, found: Found) -> None:
        super().settle(found)
        found.count(DUPLICATE_EFFECT, "own_values_shown", self.shown)


class _List(Cell):
    __slots__ = ("elements", "in_order", "length", "read_by")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.elements: list[Any] = start(variable)
        # The last operation that read it, and how many elements that showed.
        self.read_by = 0
        self.length = 0
        self.in_order = 0

    def take(self, invoke: Invoke, ok: Ok, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        own = 0 if effect is None else self._change(effect)
        if own is None or (shown is not NOTHING and (shown != self.elements or type(shown) is not list)):
            return False
        self.over_ns = ok.time_ns
        if shown is not NOTHING:
            self._show(invoke, own)
        return True

    def take_delta(self, invoke: Invoke, ok: Ok, effect: Effect | None, delta: ListDelta) -> bool:
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
        """Let an effect take place; returns how many elements it adds, None if nobody knows what it does."""
        if effect.op == "append":
            self.elements.append(effect.value)
            self.live += 1
            return 1
        if effect.op == "offer":
            if not accepted(self.variable, effect):
                return 0
            self.elements.append(effect.value[1])
            self.live += 1
            return 1
        if effect.op != "clear":
            return None
        self.elements = start(self.variable)
        self.length = -1  # no difference refers to what was there before
        self.live, self.cleared = 0, True
        return 0

    def _show(self, invoke: Invoke, own: int) -> None:
        """Count a read that shows all that is there."""
        live = self.live
        self.reads += 1
        self.pairs += live
        if live > own:
            self.before += 1
        if self.cleared:
            self.after_clear += 1
        if live > 1:
            self.in_order += live - 1
        self.read_by = invoke.id
        self.length = len(self.elements)

    def close(self) -> None:
        self.elements = []
        self.length = -1

    def settle(self, found: Found) -> None:
        super().settle(found)
        found.count(DUPLICATE_EFFECT, "own_values_shown", self.pairs)
        found.count(MONOTONIC_WRITES, "pairs_of_writes_in_order", self.in_order)


class _Register(Cell):
    __slots__ = ("value",)

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.value = start(variable)

    def take(self, invoke: Invoke, ok: Ok, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        value = self.value
        if effect is not None:
            if effect.op == "write":
                value = effect.value
            elif effect.op == "clear":
                value = start(self.variable)
                self.cleared = True
            else:
                return False
            self.live = 1
        if shown is not NOTHING and (shown != value or type(shown) is not type(value)):
            return False
        self.over_ns = ok.time_ns
        self.value = value
        if shown is not NOTHING:
            self.reads += 1
            self.pairs += self.live
            self.before += self.live > (effect is not None)
            self.after_clear += self.cleared
        return True


class _Record(Cell):
    __slots__ = ("after_clear_others", "after_clear_own", "names", "value", "written")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.value: dict[str, Any] = start(variable)
        self.names = dict.fromkeys(self.value)
        self.written: set[str] = set()
        # Of the reads after a clear, which is a write to every name: those that did not clear themselves, and how many names
        # those had just put.
        self.after_clear_others = self.after_clear_own = 0

    def take(self, invoke: Invoke, ok: Ok, effect: Effect | None, shown: Any) -> bool:
        if invoke.time_ns < self.over_ns:
            return False
        value = self.value
        own: Any = ()
        clears = False
        if effect is not None:
            if effect.op == "put":
                own = effect.value
                value = {**value, **own}
                self.names |= dict.fromkeys(own)
                self.written.update(own)
            elif effect.op == "clear":
                clears = self.cleared = True
                value = start(self.variable)
            else:
                return False
        if shown is not NOTHING and (shown != value or type(shown) is not type(value)):
            return False
        self.over_ns = ok.time_ns
        self.value = value
        if shown is NOTHING:
            return True
        self.reads += 1
        if not self.cleared:
            self.pairs += len(self.written)
            self.before += len(self.written) - len(own)
        else:
            self.after_clear += 1
            if not clears:
                self.after_clear_others += 1
                self.after_clear_own += len(own)
        return True

    def settle(self, found: Found) -> None:
        # Which names there are is known only now.
        names = len(self.names)
        self.pairs += self.after_clear * names
        self.before += self.after_clear_others * names - self.after_clear_own
        self.after_clear *= names
        super().settle(found)
        found.count(MONOTONIC_READS, "pairs_of_reads", (names - 1) * max(0, self.reads - 1))


class _Assigned(Cell):
    """What the app gives to each owner: the first value that is read, from then on."""

    __slots__ = ("shown", "value")

    def __init__(self, variable: StateVariable, owner: str) -> None:
        super().__init__(variable, owner)
        self.value: Any = None
        self.shown = 0

    def take(self, invoke: Invoke, ok: Ok, effect: Effect | None, shown: Any) -> bool:
        if shown is NOTHING or shown is None:
            self.reads += shown is None
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

    def settle(self, found: Found) -> None:
        again = max(0, self.shown - 1)
        found.count(RESET, "reads_of_what_had_been_seen_before", again)
        found.count(MONOTONIC_READS, "pairs_of_reads", again)


class _Reply(Cell):
    """An answer, or the steps of a chain: nothing is kept, each shows what its own operation asked or began with."""

    __slots__ = ()

    def take(self, invoke: Invoke, ok: Ok, effect: Effect | None, shown: Any) -> bool:
        if shown is NOTHING:
            return True
        if effect is None:
            return False
        asked = effect.value
        if shown != asked or type(shown) is not str:
            expected = key(asked)
            values = shown if isinstance(shown, list) else [shown]
            if any(key(value) != expected for value in values):
                return False
        self.reads += 1
        return True

    def settle(self, found: Found) -> None:
        return


CELLS: dict[str, Callable[[StateVariable, str], Cell]] = {
    "counter": _Counter,
    "list": _List,
    "register": _Register,
    "record": _Record,
    "assigned": _Assigned,
    "answer": _Reply,
    "chain": _Reply,
}
