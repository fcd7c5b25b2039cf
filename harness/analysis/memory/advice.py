"""Advice that follows from what was measured, and what following it was measured to gain."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec

from harness.analysis.data import FollowUp, RunData
from harness.analysis.memory.gradio_containers import TEMPORARY_FILE_LISTS
from harness.analysis.memory.growth import Growth
from harness.analysis.memory.session_cost import (
    MemoryFigures,
)
from harness.analysis.memory.what_if_gain import Gain, failure, gain_of, notes_on, setting_name


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
# Of the memory that there is, what sessions may fill.
FILLED_SHARE = 0.5
_ARENAS = "MALLOC_ARENA_MAX=2"


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
    tried = {label: follow_up for label, follow_up in data.what_if.items() if failure(follow_up) is None}
    found: list[Advice] = []
    for advice in advised:
        matching = [
            label for label in tried if advice.setting and setting_name(label) == setting_name(advice.setting)
        ]
        found += [_tried(data, memory, advice, label, tried[label]) for label in matching] or [advice]
    known = {advice.setting for advice in found}
    for label, follow_up in tried.items():
        if label not in known:
            advice = Advice(
                setting=label,
                text="",
                evidence="Nothing that was measured in the run itself speaks for it.",
            )
            advice = _tried(data, memory, advice, label, follow_up)
            found.append(msgspec.structs.replace(advice, text=_outcome(label, advice.gain)))
    return sorted(found, key=_order)


def _outcome(label: str, gain: Gain | None) -> str:
    if gain is None:
        return f"What {label} changes could not be measured."
    if not gain.clear:
        return f"{label} makes no clear difference."
    return f"Consider {label}." if gain.after_bytes < gain.before_bytes else f"{label} costs memory."


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
        command=_command(data, f"state_session_capacity={reached}", no_compress_ttl=True),
    )


def _about_files(data: RunData, growth: Sequence[Growth]) -> list[Advice]:
    lists = [g for g in growth if g.path in TEMPORARY_FILE_LISTS and g.length > 0]
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


def _command(data: RunData, setting: str, *, no_compress_ttl: bool = False) -> str | None:
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
    if no_compress_ttl and manifest.profile.compress_ttl:
        words.append("--no-compress-ttl")
    return shlex.join([*words, "--what-if", setting])


# --- what became of it ---


def _tried(data: RunData, memory: MemoryFigures, advice: Advice, label: str, follow_up: FollowUp) -> Advice:
    notes = [advice.evidence, *notes_on(label, follow_up)]
    return msgspec.structs.replace(
        advice,
        setting=label,
        evidence=" ".join(notes),
        command=None,
        gain=gain_of(data, memory, label, follow_up),
    )


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
