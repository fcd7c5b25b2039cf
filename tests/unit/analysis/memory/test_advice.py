"""Each advice appears with its evidence and not without; a setting that was tried is compared with the run itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from harness.analysis import Analysis, analyse
from harness.analysis.memory.advice import Advice, advise
from harness.analysis.memory.breakdown import BreakdownEntry
from harness.analysis.memory.growth_records import Growth
from harness.analysis.memory.session_cost import MemoryFigures, PerSession
from harness.analysis.memory.what_if_gain import failed_what_ifs
from harness.analysis.theil_sen import Slope
from harness.profiles import BASES
from harness.recorded_run import FollowUp, RecordedRun
from harness.records import (
    Anomaly,
    Census,
    CgroupSample,
    Check,
    Checks,
    Container,
    ExternalApp,
    Machine,
    Plateau,
    ProbeSample,
    RunEvent,
    Seal,
    StateSizes,
)
from tests.unit.analysis.test_figures import plateau, process, run_data

MB = 1_000_000
LIMITS = RunEvent(time_ns=0, wall_ns=0, kind="limits", detail={"state_session_capacity": 10_000})


def line(estimate: float, off: float = 0.0) -> PerSession:
    found = Slope(estimate=estimate, low=estimate - off, high=estimate + off, intercept=0.0, points=7)
    return PerSession(live=found, uss=None)


def figures(**fields: object) -> MemoryFigures:
    state = fields.get("state_bytes_per_session", 5000.0)
    known: dict[str, object] = {
        "bytes_per_open_session": line(25_000 + float(state), 1000),  # type: ignore[arg-type]
        "floor_per_open_session": line(25_000, 1000),
        "after_close_live_bytes": None,
        "after_close_uss_bytes": None,
    }
    return MemoryFigures(**{**known, **fields})  # type: ignore[arg-type]


def run(**changes: object) -> RecordedRun:
    data = run_data(events=[LIMITS])
    machine = Machine(system="Linux", release="6", architecture="x", cpu_count=2, memory_bytes=8_000 * MB)
    manifest = msgspec.structs.replace(
        data.manifest,
        machine=machine,
        profile=BASES["staircase"],
        argv=["gradsoak", "run", "my app", "--what-if", "A=1", "--profile", "staircase", "--out=x", "--json"],
    )
    return msgspec.structs.replace(data, **{"manifest": manifest, **changes})


def climb(
    each: float,
    *,
    idle: float | None = None,
    resident: Callable[[Plateau], float] = lambda _: 200 * MB,
    returned: int = 0,
    noise: Sequence[int] = (0,) * 7,
) -> list[Plateau]:
    """A staircase of six steps of eight sessions, six batches, an idle plateau, all closed, four rounds.

    Args:
        each: live bytes of an open session.
        idle: the same when it is left alone.
        resident, returned: of each plateau.
        noise: live bytes on top, at each step.
    """
    found: list[Plateau] = []

    def add(label: str, held: int, live: float, requests: int, sessions: int) -> None:
        base = plateau(held, int(130 * MB + live), label=label)
        measured = msgspec.structs.replace(process(len(found)), rss_bytes=int(resident(base)))
        found.append(
            msgspec.structs.replace(
                base,
                process=measured,
                probe=ProbeSample(time_ns=0, wall_ns=0, live_bytes=int(130 * MB + live)),
                requests=requests,
                sessions=sessions,
                returned_bytes=returned,
            )
        )

    for step in range(7):
        add("staircase", 8 * step, each * 8 * step + noise[step], 60 + 8 * step, 10 + 8 * step)
    for batch in range(1, 7):
        add("requests", 48, each * 48, 108 + 24 * batch, 58)
    if idle is not None:
        add("idle", 48, idle * 48, 252, 58)
    add("after-close", 0, 0, 600, 130)
    for number in range(1, 5):
        add("second-round", 0, 0, 600 + 16 * number, 130 + 8 * number)
    return found


def tried(label: str, plateaus: Sequence[Plateau] = (), **changes: object) -> dict[str, FollowUp]:
    manifest = msgspec.structs.replace(run().manifest, what_if=label, purpose="what-if")
    beside = FollowUp(
        folder=f"what-if/{label}",
        manifest=manifest,
        seal=Seal(ended="completed", reason="", wall_ns=0, shards={}),
        events=[],
        plateaus=list(plateaus),
    )
    return {label: msgspec.structs.replace(beside, **changes)}


def settings(advice: Sequence[Advice]) -> list[str | None]:
    return [a.setting for a in advice]


def only(advice: Sequence[Advice], setting: str | None) -> Advice:
    (found,) = [a for a in advice if a.setting == setting]
    return found


# --- evidence ---


def test_a_small_app_gets_no_advice() -> None:
    assert advise(run(), figures(state_bytes_per_session=2000.0), []) == []
    assert advise(run(), figures(), []) == []  # 5 KB above the floor
    without_floor = figures(
        bytes_per_open_session=line(400_000), floor_per_open_session=PerSession(live=None, uss=None)
    )
    assert advise(run(), without_floor, []) == []  # whose bytes these are is not known


@pytest.mark.parametrize(
    "memory",
    [
        figures(state_bytes_per_session=400_000.0, bytes_per_open_session=line(430_000, 5000)),
        figures(state_bytes_per_session=400_000.0, bytes_per_open_session=PerSession(live=None, uss=None)),
        # Counted for each session, though Python keeps it once for all.
        figures(
            state_bytes_per_session=6.0 * MB,
            bytes_per_open_session=line(424_500, 500),
            floor_per_open_session=line(25_500, 500),
        ),
        figures(bytes_per_open_session=line(426_000, 500), floor_per_open_session=line(25_000, 500)),
    ],
    ids=["counted", "counted alone", "counted more than it costs", "above the floor"],
)
def test_large_state_of_open_tabs_suggests_a_time_to_live(memory: MemoryFigures) -> None:
    found = advise(run(), memory, [])
    assert settings(found) == ["time_to_live=60"]
    assert "400 KB" in found[0].evidence
    assert "regardless of the time to live" in found[0].evidence
    assert found[0].command == "gradsoak run 'my app' --profile staircase --what-if time_to_live=60"


def test_a_cost_whose_interval_includes_little_suggests_nothing() -> None:
    wide = figures(bytes_per_open_session=line(160_000, 50_000), floor_per_open_session=line(25_000, 1000))
    assert advise(run(), wide, []) == []


def test_more_sessions_than_fit_suggest_a_capacity() -> None:
    # 10,000 sessions of 2 MB are 20 GB, in a machine of 8.
    found = advise(run(plateaus=climb(2 * MB)), figures(state_bytes_per_session=2.0 * MB), [])
    advice = only(found, "state_session_capacity=2000")
    assert (
        "20.0 GB in all. 8.00 GB of memory are available; 2,000 sessions fit into half of that"
        in advice.evidence
    )
    assert "is expected to leave 2.00 MB" in advice.evidence
    # No run of a minute comes to 2,000 sessions: what it tries is what it reaches, and that the State lives its hour.
    assert advice.command is not None
    assert advice.command.endswith("--no-compress-ttl --what-if state_session_capacity=130")


def test_a_measured_retention_comes_before_an_expected_one() -> None:
    memory = figures(state_bytes_per_session=2.0 * MB, bytes_per_closed_session=line(4 * MB, MB))
    advice = only(advise(run(), memory, []), "state_session_capacity=1000")
    assert "was measured to leave 4.00 MB" in advice.evidence


def test_a_control_group_limit_counts_and_a_small_capacity_needs_no_advice() -> None:
    memory = figures(state_bytes_per_session=200_000.0)
    assert settings(advise(run(), memory, [])) == ["time_to_live=60"]  # 2 GB of 8
    limited = [
        msgspec.structs.replace(p, cgroup=CgroupSample(path="/", version=2, limit_bytes=512 * MB))
        for p in climb(200_000)
    ]
    assert "state_session_capacity=1200" in settings(advise(run(plateaus=limited), memory, []))
    small = msgspec.structs.replace(LIMITS, detail={"state_session_capacity": 100})
    assert settings(advise(run(plateaus=limited, events=[small]), memory, [])) == ["time_to_live=60"]


def test_a_megabyte_of_state_suggests_another_place() -> None:
    found = advise(run(), figures(state_bytes_per_session=8.0 * MB), [])
    outside = only(found, None)
    assert "Keep only a key" in outside.text
    assert "800 MB" in outside.evidence
    assert found[-1] is outside  # what no setting does comes after what can be measured
    assert None not in settings(advise(run(), figures(state_bytes_per_session=0.9 * MB), []))


def grown(path: str, length: int = 900, **more: object) -> Growth:
    fields: dict[str, object] = {
        "kind": "set",
        "owner": "gradio",
        "verdict": "framework-floor",
        "per_request": 1.0,
        "per_session": None,
        "exact": True,
        "cap": None,
        "pinned_bytes": 90_000,
        "reason": "",
    }
    return Growth(path=path, length=length, **{**fields, **more})  # type: ignore[arg-type]


def test_a_growing_list_of_files_suggests_delete_cache() -> None:
    found = advise(run(), figures(), [grown("gradio.Blocks.upload_file_set")])
    assert settings(found) == ["delete_cache=10,10"]
    assert "1.00 per request, to 900 entries" in found[0].evidence
    both = [grown("gradio.Blocks.upload_file_set", 900), grown("gradio.Blocks.temp_file_sets[*]", 950)]
    assert "to 950 entries" in advise(run(), figures(), both)[0].evidence
    for other in (grown("gradio.Blocks.temp_file_sets", length=0), grown("app.files", owner="app")):
        assert advise(run(), figures(), [other]) == []


def ledger(moment: str = "closed", **items: float) -> list[BreakdownEntry]:
    return [
        BreakdownEntry(moment=moment, item=item.replace("_", "-"), bytes=int(size * MB), basis="")  # type: ignore[arg-type]
        for item, size in items.items()
    ]


@pytest.mark.parametrize(
    ("entries", "advised", "says"),
    [
        (
            ledger(interpreter=100, fragmentation=40),
            True,
            "40.0 MB of 140 MB was free memory that the allocators could not return",
        ),
        (ledger(interpreter=100, allocator_retention=40), True, "only on request"),
        (ledger("held", interpreter=100, fragmentation=40), True, "while all sessions were open"),
        (ledger(interpreter=100, fragmentation=9), False, ""),  # too little
        (ledger(interpreter=500, fragmentation=40), False, ""),  # too small a share
        (ledger(interpreter=100, state=40), False, ""),
    ],
)
def test_memory_kept_by_allocators_suggests_other_allocators(
    entries: list[BreakdownEntry], advised: bool, says: str
) -> None:
    found = advise(run(), figures(ledger=entries), [])
    assert settings(found) == (["MALLOC_ARENA_MAX=2", "jemalloc"] if advised else [])
    assert all(says in advice.evidence for advice in found)


def test_no_setting_can_be_tried_on_an_app_that_gradsoak_did_not_start() -> None:
    base = run()
    external = ExternalApp(url="u", protocol="sse_v3", pid=1, process="p", not_sampled="")
    data = msgspec.structs.replace(base, manifest=msgspec.structs.replace(base.manifest, external=external))
    found = advise(data, figures(ledger=ledger(interpreter=100, fragmentation=40)), [])
    assert [a.command for a in found] == [None, None]


# --- gains ---

BIG = figures(state_bytes_per_session=400_000.0, bytes_per_open_session=line(430_000, 1000))


def test_a_time_to_live_is_judged_by_idle_open_sessions() -> None:
    data = run(
        plateaus=climb(430_000, idle=430_000), what_if=tried("time_to_live=5", climb(430_000, idle=30_000))
    )
    (advice,) = advise(data, BIG, [])
    assert (advice.setting, advice.command) == ("time_to_live=5", None)
    assert advice.gain is not None
    assert (advice.gain.before_bytes, advice.gain.after_bytes) == (430_000, 30_000)
    assert advice.gain.clear
    assert advice.gain.folder == "what-if/time_to_live=5"


def test_a_difference_within_the_scatter_is_not_clear() -> None:
    noise = (0, 0, 0, 0, 0, 12 * MB, 0)
    data = run(
        plateaus=climb(430_000, idle=430_000, noise=noise),
        what_if=tried("time_to_live=5", climb(430_000, idle=230_000)),
    )
    gain = advise(data, BIG, [])[0].gain
    assert gain is not None
    assert gain.before_bytes - gain.after_bytes == pytest.approx(200_000)
    assert not gain.clear
    # With a scatter of half of that it is.
    quieter = msgspec.structs.replace(
        data, plateaus=climb(430_000, idle=430_000, noise=tuple(n // 2 for n in noise))
    )
    gain = advise(quieter, BIG, [])[0].gain
    assert gain is not None
    assert gain.clear


def test_a_parameter_is_judged_by_what_it_changed() -> None:
    data = run(what_if=tried("STORE=files", climb(30_000)))
    known = figures(
        bytes_per_open_session=line(430_000, 5000), floor_per_open_session=PerSession(live=None, uss=None)
    )
    (advice,) = advise(data, known, [])
    assert "No measurement of the run itself" in advice.evidence
    assert advice.gain is not None
    assert advice.gain.figure == "live heap per open session"
    assert advice.gain.after_bytes == pytest.approx(30_000)
    assert advice.gain.clear
    # Intervals that overlap are no difference.
    (advice,) = advise(data, figures(bytes_per_open_session=line(35_000, 6000)), [])
    assert advice.gain is not None
    assert not advice.gain.clear


@pytest.mark.parametrize("label", ["MALLOC_ARENA_MAX=2", "PYTHONMALLOC=malloc", "MALLOC_TRIM_THRESHOLD_=0"])
def test_allocators_are_judged_by_resident_memory_before_free_memory_is_returned(label: str) -> None:
    data = run(plateaus=climb(30_000, returned=60 * MB), what_if=tried(label, climb(30_000, returned=5 * MB)))
    (advice,) = advise(data, figures(), [])
    assert advice.gain is not None
    assert (advice.gain.before_bytes, advice.gain.after_bytes) == (260 * MB, 205 * MB)
    assert advice.gain.clear
    # A few per cent between two runs of the same thing are nothing.
    data = run(plateaus=climb(30_000, returned=9 * MB), what_if=tried(label, climb(30_000)))
    gain = advise(data, figures(), [])[0].gain
    assert gain is not None
    assert not gain.clear


def test_jemalloc_is_judged_by_resident_memory_after_free_memory_is_returned() -> None:
    other = climb(30_000, returned=80 * MB, resident=lambda _: 205 * MB)
    data = run(plateaus=climb(30_000, returned=60 * MB), what_if=tried("jemalloc", other))
    (advice,) = advise(data, figures(), [])
    assert advice.gain is not None
    assert (advice.gain.before_bytes, advice.gain.after_bytes) == (260 * MB, 205 * MB)


def with_live(plateaus: Sequence[Plateau], label: str, live: int) -> list[Plateau]:
    return [
        msgspec.structs.replace(p, probe=msgspec.structs.replace(p.probe, live_bytes=live))
        if p.label == label
        else p
        for p in plateaus
    ]


def test_a_capacity_is_judged_by_closed_sessions() -> None:
    # 40 and 10 MB above plateau 0.
    before, after = (with_live(climb(430_000), "second-round", mb * MB) for mb in (170, 140))
    data = run(plateaus=before, what_if=tried("state_session_capacity=50", after))
    (advice,) = advise(data, figures(), [])
    assert advice.gain is not None
    assert advice.gain.figure == "live heap after all sessions have closed"
    assert (advice.gain.before_bytes, advice.gain.after_bytes) == (40 * MB, 10 * MB)
    assert advice.gain.clear


def census(length: int, number: int = 17) -> Census:
    files = Container(
        path="gradio.Blocks.upload_file_set",
        owner="gradio",
        kind="set",
        length=length,
        pinned_bytes=100 * length,
    )
    return Census(
        plateau=number,
        time_ns=0,
        containers=[files],
        visited=1,
        known_bytes=1,
        opaque=0,
        complete_depth=None,
        pause_ms=1.0,
        state=StateSizes(sessions=1, total_bytes=1, shared_bytes=0, median_bytes=1, max_bytes=1),
    )


def test_delete_cache_is_judged_by_the_lists_of_files() -> None:
    for left, clear in ((81, True), (700, False)):
        data = run(
            plateaus=climb(30_000),
            census=[census(810)],
            what_if=tried("delete_cache=2,2", climb(30_000), census=[census(left)]),
        )
        (advice,) = advise(data, figures(), [grown("gradio.Blocks.upload_file_set")])
        assert advice.gain is not None
        assert advice.gain.before_bytes == 500  # 81 KB over 162 sessions
        assert advice.gain.after_bytes == pytest.approx(left / 810 * 500)
        assert advice.gain.clear is clear


def test_the_largest_gain_comes_first_and_losses_last() -> None:
    same = climb(30_000, returned=20 * MB)
    what_if = (
        tried("MALLOC_ARENA_MAX=2", climb(30_000, returned=5 * MB, resident=lambda _: 190 * MB))
        | tried("PYTHONMALLOC=malloc", climb(30_000, returned=90 * MB))
        | tried("MALLOC_TOP_PAD_=0", same)
        | tried("MALLOC_ARENA_TEST=1", climb(30_000, resident=lambda _: 150 * MB))
    )
    memory = figures(ledger=ledger(interpreter=100, fragmentation=40))
    found = advise(run(plateaus=same, what_if=what_if), memory, [])
    assert settings(found) == [
        "MALLOC_ARENA_TEST=1",
        "MALLOC_ARENA_MAX=2",
        "jemalloc",
        "MALLOC_TOP_PAD_=0",
        "PYTHONMALLOC=malloc",
    ]
    assert [a.gain.clear if a.gain else None for a in found] == [True, True, None, False, True]
    assert [found[n].text for n in (0, 3, 4)] == [
        "Consider MALLOC_ARENA_TEST=1.",
        "MALLOC_TOP_PAD_=0 makes no clear difference.",
        "PYTHONMALLOC=malloc costs memory.",
    ]
    assert (
        "free memory that the allocators could not return" in found[1].evidence
    )  # it was advised, and tried
    assert found[2].command is not None


# --- what went wrong ---


def test_a_failed_run_has_no_gain_and_is_named() -> None:
    broken = Seal(
        ended="target_failed",
        reason="The app ended with exit code 1\n before it was ready.",
        wall_ns=0,
        shards={},
    )
    what_if = tried("A=1", seal=broken) | tried("time_to_live=5", climb(1), seal=None)
    data = run(plateaus=climb(430_000), what_if=what_if)
    found = advise(data, BIG, [])
    assert settings(found) == ["time_to_live=60"]  # still to be tried
    assert found[0].gain is None
    told = failed_what_ifs(data)
    assert told == [
        "The gain of A=1 is unknown: the run that tried it ended early: The app ended with exit code 1 before it was ready (see what-if/A=1).",
        "The gain of time_to_live=5 is unknown: the run that tried it was never sealed (see what-if/time_to_live=5).",
    ]
    analysis: Analysis = analyse(data)
    assert set(told) <= set(analysis.warnings)


def test_advice_says_if_a_setting_had_no_effect_or_cost_sessions_their_state() -> None:
    ready = RunEvent(time_ns=0, wall_ns=0, kind="target_ready", detail={"settings": {"time_to_live": 0}})
    lost = Anomaly(kind="reset", sessions=[], variable="v", occurrences=1, witness=[], explanation="")
    leak = msgspec.structs.replace(lost, kind="leak-per-request")
    checks = Checks(
        schema_version=1,
        verdict="fail",
        reason="",
        checks=[
            Check(
                name="reset",
                verdict="fail",
                reason="",
                evidence={},
                anomalies=[lost, lost],
                anomalies_total=2,
            ),
            Check(
                name="leak-per-request",
                verdict="fail",
                reason="",
                evidence={},
                anomalies=[leak],
                anomalies_total=1,
            ),
        ],
    )
    data = run(
        plateaus=climb(430_000),
        what_if=tried("time_to_live=5", climb(430_000), events=[ready], checks=checks),
    )
    (advice,) = advise(data, BIG, [])
    assert "had no effect" in advice.evidence
    assert advice.evidence.endswith("in that run: reset ×2.")
