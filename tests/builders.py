"""Short ways to write down histories in tests."""

from __future__ import annotations

from typing import Any

from harness.history import History, Workers
from harness.records import Effect, Error, Operation, Seal

COMPLETED = Seal(ended="completed", reason="", wall_ns=0, shards={})


class HistoryBuilder:
    """Collects operations; each follows the one before unless times are given."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._now = 0

    def add(
        self,
        session: str,
        *,
        effects: dict[str, tuple[str, Any]] | None = None,
        reads: dict[str, Any] | None = None,
        outcome: str = "ok",
        error: str | None = None,
        begin: int | None = None,
        end: int | None = None,
        action: str = "act",
        phase: str = "load",
        worker: str = "0",
        user: str = "",
        account: int = 0,
    ) -> HistoryBuilder:
        begin = self._now + 1 if begin is None else begin
        end = begin + 1 if end is None else end
        self._now = max(self._now, end)
        self._operations.append(
            Operation(
                worker=worker,
                id=len(self._operations) + 1,
                session=session,
                action=action,
                phase=phase,
                outcome=outcome,  # type: ignore[arg-type]
                invoke_ns=begin,
                complete_ns=None if outcome == "pending" else end,
                effects={name: Effect(op=op, value=value) for name, (op, value) in (effects or {}).items()},  # type: ignore[arg-type]
                reads=reads or {},
                user=user,
                account=account,
                error=Error(kind=error, message="planted") if error else None,  # type: ignore[arg-type]
            )
        )
        return self

    def append(self, session: str, value: str, seen: list[str] | None = None, **more: Any) -> HistoryBuilder:
        """An append to the list `log`, with what its answer showed."""
        reads = None if seen is None else {"log": seen}
        return self.add(session, effects={"log": ("append", value)}, reads=reads, **more)

    def read(self, session: str, seen: Any, variable: str = "log", **more: Any) -> HistoryBuilder:
        """A plain read."""
        return self.add(session, reads={variable: seen}, **more)

    def click(self, session: str, seen: int | None = None, **more: Any) -> HistoryBuilder:
        """An increment of the counter `n`, with what its answer showed."""
        reads = None if seen is None else {"n": seen}
        return self.add(session, effects={"n": ("increment", 1)}, reads=reads, **more)

    def write(self, session: str, value: str, seen: str | None = None, **more: Any) -> HistoryBuilder:
        """A write to the register `r`, with what its answer showed."""
        reads = None if seen is None else {"r": seen}
        return self.add(session, effects={"r": ("write", value)}, reads=reads, **more)

    def open(self, session: str, user: str, **more: Any) -> HistoryBuilder:
        """The beginning of a session of one person."""
        return self.add(session, action="open", user=user, **more)

    def clear(self, session: str, variable: str = "log", seen: Any = ..., **more: Any) -> HistoryBuilder:
        """A clear of a variable, with what its answer showed."""
        reads = None if seen is ... else {variable: seen}
        return self.add(session, effects={variable: ("clear", None)}, reads=reads, **more)

    def put(
        self, session: str, values: dict[str, Any], seen: dict[str, Any] | None = None, **more: Any
    ) -> HistoryBuilder:
        """A put into the record `form`, with what its answer showed."""
        reads = None if seen is None else {"form": seen}
        return self.add(session, effects={"form": ("put", values)}, reads=reads, **more)

    def ask(self, session: str, value: Any, shown: Any, **more: Any) -> HistoryBuilder:
        """A question, with all that was shown for an answer."""
        return self.add(session, effects={"reply": ("ask", value)}, reads={"reply": shown}, **more)

    def begin(self, session: str, value: Any, steps: list[Any], **more: Any) -> HistoryBuilder:
        """A chain, with what each step showed."""
        return self.add(session, effects={"steps": ("begin", value)}, reads={"steps": steps}, **more)

    def build(self, problems: list[str] | None = None, workers: Workers | None = None) -> History:
        """The history."""
        operations = sorted(self._operations, key=lambda o: (o.invoke_ns, o.worker, o.id))
        return History(operations=operations, problems=problems or [], workers=workers or Workers())
