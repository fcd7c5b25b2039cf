"""What the analysis works on: everything that a run recorded, loaded once."""

from __future__ import annotations

import msgspec

from harness.history import History, PhaseSpan
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
    """A run that was made to explain another, as far as that one's figures need it.

    Attributes:
        folder: where it stands, within the folder of the other.
        checks: what was concluded from it on its own; None if nobody did, or that is gone.
    """

    folder: str
    manifest: RunManifest
    seal: Seal | None
    events: list[RunEvent]
    plateaus: list[Plateau]
    census: list[Census] = []
    retainers: list[Retainer] = []
    checks: Checks | None = None


class RunData(msgspec.Struct, frozen=True, kw_only=True):
    """A run in memory.

    Attributes:
        history: its operations; what they read, and the effects on variables of one session each, may have been left out.
        witnesses: all of the sessions of which there is a witness, with everything that they read; None if `history` has it.
        phases: in order; see `harness.history.phases`.
        target: samples of the app's process tree.
        loadgen: samples of the load generator's.
        generator: what each generator process wrote about itself: worker → samples.
        plateaus: settled measurements.
        census: what the app held at them.
        retainers: why what grew was still there at the end.
        control: the same of a state-free app; None if there was no control.
        attribution: what memray saw in a pass of its own; None if there was none.
        what_if: setting that was tried → the run that tried it.
    """

    manifest: RunManifest
    seal: Seal | None
    events: list[RunEvent]
    phases: list[PhaseSpan]
    history: History
    target: list[ProcessSample]
    loadgen: list[ProcessSample]
    plateaus: list[Plateau]
    generator: dict[str, list[GeneratorSample]] = {}
    census: list[Census] = []
    witnesses: History | None = None
    retainers: list[Retainer] = []
    control: FollowUp | None = None
    attribution: Attribution | None = None
    what_if: dict[str, FollowUp] = {}

    def phase(self, name: str) -> PhaseSpan | None:
        """The phase of that name, None if the run never came to it."""
        return next((span for span in self.phases if span.name == name), None)

    def target_at_work(self) -> list[ProcessSample]:
        """Samples of the app's processes but for those of the phase `explain`: what gradsoak asks of the app at the end takes memory
        that is no need of its own."""
        asked = self.phase(EXPLAIN_PHASE)
        return [s for s in self.target if asked is None or not asked.begin_ns <= s.time_ns < asked.end_ns]

    def timed_window(self) -> tuple[int, int] | None:
        """The part of the load phase that figures of time come from: from when all users had started to when they
        were told to finish, in monotonic nanoseconds. None if the run never came to it.

        Under the open model nobody has to be waited for, and it is wide enough for every arrival: the first is due just
        before the harness hears that the generator has begun.
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
