"""The figures that are displayed while a run is in progress."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a run in progress, for display.

    Attributes:
        elapsed_s: since the start of the run.
        users: active users and holders.
        operations_per_s: over the last three seconds; None at the start.
        anomalies: found so far; None before the first check.
        anomalies_are_all: False if checking during the run has stopped, because it had become too expensive.
        server_rss_bytes: of the app's process tree.
    """

    phase: str
    elapsed_s: float
    users: int
    open_sessions: int
    operations: int
    failures: int
    operations_per_s: float | None
    p95_ms: float | None
    server_rss_bytes: int | None
    anomalies: int | None
    anomalies_are_all: bool


class OperationRate:
    """Operations per second over a sliding window of three seconds."""

    WINDOW_S = 3.0

    def __init__(self) -> None:
        self._points: list[tuple[float, int]] = []

    def update(self, now: float, total: int) -> float | None:
        """Add a point and return the rate; None until the points are at least 0.2 s apart."""
        self._points.append((now, total))
        while len(self._points) > 2 and now - self._points[1][0] >= self.WINDOW_S:
            self._points.pop(0)
        then, before = self._points[0]
        return (total - before) / (now - then) if now - then > 0.2 else None
