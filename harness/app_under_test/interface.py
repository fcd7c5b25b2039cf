"""What a run needs from the app under test, whoever started it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from harness.records import Census, GradioLimits, ProbeSample, Retainer


class AppUnderTest(Protocol):
    """The app under test: started by us with a probe inside, or running already somewhere."""

    @property
    def pid(self) -> int | None:
        """Root of the process tree to sample; None if it is not known, or has ended."""

    @property
    def asks_login(self) -> bool:
        """Whether it lets in only those who log in; known once it is ready."""

    def wait_ready(self, timeout_s: float, tick: Callable[[], None]) -> str:
        """Wait until the app answers a real request, and return its URL.

        Raises:
            TargetError: it ended, or did not answer in time.
            UsageError: it lets us in only with a login that it was not given, or speaks no protocol of ours.
        """

    def restart(
        self, timeout_s: float, tick: Callable[[], None], *, seen: Iterable[tuple[int, float]]
    ) -> str:
        """Stop it and start it again at the same address; how it ended. Only for what we started.

        Raises:
            TargetError: it did not come back, or it is not ours.
        """

    def describe(self) -> dict[str, Any]:
        """What there is to say of it now that it is ready, for the record."""

    def settle(self) -> ProbeSample | None:
        """Bring its memory to rest as far as that can be done, and measure from inside; None without a probe.

        Raises:
            TargetError: it should answer, and does not.
        """

    def measure(self) -> ProbeSample | None:
        """Measure from inside, without bringing anything to rest; None without a probe.

        Raises:
            TargetError: it should answer, and does not.
        """

    def census(self, plateau: int) -> Census | None:
        """Count what it holds, by access path; None without a probe, or if the probe could not.

        Raises:
            TargetError: it should answer, and does not.
        """

    def retainers(self) -> list[Retainer]:
        """Why what has grown since the first census is still there; empty without a probe. Keeps the app busy for some seconds.

        Raises:
            TargetError: it should answer, and does not.
        """

    def limits(self) -> GradioLimits | None:
        """Gradio's settings for sessions; None if nobody can tell.

        Raises:
            TargetError: it should answer, and does not.
        """

    def check_alive(self, when: str) -> None:
        """Raise if the app is gone.

        Raises:
            TargetError: what is known about its end.
        """

    def news(self) -> list[str]:
        """What has happened to the app since the last call and makes some conclusions doubtful, one sentence each."""

    def stop(self, *, seen: Iterable[tuple[int, float]]) -> None:
        """Let go of it. What we started ends, with the descendants that were `seen`; what runs by itself stays."""
