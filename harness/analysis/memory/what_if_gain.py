"""Settings that were tried: which runs failed, and what the others gained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from harness.analysis.memory.gradio_containers import TEMPORARY_FILE_LISTS
from harness.analysis.memory.session_cost import (
    MemoryFigures,
    PerSession,
    live_bytes,
    memory_figures,
    staircase,
    uss_bytes,
)
from harness.analysis.theil_sen import theil_sen
from harness.recorded_run import FollowUp, RecordedRun
from harness.records import Plateau

# Single figures of two runs always differ somewhat. A difference below this share of the larger one is not clear.
CLEAR_SHARE = 0.05
# The same for temporary files, whose number also depends on how much the timed phase got done.
CLEAR_FILES_SHARE = 0.2
_ALLOCATORS = ("jemalloc", "PYTHONMALLOC", "LD_PRELOAD")
_Measure = Callable[[Plateau], int | None]


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a setting in a run of the same experiment.

    Attributes:
        figure: the figure compared, in words, for example `live heap per closed session`.
        before_bytes: the figure without the setting.
        after_bytes: the figure with the setting.
        clear: for slopes, whether their intervals do not overlap; for single figures, whether they differ by more than the scatter of
            the plateaus.
        folder: folder of the run that tried it, within the run folder.
    """

    figure: str
    before_bytes: float
    after_bytes: float
    clear: bool
    folder: str


def failed_what_ifs(data: RecordedRun) -> list[str]:
    """Return one warning for each setting whose run failed."""
    return [
        f"The gain of {label} is unknown: the run that tried it {failed} (see {follow_up.folder})."
        for label, follow_up in data.what_if.items()
        if (failed := failure(follow_up)) is not None
    ]


def failure(follow_up: FollowUp) -> str | None:
    """Return how a run that tried a setting failed, to follow "the run"; None if it was completed."""
    if follow_up.seal is None:
        return "was never sealed"
    if follow_up.seal.ended == "completed":
        return None
    return f"ended early: {' '.join(follow_up.seal.reason.split()).rstrip('.') or follow_up.seal.ended}"


def notes_on(label: str, follow_up: FollowUp) -> list[str]:
    """Return what to know about a run that tried a setting: that it had no effect, or that sessions lost their state.

    Args:
        label: the setting, as `--what-if` takes it.
        follow_up: the run that tried it.
    """
    found = []
    ready = next((event.detail for event in follow_up.events if event.kind == "target_ready"), {})
    reached = ready.get("settings", {}).get(setting_name(label))
    if reached == 0:
        found.append(
            f"The setting had no effect in that run: the app sets {setting_name(label)} itself everywhere, or this release of Gradio does not "
            "have it."
        )
    if follow_up.checks is not None:
        kinds = Counter(
            anomaly.kind
            for check in follow_up.checks.checks
            for anomaly in check.anomalies
            if not check.name.startswith("leak-")
        )
        if kinds:
            named = ", ".join(f"{kind} ×{number}" for kind, number in kinds.most_common(3))
            found.append(f"Sessions lost or mixed up state in that run: {named}.")
    return found


def gain_of(data: RecordedRun, memory: MemoryFigures, label: str, follow_up: FollowUp) -> Gain | None:
    """Return what a setting gained in the figure that it can change; None if that figure is missing in one of the runs.

    Args:
        data: the run without the setting.
        memory: its figures.
        label: the setting, as `--what-if` takes it.
        follow_up: the run that tried it.
    """
    name = setting_name(label)
    before, after = data.plateaus, follow_up.plateaus
    other = memory_figures(after)
    if name == "time_to_live":
        labels = ("idle", "requests", "staircase")
        return _above_start("per idle open session", labels, before, after, follow_up)
    if name == "delete_cache":
        return _files(data, follow_up)
    resident = _resident_when_closed(name, before, after, follow_up)
    if name in _ALLOCATORS or name.startswith("MALLOC_"):
        return resident
    closed = _of_lines(
        "per closed session", memory.bytes_per_closed_session, other.bytes_per_closed_session, follow_up
    ) or _above_start(
        "after all sessions have closed", ("second-round", "after-close"), before, after, follow_up
    )
    if name == "state_session_capacity":
        return closed
    candidates = [
        _of_lines("per open session", memory.bytes_per_open_session, other.bytes_per_open_session, follow_up),
        closed,
        _of_lines("per request", memory.bytes_per_request, other.bytes_per_request, follow_up),
        resident,
    ]
    known = [gain for gain in candidates if gain is not None]
    return next((gain for gain in known if gain.clear), known[0] if known else None)


def _of_lines(per: str, before: PerSession, after: PerSession, follow_up: FollowUp) -> Gain | None:
    """The gain in a slope, of live heap if both runs have it, else of USS."""
    for what, old, new in (("live heap", before.live, after.live), ("USS", before.uss, after.uss)):
        if old is not None and new is not None:
            return Gain(
                figure=f"{what} {per}",
                before_bytes=old.estimate,
                after_bytes=new.estimate,
                clear=old.high < new.low or new.high < old.low,
                folder=follow_up.folder,
            )
    return None


def _resident_when_closed(
    name: str, before: Sequence[Plateau], after: Sequence[Plateau], follow_up: FollowUp
) -> Gain | None:
    """The gain in resident memory after close, including free memory that the allocator returned only on request."""
    closed = _last(before, "after-close"), _last(after, "after-close")
    if closed[0] is None or closed[1] is None:
        return None
    # jemalloc returns free memory by itself within seconds, so what it returned on request does not count.
    measure = _rss if name == "jemalloc" else _resident
    old, new = _resident(closed[0]), measure(closed[1])
    return Gain(
        figure="resident memory after all sessions have closed",
        before_bytes=old,
        after_bytes=new,
        clear=_apart(old, new, [_scatter(before, _resident), _scatter(after, measure)]),
        folder=follow_up.folder,
    )


def _above_start(
    figure: str,
    labels: Sequence[str],
    before: Sequence[Plateau],
    after: Sequence[Plateau],
    follow_up: FollowUp,
) -> Gain | None:
    """The gain in memory above plateau 0 at the last plateau with one of these labels.

    It is per open session, if any session is open there.
    """
    for what, measure in (("live heap", live_bytes), ("USS", uss_bytes)):
        costs, scatters = [], []
        for plateaus in (before, after):
            first, last = next(iter(staircase(plateaus)), None), _last(plateaus, *labels)
            empty, full = (measure(p) if p is not None else None for p in (first, last))
            if last is None or empty is None or full is None:
                break
            sessions = max(1, last.open_sessions)
            costs.append((full - empty) / sessions)
            scatter = _scatter(plateaus, measure)
            scatters.append(None if scatter is None else scatter / sessions)
        if len(costs) == 2:
            return Gain(
                figure=f"{what} {figure}",
                before_bytes=costs[0],
                after_bytes=costs[1],
                clear=_apart(costs[0], costs[1], scatters),
                folder=follow_up.folder,
            )
    return None


def _files(data: RecordedRun, follow_up: FollowUp) -> Gain | None:
    """The gain in Gradio's lists of temporary files at the end, per session begun."""
    sizes = []
    for plateaus, censuses in ((data.plateaus, data.census), (follow_up.plateaus, follow_up.census)):
        last = max(censuses, key=lambda census: census.plateau, default=None)
        if last is None or last.plateau >= len(plateaus) or not plateaus[last.plateau].sessions:
            return None
        held = max((c.pinned_bytes for c in last.containers if c.path in TEMPORARY_FILE_LISTS), default=0)
        sizes.append(held / (plateaus[last.plateau].sessions or 1))
    old, new = sizes
    return Gain(
        figure="names of temporary files per session",
        before_bytes=old,
        after_bytes=new,
        clear=abs(old - new) > CLEAR_FILES_SHARE * max(old, new),
        folder=follow_up.folder,
    )


def _apart(old: float, new: float, scatters: Sequence[float | None]) -> bool:
    """Whether two figures differ by more than the scatter of both runs, and by more than `CLEAR_SHARE`."""
    known = [scatter for scatter in scatters if scatter is not None]
    if len(known) != len(scatters):
        return False
    return abs(old - new) > max(sum(known), CLEAR_SHARE * max(abs(old), abs(new)))


def _scatter(plateaus: Sequence[Plateau], measure: _Measure) -> float | None:
    """The largest distance of a plateau from the fitted line of its staircase or its batches, bytes; None without a line."""
    found: list[float] = []
    axes: list[tuple[str, _Measure]] = [
        ("staircase", lambda p: p.open_sessions),
        ("requests", lambda p: p.requests),
    ]
    for label, over in axes:
        points = [
            (x, y)
            for p in plateaus
            if p.label == label and (x := over(p)) is not None and (y := measure(p)) is not None
        ]
        line = theil_sen([x for x, _ in points], [y for _, y in points])
        if line is not None:
            found.append(max(abs(y - line.intercept - line.estimate * x) for x, y in points))
    return max(found, default=None)


def _last(plateaus: Sequence[Plateau], *labels: str) -> Plateau | None:
    """The last plateau with the first of these labels that occurs; None if none does."""
    for label in labels:
        found = [p for p in plateaus if p.label == label]
        if found:
            return found[-1]
    return None


def _rss(plateau: Plateau) -> int:
    return plateau.process.rss_bytes


def _resident(plateau: Plateau) -> int:
    """Resident memory with what the allocator returned only on request."""
    return plateau.process.rss_bytes + (plateau.returned_bytes or 0)


def setting_name(setting: str) -> str:
    """Return the name of a setting: `time_to_live` of `time_to_live=60`."""
    return setting.partition("=")[0]
