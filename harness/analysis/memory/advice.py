"""Advice on memory: each piece follows from a measurement, and shows what it gained if it was tried."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import msgspec

from harness import units
from harness.analysis.memory.gradio_containers import TEMPORARY_FILE_LISTS
from harness.analysis.memory.growth_records import Growth
from harness.analysis.memory.session_cost import (
    MemoryFigures,
)
from harness.analysis.memory.what_if_gain import Gain, failure, gain_of, notes_on, setting_name
from harness.recorded_run import FollowUp, RecordedRun


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of advice.

    Attributes:
        setting: the setting as `--what-if` takes it, for example `time_to_live=60`; None if it is no setting.
        text: what to do, one sentence.
        evidence: the measurements behind it.
        command: the command that measures its gain; None if that is impossible or done.
        gain: its measured gain; None if not tried.
    """

    setting: str | None
    text: str
    evidence: str
    command: str | None = None
    gain: Gain | None = None


# Size of State per session from which a setting is advised, and from which State is better kept elsewhere.
STATE_WORTH_BYTES = 100e3
BIG_STATE_BYTES = 1e6
# A setting is advised if allocators keep this much, and this share of all memory.
RETENTION_BYTES = 10e6
RETENTION_SHARE = 0.1
# Share of the available memory that closed sessions may fill.
FILLED_SHARE = 0.5
_ARENAS = "MALLOC_ARENA_MAX=2"


def advise(data: RecordedRun, memory: MemoryFigures, growth: Sequence[Growth]) -> list[Advice]:
    """Return advice on memory, and the result of every setting that was tried.

    Args:
        data: the run, with the runs that tried settings.
        memory: its memory figures.
        growth: what grew in it.

    Returns:
        Gains first, largest relative gain first; then advice not tried yet; then settings without a clear difference; then losses.
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
                evidence="No measurement of the run itself suggests it.",
            )
            advice = _tried(data, memory, advice, label, follow_up)
            found.append(msgspec.structs.replace(advice, text=_outcome(label, advice.gain)))
    return sorted(found, key=_order)


def _outcome(label: str, gain: Gain | None) -> str:
    if gain is None:
        return f"The effect of {label} could not be measured."
    if not gain.clear:
        return f"{label} makes no clear difference."
    return f"Consider {label}." if gain.after_bytes < gain.before_bytes else f"{label} costs memory."


def _order(advice: Advice) -> tuple[int, float]:
    gain = advice.gain
    if gain is None:
        return (1 if advice.command is not None else 2, 0.0)
    # Relative, since a cost per session cannot be compared with the memory of the whole process.
    saved = (gain.before_bytes - gain.after_bytes) / max(1.0, gain.before_bytes, gain.after_bytes)
    if not gain.clear:
        return (3, -saved)
    return (0 if saved > 0 else 4, -saved)


# --- from measurements to advice ---


def _about_state(data: RecordedRun, memory: MemoryFigures) -> list[Advice]:
    state = _state_bytes(memory)
    if state is None or state < STATE_WORTH_BYTES:
        return []
    size = units.byte_size(state)
    found = [
        Advice(
            setting="time_to_live=60",
            text="Set `time_to_live` (seconds) on gr.State, so that idle open pages release their State.",
            evidence=f"The State of one session occupies {size}. Without a time to live, an open page keeps it until it closes. "
            "(After a page has closed, Gradio keeps its State for an hour after the last write, regardless of the time to live.)",
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
                text="Keep only a key in gr.State. Put the data into files, a database or a cache with a limit, and delete it in "
                "`demo.unload`.",
                evidence=f"The State of one session occupies {size}. 100 sessions that are open, or closed less than an hour ago, occupy "
                f"{units.byte_size(100 * state)}.",
            )
        )
    return found


def _about_capacity(data: RecordedRun, memory: MemoryFigures, state: float) -> Advice | None:
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
    # The run that tries the setting must reach the capacity, but not while its held sessions are still in use.
    after = next((p for p in data.plateaus if p.label == "after-close"), None)
    reached = min(fits, after.sessions) if after is not None and after.sessions else fits
    return Advice(
        setting=f"state_session_capacity={fits}",
        text=f"Set `state_session_capacity` of `launch` to {fits:,} or less, but above the number of pages open at once. Beyond it, Gradio "
        "drops the least recently used session.",
        evidence=f"Gradio keeps {capacity:,} sessions, and each {basis} {units.byte_size(kept)} for an hour after its page has closed: "
        f"{units.byte_size(capacity * kept)} in all. {units.byte_size(memory_bytes)} of memory are available; {fits:,} sessions fit into half of that.",
        command=_command(data, f"state_session_capacity={reached}", no_compress_ttl=True),
    )


def _about_files(data: RecordedRun, growth: Sequence[Growth]) -> list[Advice]:
    lists = [g for g in growth if g.path in TEMPORARY_FILE_LISTS and g.length > 0]
    if not lists:
        return []
    files = max(g.length for g in lists)
    rate = max((g.per_request or 0.0 for g in lists), default=0.0)
    return [
        Advice(
            setting="delete_cache=10,10",
            text="Set `delete_cache=(frequency, age)` (seconds) on gr.Blocks, or shorten it: for example (3600, 86400). Choose an age beyond "
            "which no user needs a file.",
            evidence=f"Gradio's list of temporary files grew"
            f"{f' by {rate:.2f} per request' if rate else ''}, to {files:,} entries at the end. The files stay on disk as "
            "long as their entries.",
            command=_command(data, "delete_cache=10,10"),
        )
    ]


def _about_allocators(data: RecordedRun, memory: MemoryFigures) -> list[Advice]:
    statements: list[str] = []
    for item, what in (
        ("allocator-retention", "was free memory that the allocator returned only on request"),
        ("fragmentation", "was free memory that the allocators could not return"),
    ):
        for moment, when in (
            ("closed", "after all sessions had closed"),
            ("held", "while all sessions were open"),
        ):
            entries = [entry for entry in memory.ledger if entry.moment == moment]
            total = sum(entry.bytes for entry in entries)
            kept = sum(entry.bytes for entry in entries if entry.item == item)
            if kept >= RETENTION_BYTES and kept >= RETENTION_SHARE * total:
                statements.append(f"{units.byte_size(kept)} of {units.byte_size(total)} {what}, {when}.")
                break
    if not statements:
        return []
    texts = {
        _ARENAS: "Start the app with `MALLOC_ARENA_MAX=2` in its environment: fewer arenas fragment less.",
        "jemalloc": "Start the app with jemalloc preloaded (`LD_PRELOAD=libjemalloc.so.2`): it returns free memory by itself.",
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
    """Size of gr.State of one session, bytes; None if unknown.

    Counted object by object, but at most the cost of an open session above Gradio's own share. The count may be too high, since it
    samples long containers of plain values and counts a value that Python shares at each use. Without a count, it is the lower bound
    of that cost.
    """
    counted = memory.state_bytes_per_session
    cost, floor = memory.bytes_per_open_session.live, memory.floor_per_open_session.live
    if cost is None:
        return counted
    if counted is None:
        return None if floor is None else cost.low - floor.high
    return min(counted, cost.high - (floor.low if floor is not None else 0.0))


def _command(data: RecordedRun, setting: str, *, no_compress_ttl: bool = False) -> str | None:
    """The command of the run with a setting to try; None if gradsoak did not start the app."""
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


# --- settings that were tried ---


def _tried(
    data: RecordedRun, memory: MemoryFigures, advice: Advice, label: str, follow_up: FollowUp
) -> Advice:
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
