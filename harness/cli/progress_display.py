"""Progress of a run on standard error: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness import units
from harness.runs.progress import Progress

_PLAIN_EVERY_S = 5.0


class ProgressDisplay:
    """Shows the progress of a run. Use it as a context manager.

    Args:
        label: text before each line, for example the scenario's name.
    """

    def __init__(self, label: str) -> None:
        self._whole = self._label = label
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._phase = ""
        self._printed_at = 0.0

    def __enter__(self) -> ProgressDisplay:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self, part: str) -> None:
        """Name the part of the run that is now in progress, such as its baseline run; an empty name means the run itself."""
        self._label, self._phase = f"{self._whole}: {part}" if part else self._whole, ""

    def note(self, text: str) -> None:
        """Show a text about work other than the load, such as drawing the report."""
        if self._live is not None:
            self._live.update(Text.assemble((self._label, "bold"), "  ", text))
        else:
            self._plain(text)

    def show(self, progress: Progress) -> None:
        """Show the phase and the figures of the run."""
        if self._live is not None:
            self._live.update(_table(self._label, progress))
            return
        now = time.monotonic()
        if progress.phase != self._phase or now - self._printed_at >= _PLAIN_EVERY_S:
            self._phase = progress.phase
            self._printed_at = now
            self._plain("  ".join(f"{name} {value}" for name, value in _fields(progress)))

    def _plain(self, text: str) -> None:
        sys.stderr.write(f"{self._label}  {text}\n")
        sys.stderr.flush()


def _fields(progress: Progress) -> list[tuple[str, str]]:
    return [
        ("phase", progress.phase),
        ("time", f"{progress.elapsed_s:.0f} s"),
        ("users", str(progress.users)),
        ("sessions", str(progress.open_sessions)),
        ("operations", str(progress.operations)),
        ("op/s", units.MISSING if progress.operations_per_s is None else f"{progress.operations_per_s:.1f}"),
        ("p95", units.milliseconds(progress.p95_ms)),
        (
            "server RSS",
            units.byte_size(progress.server_rss_bytes),
        ),
        ("errors", str(progress.failures)),
        ("anomalies", _anomalies(progress)),
    ]


def _anomalies(progress: Progress) -> str:
    if progress.anomalies is None:
        return units.MISSING
    return f"{'' if progress.anomalies_are_all else 'at least '}{progress.anomalies}"


def _table(label: str, progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    fields = _fields(progress)
    for _ in range(len(fields) + 1):
        table.add_column(no_wrap=True)
    table.add_row("", *(Text(name, style="dim") for name, _ in fields))
    bad = {"errors", "anomalies"}
    table.add_row(
        Text(label, style="bold"),
        *(
            Text(value, style="bold red" if name in bad and value not in ("0", units.MISSING) else "")
            for name, value in fields
        ),
    )
    return table
