"""Advice that follows from what was measured, and what following it was measured to gain."""

from __future__ import annotations

import msgspec


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """What a setting changed in a run of the same experiment.

    Attributes:
        figure: what is compared, as a person says it, for example `live heap per closed session`.
        before_bytes, after_bytes: without the setting, and with it.
        clear: whether their intervals do not overlap.
        folder: of the run that tried it, within the run folder.
    """

    figure: str
    before_bytes: float
    after_bytes: float
    clear: bool
    folder: str


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do.

    Attributes:
        setting: as `--what-if` takes it, for example `time_to_live=60`; None for what no setting does.
        text: what to do, in one sentence.
        evidence: what was measured that speaks for it, in one sentence.
        command: how to measure what it gains; None where that cannot be.
        gain: what it was measured to gain, None if nobody tried.
    """

    setting: str | None
    text: str
    evidence: str
    command: str | None = None
    gain: Gain | None = None
