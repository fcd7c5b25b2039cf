"""The interface of the app under test, whether gradsoak started it or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from harness.records import Census, GradioLimits, ProbeSample, Retainer


class AppUnderTest(Protocol):
    """The app under test: started by gradsoak with a probe inside, or already running."""

    @property
    def pid(self) -> int | None:
        """Root of the process tree to sample; None if it is unknown or has ended."""

    @property
    def asks_login(self) -> bool:
        """Whether the app requires a login; known once it is ready."""

    def wait_ready(self, timeout_s: float, tick: Callable[[], None]) -> str:
        """Wait until the app answers a real request, and return its URL.

        Raises:
            TargetError: the app ended, or did not answer in time.
            UsageError: the app needs a login that is missing, or uses an unsupported protocol.
        """

    def restart(
        self, timeout_s: float, tick: Callable[[], None], *, seen: Iterable[tuple[int, float]]
    ) -> str:
        """Stop the app and start it again at the same address; returns how it ended. Only for an app that gradsoak started.

        Raises:
            TargetError: the app did not start again, or gradsoak did not start it.
        """

    def describe(self) -> dict[str, Any]:
        """Facts about the app for the event log, once it is ready."""

    def settle(self) -> ProbeSample | None:
        """Let memory settle as far as possible, and measure inside the app; None without a probe.

        Raises:
            TargetError: the probe does not answer.
        """

    def measure(self) -> ProbeSample | None:
        """Measure inside the app without settling; None without a probe.

        Raises:
            TargetError: the probe does not answer.
        """

    def census(self, plateau: int) -> Census | None:
        """Take a census of the app's objects; None without a probe, or if the probe could not.

        Raises:
            TargetError: the probe does not answer.
        """

    def retainers(self) -> list[Retainer]:
        """What holds the growth since the first census; empty without a probe. Keeps the app busy for some seconds.

        Raises:
            TargetError: the probe does not answer.
        """

    def limits(self) -> GradioLimits | None:
        """Gradio's settings for sessions; None if unknown.

        Raises:
            TargetError: the probe does not answer.
        """

    def check_alive(self, when: str) -> None:
        """Raise if the app is gone.

        Raises:
            TargetError: how it ended, as far as known.
        """

    def news(self) -> list[str]:
        """Events since the last call that make some results doubtful, such as a restart, one sentence each."""

    def stop(self, *, seen: Iterable[tuple[int, float]]) -> None:
        """End an app that gradsoak started, with its descendants in `seen`. Any other app keeps running."""
