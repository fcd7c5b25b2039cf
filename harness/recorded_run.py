"""One recorded run, as checks, figures and the report receive it. Pure."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.history import History, PhaseSpan, RecordedHistory
from harness.records import (
    EXPLAIN_PHASE,
    Attribution,
    Census,
    Checks,
    GeneratorSample,
    Plateau,
    ProcessSample,
    Retainer,
    RunEvent,
    RunManifest,
    Seal,
)


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a follow-up run that the main run's figures need.

    Attributes:
        folder: path within the folder of the main run.
        manifest: of the follow-up run.
        seal: how it ended; None if it was never sealed.
        events: oldest first.
        plateaus: settled measurements.
        census: what the app held at them.
        retainers: why what grew was still there at the end.
        checks: its own verdicts; None if it was not evaluated, or if they cannot be read.
    """

    folder: str
    manifest: RunManifest
    seal: Seal | None
    events: list[RunEvent]
    plateaus: list[Plateau]
    census: list[Census] = []
    retainers: list[Retainer] = []
    checks: Checks | None = None


class RecordedRun(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run recorded.

    Attributes:
        manifest: of the run.
        seal: how it ended; None if it was never sealed.
        events: oldest first.
        phases: in order; see `harness.history.phases`.
        recorded: its operations, streamed from the shards as often as needed. A history may be larger than memory.
        target: samples of the app's process tree.
        loadgen: samples of the load generator's process tree.
        plateaus: settled measurements.
        problems: damage of files that belong to no worker of a distributed run, one sentence each.
        generator: worker → what this generator process measured of itself.
        census: what the app held at plateaus.
        retainers: why what grew was still there at the end.
        baseline: the baseline run; None without one.
        attribution: the result of a memray pass; None without one.
        what_if: setting that was tried → the run that tried it.
        workload: the run's copy of its workload; None if there is no run folder.
    """

    manifest: RunManifest
    seal: Seal | None
    events: list[RunEvent]
    phases: list[PhaseSpan]
    recorded: RecordedHistory
    target: list[ProcessSample]
    loadgen: list[ProcessSample]
    plateaus: list[Plateau]
    problems: list[str] = []
    generator: dict[str, list[GeneratorSample]] = {}
    census: list[Census] = []
    retainers: list[Retainer] = []
    baseline: FollowUp | None = None
    attribution: Attribution | None = None
    what_if: dict[str, FollowUp] = {}
    workload: Path | None = None

    @property
    def history(self) -> History:
        """All operations as figures need them: without reads, and with effects on shared variables only.

        The first access reads the shards; the operations are kept in memory from then on.
        """
        state = self.manifest.state
        return self.recorded.without_reads([name for name in state if state[name].scope != "session"])

    @property
    def restarted(self) -> bool:
        """Whether the app was stopped and started again during the run."""
        return any(event.kind == "target_restart" for event in self.events)

    def phase(self, name: str) -> PhaseSpan | None:
        """The phase of that name; None if the run did not reach it."""
        return next((span for span in self.phases if span.name == name), None)

    def target_at_work(self) -> list[ProcessSample]:
        """Samples of the app outside the phase `explain`. In that phase the probe's own work takes memory in the app."""
        asked = self.phase(EXPLAIN_PHASE)
        return [s for s in self.target if asked is None or not asked.begin_ns <= s.time_ns < asked.end_ns]

    def timed_window(self) -> tuple[int, int] | None:
        """The part of the load phase that response times and throughput come from, in monotonic nanoseconds.

        Under the closed model it lasts from when all users had started to when they were asked to finish. Under the open model
        it covers every arrival: the first is due just before the harness learns that the generator has started. None if the run
        did not reach it.
        """
        load = self.phase("load")
        if load is None:
            return None
        profile = self.manifest.profile
        duration_ns = int(profile.duration_s * 1e9)
        steady_ns = load.steady_ns if load.steady_ns is not None else load.begin_ns
        if profile.model == "open":
            begin, end = load.begin_ns, min(load.end_ns, steady_ns + duration_ns)
        else:
            begin, end = steady_ns, min(load.end_ns, load.begin_ns + duration_ns)
        return (begin, end) if end > begin else None
