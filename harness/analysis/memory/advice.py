"""Advice that follows from what was measured, and what following it was measured to gain."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from harness.analysis.data import FollowUp, RunData
from harness.analysis.memory.gradio_containers import TEMPORARY_FILES
from harness.analysis.memory.growth import Growth
from harness.analysis.memory.session_cost import (
    MemoryFigures,
    PerSession,
    memory_figures,
    staircase,
    uss_bytes,
)
from harness.analysis.theil_sen import theil_sen
from harness.records import Plateau


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """What a setting changed in a run of the same experiment.

    Attributes:
        figure: what is compared, as a person says it, for example `live heap per closed session`.
        before_bytes, after_bytes: without the setting, and with it.
        clear: whether their intervals do not overlap; of single figures, whether they differ by more than plateaus scatter.
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


# State that is worth a setting, and State that is better kept elsewhere, bytes per session.
STATE_WORTH_BYTES = 100e3
BIG_STATE_BYTES = 1e6
# What allocators keep is worth a setting if it is so much, and such a share of all memory.
RETENTION_BYTES = 10e6
RETENTION_SHARE = 0.1
# Single figures of two runs differ for many reasons; below this share of the larger one, none of them is worth a setting.
CLEAR_SHARE = 0.05
# How many temporary files there are depends on how much was done in the timed phase, which is never quite the same twice.
CLEAR_FILES_SHARE = 0.2
# Of the memory that there is, what sessions may fill.
FILLED_SHARE = 0.5
# What was uploaded stands in a list of its own, which is one of the list of lists.
_FILES = (*TEMPORARY_FILES, f"{TEMPORARY_FILES[0]}[*]")
_ALLOCATORS = ("jemalloc", "PYTHONMALLOC", "LD_PRELOAD")
_ARENAS = "MALLOC_ARENA_MAX=2"
_Measure = Callable[[Plateau], int | None]


def advise(data: RunData, memory: MemoryFigures, growth: Sequence[Growth]) -> list[Advice]:
    """What to do about memory, as far as something that was measured speaks for it, and what became of every setting that was tried.

    Args:
        data: the run, with the runs that tried other settings.
        memory: its figures.
        growth: what grew in it.

    Returns:
        The most that was measured to gain first (as a share of what it was), then what nobody has tried, then what gained nothing for certain, then losses.
    """
    advised = [
        *_about_state(data, memory),
        *_about_files(data, growth),
        *_about_allocators(data, memory),
    ]
    tried = {label: beside for label, beside in data.what_if.items() if _failure(beside) is None}
    found: list[Advice] = []
    for advice in advised:
        matching = [label for label in tried if advice.setting and _name(label) == _name(advice.setting)]
        found += [_tried(data, memory, advice, label, tried[label]) for label in matching] or [advice]
    known = {advice.setting for advice in found}
    for label, beside in tried.items():
        if label not in known:
            advice = Advice(
                setting=label,
                text="",
                evidence="Nothing that was measured in the run itself speaks for it.",
            )
            advice = _tried(data, memory, advice, label, beside)
            found.append(msgspec.structs.replace(advice, text=_outcome(label, advice.gain)))
    return sorted(found, key=_order)


def _outcome(label: str, gain: Gain | None) -> str:
    if gain is None:
        return f"What {label} changes could not be measured."
    if not gain.clear:
        return f"{label} makes no clear difference."
    return f"Consider {label}." if gain.after_bytes < gain.before_bytes else f"{label} costs memory."


def failed_what_ifs(data: RunData) -> list[str]:
    """Which settings were tried without success, one sentence each."""
    return [
        f"What {label} gains is not known: the run that tried it {failure} (see {beside.folder})."
        for label, beside in data.what_if.items()
        if (failure := _failure(beside)) is not None
    ]


def _failure(beside: FollowUp) -> str | None:
    if beside.seal is None:
        return "was never sealed"
    if beside.seal.ended == "completed":
        return None
    return f"ended early: {' '.join(beside.seal.reason.split()).rstrip('.') or beside.seal.ended}"


def _order(advice: Advice) -> tuple[int, float]:
    gain = advice.gain
    if gain is None:
        return (1 if advice.command is not None else 2, 0.0)
    # As a share: what one session costs cannot be compared with what the whole process does.
    saved = (gain.before_bytes - gain.after_bytes) / max(1.0, gain.before_bytes, gain.after_bytes)
    if not gain.clear:
        return (3, -saved)
    return (0 if saved > 0 else 4, -saved)


# --- what speaks for what ---


def _about_state(data: RunData, memory: MemoryFigures) -> list[Advice]:
    state = _state_bytes(memory)
    if state is None or state < STATE_WORTH_BYTES:
        return []
    size = _size(state)
    found = [
        Advice(
            setting="time_to_live=60",
            text="Give gr.State a `time_to_live`, in seconds, so that tabs that are left open let go of their State.",
            evidence=f"The State of one session occupies {size}, and without a time to live an open tab keeps it as long as it is "
            "open. (Of a tab that has closed, Gradio keeps it for an hour after the last write whatever the time to live is.)",
            command=_command(data, "time_to_live=60"),
        )
    ]
    capacity = _about_capacity(data, memory, state)
    if capacity is not None:
        found.append(capacity)
    if state >= BIG_STATE_BYTES:
        found.append(
            Advice(
                setting=None,
                text="Keep a key in gr.State and the data outside (files, a database, a cache with a limit), and delete the data in "
                "`demo.unload`.",
                evidence=f"The State of one session occupies {size}: 100 sessions that are open, or closed for less than an hour, take "
                f"{_size(100 * state)}.",
            )
        )
    return found


def _about_capacity(data: RunData, memory: MemoryFigures, state: float) -> Advice | None:
    floor = memory.floor_per_closed_session.live
    kept, basis = state + max(0.0, floor.estimate if floor is not None else 0.0), "is expected to leave"
    measured = memory.bytes_per_closed_session.live
    if measured is not None and measured.low >= STATE_WORTH_BYTES:
        kept, basis = measured.estimate, "was measured to leave"
    capacity = next(
        (
            int(event.detail["state_session_capacity"])
            for event in data.events
            if event.kind == "limits" and event.detail.get("state_session_capacity")
        ),
        None,
    )
    memory_bytes = min(
        [data.manifest.machine.memory_bytes]
        + [p.cgroup.limit_bytes for p in data.plateaus if p.cgroup is not None and p.cgroup.limit_bytes]
    )
    if capacity is None or capacity * kept <= FILLED_SHARE * memory_bytes:
        return None
    fits = _rounded_down(FILLED_SHARE * memory_bytes / kept)
    # In the run that tries it, it must be reached, and not before sessions that are held have been used for the last time.
    after = next((p for p in data.plateaus if p.label == "after-close"), None)
    reached = min(fits, after.sessions) if after is not None and after.sessions else fits
    return Advice(
        setting=f"state_session_capacity={fits}",
        text=f"Give `launch` a `state_session_capacity` of {fits:,} or fewer; Gradio then forgets the session that was used least "
        "recently, and it must be more than there are tabs open at once.",
        evidence=f"Gradio keeps {capacity:,} sessions, and each {basis} {_size(kept)} for an hour after its tab has closed: "
        f"{_size(capacity * kept)} in all, where there are {_size(memory_bytes)}. {fits:,} fit into half of that.",
        command=_command(data, f"state_session_capacity={reached}", real_ttl=True),
    )


def _about_files(data: RunData, growth: Sequence[Growth]) -> list[Advice]:
    lists = [g for g in growth if g.path in _FILES and g.length > 0]
    if not lists:
        return []
    files = max(g.length for g in lists)
    rate = max((g.per_request or 0.0 for g in lists), default=0.0)
    return [
        Advice(
            setting="delete_cache=10,10",
            text="Give gr.Blocks a `delete_cache=(frequency, age)`, in seconds, or a shorter one if it has one, with an age that no "
            "visitor needs a file for longer than: (3600, 86400), for example.",
            evidence=f"Gradio's list of temporary files grew"
            f"{f' by {rate:.2f} per request' if rate else ''}, to {files:,} entries at the end; the files themselves stay on the "
            "disk as long.",
            command=_command(data, "delete_cache=10,10"),
        )
    ]


def _about_allocators(data: RunData, memory: MemoryFigures) -> list[Advice]:
    statements: list[str] = []
    for item, what in (
        ("allocator-retention", "was kept by the allocator until it was told to give it back"),
        ("fragmentation", "is kept by the allocators though nobody uses it, and could not be given back"),
    ):
        for moment, when in (
            ("closed", "when all sessions had closed"),
            ("held", "while sessions were held"),
        ):
            entries = [entry for entry in memory.ledger if entry.moment == moment]
            total = sum(entry.bytes for entry in entries)
            kept = sum(entry.bytes for entry in entries if entry.item == item)
            if kept >= RETENTION_BYTES and kept >= RETENTION_SHARE * total:
                statements.append(f"{_size(kept)} of {_size(total)} {what}, {when}.")
                break
    if not statements:
        return []
    texts = {
        _ARENAS: "Start the app with `MALLOC_ARENA_MAX=2` in its environment: fewer arenas in which pieces can lie about.",
        "jemalloc": "Start the app with jemalloc preloaded (`LD_PRELOAD=libjemalloc.so.2`): it gives memory back by itself.",
    }
    return [
        Advice(
            setting=setting,
            text=text,
            evidence=" ".join(statements),
            command=_command(data, setting),
        )
        for setting, text in texts.items()
    ]


def _state_bytes(memory: MemoryFigures) -> float | None:
    """What gr.State of one session surely occupies.

    Counted object by object, but not more than an open session costs above the framework's floor: of long containers of plain
    values, some are looked at for all, and values that Python keeps once for everybody are then counted for each.
    """
    counted = memory.state_bytes_per_session
    cost, floor = memory.bytes_per_open_session.live, memory.floor_per_open_session.live
    if cost is None:
        return counted
    if counted is None:
        return None if floor is None else cost.low - floor.high
    return min(counted, cost.high - (floor.low if floor is not None else 0.0))


def _command(data: RunData, setting: str, *, real_ttl: bool = False) -> str | None:
    """The command that tries a setting: that of the run, with it."""
    manifest = data.manifest
    if manifest.external is not None:
        return None
    words = ["gradsoak", "run", manifest.scenario_path, "--profile", manifest.profile.name]
    if manifest.argv[1:2] == ["run"]:
        words, skip = [], False
        for word in manifest.argv:
            name, equals, _ = word.partition("=")
            if skip or name in ("--what-if", "--out", "--json"):
                skip = not skip and not equals and name != "--json"
                continue
            words.append(word)
    if real_ttl and manifest.profile.compress_ttl:
        words.append("--real-ttl")
    return shlex.join([*words, "--what-if", setting])


# --- what became of it ---


def _tried(data: RunData, memory: MemoryFigures, advice: Advice, label: str, beside: FollowUp) -> Advice:
    notes = [advice.evidence, *_notes(label, beside)]
    return msgspec.structs.replace(
        advice,
        setting=label,
        evidence=" ".join(notes),
        command=None,
        gain=_gain(data, memory, label, beside),
    )


def _notes(label: str, beside: FollowUp) -> list[str]:
    found = []
    ready = next((event.detail for event in beside.events if event.kind == "target_ready"), {})
    reached = ready.get("settings", {}).get(_name(label))
    if reached == 0:
        found.append(
            f"In the run that tried it, it reached nothing: the app sets {_name(label)} itself wherever it could, or this release of "
            "Gradio does not know it."
        )
    if beside.checks is not None:
        kinds = Counter(
            anomaly.kind
            for check in beside.checks.checks
            for anomaly in check.anomalies
            if not check.name.startswith("leak-")
        )
        if kinds:
            named = ", ".join(f"{kind} ×{number}" for kind, number in kinds.most_common(3))
            found.append(f"People did not find their state as they had left it in that run: {named}.")
    return found


def _gain(data: RunData, memory: MemoryFigures, label: str, beside: FollowUp) -> Gain | None:
    name = _name(label)
    before, after = data.plateaus, beside.plateaus
    other = memory_figures(after)
    if name == "time_to_live":
        labels = ("idle", "requests", "staircase")
        return _above_start("per open session that is left alone", labels, before, after, beside)
    if name == "delete_cache":
        return _files(data, beside)
    resident = _resident_when_closed(name, before, after, beside)
    if name in _ALLOCATORS or name.startswith("MALLOC_"):
        return resident
    closed = _of_lines(
        "per closed session", memory.bytes_per_closed_session, other.bytes_per_closed_session, beside
    ) or _above_start("left when all had closed", ("second-round", "after-close"), before, after, beside)
    if name == "state_session_capacity":
        return closed
    candidates = [
        _of_lines("per open session", memory.bytes_per_open_session, other.bytes_per_open_session, beside),
        closed,
        _of_lines("per request", memory.bytes_per_request, other.bytes_per_request, beside),
        resident,
    ]
    known = [gain for gain in candidates if gain is not None]
    return next((gain for gain in known if gain.clear), known[0] if known else None)


def _of_lines(per: str, before: PerSession, after: PerSession, beside: FollowUp) -> Gain | None:
    """Two slopes: clear if their intervals do not overlap."""
    for what, old, new in (("live heap", before.live, after.live), ("USS", before.uss, after.uss)):
        if old is not None and new is not None:
            return Gain(
                figure=f"{what} {per}",
                before_bytes=old.estimate,
                after_bytes=new.estimate,
                clear=old.high < new.low or new.high < old.low,
                folder=beside.folder,
            )
    return None


def _resident_when_closed(
    name: str, before: Sequence[Plateau], after: Sequence[Plateau], beside: FollowUp
) -> Gain | None:
    """What was resident when all sessions of the timed phase had closed, and would have stayed so."""
    closed = _last(before, "after-close"), _last(after, "after-close")
    if closed[0] is None or closed[1] is None:
        return None
    # What jemalloc is told to give back at a plateau, it would have given back by itself some seconds later.
    measure = _rss if name == "jemalloc" else _resident
    old, new = _resident(closed[0]), measure(closed[1])
    return Gain(
        figure="resident memory that stays by itself when all sessions have closed",
        before_bytes=old,
        after_bytes=new,
        clear=_apart(old, new, [_scatter(before, _resident), _scatter(after, measure)]),
        folder=beside.folder,
    )


def _above_start(
    figure: str, labels: Sequence[str], before: Sequence[Plateau], after: Sequence[Plateau], beside: FollowUp
) -> Gain | None:
    """What there is at the last plateau of these labels that was not there at plateau 0; for each session that is held, if any is."""
    for what, measure in (("live heap", _live), ("USS", uss_bytes)):
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
                folder=beside.folder,
            )
    return None


def _files(data: RunData, beside: FollowUp) -> Gain | None:
    """Gradio's list of temporary files at the end, over the sessions that came: what is done in a timed phase differs a little."""
    sizes = []
    for plateaus, censuses in ((data.plateaus, data.census), (beside.plateaus, beside.census)):
        last = max(censuses, key=lambda census: census.plateau, default=None)
        if last is None or last.plateau >= len(plateaus) or not plateaus[last.plateau].sessions:
            return None
        held = max((c.pinned_bytes for c in last.containers if c.path in _FILES), default=0)
        sizes.append(held / (plateaus[last.plateau].sessions or 1))
    old, new = sizes
    return Gain(
        figure="names of temporary files per session that came",
        before_bytes=old,
        after_bytes=new,
        clear=abs(old - new) > CLEAR_FILES_SHARE * max(old, new),
        folder=beside.folder,
    )


def _apart(old: float, new: float, scatters: Sequence[float | None]) -> bool:
    """Whether two single figures differ by more than the plateaus of both runs scatter, and by more than a little."""
    known = [scatter for scatter in scatters if scatter is not None]
    if len(known) != len(scatters):
        return False
    return abs(old - new) > max(sum(known), CLEAR_SHARE * max(abs(old), abs(new)))


def _scatter(plateaus: Sequence[Plateau], measure: _Measure) -> float | None:
    """How far a plateau lies from where the others say that it should: the most over the staircase, and over the batches of requests."""
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
    """The last plateau with the first of these labels that any has."""
    for label in labels:
        found = [p for p in plateaus if p.label == label]
        if found:
            return found[-1]
    return None


def _live(plateau: Plateau) -> int | None:
    return plateau.probe.live_bytes


def _rss(plateau: Plateau) -> int:
    return plateau.process.rss_bytes


def _resident(plateau: Plateau) -> int:
    """What the machine would have had to find if nobody had asked the allocator to give anything back."""
    return plateau.process.rss_bytes + (plateau.returned_bytes or 0)


def _name(setting: str) -> str:
    return setting.partition("=")[0]


def _rounded_down(number: float) -> int:
    """To two digits, and at least 1."""
    step: int = 10 ** max(0, len(str(int(number))) - 2)
    return max(1, int(number) // step * step)


def _size(value: float) -> str:
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if abs(value) >= 0.9995 * scale:
            amount = value / scale
            return f"{amount:,.0f} {unit}" if abs(amount) >= 99.95 else f"{amount:.3g} {unit}"
    return f"{value:.0f} B"
